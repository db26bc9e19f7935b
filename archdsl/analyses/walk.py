"""One pass over a graph along one axis: what every value reads of the image, each forgotten once nothing needs it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Literal, NamedTuple

from archdsl.analyses.channels import Segments, carried, merged, whole
from archdsl.analyses.demand import Demand
from archdsl.analyses.footprint import IMAGE, NOTHING, Footprint, Room, joined, read
from archdsl.ir.access import POINTWISE, Access, Context, Unread
from archdsl.ir.graph import Graph, Kind, Node, Ref
from archdsl.ir.op import OPS, OpCall, call_of, pointwise
from archdsl.ir.settings import at_size

Axis = Literal["y", "x"]
AXES: tuple[Axis, Axis] = ("y", "x")
Accesses = tuple[tuple[Access, ...], ...]
"""For each node of a graph, how it reads each operand along one axis."""


def accesses(graph: Graph, axis: Axis, values: Mapping[str, int] | None = None) -> Accesses:
    """How every node reads its operands.

    With `values` for H and W, ratios that depend on the input's size are those at that size, and no longer nominal.
    """
    of_kind = cache(lambda kind: tuple(map(_one_pointwise, _access(kind, AXES.index(axis), values))))
    return tuple(map(of_kind, graph.kinds))


def _one_pointwise(access: Access) -> Access:
    """The one object that stands for reading the same position, which the many ops that do so are told by."""
    return POINTWISE if access == POINTWISE else access


def _access(kind: Kind, axis: int, values: Mapping[str, int] | None) -> tuple[Access, ...]:
    if not kind.inputs:
        return ()
    op = OPS[kind.op]
    if op.access is pointwise:
        return (POINTWISE,) * len(kind.inputs)
    found = op.access(call_of(kind.settings, kind.inputs), axis)
    if not values or not any(getattr(access, "nominal", False) for access in found):
        return found
    return op.access(OpCall(at_size(dict(kind.settings), values), tuple(t.at(values) for t in kind.inputs)), axis)


class Value:
    """What the channels of one result read along the axis."""

    __slots__ = ("_footprint", "_room", "segments")

    def __init__(self, segments: Segments[Footprint], room: Room) -> None:
        self.segments, self._room = segments, room
        self._footprint = segments[0][1] if len(segments) == 1 else None

    @property
    def footprint(self) -> Footprint:
        """Of all channels together."""
        if self._footprint is None:
            self._footprint = whole(self.segments, self.join)
        return self._footprint

    @property
    def plain(self) -> bool:
        """Whether all channels see one interval, the same in every column but for where it lies."""
        if len(self.segments) > 1 or len(self.segments[0][1].phases) > 1:
            return False
        (only,) = self.segments[0][1].phases
        return bool(only.extent) and not only.holes

    def join(self, parts: Iterable[Footprint]) -> Footprint:
        """What some of the channels see together."""
        return joined(parts, self._room)


class Step(NamedTuple):
    """A node as the pass reaches it: how it reads its operands, what they see of the image, and what it sees."""

    node: Node
    accesses: tuple[Access, ...]
    operands: tuple[Value, ...]
    results: tuple[Value, ...]

    @property
    def traced(self) -> tuple[Ref, ...]:
        """The operands it reads at known places."""
        return traced(self.node, self.accesses)


def traced(node: Node, reads: tuple[Access, ...]) -> tuple[Ref, ...]:
    """The different operands that a node reads at known places: neither for context, nor for their size alone."""
    placed = (ref for ref, access in zip(node.inputs, reads, strict=True) if is_placed(access))
    return tuple(dict.fromkeys(placed))


def is_placed(access: Access) -> bool:
    return not isinstance(access, Unread) and (not isinstance(access, Context) or access.besides is not None)


def demand(graph: Graph, axis: Axis, values: Mapping[str, int] | None = None) -> Demand:
    """How every node reads its operands along an axis, and which columns that asks for at a stated size."""
    return Demand(graph, AXES.index(axis), accesses(graph, axis, values), values)


def walk(graph: Graph, demand: Demand, *, kept: Iterable[Ref] = (), source: str | None = None) -> Iterator[Step]:
    """Every node in order with what it reads.

    Results are dropped after their last use, except those `kept`, so that deep graphs need little memory. `source`
    names the input whose pixels count; by default all inputs do, as if they lay on top of each other.
    """
    left = Counter(ref for node in graph.nodes for ref in node.inputs)
    left.update(kept)
    known: dict[Ref, Value] = {}
    for node, reads in zip(graph.nodes, demand.how, strict=True):
        operands = tuple([known[ref] for ref in node.inputs])
        results = _results(node, reads, operands, demand, source)
        for ref in node.inputs:
            left[ref] -= 1
            if not left[ref]:
                del known[ref]
        for ref, result in zip(node.refs, results, strict=True):
            if ref in left:
                known[ref] = result
        yield Step(node, reads, operands, results)


def _results(
    node: Node, reads: tuple[Access, ...], operands: Sequence[Value], demand: Demand, source: str | None
) -> tuple[Value, ...]:
    room = demand.room(Ref(node.name))
    if not operands:
        seen = NOTHING if source not in (None, node.name) else IMAGE
        return tuple(Value(((of.channels, seen),), room) for of in node.types)
    rule = OPS[node.op].channels
    if len(reads) == 1 and reads[0] is POINTWISE and rule == "keep":
        return (operands[0],) * len(node.types)
    moved = [_read_all(x.segments, access, room) for x, access in zip(operands, reads, strict=True)]
    if len(moved) == 1 == len(moved[0]) and rule != "split":
        return (Value(((node.types[0].channels, moved[0][0][1]),), room),) * len(node.types)
    return tuple(Value(segments, room) for segments in carried(node, moved, partial(joined, room=room)))


def _read_all(x: Segments[Footprint], access: Access, room: Room) -> Segments[Footprint]:
    if access is POINTWISE:
        return x
    if len(x) == 1:
        return ((x[0][0], read(x[0][1], access, room)),)
    return merged([(end, read(fact, access, room)) for end, fact in x])
