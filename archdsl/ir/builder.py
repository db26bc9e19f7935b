"""Builds a graph node by node, working out types as it goes and, at the end, which input sizes it takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from archdsl.ir.conditions import Condition, allowed_by
from archdsl.ir.dims import MAX_PERIOD, Dim, Size, Solutions, at_least, equal_for, growth, positive_for, symbol
from archdsl.ir.graph import Graph, MapType, Node, Origin, Output, Preprocessing, Ref, Setting
from archdsl.ir.op import OPS, OpCall, OpError
from archdsl.ir.settings import complete

Settings = tuple[tuple[str, Any], ...]

_MAX_BITS = 64
_MAX_ATOMS = 64


def _plain(of: MapType) -> MapType:
    """The type with a plain number of channels: where a setting's number was written is no business of its result."""
    return of if type(of.channels) is int else replace(of, channels=int(of.channels))


@lru_cache(maxsize=4096)
def too_involved(size: Size) -> bool:
    """Whether a size has more parts, or larger numbers in it, than any network needs."""
    return _atoms(size) > _MAX_ATOMS


def _atoms(size: Size) -> int:
    """The parts of a size, those inside its divisions too; a part with a huge number counts as too many."""
    if isinstance(size, int):
        return 1 if size.bit_length() <= _MAX_BITS else _MAX_ATOMS + 1
    count = _atoms(size.constant)
    for atom, coefficient in size.terms:
        count += _atoms(coefficient)
        if not isinstance(atom, str):
            count += _atoms(atom.divisor) + _atoms(atom.numerator)
    return count


def _condition(size: Dim, allowed: Solutions, reason: str, origin: Origin | None) -> Condition:
    (symbol,) = size.symbols
    return Condition(symbol, allowed, reason, origin)


@lru_cache(maxsize=4096)
def never_agree(left: Size, right: Size) -> bool:
    """Whether two sizes cannot be meant to be equal: they grow apart, or meet for no input size.

    A fixed size other than 1 may meet a growing one: such a network takes just the inputs for which it does.
    Raises OpError E0907 where that cannot be found out.
    """
    difference = left - right
    if isinstance(difference, int) or len(difference.symbols) != 1:
        return difference != 0
    if difference.period > MAX_PERIOD:
        message = f"whether sizes {left} and {right} agree is too involved to be worked out"
        raise OpError("E0907", message, "bring one to the other with resize(like=…)")
    if growth(left) != growth(right) and (1 in (left, right) or 0 not in (growth(left), growth(right))):
        return True
    return equal_for(left, right).empty


@dataclass(frozen=True, slots=True)
class _Applied:
    """What came of an op with settings on values of some types; `given` are the settings as they were asked for."""

    given: Any
    settings: tuple[tuple[str, Setting], ...]
    types: tuple[MapType, ...]
    shapes: tuple[tuple[int, ...], ...]


