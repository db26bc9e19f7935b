"""Holes in what a value reads: where they are born, whether a parallel branch fills them, and how to say so.

An op with several taps at rate r, before which the field of view is k and the stride s, sets its taps r·s input pixels
apart, and each sees k of them: there is a hole where r > k / s (RegSeg, arXiv 2111.09957). The holes here come from the
exact reach, and so does k: what the rule says of a hole is said of the value it stands in, whatever lies before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor

from archdsl.analyses.footprint import read, room_of
from archdsl.analyses.gap_messages import diagnostics
from archdsl.analyses.reach import Birth, ReachResult, reach_both
from archdsl.analyses.trail import Trail, taps_of
from archdsl.analyses.walk import Axis
from archdsl.diagnostics.place import place
from archdsl.ir.access import Window
from archdsl.ir.graph import Graph, Node, Ref

__all__ = ["GapFinding", "diagnostics", "find_gaps", "gap_free"]


@dataclass(frozen=True, slots=True)
class GapFinding:
    """A hole that is born at a node.

    `k` is the field of view before the node and `s` the stride, in input pixels; `bound` is ⌊k / s⌋, and `largest` the
    largest rate below the node's that leaves no hole, 0 where none does. `holes` are runs of unread input columns or
    rows of the position that misses most. `rate` and `taps` are 0 for ops that set no taps apart: a sum of maps that
    read places apart.
    """

    node: Node
    axes: tuple[Axis, ...]
    rate: int
    taps: int
    k: int
    s: Fraction
    bound: int
    largest: int
    holes: tuple[tuple[int, int], ...]
    filled: bool
    nominal: bool

    @property
    def width(self) -> int:
        """Input pixels across the widest hole."""
        return max(last - first + 1 for first, last in self.holes)


def find_gaps(
    graph: Graph,
    values: Mapping[str, int] | None = None,
    *,
    reaches: Iterable[ReachResult] | None = None,
) -> list[GapFinding]:
    """One finding for each place in the text at which a hole is born that some output can see, in the graph's order.

    Holes are reported where they are born and not where they persist. A hole is `filled` when on every path the next
    value that is made of several has none; a concatenation is made of several for those who read its channels together.
    `reaches` are both axes' reach, where they are at hand already.
    """
    found: dict[str, GapFinding] = {}
    for axes, result in _alike(reaches or reach_both(graph, values=values)):
        for finding in _along(graph, result, axes):
            known = found.get(finding.node.name)
            found[finding.node.name] = finding if known is None else _both(known, finding)
    if not found:
        return []
    order = {node.name: i for i, node in enumerate(graph.nodes)}
    return _one_per_place(sorted(found.values(), key=lambda f: order[f.node.name]))


def _alike(results: Iterable[ReachResult]) -> list[tuple[tuple[Axis, ...], ReachResult]]:
    """The results that differ, each with the axes that it holds for."""
    found: list[tuple[tuple[Axis, ...], ReachResult]] = []
    for result in results:
        if found and found[-1][1].births is result.births:
            found[-1] = (*found[-1][0], result.axis), result
        else:
            found.append(((result.axis,), result))
    return found


def gap_free(graph: Graph, ref: Ref | str | None = None, values: Mapping[str, int] | None = None) -> bool:
    """Whether the reach of a value has no hole on either axis; without one, that no hole of the graph stays unfilled.

    A value given by name must be one of the network's body: KeyError otherwise.
    """
    if ref is None:
        return all(finding.filled for finding in find_gaps(graph, values))
    wanted = () if isinstance(ref, str) else (ref,)
    return not any(result.footprint(ref).has_gap for result in reach_both(graph, values=values, wanted=wanted))


def _both(a: GapFinding, b: GapFinding) -> GapFinding:
    """One finding for two of the same place: an unfilled hole speaks for a filled one, the first for the second."""
    if a.filled != b.filled:
        return b if a.filled else a
    return replace(a, axes=tuple(dict.fromkeys(a.axes + b.axes)))


def _one_per_place(findings: Iterable[GapFinding]) -> list[GapFinding]:
    kept: dict[object, GapFinding] = {}
    for finding in findings:
        where = _place(finding.node)
        kept[where] = _both(kept[where], finding) if where in kept else finding
    return list(kept.values())


def _place(node: Node) -> object:
    """The user's own text that a node comes from; the node itself where there is no text."""
    if node.origin is None:
        return node.name
    return place(node.origin.frames).span if node.origin.frames else node.origin.span


def _along(graph: Graph, result: ReachResult, axes: tuple[Axis, ...]) -> Iterator[GapFinding]:
    if not result.births:
        return
    trail = Trail(graph, result)
    for ref, birth in result.births.items():
        met = trail.met_by_readers(ref, birth.ranges)
        if met:
            yield _finding(birth, axes, filled=all(met))


def _finding(birth: Birth, axes: tuple[Axis, ...], *, filled: bool) -> GapFinding:
    k, s = birth.before.extent, birth.before.stride
    return GapFinding(
        birth.node,
        axes,
        getattr(birth.access, "dilation", 1) if taps_of(birth.access) > 1 else 0,
        taps_of(birth.access) if taps_of(birth.access) > 1 else 0,
        k,
        s,
        floor(k / s),
        _largest_rate(birth),
        max(birth.after.phases, key=lambda p: p.holes.bit_count()).gaps(),
        filled,
        birth.after.nominal,
    )


def _largest_rate(birth: Birth) -> int:
    """The largest rate below the node's own without a hole, found by trying: phases may allow less than ⌊k / s⌋."""
    access = birth.access
    if not isinstance(access, Window) or access.kernel == 1:
        return 0
    start = min(access.dilation - 1, floor(birth.before.extent / birth.before.stride))
    rates, room = range(start, 0, -1), room_of(birth.after)
    return next((r for r in rates if not read(birth.before, replace(access, dilation=r), room).has_gap), 0)
