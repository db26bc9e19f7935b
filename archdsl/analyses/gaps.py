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

from archdsl.analyses.footprint import Budget, read
from archdsl.analyses.gap_messages import diagnostics
from archdsl.analyses.reach import Birth, ReachResult, reach_both
from archdsl.analyses.walk import Axis, is_placed, traced
from archdsl.diagnostics.place import place
from archdsl.ir.access import Access, Resample, TransposedWindow, Window
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
    value that is made of several has none. `reaches` are both axes' reach, where they are at hand already.
    """
    found: dict[str, GapFinding] = {}
    for result in reaches or reach_both(graph, values=values):
        for finding in _along(graph, result):
            known = found.get(finding.node.name)
            found[finding.node.name] = finding if known is None else _both(known, finding)
    order = {node.name: i for i, node in enumerate(graph.nodes)}
    return _one_per_place(sorted(found.values(), key=lambda f: order[f.node.name]))


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


def _along(graph: Graph, result: ReachResult) -> Iterator[GapFinding]:
    trail = _Trail(graph, result)
    for ref, birth in result.births.items():
        if ref in trail.seen:
            yield _finding(birth, result.axis, filled=trail.fills(ref))


def _finding(birth: Birth, axis: Axis, *, filled: bool) -> GapFinding:
    k, s = birth.before.extent, birth.before.stride
    return GapFinding(
        birth.node,
        (axis,),
        getattr(birth.access, "dilation", 1) if _taps(birth.access) > 1 else 0,
        _taps(birth.access) if _taps(birth.access) > 1 else 0,
        k,
        s,
        floor(k / s),
        _largest_rate(birth),
        max(birth.after.phases, key=lambda p: p.holes.bit_count()).gaps(),
        filled,
        birth.after.nominal,
    )


def _taps(access: Access) -> int:
    if isinstance(access, Window | TransposedWindow):
        return access.kernel
    return access.taps if isinstance(access, Resample) else 1


def _largest_rate(birth: Birth) -> int:
    """The largest rate below the node's own without a hole, found by trying: phases may allow less than ⌊k / s⌋."""
    access = birth.access
    if not isinstance(access, Window) or access.kernel == 1:
        return 0
    start = min(access.dilation - 1, floor(birth.before.extent / birth.before.stride))
    rates = range(start, 0, -1)
    return next((r for r in rates if not read(birth.before, replace(access, dilation=r), Budget()).has_gap), 0)


class _Trail:
    """Where the values of a graph go along one axis."""

    def __init__(self, graph: Graph, result: ReachResult) -> None:
        self.graph, self.gapped = graph, result.gapped
        self.reads = {node.name: reads for node, reads in zip(graph.nodes, result.accesses, strict=True)}
        self.outputs = {out.value for out in graph.outputs}
        self.seen = self._seen()

    def _seen(self) -> set[Ref]:
        """The values from which an output is reachable, context left out."""
        seen = set(self.outputs)
        for node in reversed(self.graph.nodes):
            if not seen.isdisjoint(node.refs):
                seen.update(traced(node, self.reads[node.name]))
        return seen

    def fills(self, ref: Ref) -> bool:
        """Whether every path from a value that an output sees meets a merge without holes before anything reads it."""
        open_ends, met = [ref], {ref}
        while open_ends:
            value = open_ends.pop()
            if value in self.outputs:
                return False
            for node in self.graph.users.get(value, ()):
                following = self._following(node, value)
                if following is None:
                    return False
                open_ends += [r for r in following if r not in met]
                met.update(following)
        return True

    def _following(self, node: Node, value: Ref) -> tuple[Ref, ...] | None:
        """The values to follow after a node has read one; None where it reads the hole as it is."""
        operands, results = traced(node, self.reads[node.name]), tuple(r for r in node.refs if r in self.seen)
        if value not in operands or not results:
            return ()
        if len(operands) > 1:
            return None if any(r in self.gapped for r in results) else ()
        return None if self._has_taps(node) else results

    def _has_taps(self, node: Node) -> bool:
        """Whether a node reads several positions to compute with; a resize only carries them to another size."""
        return any(
            is_placed(access) and not isinstance(access, Resample) and _taps(access) > 1
            for access in self.reads[node.name]
        )
