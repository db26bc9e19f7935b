"""Reach: the exact set of input columns (or rows) that one column (row) of a value reads, on an unbounded image.

The union, over all paths from the image, of the Minkowski sums of what the ops on the path read. Paths that see
everything (global pooling) or what the data say (learned offsets) are left out and leave the mark `context`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from archdsl.analyses.footprint import Footprint
from archdsl.analyses.walk import AXES, Accesses, Axis, Step, accesses, walk
from archdsl.ir.access import Access
from archdsl.ir.graph import Graph, Node, Ref


@dataclass(frozen=True, slots=True)
class Birth:
    """A node whose result has a hole that none of its operands had: how it reads, what it reads, what comes of it."""

    node: Node
    access: Access
    before: Footprint
    after: Footprint


@dataclass(frozen=True)
class ReachResult:
    """What values read along one axis. A value is asked for by its reference, or by its name in the network's body.

    Holds the values with names, the outputs, and those that were `wanted`; asking for another raises KeyError.
    """

    axis: Axis
    footprints: Mapping[Ref, Footprint]
    names: Mapping[str, Ref]
    accesses: Accesses
    births: Mapping[Ref, Birth]
    gapped: frozenset[Ref]
    """Every value of the graph with a hole in its reach, kept or not."""

    def footprint(self, ref: Ref | str) -> Footprint:
        return self.footprints[self.names[ref] if isinstance(ref, str) else ref]

    def ranges(self, ref: Ref | str, at: int = 0) -> tuple[tuple[int, int], ...]:
        """The input columns that column `at` reads, as runs (first, last), both ends included."""
        return self.footprint(ref).column(at).ranges()

    def columns(self, ref: Ref | str, at: int = 0) -> tuple[int, ...]:
        """The input columns that column `at` reads, one by one."""
        return tuple(c for first, last in self.ranges(ref, at) for c in range(first, last + 1))

    def field_of_view(self, ref: Ref | str) -> int:
        """Input pixels from the first to the last one read, of the column that reads widest; 0 for context alone."""
        return self.footprint(ref).extent

    def gaps(self, ref: Ref | str) -> tuple[tuple[int, int], ...]:
        """The holes inside what one column reads, as runs (first, last) of input columns.

        Of column 0, unless another phase leaves more pixels unread; empty when no phase has a hole.
        """
        worst = max(self.footprint(ref).phases, key=lambda p: p.holes.bit_count())
        return worst.gaps()

    def context(self, ref: Ref | str) -> bool:
        """Whether a path left out of reach sees everything or anything."""
        return self.footprint(ref).context

    def nominal(self, ref: Ref | str) -> bool:
        """Whether a ratio that depends on the input's size was taken as that of the strides, or a limit was met."""
        return self.footprint(ref).nominal


def reach(
    graph: Graph,
    axis: Axis,
    *,
    values: Mapping[str, int] | None = None,
    wanted: Iterable[Ref] | None = None,
    source: str | None = None,
) -> ReachResult:
    """What the named values, the outputs and those `wanted` read along an axis ("y" or "x").

    `values` is the input's size, `{"H": 1024, "W": 2048}`: ratios of sizes are then exact. `source` names the input
    whose pixels count; by default all inputs do, as if they lay on top of each other.
    """
    return _reach(graph, axis, accesses(graph, axis, values), tuple(wanted or ()), source)


def reach_both(
    graph: Graph, *, values: Mapping[str, int] | None = None, wanted: Iterable[Ref] | None = None
) -> tuple[ReachResult, ReachResult]:
    """The reach of rows and of columns, worked out once where both are read alike."""
    wanted = tuple(wanted or ())
    down, across = (accesses(graph, axis, values) for axis in AXES)
    rows = _reach(graph, "y", down, wanted, None)
    if down == across:
        return rows, replace(rows, axis="x")
    return rows, _reach(graph, "x", across, wanted, None)


def _reach(graph: Graph, axis: Axis, how: Accesses, wanted: tuple[Ref, ...], source: str | None) -> ReachResult:
    names = dict(graph.names)
    kept = {*names.values(), *(out.value for out in graph.outputs), *wanted}
    found: dict[Ref, Footprint] = {}
    births: dict[Ref, Birth] = {}
    gapped: set[Ref] = set()
    for step in walk(graph, how, source=source):
        for ref, value in zip(step.node.refs, step.results, strict=True):
            if ref in kept:
                found[ref] = value.footprint
            if value.footprint.has_gap:
                gapped.add(ref)
                if gapped.isdisjoint(step.traced):
                    births[ref] = _birth(step, value.footprint)
    return ReachResult(axis, found, names, how, births, frozenset(gapped))


def _birth(step: Step, after: Footprint) -> Birth:
    first = next(i for i, ref in enumerate(step.node.inputs) if ref in step.traced)
    return Birth(step.node, step.accesses[first], step.operands[first].footprint, after)
