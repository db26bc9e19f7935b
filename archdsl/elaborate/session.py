"""What one elaboration carries along: the graph so far, what went wrong, where we are, and how much is allowed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from archdsl.diagnostics import Diagnostic, Diagnostics, Frame, Label, Span
from archdsl.diagnostics.place import diagnose, place
from archdsl.elaborate.templates import Shapes, Template, copyable
from archdsl.elaborate.values import Fault, MapValue, OpModule, Searched, Variable
from archdsl.ir.builder import GraphBuilder, Settings
from archdsl.ir.dims import Dim
from archdsl.ir.graph import MapType, Node, Origin, Ref
from archdsl.ir.op import OpError
from archdsl.lang import tree as t

MAX_NODES = 100_000
MAX_STEPS = 1_000_000
MAX_DEPTH = 64
_STEPS_PER_OPERAND = 4
_STEPS_PER_TRIAL = 20_000
MAX_SETBACKS = 1_000
_ITEMS_PER_STEP = 4
COUNT_FROM = 4_096
COUNT_EXPANSIONS = 64
"""Networks past this many nodes and applied blocks are counted, blocks of equal arguments once, before they go on."""


_DISAGREEMENTS = frozenset({"E0301", "E0304"})
"""Errors about two maps, each of which has a place of its own."""


class TooLarge(Exception):
    """The network is over a limit; nothing further is worth expanding."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class Hopeless(Exception):
    """So many statements failed that the rest is not worth looking at."""


@dataclass
class Spent:
    """What elaborating the networks of a file one after another took so far; the limits hold for all together."""

    nodes: int = 0
    steps: int = 0
    setbacks: int = 0
    networks: int = 0
    over: bool = False
    """Whether a limit was met: looking at further networks would take as long again."""

    def add(self, session: Session) -> None:
        self.nodes, self.steps, self.setbacks = session.nodes, session.steps, session.setbacks
        self.networks += 1


class Mark(NamedTuple):
    """How much there was of everything when an expansion began."""

    nodes: int
    equalities: int
    variables: int
    setbacks: int


