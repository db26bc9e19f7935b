"""The dilation bound by recursion (RegSeg, arXiv 2111.09957): field of view k and stride s from the input on.

A kernel of q taps with dilation r and stride t gives k ← k + (q - 1)·r·s, then s ← s·t. Its taps lie r·s input
pixels apart and each sees k of them, so it leaves no hole if r ≤ ⌊k / s⌋. A bilinear resize gives k ← k + s, a nearest
one leaves k; both then give s ← s / factor. A transposed convolution is a resize by its stride with the taps that meet.

Where maps meet (sum, concat, channels mixed by a convolution) k is the largest of theirs: each operand that kept the
bound reads an interval at least as long as its k, their union contains the longest of these, and taps that overlap on
a part of what they read overlap on all of it, as long as the union is one interval. It is for windows around a common
centre, and for any that touch. Branches moved apart by padding or cropping can leave a hole that this rule does not
see, and after a resize by an odd factor some positions see less than k. After an op over its bound, k / s says nothing
of holes any more, nor does it where such a map meets others: the bound is unknown from there on. The exact reach
answers in all these cases.

Paths through context count for nothing here, as they do for reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import ceil, floor, gcd

from archdsl.analyses.channels import Segments, as_read, carried, whole
from archdsl.analyses.walk import AXES, Accesses, accesses
from archdsl.ir.access import Access, Context, Resample, TransposedWindow, Window
from archdsl.ir.graph import Graph, Node, Ref


@dataclass(frozen=True, slots=True)
class BoundFact:
    """An op with several taps, before which the field of view is `k` and the stride `s`, in input pixels.

    `bound` is ⌊k / s⌋, the largest rate without a hole; None where an earlier op broke its own and only the exact reach
    answers. `rate` counts positions of the operand between two taps.
    """

    k: Fraction
    s: Fraction
    taps: int
    rate: int
    bound: int | None

    @property
    def headroom(self) -> int | None:
        """By how much the rate could grow; negative over the bound, None where it is unknown."""
        return None if self.bound is None else self.bound - self.rate


@dataclass(frozen=True, slots=True)
class _View:
    """The recursion's state; `kept` as long as no op on the way broke its bound."""

    k: Fraction
    s: Fraction
    kept: bool = True

    @property
    def bound(self) -> int:
        return floor(self.k / self.s)


_IMAGE = _View(Fraction(1), Fraction(1))
_BLIND = _View(Fraction(0), Fraction(1))
"""What context alone sees."""


@dataclass(frozen=True)
class Bounds:
    """For every node with several taps on an axis, by name, its facts for rows and for columns."""

    facts: Mapping[str, tuple[BoundFact | None, BoundFact | None]]
    _fields: Mapping[Ref, tuple[Fraction, Fraction]]

    def field_of_view_by_recursion(self, ref: Ref) -> tuple[Fraction, Fraction]:
        """k of a value, rows and columns: the nominal field of view, which phases can exceed by a few pixels."""
        return self._fields[ref]


def bounds(graph: Graph, values: Mapping[str, int] | None = None) -> Bounds:
    """Walks the recursion along both axes; `values` is the input's size, as for `reach`."""
    down, across = (accesses(graph, axis, values) for axis in AXES)
    rows = _Recursion(graph, down)
    columns = rows if down == across else _Recursion(graph, across)
    names = [node.name for node in graph.nodes if node.name in rows.facts or node.name in columns.facts]
    return Bounds(
        {name: (rows.facts.get(name), columns.facts.get(name)) for name in names},
        {ref: (rows.views[ref].k, columns.views[ref].k) for ref in rows.views},
    )


class _Recursion:
    """The recursion along one axis."""

    def __init__(self, graph: Graph, how: Accesses) -> None:
        self.facts: dict[str, BoundFact] = {}
        self.views: dict[Ref, _View] = {}
        segments: dict[Ref, Segments[_View]] = {}
        for node, reads in zip(graph.nodes, how, strict=True):
            operands = [segments[ref] for ref in node.inputs]
            for ref, result in zip(node.refs, self._results(node, reads, operands), strict=True):
                segments[ref] = result
                self.views[ref] = whole(result, _joined)

    def _results(
        self, node: Node, reads: tuple[Access, ...], operands: list[Segments[_View]]
    ) -> tuple[Segments[_View], ...]:
        if not operands:
            return tuple(((of.channels, _IMAGE),) for of in node.types)
        operands[0] = as_read(node, operands[0], _joined)
        for x, access in zip(operands, reads, strict=True):
            taps, rate = taps_and_rate(access)
            if taps > 1:
                self.facts[node.name] = _fact(x, taps, rate)
        moved = [
            tuple((end, _moved(view, access)) for end, view in x) for x, access in zip(operands, reads, strict=True)
        ]
        return carried(node, moved, _joined)


def _fact(x: Segments[_View], taps: int, rate: int) -> BoundFact:
    """That of the channels with the least room."""
    tightest = min((view for _, view in x), key=lambda v: v.k / v.s)
    kept = all(view.kept for _, view in x)
    return BoundFact(tightest.k, tightest.s, taps, rate, tightest.bound if kept else None)


def taps_and_rate(access: Access) -> tuple[int, int]:
    """How many operand positions one position reads at most, and how far apart; (1, 1) for one, (0, 1) for none."""
    match access:
        case Window(kernel, _, dilation):
            return kernel, dilation
        case TransposedWindow(kernel, stride, dilation):
            common = gcd(stride, dilation)
            return ceil(kernel * common / stride), dilation // common
        case Resample(scale, offset, taps, _, spread):
            one = taps == 1 or (spread == 1 and scale.denominator == offset.denominator == 1)
            return 1 if one else ceil(taps * spread), 1
        case Context(besides) if besides is not None:
            return taps_and_rate(besides)
    return 0, 1


def _moved(view: _View, access: Access) -> _View:
    taps, rate = taps_and_rate(access)
    if not taps or not view.k:
        return _BLIND
    kept = view.kept and (taps == 1 or rate <= view.bound)
    return _View(view.k + (taps - 1) * rate * view.s, view.s * _step(access), kept)


def _step(access: Access) -> Fraction:
    """Operand positions between two positions of the result."""
    match access:
        case Window():
            return Fraction(access.stride)
        case TransposedWindow():
            return Fraction(1, access.stride)
        case Resample():
            return access.scale
    return Fraction(1)


def _joined(views: Iterable[_View]) -> _View:
    seen = [view for view in views if view.k]
    return reduce(_wider, seen) if seen else _BLIND


def _wider(a: _View, b: _View) -> _View:
    return _View(max(a.k, b.k), a.s, a.kept and b.kept and a.s == b.s)
