"""Holes in what a value reads: where they are born, whether a parallel branch fills them, and how to say so.

An op with several taps at rate r, before which the field of view is k and the stride s, sets its taps r·s input pixels
apart, and each sees k of them: there is a hole where r > k / s (RegSeg, arXiv 2111.09957). The holes here come from the
exact reach, and so does k: what the rule says of a hole is said of the value it stands in, whatever lies before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import floor

from archdsl.analyses.channels import Segments, cut, demanded, groups_of, overlaid
from archdsl.analyses.footprint import read, room_of
from archdsl.analyses.gap_messages import diagnostics
from archdsl.analyses.reach import Birth, Range, ReachResult, reach_both
from archdsl.analyses.walk import Axis, is_placed, traced
from archdsl.diagnostics.place import place
from archdsl.ir.access import Access, Resample, TransposedWindow, Window
from archdsl.ir.graph import Graph, Node, Ref
from archdsl.ir.op import OPS

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
    if not result.births:
        return
    trail = _Trail(graph, result)
    for ref, birth in result.births.items():
        met = trail.met_by_readers(ref, birth.ranges)
        if met:
            yield _finding(birth, result.axis, filled=all(met))


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
    rates, room = range(start, 0, -1), room_of(birth.after)
    return next((r for r in rates if not read(birth.before, replace(access, dilation=r), room).has_gap), 0)


@dataclass(frozen=True, slots=True)
class _Hole:
    """Channels of a value whose hole is followed, `read` where it was computed with: it then counts, seen or not."""

    ref: Ref
    start: int
    end: int
    read: bool = False


class _Trail:
    """Where the channels of a graph's values go along one axis.

    A hole is met where it is read with several taps, where the value is made one of several, or at an output. Side by
    side in a concatenation, channels fill the holes of one another for those who read them together, and until one
    does, a hole among them is carried on.
    """

    def __init__(self, graph: Graph, result: ReachResult) -> None:
        self.graph, self.holes = graph, result.holes
        self.reads = {node.name: reads for node, reads in zip(graph.nodes, result.accesses, strict=True)}
        self.outputs = {out.value for out in graph.outputs}
        self.seen = self._seen()

    def _seen(self) -> dict[Ref, Segments[bool]]:
        """The channels of each value from which an output is reachable, context left out."""
        seen: dict[Ref, Segments[bool]] = {ref: ((self._width(ref), True),) for ref in self.outputs}
        for node in reversed(self.graph.nodes):
            if seen.keys().isdisjoint(node.refs):
                continue
            if all(len(seen.get(ref, ())) == 1 and seen[ref][0][1] for ref in node.refs):
                # where all channels are seen, so are all that are read, whatever the rule for channels
                for ref, access in zip(node.inputs, self.reads[node.name], strict=True):
                    if is_placed(access):
                        seen[ref] = ((self._width(ref), True),)
                continue
            widths = [self._width(ref) for ref in node.inputs]
            results = [seen.get(ref, ((self._width(ref), False),)) for ref in node.refs]
            asked = demanded(node, results, widths, any) if widths else []
            for ref, access, of in zip(node.inputs, self.reads[node.name], asked, strict=True):
                if is_placed(access):
                    seen[ref] = overlaid(of[-1][0], [seen.get(ref, of), of], any)
        return seen

    def _width(self, ref: Ref) -> int:
        return self.graph.type_of(ref).channels

    def met_by_readers(self, ref: Ref, ranges: Iterable[Range]) -> list[bool]:
        """Whether it is filled, for each that meets the hole on the way from a value to the outputs."""
        met: list[bool] = []
        ahead = [_Hole(ref, start, end) for start, end in ranges]
        known = set(ahead)
        while ahead:
            hole = ahead.pop()
            if not self._is_seen(hole) or not (hole.read or self._gapped(hole)):
                continue
            if hole.ref in self.outputs:
                met.append(self._filled(hole))
            for node in self.graph.users.get(hole.ref, ()):
                following = [h for h in self._after(node, hole, met) if h not in known]
                ahead += following
                known.update(following)
        return met

    def _is_seen(self, hole: _Hole) -> bool:
        return any(flag for _, flag in cut(self.seen.get(hole.ref, ()), hole.start, hole.end))

    def _gapped(self, hole: _Hole) -> bool:
        """Whether channels have a hole, each on its own; all channels of a value together count as well."""
        if (hole.start, hole.end) == (0, self._width(hole.ref)) and hole.ref in self.holes.together:
            return True
        return any(flag for _, flag in cut(self.holes.channels.get(hole.ref, ()), hole.start, hole.end))

    def _filled(self, hole: _Hole) -> bool:
        """Whether all channels of the value together have no hole left, by channels beside those with the hole."""
        alone = (hole.start, hole.end) == (0, self._width(hole.ref))
        return hole.ref not in self.holes.together and not (hole.read and alone)

    def _after(self, node: Node, hole: _Hole, met: list[bool]) -> Iterator[_Hole]:
        """The channels to follow after a node has read some; what it meets is added to `met`."""
        rule, end = OPS[node.op].channels, 0
        if rule == "split":
            for ref in node.refs:
                start, end = end, end + self._width(ref)
                if start < hole.end and hole.start < end:
                    yield _Hole(ref, max(hole.start, start) - start, min(hole.end, end) - start, hole.read)
            return
        for i, (ref, access) in enumerate(zip(node.inputs, self.reads[node.name], strict=True)):
            start, end = end, end + self._width(ref)
            if ref != hole.ref or not is_placed(access):
                continue
            if rule == "concat":
                yield _Hole(node.refs[0], start + hole.start, start + hole.end, hole.read)
            elif i == 0 and rule in ("mix", "grouped"):
                for part in self._parts(node, hole):
                    yield from self._through(node, part, _inside(part, hole), hole, met)
            else:
                yield from self._through(node, hole, True, hole, met)

    def _parts(self, node: Node, hole: _Hole) -> Iterator[_Hole]:
        """The channels of whole groups that a hole is in: those that reach over its ends by themselves."""
        width = self._width(hole.ref)
        size = width // (groups_of(node, width) if OPS[node.op].channels == "grouped" else 1)
        first, last = hole.start // size * size, -(-hole.end // size) * size
        bounds = {first, last, -(-hole.start // size) * size, hole.end // size * size}
        inner = sorted(b for b in bounds if first <= b <= last)
        for start, end in pairwise(inner):
            yield replace(hole, start=start, end=end)

    def _through(self, node: Node, part: _Hole, alone: bool, hole: _Hole, met: list[bool]) -> Iterator[_Hole]:
        """What becomes of channels that a node reads to compute with; `alone` where it reads none beside the hole."""
        results = [r for r in (self._result(node, ref, part) for ref in node.refs) if self._is_seen(r)]
        if not results:
            return
        filled = self._is_filled(node, part, alone, results)
        if filled is None and self._has_taps(node) and not self._filled(hole):
            filled = False
        if filled is not None:
            met.append(filled)
            return
        read = hole.read or self._has_taps(node)
        yield from (replace(r, read=read or not self._gapped(r)) for r in results)

    def _is_filled(self, node: Node, part: _Hole, alone: bool, results: Iterable[_Hole]) -> bool | None:
        """Whether a node fills a hole in making one value of several; None where that is for later nodes to say."""
        several = any(r != part.ref and r not in self.holes.blind for r in traced(node, self.reads[node.name]))
        if alone and not several:
            return None
        if not (any(map(self._gapped, results)) if alone else self._mixed_gap(node, part)):
            return True
        return False if all(r.ref in self.holes.together for r in results) else None

    def _mixed_gap(self, node: Node, part: _Hole) -> bool:
        return any(flag for _, flag in cut(self.holes.mixed.get(node.name, ()), part.start, part.end))

    def _result(self, node: Node, ref: Ref, part: _Hole) -> _Hole:
        """The channels of a result that come of some of an operand's."""
        width, result = self._width(part.ref), self._width(ref)
        rule = OPS[node.op].channels
        if rule in ("mix", "grouped") and part.ref == node.inputs[0]:
            groups = groups_of(node, width) if rule == "grouped" else 1
            size, out = width // groups, result // groups
            return _Hole(ref, part.start // size * out, part.end // size * out)
        return _Hole(ref, part.start, part.end) if width == result else _Hole(ref, 0, result)

    def _has_taps(self, node: Node) -> bool:
        """Whether a node reads several positions to compute with; a resize only carries them to another size."""
        return any(
            is_placed(access) and not isinstance(access, Resample) and _taps(access) > 1
            for access in self.reads[node.name]
        )


def _inside(part: _Hole, hole: _Hole) -> bool:
    return hole.start <= part.start and part.end <= hole.end
