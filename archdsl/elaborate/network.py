"""From a file and the name of a network to a graph."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from archdsl.diagnostics import Diagnostic, Diagnostics, Frame, Label, Span
from archdsl.diagnostics.place import diagnose, place
from archdsl.diagnostics.suggest import did_you_mean
from archdsl.elaborate import types
from archdsl.elaborate.assertions import Assertion
from archdsl.elaborate.expand import Expander
from archdsl.elaborate.files import AliasDef, BlockDef, BrokenDef, ConstantDef, SpecFile
from archdsl.elaborate.paths import Paths
from archdsl.elaborate.scope import Scope
from archdsl.elaborate.session import Hopeless, Session, Spent, TooLarge
from archdsl.elaborate.values import POISON, Fault, MapValue, Poisoned, Variable, kind_of
from archdsl.interpreter import recursion_of, without_collection
from archdsl.ir.conditions import AXES, contradiction
from archdsl.ir.dims import Dim, grows, symbol
from archdsl.ir.graph import Graph, Output, Preprocessing, Ref
from archdsl.ir.settings import describe
from archdsl.lang import tree as t

MAX_INPUT_CHANNELS = 1 << 16
_SYMBOLS = ("H", "W")
_WORDS = {"H": "height", "W": "width"}
_STEPS_PER_NETWORK = 4_000
"""What a network costs besides its statements: the analyses of even the smallest one."""
_RECURSION = 12_000
"""64 blocks deep, each with expressions up to the parser's nesting limit; Python's own limit is 1,000."""


@dataclass
class Elaboration:
    """What a network became: its graph (None after errors), parameters, asserts and search variables."""

    name: str
    graph: Graph | None
    parameters: dict[str, Any] = field(default_factory=dict)
    assertions: list[Assertion] = field(default_factory=list)
    variables: list[Variable] = field(default_factory=list)
    names: dict[str, Ref] = field(default_factory=dict)
    definition: BlockDef | None = None


class _NetworkExpander(Expander):
    """The body of a network: its inputs come from outside."""

    def __init__(self, session: Session, scope: Scope) -> None:
        super().__init__(session, scope)
        self.preprocessing: dict[str, Preprocessing] = {}

    def _input(self, statement: t.Input) -> None:
        name = statement.name.text
        if name in self.preprocessing:
            raise Fault("E0203", f"`{name}` is an input already", statement.name.span, help="give it another name")
        types.check_input(statement, "map")
        channels, height, width = self._size(statement)
        ref = self.session.builder.input(name, channels, height, width)
        self.scope.values[name] = MapValue(ref, self.session.builder.type_of(ref))
        self.preprocessing[name] = self._preprocess(statement, channels)

    def _size(self, statement: t.Input) -> tuple[int, Any, Any]:
        dims = statement.dims
        if dims is None or len(dims) != 3:
            message = "a network's input says its shape: `[3, H, W]`"
            raise Fault("E0507", message, statement.span)
        channels = dims[0]
        if isinstance(channels, t.Name) and channels.text not in self.scope.values:
            message = f"the number of channels of `{statement.name.text}` must be known"
            raise Fault("E0507", message, channels.span, help="write a number, or a parameter")
        count = self.value(channels)
        if isinstance(count, bool) or not isinstance(count, int):
            raise Fault("E0401", f"a number of channels is an integer, not {kind_of(count)}", channels.span)
        if not 1 <= count <= MAX_INPUT_CHANNELS:
            message = f"an input has 1 to {MAX_INPUT_CHANNELS:,} channels, not {count:,}"
            raise Fault("E0402", message, channels.span)
        return count, *(self._extent(statement, dim, s) for dim, s in zip(dims[1:], _SYMBOLS, strict=True))

    def _extent(self, statement: t.Input, dim: t.Expr, axis: str) -> Any:
        """A new name is the input's height (or width), which stays symbolic."""
        if isinstance(dim, t.Name) and dim.text not in self.scope.values:
            if dim.text in _SYMBOLS and dim.text != axis:
                message = f"`{dim.text}` stands where the {_WORDS[axis]} does, which is `{axis}` everywhere"
                raise Fault("E0507", message, dim.span, help="the order is `[channels, H, W]`")
            if self.session.builder.nodes:
                message = f"`{dim.text}` is new here: a further input gives its size in terms of the first one's"
                raise Fault("E0507", message, dim.span, help="for example `[1, H // 2, W // 2]`")
            self.scope.values[dim.text] = symbol(axis)
            return symbol(axis)
        size = self.value(dim)
        if isinstance(size, bool) or not isinstance(size, int | Dim):
            raise Fault("E0401", f"an input's size is a name or an integer, not {kind_of(size)}", dim.span)
        if isinstance(size, int) and size < 1:
            raise Fault("E0402", f"an input has at least 1 row and 1 column, not {size}", dim.span)
        if isinstance(size, Dim) and not grows(size):
            raise Fault("E0402", f"an input's size must grow with the first one's, and {size} does not", dim.span)
        if isinstance(size, Dim) and size.symbols != {axis}:
            raise Fault("E0507", f"the {_WORDS[axis]} has a name of its own", dim.span, help="`[3, H, W]`")
        return size

    def _preprocess(self, statement: t.Input, channels: int) -> Preprocessing:
        call = statement.preprocessing
        if call is None:
            return Preprocessing() if channels == 3 else Preprocessing("rgb", (0.0,) * channels, (1.0,) * channels)
        function = call.function if isinstance(call, t.Call) else call
        if not isinstance(function, t.Name) or function.text not in ("rgb", "bgr"):
            message = "preprocessing is `rgb(…)` or `bgr(…)`"
            raise Fault("E0508", message, call.span, help="rgb(mean=[…], std=[…], scale=1/255)")
        given = self._preprocessing_arguments(call, channels) if isinstance(call, t.Call) else {}
        default = Preprocessing()
        return Preprocessing(
            "rgb" if function.text == "rgb" else "bgr",
            given.get("mean", default.mean if channels == 3 else (0.0,) * channels),
            given.get("std", default.std if channels == 3 else (1.0,) * channels),
            given.get("scale", default.scale),
        )

    def _preprocessing_arguments(self, call: t.Call, channels: int) -> dict[str, Any]:
        positional, named = self._arguments(call)
        if positional:
            raise Fault("E0508", "preprocessing takes named arguments", positional[0][1], help="mean, std, scale")
        made: dict[str, Any] = {}
        for name, (value, span) in named.items():
            if name not in ("mean", "std", "scale"):
                help = did_you_mean(name, ("mean", "std", "scale")) or "it takes mean, std and scale"
                raise Fault("E0202", f"preprocessing has no `{name}`", span, help=help)
            numbers = value if isinstance(value, list | tuple) and name != "scale" else [value]
            if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in numbers):
                wanted = "a number" if name == "scale" else "a number, or one per channel"
                raise Fault("E0401", f"`{name}` is {wanted}, not {describe(value)}", span)
            if name != "scale" and len(numbers) not in (1, channels):
                raise Fault("E0402", f"`{name}` has {len(numbers)} numbers for {channels} channels", span)
            if name != "mean" and not all(v > 0 for v in numbers):
                raise Fault("E0402", f"`{name}` must be above 0, not {describe(value)}", span)
            spread = tuple(float(v) for v in numbers) * (channels // len(numbers) if len(numbers) == 1 else 1)
            made[name] = float(numbers[0]) if name == "scale" else spread
        return made


def elaborate(
    file: SpecFile,
    name: str | None,
    diagnostics: Diagnostics,
    settings: Mapping[str, Any] | None = None,
    choices: Mapping[int, int] | None = None,
    spent: Spent | None = None,
) -> Elaboration | None:
    """Expands a network of a file (the first when `name` is None).

    `settings` gives parameters of the network values, `choices` search variables by number; `spent` is what the file's
    other networks took, to which this one's is added. What is wrong is added to `diagnostics`; None when there is no
    such network.
    """
    networks = dict(file.networks())
    chosen = next(iter(networks), None) if name is None else name
    if chosen is None or chosen not in networks:
        _no_network(file, chosen, list(networks), diagnostics)
        return None
    with without_collection(), recursion_of(_RECURSION):
        run = _Run(file, chosen, diagnostics, dict(settings or {}), dict(choices or {}), spent or Spent())
        return run.elaborate()


def _no_network(file: SpecFile, name: str | None, known: list[str], diagnostics: Diagnostics) -> None:
    if name is None:
        if any(isinstance(d, BrokenDef) for d in file.names.values()) or diagnostics.failed:
            return
        message, help = f"{file.source.path} has no network", "a spec needs `network Name { … }`"
        diagnostics.add(Diagnostic("E0114", message, Span.of_file(file.source.path), help=help))
        return
    if isinstance(file.names.get(name), BrokenDef):
        return
    help = did_you_mean(name, known) or ("it has " + ", ".join(known) if known else "it has none")
    message = f"{file.source.path} has no network `{name}`"
    diagnostics.add(Diagnostic("E0209", message, Span.of_file(file.source.path), help=help))


class _Run:
    """One elaboration; counting runs it a second time, on a session of its own."""

    def __init__(
        self,
        file: SpecFile,
        name: str,
        diagnostics: Diagnostics,
        settings: dict[str, Any],
        choices: dict[int, int],
        spent: Spent,
    ) -> None:
        self.file, self.name, self.diagnostics = file, name, diagnostics
        self.settings, self.choices, self.spent = settings, choices, spent

    def elaborate(self) -> Elaboration:
        session = Session(self.diagnostics, choices=self.choices, before=self.spent, templates=self.file.templates)
        session.recount = self._count
        result = Elaboration(self.name, None)
        body = None
        try:
            session.step(dict(self.file.networks())[self.name].tree.name.span, _STEPS_PER_NETWORK)
            body = self._expand(session, result)
        except TooLarge as over:
            self.diagnostics.add(over.diagnostic)
            self.spent.over = True
        except Hopeless:
            self.spent.over = True
        self.spent.add(session)
        if body is not None:
            self._finish(session, body, result)
        return result

    def _count(self) -> int:
        """How many nodes the network will have, blocks of equal arguments expanded once."""
        session = Session(Diagnostics(), choices=self.choices, before=self.spent, counting=True)
        try:
            self._expand(session, Elaboration(self.name, None))
        except TooLarge as over:
            if over.diagnostic.code != "E0902":
                raise
            return sys.maxsize
        except Hopeless:
            return 0
        return session.nodes

    def _expand(self, session: Session, result: Elaboration) -> _NetworkExpander | None:
        session.stack.append((self.name, None))
        try:
            return self._body(session, result)
        except Fault as fault:
            session.report(fault)
        except Poisoned:
            pass
        return None

    def _body(self, session: Session, result: Elaboration) -> _NetworkExpander:
        definition, given = self._definition(session)
        scope = Scope(definition.file, {}, Paths("", "", True), is_network=True)
        expander = _NetworkExpander(session, scope)
        where = definition.tree.name.span
        known = {p.name.text for p in definition.tree.params}
        for key in self.settings:
            if key not in known:
                help = did_you_mean(key, known) or "it has " + (", ".join(sorted(known)) or "none")
                raise Fault("E0202", f"{definition.name} has no parameter `{key}`", where, help=help)
        given |= {key: (value, where) for key, value in self.settings.items()}
        result.parameters = expander.arguments(definition, given, where)
        result.definition = definition
        scope.values.update(result.parameters)
        self._constants(expander)
        expander.run(definition.tree.body)
        return expander

    def _constants(self, expander: _NetworkExpander) -> None:
        """Works out the constants of the file, so that what is wrong in one that nothing reads is found too."""
        for name, definition in self.file.names.items():
            if isinstance(definition, ConstantDef) and definition.file is self.file:
                with suppress(Fault, Poisoned):
                    expander.constant(name, definition)

    def _definition(self, session: Session) -> tuple[BlockDef, dict[str, tuple[Any, Span]]]:
        """The network's block, and the parameters that aliases on the way to it give."""
        found: Any = dict(self.file.networks())[self.name]
        given: dict[str, tuple[Any, Span]] = {}
        seen: list[AliasDef] = []
        while isinstance(found, AliasDef):
            if found in seen:
                # whichever network of the circle is asked for, the error is the same
                circle = seen[seen.index(found) :]
                first = min((alias.tree.name for alias in circle), key=lambda name: (name.span.path, name.span.start))
                raise Fault("E0505", f"`{first.text}` is a variant of itself", first.span)
            seen.append(found)
            found, more = self._alias(session, found)
            given = {**more, **given}
        return found, given

    def _alias(self, session: Session, alias: AliasDef) -> tuple[Any, dict[str, tuple[Any, Span]]]:
        call = alias.tree.value
        function = call.function if isinstance(call, t.Call) else call
        if not isinstance(function, t.Name):
            raise Fault("E0404", "a variant is another network with parameters given", call.span)
        target = alias.file.names.get(function.text)
        if isinstance(target, BrokenDef):
            raise Poisoned
        if not (isinstance(target, AliasDef) or (isinstance(target, BlockDef) and target.tree.is_network)):
            raise self._no_such_variant(alias, function, target)
        if not isinstance(call, t.Call):
            return target, {}
        evaluator = Expander(session, Scope(alias.file, {}, Paths("", "", False), is_network=True))
        positional, named = evaluator._arguments(call)
        if positional:
            help = "for example RegSeg(classes=11)"
            raise Fault("E0109", "a variant gives parameters by name", positional[0][1], help=help)
        if isinstance(target, BlockDef):
            self._check_given(target, named)
        return target, named

    @staticmethod
    def _no_such_variant(alias: AliasDef, function: t.Name, target: Any) -> Fault:
        if target is not None:
            what = "a block" if isinstance(target, BlockDef) else "a constant"
            help = "a variant is of another network"
            return Fault("E0209", f"`{function.text}` is {what}, not a network", function.span, help=help)
        known = alias.file.names.items()
        networks = [n for n, d in known if isinstance(d, AliasDef) or (isinstance(d, BlockDef) and d.tree.is_network)]
        help = did_you_mean(function.text, networks)
        return Fault("E0209", f"there is no network `{function.text}`", function.span, help=help)

    def _check_given(self, target: BlockDef, named: dict[str, tuple[Any, Span]]) -> None:
        known = [p.name.text for p in target.tree.params]
        for name, (_, span) in named.items():
            if name not in known:
                help = did_you_mean(name, known) or "it has " + (", ".join(known) or "none")
                raise Fault("E0202", f"{target.name} has no parameter `{name}`", span, help=help)

    # -------------------------------------------------------------- finish

    def _finish(self, session: Session, body: _NetworkExpander, result: Elaboration) -> None:
        scope = body.scope
        result.assertions = body.assertions
        result.variables = session.variables
        result.names = {n: v.ref for n, v in scope.values.items() if isinstance(v, MapValue)}
        outputs = self._outputs(session, scope, result)
        if outputs is None or session.diagnostics.failed:
            return
        graph = session.builder.finish(self.name, outputs, result.names, body.preprocessing)
        impossible = [name for name, rule in graph.size_rules if rule.empty]
        for name in impossible:
            self._impossible(session, name, result)
        if not impossible:
            result.graph = graph

    def _outputs(self, session: Session, scope: Scope, result: Elaboration) -> list[Output] | None:
        assert result.definition is not None
        where = result.definition.tree.name.span
        if any(value is POISON for _, value, _ in scope.outputs):
            return None
        if not session.builder.inputs_given:
            if not session.diagnostics.failed:
                session.report(Fault("E0502", f"{self.name} has no input", where, help="`in image [3, H, W]`"))
            return None
        if not any(not aux for _, _, aux in scope.outputs):
            if not session.diagnostics.failed:
                what = "no output besides `aux out`" if scope.outputs else "no output"
                session.report(Fault("E0501", f"{self.name} has {what}", where, help="`out logits = …`"))
            return None
        if any(value.type.kind == "indices" for _, value, _ in scope.outputs):
            message, help = f"{self.name} gives out the indices of a pool", "only `unpool` can read them"
            session.report(Fault("E0407", message, where, help=help))
            return None
        return [Output(n or f"out{i}", v.ref, aux) for i, (n, v, aux) in enumerate(scope.outputs)]

    def _impossible(self, session: Session, name: str, result: Elaboration) -> None:
        """Reports the places that contradict one another: the last of them, with the others beside it."""
        assert result.definition is not None
        asked = contradiction(c for c in session.builder.conditions() if c.symbol == name)
        message = f"no input {AXES.get(name, name)} satisfies all of {self.name}'s sizes"
        help = "skip connections that resize with `like=` take any size"
        here = (Frame(self.name, result.definition.tree.name.span),)
        chains = [(c, here if c.origin is None else c.origin.frames) for c in asked]
        (last, chain), others = chains[-1], chains[:-1]
        labels: list[Label] = []
        for condition, frames in others:
            where = place(frames)
            labels += (Label(where.span, str(condition)), *where.labels)
        session.add(diagnose(chain, "E0308", message, label=str(last), help=help, labels=labels))
