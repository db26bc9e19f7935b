"""Reach at a stated input size: branches of different stride, odd sizes, and both corner conventions, exactly.

The analysis is compared, for every column that a map has, with a walk over single columns that knows no period, and,
where no path leaves a map on the way, with the gradients of the oracle.
"""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from views import Gradients, Net

from archdsl.analyses.footprint import taps_at
from archdsl.analyses.gaps import find_gaps
from archdsl.analyses.reach import reach, reach_both
from archdsl.analyses.walk import accesses
from archdsl.ir.access import Access, Context, Resample, TransposedWindow, Window
from archdsl.ir.dims import value_at
from archdsl.ir.graph import Graph, Ref


def taps(access: Access, column: int) -> list[int]:
    match access:
        case Window(kernel, stride, dilation, padding):
            return [stride * column - padding + dilation * i for i in range(kernel)]
        case TransposedWindow(kernel, stride, dilation, padding):
            starts = [column + padding - dilation * m for m in range(kernel)]
            return [s // stride for s in starts if s % stride == 0]
        case Resample():
            return taps_at(access, column)
        case Context(besides) if besides is not None:
            return taps(besides, column)
    return []


class OneByOne:
    """What single columns read, followed tap by tap; `inside` is whether no tap on the way fell outside its map."""

    def __init__(self, graph: Graph, values: dict[str, int]) -> None:
        self.graph = graph
        self.values = values
        self.reads = dict(zip((n.name for n in graph.nodes), accesses(graph, "x", values), strict=True))
        self.known: dict[tuple[Ref, int], tuple[frozenset[int], bool]] = {}

    def width(self, ref: Ref) -> int:
        width = self.graph.type_of(ref).at(self.values).width
        assert isinstance(width, int)
        return width

    def column(self, ref: Ref, c: int) -> tuple[frozenset[int], bool]:
        if (ref, c) not in self.known:
            self.known[ref, c] = self._column(ref, c)
        return self.known[ref, c]

    def _column(self, ref: Ref, c: int) -> tuple[frozenset[int], bool]:
        node = self.graph.by_name[ref.node]
        if not node.inputs:
            return frozenset({c}), 0 <= c < self.width(ref)
        found = [
            self.column(operand, tap)
            for operand, access in zip(node.inputs, self.reads[node.name], strict=True)
            for tap in taps(access, c)
        ]
        inside = 0 <= c < self.width(ref) and all(i for _, i in found)
        return frozenset().union(*(s for s, _ in found)), inside


def like(net: Net, x: Ref, other: Ref, mode: str, *, align: bool) -> Ref:
    return net.add("resize", x, other, mode=mode, align_corners=align and mode != "nearest")


def _across(number: int, down: int = 1) -> tuple[int, int]:
    """A setting for columns alone."""
    return down, number


def _conv(net: Net, x: Ref, kernel: int, stride: int = 1, dilation: int = 1, padding: int = 0) -> Ref:
    shape = {"stride": _across(stride), "dilation": _across(dilation), "padding": _across(padding, 0)}
    return net.conv(x, _across(kernel), **shape)


def _strided(draw: st.DrawFn, net: Net, x: Ref, values: list[Ref]) -> Ref:
    return _conv(net, x, draw(st.integers(1, 3)), stride=draw(st.integers(2, 4)), padding=draw(st.integers(0, 1)))


def _dilated(draw: st.DrawFn, net: Net, x: Ref, values: list[Ref]) -> Ref:
    return _conv(net, x, draw(st.integers(2, 3)), dilation=draw(st.integers(1, 3)), padding=1)


def _pooled(draw: st.DrawFn, net: Net, x: Ref, values: list[Ref]) -> Ref:
    size = _across(draw(st.integers(2, 4)))
    return net.add("avg_pool", x, kernel=size, stride=size, ceil=draw(st.booleans()))


def _transposed(draw: st.DrawFn, net: Net, x: Ref, values: list[Ref]) -> Ref:
    kernel, stride = _across(draw(st.integers(2, 4))), _across(draw(st.integers(1, 2)))
    return net.add("conv_transpose", x, out=2, kernel=kernel, stride=stride)


def _resized(draw: st.DrawFn, net: Net, x: Ref, values: list[Ref]) -> Ref:
    mode, align = draw(st.sampled_from(["nearest", "bilinear", "bilinear"])), draw(st.booleans())
    return like(net, x, draw(st.sampled_from(values)), mode, align=align)


def _joined(draw: st.DrawFn, net: Net, x: Ref, values: list[Ref]) -> Ref:
    other = draw(st.sampled_from(values))
    brought = like(net, x, other, draw(st.sampled_from(["nearest", "bilinear"])), align=draw(st.booleans()))
    return net.conv(net.add("concat", brought, other), 1, 2) if draw(st.booleans()) else net.add("add", brought, other)


_STEPS = [_strided, _strided, _dilated, _pooled, _transposed, _resized, _joined, _joined]


@st.composite
def nets(draw: st.DrawFn) -> tuple[Graph, Ref, dict[str, int]]:
    """Small graphs on images of symbolic size, their last value, and a size to state."""
    net = Net(channels=2)
    at = {"H": 2, "W": draw(st.integers(24, 75))}
    refs = [net.image]
    for _ in range(draw(st.integers(2, 6))):
        made = draw(st.sampled_from(_STEPS))(draw, net, draw(st.sampled_from(refs[-3:])), refs)
        if not 4 <= value_at(net.builder.type_of(made).width, at) <= 160:
            break
        refs.append(made)
    return net.finish(refs[-1]), refs[-1], at


@settings(deadline=None, max_examples=150)
@given(nets())
def test_every_column_reads_what_its_taps_read(case: tuple[Graph, Ref, dict[str, int]]) -> None:
    """Column by column, and in the facts made of them, the reach at a stated size is that of single taps, exactly."""
    graph, ref, at = case
    seen, one = reach(graph, "x", values=at), OneByOne(graph, at)
    expected = [one.column(ref, c)[0] for c in range(one.width(ref))]
    assert not seen.nominal(ref)
    assert [frozenset(seen.columns(ref, c)) for c in range(one.width(ref))] == expected
    assert seen.field_of_view(ref) == max((max(s) - min(s) + 1 for s in expected if s), default=0)
    assert seen.footprint(ref).has_gap == any(len(s) < max(s) - min(s) + 1 for s in expected if s)


@settings(deadline=None, max_examples=40)
@given(nets())
def test_single_columns_read_where_gradients_are(case: tuple[Graph, Ref, dict[str, int]]) -> None:
    """What the analysis was compared with is itself what PyTorch's gradients say, of columns that see no edge."""
    graph, ref, at = case
    one = OneByOne(graph, at)
    gradients: Gradients | None = None
    for c in range(one.width(ref)):
        expected, inside = one.column(ref, c)
        if inside and expected:
            gradients = gradients or Gradients(graph, ref, at)
            row = gradients.value.shape[2] // 2
            assert set(gradients.pixels((row, c)).any(0).nonzero().flatten().tolist()) == expected


def drifting() -> tuple[Graph, Ref]:
    """At 65 pixels, columns 4 input pixels apart meet columns 4·8·9/65 apart, and a convolution reads both."""
    net = Net()
    coarse = net.conv(net.image, stride=8)
    back = net.add("avg_pool", like(net, coarse, net.image, "bilinear", align=False), kernel=4, ceil=True)
    y = net.conv(net.add("add", net.conv(net.image, stride=4), back))
    return net.finish(y), y


def test_branches_of_different_stride_are_exact_at_a_size() -> None:
    """The widest of the 17 columns sees 27 pixels; the branches drift apart by 7 over the map, and no further."""
    graph, y = drifting()
    at = {"H": 65, "W": 65}
    seen, one = reach(graph, "x", values=at), OneByOne(graph, at)
    assert (seen.field_of_view(y), seen.nominal(y), seen.context(y)) == (27, False, False)
    assert [set(seen.columns(y, c)) for c in range(17)] == [one.column(y, c)[0] for c in range(17)]
    gradients = Gradients(graph, y, at)
    inner = [c for c in range(17) if one.column(y, c)[1]]
    assert len(inner) == 8
    for c in inner:
        assert gradients.pixels((8, c)).any(0).nonzero().flatten().tolist() == list(seen.columns(y, c))
    assert reach(graph, "x").nominal(y)


def test_rows_and_columns_have_sizes_of_their_own() -> None:
    """Taps that fall alike on both axes, on maps of different extent: each axis answers for the columns it has."""
    net = Net(13, 150, 1)
    a, b = (net.add("resize", net.image, scale=scale, mode="nearest") for scale in (Fraction(97, 89), Fraction(12, 11)))
    y = net.add("add", a, b)
    rows, columns = reach_both(net.finish(y))
    assert [len(of.footprint(y).phases) for of in (rows, columns)] == [14, 163]
    assert (rows.field_of_view(y), columns.field_of_view(y)) == (1, 2)


def test_a_hole_where_branches_drift_apart_is_found() -> None:
    """Single pixels 5 apart, brought to a size that is no multiple of 5, leave holes beside the pixels themselves."""
    net = Net()
    far = like(net, net.conv(net.image, 1, stride=5), net.image, "nearest", align=False)
    y = net.conv(net.add("concat", far, net.image), 1)
    (gap,) = find_gaps(net.finish(y), {"H": 64, "W": 64})
    assert (gap.node.op, gap.nominal, gap.filled) == ("concat", False, False)
    assert gap.width == 3


def test_a_column_that_no_map_has_is_refused() -> None:
    """Where columns do not repeat, only those that exist can be asked for."""
    graph, y = drifting()
    with pytest.raises(IndexError, match="column 40 of a map of 17"):
        reach(graph, "x", values={"H": 65, "W": 65}).columns(y, 40)