@dataclass
class GraphBuilder:
    """Collects nodes in the order they are added, which must be topological."""

    nodes: list[Node] = field(default_factory=list)
    equalities: list[tuple[Size, Size]] = field(default_factory=list)
    shapes: tuple[tuple[int, ...], ...] = ()
    """Of the weights of the node added last."""
    _types: dict[Ref, MapType] = field(default_factory=dict)
    _by_name: dict[str, Node] = field(default_factory=dict)
    _agreeing: dict[tuple[Size, Size], Origin | None] = field(default_factory=dict)
    """Sizes that must be equal, and the place that first asked for it."""
    _fitting: dict[Size, Origin | None] = field(default_factory=dict)
    """Sizes besides those of the maps that must be at least 1, and the place that first asked for it."""
    _applied: dict[tuple[object, ...], _Applied] = field(default_factory=dict)
    """By op, settings and types, the last two by identity: long networks are made of few objects."""
    _interned: dict[tuple[MapType, ...], tuple[MapType, ...]] = field(default_factory=dict)
    _same: dict[MapType, MapType] = field(default_factory=dict)

    def type_of(self, ref: Ref) -> MapType:
        return self._types[ref]

    def node(self, ref: Ref) -> Node | None:
        """The node whose result a value is; None for one that no node of this graph computes."""
        return self._by_name.get(ref.node)

    @property
    def inputs_given(self) -> bool:
        return any(node.op == "input" for node in self.nodes)

    def declare(self, ref: Ref, of: MapType) -> None:
        """Gives a type to a value that no node of this graph computes; such a graph can be counted, not finished."""
        self._types[ref] = of

    def fresh(self, name: str) -> str:
        """A node name that is not taken yet: the name itself, or with `@2`, `@3`, …."""
        if name not in self._by_name:
            return name
        n = 2
        while f"{name}@{n}" in self._by_name:
            n += 1
        return f"{name}@{n}"

    def input(self, name: str, channels: int, height: Size | None = None, width: Size | None = None) -> Ref:
        """An input map; symbolic H and W unless sizes are given."""
        of = MapType(channels, symbol("H") if height is None else height, symbol("W") if width is None else width)
        types = self._intern([of])
        return self.append(Node(self.fresh(name), "input", (), (("channels", channels),), types))[0]

    def add(
        self,
        op: str,
        inputs: Sequence[Ref],
        settings: Mapping[str, Any] | Settings | None = None,
        *,
        name: str | None = None,
        weights: str = "",
        origin: Origin | None = None,
    ) -> tuple[Ref, ...]:
        """Applies an op to values and returns its results.

        `weights` is the path of its weights (the node's name by default). Settings given as a tuple of pairs are worked
        out once, however often that tuple is given. Raises OpError when the op cannot be applied.
        """
        types = [self._types[ref] for ref in inputs]
        key = (op, id(settings), *map(id, types))
        applied = self._applied.get(key) if isinstance(settings, tuple) else None
        if applied is None:
            applied = self._apply(op, settings, tuple(types), origin)
            if isinstance(settings, tuple):
                self._applied[key] = applied
        self.shapes = applied.shapes
        chosen = self.fresh(name or op)
        path = (weights or chosen) if applied.shapes else ""
        return self.append(Node(chosen, op, tuple(inputs), applied.settings, applied.types, path, origin))

    def _apply(
        self,
        op: str,
        settings: Mapping[str, Any] | Settings | None,
        inputs: tuple[MapType, ...],
        origin: Origin | None,
    ) -> _Applied:
        declared = OPS[op]
        call = OpCall(complete(declared, dict(settings or {})), inputs)
        self._check_arity(op, len(inputs))
        if op != "unpool" and any(x.kind == "indices" for x in call.inputs):
            raise OpError("E0407", f"{op} cannot read the indices of a pool", "only `unpool` can")
        declared.normalize(call)
        types = self._intern(map(_plain, declared.shape(call)))
        shapes = tuple(spec.shape for spec in declared.weights(call))
        for of in types:
            self._check_extent(of, op)
        for left, right in call.equalities:
            if never_agree(left, right):
                help = "bring one to the other with resize(like=…)"
                raise OpError("E0304", f"sizes {left} and {right} never agree", help)
            self.require(left, right, origin)
        for size in call.positives:
            self._require_positive(size, op, origin)
        return _Applied(settings, tuple(call.settings.items()), types, shapes)

    def _intern(self, types: Iterable[MapType]) -> tuple[MapType, ...]:
        """Equal types as one object, and equal tuples of them too."""
        made = tuple(self._same.setdefault(of, of) for of in types)
        return self._interned.setdefault(made, made)

    def _check_arity(self, op: str, count: int) -> None:
        least, most = OPS[op].arity
        if count < least or (most is not None and count > most):
            settings = {f"[{setting.name}]" for setting in OPS[op].settings}
            flowing = most if most is None else most - len(settings.intersection(OPS[op].inputs))
            wanted = f"{least}" if flowing == least else f"{least} or more" if most is None else f"{least} to {flowing}"
            plural = "" if wanted == "1" else "s"
            raise OpError("E0412", f"{op} reads {wanted} value{plural}, and is given {count}")

    def _check_extent(self, of: MapType, op: str) -> None:
        for size in (of.height, of.width):
            if isinstance(size, int) and size < 1:
                raise OpError("E0306", f"the result of {op} would be {of}: nothing is left", "the window is too large")
            if too_involved(size):
                raise OpError("E0907", f"the result of {op} has a size too involved to be worked with")

    def require(self, left: Size, right: Size, origin: Origin | None = None) -> None:
        """Notes that two sizes, which can be equal, must be: this decides which input sizes are allowed."""
        self.equalities.append((left, right))
        self._agreeing.setdefault((left, right), origin)

    def _require_positive(self, size: Size, op: str, origin: Origin | None) -> None:
        if isinstance(size, int) or len(size.symbols) != 1:
            if isinstance(size, int) and size < 1:
                raise OpError("E0306", f"{op} reaches past the end of its map", "the map is too small for it")
            return
        if growth(size) < 0 or at_least(size, 1).empty:
            raise OpError("E0306", f"{op} reaches past the end of its map for all but the smallest inputs")
        self._fitting.setdefault(size, origin)

    def append(self, node: Node) -> tuple[Ref, ...]:
        """Adds a node that is complete, under a name that is not taken."""
        self.nodes.append(node)
        self._by_name[node.name] = node
        refs = node.refs
        self._types.update(zip(refs, node.types, strict=True))
        return refs

    def size_rules(self) -> dict[str, Solutions]:
        """Per symbol, the input sizes for which every size agrees and no map is empty."""
        rules = allowed_by(self.conditions())
        rules |= {axis: Solutions(only=(extent,)) for axis, extent in self._fixed_extents()}
        return dict(sorted(rules.items()))

    def conditions(self) -> Iterator[Condition]:
        """What the network asks of its input's size: that no map is empty, that sizes agree, that windows fit."""
        makers = {of: node for node in reversed(self.nodes) for of in node.types}
        sizes = {size: node for of, node in makers.items() for size in (of.width, of.height)}
        for size, node in reversed(sizes.items()):
            if isinstance(size, Dim) and len(size.symbols) == 1:
                yield _condition(size, positive_for(size), f" for {size} to be at least 1", node.origin)
        for (left, right), origin in self._agreeing.items():
            difference = left - right
            assert isinstance(difference, Dim)
            yield _condition(difference, equal_for(left, right), f" for {left} to be {right}", origin)
        for size, origin in self._fitting.items():
            assert isinstance(size, Dim)
            yield _condition(size, at_least(size, 1), f" for {size} to be at least 1", origin)

    def _fixed_extents(self) -> Iterator[tuple[str, int]]:
        """The axes along which a spec gives every input's extent as a number, with the first input's."""
        inputs = [node.types[0] for node in self.nodes if node.op == "input"]
        for axis, extents in (("H", [of.height for of in inputs]), ("W", [of.width for of in inputs])):
            if extents and all(isinstance(extent, int) for extent in extents):
                assert isinstance(extents[0], int)
                yield axis, extents[0]

    def finish(
        self,
        name: str,
        outputs: Iterable[Output],
        names: Mapping[str, Ref] | None = None,
        preprocessing: Mapping[str, Preprocessing] | None = None,
    ) -> Graph:
        """The graph. Its size rules may be empty: then no input size satisfies all of them."""
        return Graph(
            name,
            tuple(self.nodes),
            tuple(outputs),
            tuple((names or {}).items()),
            tuple((preprocessing or {}).items()),
            tuple(self.size_rules().items()),
        )
