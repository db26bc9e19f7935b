"""Where holes go from where they are born: which readers meet them, and whether a parallel branch has filled them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from archdsl.analyses.channels import Segments, cut, demanded, groups_of, overlaid
from archdsl.analyses.reach import Range, ReachResult
from archdsl.analyses.walk import is_placed, traced
from archdsl.ir.access import POINTWISE, Access, Resample, TransposedWindow, Window
from archdsl.ir.graph import Graph, Node, Ref
from archdsl.ir.op import OPS


def taps_of(access: Access) -> int:
    """How many positions an op that accesses a value in this way reads of it for one of its own."""
    if isinstance(access, Window | TransposedWindow):
        return access.kernel
    return access.taps if isinstance(access, Resample) else 1


class _Hole(NamedTuple):
    """Channels of a value whose hole is followed, `read` where it was computed with: it then counts, seen or not."""

    ref: Ref
    start: int
    end: int
    read: bool = False


class Trail:
    """Where the channels of a graph's values go along one axis.

    A hole is met where it is read with several taps, where the value is made one of several, or at an output. Side by
    side in a concatenation, channels fill the holes of one another for those who read them together, and until one
    does, a hole among them is carried on.
    """

    def __init__(self, graph: Graph, result: ReachResult) -> None:
        self.graph, self.holes = graph, result.holes
        self.reads = {node.name: reads for node, reads in zip(graph.nodes, result.accesses, strict=True)}
        self.outputs = {out.value for out in graph.outputs}
        self._whole = set(self.outputs)
        """The values all channels of which are seen from an output."""
        self._some: dict[Ref, Segments[bool]] = {}
        """Which channels of others are."""
        self._look_back()

    def _look_back(self) -> None:
        """Finds the channels of each value from which an output is reachable, context left out."""
        for node in reversed(self.graph.nodes):
            if self._whole.issuperset(node.refs):
                # where all channels are seen, so are all that are read, whatever the rule for channels
                self._whole.update([ref for ref, access in self._read_by(node) if is_placed(access)])
            elif not self._some.keys().isdisjoint(node.refs) or not self._whole.isdisjoint(node.refs):
                self._ask(node)

    def _read_by(self, node: Node) -> Iterator[tuple[Ref, Access]]:
        return zip(node.inputs, self.reads[node.name], strict=True)

    def _ask(self, node: Node) -> None:
        """Adds the channels that a node reads where not all it gives is seen."""
        widths = [self._width(ref) for ref in node.inputs]
        asked = demanded(node, [self._seen(ref) for ref in node.refs], widths, any) if widths else []
        for (ref, access), of in zip(self._read_by(node), asked, strict=True):
            if is_placed(access) and ref not in self._whole:
                self._some[ref] = seen = overlaid(of[-1][0], [self._some.get(ref, of), of], any)
                if all(flag for _, flag in seen):
                    self._whole.add(ref)

    def _seen(self, ref: Ref) -> Segments[bool]:
        if ref in self._whole:
            return ((self._width(ref), True),)
        return self._some.get(ref) or ((self._width(ref), False),)

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
        if hole.ref in self._whole:
            return hole.start < hole.end
        return any(flag for _, flag in cut(self._some.get(hole.ref, ()), hole.start, hole.end))

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
        rule, end, reads = OPS[node.op].channels, 0, self.reads[node.name]
        if rule == "keep" and len(reads) == len(node.refs) == 1 and reads[0] is POINTWISE:
            yield hole._replace(ref=node.refs[0])
            return
        if rule == "split":
            for ref in node.refs:
                start, end = end, end + self._width(ref)
                if start < hole.end and hole.start < end:
                    yield _Hole(ref, max(hole.start, start) - start, min(hole.end, end) - start, hole.read)
            return
        for i, (ref, access) in enumerate(zip(node.inputs, reads, strict=True)):
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
            yield hole._replace(start=start, end=end)

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
        yield from (r._replace(read=read or not self._gapped(r)) for r in results)

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
            is_placed(access) and not isinstance(access, Resample) and taps_of(access) > 1
            for access in self.reads[node.name]
        )


def _inside(part: _Hole, hole: _Hole) -> bool:
    return hole.start <= part.start and part.end <= hole.end
