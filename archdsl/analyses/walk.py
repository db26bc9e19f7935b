"""One pass over a graph along one axis: what every value reads of the image, each forgotten once nothing needs it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

from archdsl.analyses.channels import Segments, carried, merged, whole
from archdsl.analyses.footprint import IMAGE, NOTHING, Budget, Footprint, joined, read
from archdsl.ir.access import POINTWISE, Access, Context, Unread
from archdsl.ir.graph import Graph, Node, Ref
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
    return tuple(_access(graph, node, AXES.index(axis), values) for node in graph.nodes)


def _access(graph: Graph, node: Node, axis: int, values: Mapping[str, int] | None) -> tuple[Access, ...]:
    if not node.inputs:
        return ()
    op = OPS[node.op]
    if op.access is pointwise:
        return (POINTWISE,) * len(node.inputs)
    types = graph.input_types(node)
    found = op.access(call_of(node.settings, types), axis)
    if not values or not any(getattr(access, "nominal", False) for access in found):
        return found
    return op.access(OpCall(at_size(dict(node.settings), values), tuple(t.at(values) for t in types)), axis)


@dataclass(frozen=True)
class Value:
    """What the channels of one result read along the axis."""

    segments: Segments[Footprint]
    budget: Budget

    @cached_property
    def footprint(self) -> Footprint:
        """Of all channels together."""
        return whole(self.segments, partial(joined, budget=self.budget))


@dataclass(frozen=True, slots=True)
class Step:
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


def walk(graph: Graph, how: Accesses, *, kept: Iterable[Ref] = (), source: str | None = None) -> Iterator[Step]:
    """Every node in order with what it reads, given `accesses(graph, …)`.

    Values are dropped after their last use, except those `kept`, so that deep graphs need little memory. `source` names
    the input whose pixels count; by default all inputs do, as if they lay on top of each other.
    """
    budget = Budget()
    left = Counter(ref for node in graph.nodes for ref in node.inputs)
    left.update(kept)
    values: dict[Ref, Value] = {}
    for node, reads in zip(graph.nodes, how, strict=True):
        operands = tuple(values[ref] for ref in node.inputs)
        results = _results(node, reads, operands, budget, source)
        left.subtract(node.inputs)
        for ref in node.inputs:
            if not left[ref]:
                values.pop(ref, None)
        values.update((ref, value) for ref, value in zip(node.refs, results, strict=True) if left[ref])
        yield Step(node, reads, operands, results)


def _results(
    node: Node, reads: tuple[Access, ...], operands: Sequence[Value], budget: Budget, source: str | None
) -> tuple[Value, ...]:
    if not operands:
        seen = NOTHING if source not in (None, node.name) else IMAGE
        return tuple(Value(((of.channels, seen),), budget) for of in node.types)
    if reads == (POINTWISE,) and OPS[node.op].channels == "keep":
        return (operands[0],) * len(node.types)
    moved = [_read_all(x.segments, access, budget) for x, access in zip(operands, reads, strict=True)]
    return tuple(Value(segments, budget) for segments in carried(node, moved, partial(joined, budget=budget)))


def _read_all(x: Segments[Footprint], access: Access, budget: Budget) -> Segments[Footprint]:
    if access == POINTWISE:
        return x
    return merged([(end, read(fact, access, budget)) for end, fact in x])