@dataclass
class Session:
    """The state that all bodies of one elaboration share."""

    diagnostics: Diagnostics
    builder: GraphBuilder = field(default_factory=GraphBuilder)
    choices: dict[int, int] = field(default_factory=dict)
    """Values for search variables, by number; the start value where absent."""
    counting: bool = False
    before: Spent = field(default_factory=Spent)
    """What other networks of the same file took, which counts as well."""
    steps: int = 0
    nodes: int = 0
    stack: list[tuple[str, Span | None]] = field(default_factory=list)
    """Open bodies: a block's name, and where the body before it called it."""
    variables: list[Variable] = field(default_factory=list)
    owners: dict[str, tuple[tuple[tuple[int, ...], ...], Span]] = field(default_factory=dict)
    """Weight paths in use, with the shapes they stand for, and where they were used first."""
    setbacks: int = 0
    """Statements that failed, or depend on one that did."""
    binding: list[t.Param] = field(default_factory=list)
    """Parameters whose default or range is being worked out."""
    _reported: set[tuple[str, Span]] = field(default_factory=set)
    _by_span: dict[tuple[str, int], int] = field(default_factory=dict)
    memo: dict[Any, Any] = field(default_factory=dict)
    templates: dict[Any, Template] = field(default_factory=dict)
    """Expansions to copy, by what they depend on."""
    modules: dict[int, OpModule] = field(default_factory=dict)
    """Op modules whose settings are written out, by the identity of the call they were written as."""
    expansions: int = 0
    """Blocks applied so far."""
    trials: int = 200
    """How often something may still be tried out for the sake of a better message."""
    recount: Any = None
    """Called once when the expansion grows past COUNT_FROM: says how many nodes it will have in the end."""

    _outer_of: tuple[Span | None, ...] = ()
    _outer_frames: tuple[Frame, ...] = ()
    _last_origin: tuple[tuple[Frame, ...], Origin] | None = None

    def __post_init__(self) -> None:
        self.steps += self.before.steps
        self.nodes += self.before.nodes
        self.setbacks += self.before.setbacks

    # ----------------------------------------------------------- reporting

    def frames(self, span: Span) -> tuple[Frame, ...]:
        """The chain of bodies down to `span`, outermost first."""
        if not self.stack:
            return ()
        return (*self._outer(), Frame(self.stack[-1][0], span))

    def _outer(self) -> tuple[Frame, ...]:
        """The calls that led to the body being run; worked out once for each of its nodes together."""
        key = tuple(call for _, call in self.stack)
        if self._outer_of != key:
            names = [name for name, _ in self.stack]
            calls = (Frame(name, call) for name, call in zip(names, key[1:], strict=False) if call is not None)
            self._outer_of, self._outer_frames = key, tuple(calls)
        return self._outer_frames

    def report(self, fault: Fault) -> None:
        """Adds a diagnostic, unless the same has been said of the same place in the user's text."""
        calls = [call for _, call in reversed(self.stack) if call is not None]
        own = next((place for place in (fault.span, *calls) if not place.source.library), fault.span)
        if (fault.code, own) not in self._reported:
            self._reported.add((fault.code, own))
            self.diagnostics.add(self._diagnostic(fault))

    def add(self, diagnostic: Diagnostic) -> None:
        """Adds a diagnostic, unless one of its code stands at its place already."""
        if not any((d.code, d.span) == (diagnostic.code, diagnostic.span) for d in self.diagnostics.items):
            self.diagnostics.add(diagnostic)

    def _diagnostic(self, fault: Fault) -> Diagnostic:
        frames = self.frames(fault.span) or (Frame("", fault.span),)
        return diagnose(frames, fault.code, fault.message, label=fault.label, help=fault.help, labels=fault.labels)

    def too_large(self, fault: Fault) -> TooLarge:
        """The end of the expansion, with the place where it stood; by the time it is caught, the stack is gone."""
        return TooLarge(self._diagnostic(fault))

    def set_back(self) -> None:
        """Counts a statement that failed. Raises Hopeless when there were so many that more would help nobody."""
        self.setbacks += 1
        if self.setbacks > MAX_SETBACKS:
            raise Hopeless

    def aside(self) -> Session | None:
        """A session to try something small in, which leaves no trace; None when enough was tried, or inside of one."""
        self.trials -= 1
        if self.trials < 0:
            return None
        return Session(Diagnostics(), steps=MAX_STEPS - _STEPS_PER_TRIAL, counting=True, trials=0)

    # -------------------------------------------------------------- limits

    def spend(self, items: int, span: Span) -> None:
        """Counts the work of going through a list."""
        if items > _ITEMS_PER_STEP:
            self.step(span, items // _ITEMS_PER_STEP)

    def step(self, span: Span, count: int = 1) -> None:
        self.steps += count
        if self.steps > MAX_STEPS:
            help = "a spec describes a network; it does not compute one"
            what = f"{self._subject('the spec takes', 'take')} more than {MAX_STEPS:,} steps to work out"
            raise self.too_large(Fault("E0906", what, span, help=self._apart or help))

    def grow(self, count: int, span: Span) -> None:
        """Counts nodes about to be added. Raises TooLarge past the limit."""
        self.nodes += count
        if self.nodes > COUNT_FROM and self.expansions > COUNT_EXPANSIONS and self.recount is not None:
            recount, self.recount = self.recount, None
            self.check_total(max(recount(), self.nodes), span)
        self.check_total(self.nodes, span)

    def check_pace(self, nodes: int, rounds: int, planned: int, span: Span) -> None:
        """Refuses a loop that at its pace so far (`nodes` in `rounds` of `planned`) would end far over the limit."""
        if self.nodes > COUNT_FROM and nodes * planned > 2 * MAX_NODES * rounds:
            self.check_total(nodes * planned // rounds, span)

    def check_total(self, nodes: int, span: Span) -> None:
        if nodes > MAX_NODES:
            message = f"{self._subject('the network would have', 'would have')} more than {MAX_NODES:,} nodes"
            raise self.too_large(Fault("E0902", message, span, help=self._apart or "a repetition is larger than meant"))

    def _subject(self, one: str, several: str) -> str:
        return f"{self.before.networks + 1} networks of this file together {several}" if self.before.networks else one

    @property
    def _apart(self) -> str:
        """The mend where no network is too large by itself."""
        return "check them one by one with `--network`, or in files of their own" if self.before.networks else ""

    # --------------------------------------------------------------- nodes

    def emit(
        self, op: str, inputs: Sequence[MapValue], settings: Settings, path: tuple[str, str], span: Span
    ) -> tuple[MapValue, ...]:
        """Adds a node at `path` (its name, and the path of its weights). Raises Fault when the op cannot be applied."""
        self.grow(1, span)
        self.step(span, _STEPS_PER_OPERAND * len(inputs) + len(self.stack))
        before = len(self.builder.equalities)
        origin = self._origin(span)
        try:
            refs = self.builder.add(op, [m.ref for m in inputs], settings, name=path[0], weights=path[1], origin=origin)
        except OpError as error:
            labels = self._sides(inputs) if error.code in _DISAGREEMENTS else ()
            raise Fault(error.code, error.message, span, label=error.label, help=error.help, labels=labels) from None
        if len(refs) > 1:
            self.grow(len(refs) - 1, span)
        if len(self.builder.equalities) > before:
            self._charge_equalities(before, span)
        self._own(span)
        types = self.builder.nodes[-1].types
        return tuple([MapValue(ref, of) for ref, of in zip(refs, types, strict=True)])

    def _origin(self, span: Span) -> Origin:
        """The place of a node; nodes of one place share it."""
        outer, last = self._outer(), self._last_origin
        if last is None or last[0] is not outer or last[1].span is not span:
            self._last_origin = last = (outer, Origin(span, self.frames(span)))
        return last[1]

    def _charge_equalities(self, before: int, span: Span) -> None:
        """Counts the work of finding for which inputs two sizes agree: sizes repeat only after their period."""
        for left, right in self.builder.equalities[before:]:
            difference = left - right
            if isinstance(difference, Dim):
                self.step(span, difference.period)

    def _sides(self, inputs: Sequence[MapValue]) -> Iterator[Label]:
        """Where two maps that do not go together were made: the first of them, and the first that differs from it."""
        first = inputs[0]
        other = next((m for m in inputs if m.type != first.type), first)
        for side in (first, other):
            node = self.builder.node(side.ref)
            if node is not None and node.origin is not None:
                yield Label(place(node.origin.frames).span, f"this is {side.type}")

    def _own(self, span: Span) -> None:
        """Two nodes may share weights only where their shapes agree."""
        self._own_as(self.builder.nodes[-1], self.builder.shapes, span)

    def _own_as(self, node: Node, shapes: Shapes, span: Span) -> None:
        if not node.weights:
            return
        earlier, where = self.owners.setdefault(node.weights, (shapes, span))
        if earlier != shapes:
            message = f"`{node.weights}` is shared, and would need weights of shape {list(shapes[0])} here"
            help = "inputs of a shared module need the same number of channels at every use"
            labels = (Label(where, f"here it has {list(earlier[0])}"),) if where != span else ()
            raise Fault("E0309", message, span, help=help, labels=labels)

    # ----------------------------------------------------------- templates

    def mark(self) -> Mark:
        """Where an expansion begins: what it adds is what lies beyond."""
        builder = self.builder
        return Mark(len(builder.nodes), len(builder.equalities), len(self.variables), self.setbacks)

    def template(
        self,
        since: Mark,
        inputs: Sequence[MapValue],
        paths: tuple[str, str],
        span: Span,
        value: Any,
    ) -> Template | None:
        """What was added since a mark, for copying; None where it went wrong or hangs on more than its inputs."""
        nodes = self.builder.nodes[since.nodes :]
        clean = (len(self.variables), self.setbacks) == (since.variables, since.setbacks)
        if not clean or not copyable(paths, inputs, nodes, searching=bool(self.variables)):
            return None
        values = [value] if isinstance(value, MapValue) else list(value)
        return Template(
            paths,
            len(self.frames(span)),
            tuple(v.ref for v in inputs),
            tuple((node, self.owners[node.weights][0] if node.weights else ()) for node in nodes),
            tuple(self.builder.equalities[since.equalities :]),
            tuple((v.ref, v.type) for v in values),
            isinstance(value, MapValue),
        )

    def copy(
        self, template: Template, inputs: Sequence[MapValue], paths: tuple[str, str], span: Span
    ) -> list[MapValue]:
        """Adds the nodes of a template under other paths. Raises Fault E0309 as expanding them would."""
        self.grow(len(template.nodes), span)
        self.step(span, len(template.nodes))
        nodes, values = template.copies(paths, inputs, self._origin(span).frames)
        for node, (_, shapes) in zip(nodes, template.nodes, strict=True):
            self.builder.append(node)
            if shapes:
                self._own_as(node, shapes, span)
        self.builder.equalities += template.equalities
        return values

    def phantom(self, types: Sequence[MapType]) -> tuple[MapValue, ...]:
        """Values of given types without a node, for counting."""
        name = f"counted@{len(self.builder.nodes)}.{self.steps}.{self.nodes}"
        made = []
        for port, of in enumerate(types):
            ref = Ref(name, port)
            self.builder.declare(ref, of)
            made.append(MapValue(ref, of))
        return tuple(made)

    # -------------------------------------------------------------- search

    def choose(self, start: int, domain: tuple[int, ...], span: Span, *, own: bool) -> Searched:
        """A searched integer. `own` gives this evaluation a variable of its own; else one stands for the place."""
        key = (span.path, span.start)
        if own or key not in self._by_span:
            self.variables.append(Variable(start, domain, span))
            number = len(self.variables) - 1
            if not own:
                self._by_span[key] = number
        else:
            number = self._by_span[key]
        return Searched.of(self.choices.get(number, start), span, number)
