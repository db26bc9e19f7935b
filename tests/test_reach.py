"""Reach and fields of view: published numbers, every kind of access, and what gradients say."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given, settings
from views import BODIES, SIDE, Gradients, Net, extent, graphs, regseg

from archdsl.analyses.bound import bounds
from archdsl.analyses.fieldofview import facts
from archdsl.analyses.reach import ReachResult, reach, reach_both
from archdsl.ir.dims import symbol
from archdsl.ir.graph import Graph, Ref


def columns(net: Net, ref: Ref, at: int = 0, **how: Any) -> tuple[int, ...]:
    return reach(net.finish(ref), "x", **how).columns(ref, at)


# ------------------------------------------------------------------ published


@pytest.mark.parametrize("body", BODIES)
def test_regseg_sees_what_the_paper_says(body: str) -> None:
    """Rows 1 to 9 of RegSeg's table of fields of view, without holes, and marked for squeeze-and-excite."""
    rates, view = BODIES[body]
    graph = regseg(rates)
    found = facts(graph)
    assert found.field_of_view["s16"] == (view, view)
    assert found.rows.gaps("s16") == found.columns.gaps("s16") == ()
    assert {"s4", "s8", "s16"} <= set(found.context)
    assert found.nominal == ()
    assert bounds(graph).field_of_view_by_recursion(dict(graph.names)["s16"]) == (view, view)


def test_regseg_sees_the_stages_before() -> None:
    """3, 7, 15, 31, 47 and 63 pixels from the stem to the first block at 1/16."""
    found = facts(regseg(BODIES["exp48"][0])).field_of_view
    assert (found["s4"], found["s8"], found["b0"]) == ((7, 7), (47, 47), (63, 63))


def test_regnety_sees_what_its_code_says() -> None:
    """Row 10 is a documented conflict: the paper prints 607 for RegNetY-600MF, the published code sees 479."""
    found = facts(regseg([*7 * [(1,)], *3 * [(2,)]], pool=False))
    assert found.field_of_view["s16"] == (479, 479)


# ----------------------------------------------------------------- the kinds of access


@pytest.mark.parametrize(
    ("op", "how", "expected"),
    [
        ("conv", {"kernel": 3}, (-1, 0, 1)),
        ("conv", {"kernel": (3, 1)}, (0,)),
        ("conv", {"kernel": (1, 5)}, (-2, -1, 0, 1, 2)),
        ("conv", {"kernel": 4, "padding": 1}, (-1, 0, 1, 2)),
        ("conv", {"kernel": 2, "padding": "valid", "dilation": 3}, (0, 3)),
        ("conv", {"kernel": 3, "dilation": (1, 4)}, (-4, 0, 4)),
        ("max_pool", {"kernel": 3, "stride": 2, "padding": 1}, (-1, 0, 1)),
        ("max_pool", {"kernel": 3, "stride": 1, "dilation": 2}, (0, 2, 4)),
        ("avg_pool", {"kernel": 2}, (0, 1)),
        ("pad", {"amounts": (3, 0, 0, 0)}, (-3,)),
        ("crop", {"size": (5, 5), "offset": (1, 4)}, (4,)),
        ("pixel_unshuffle", {"factor": 2}, (0, 1)),
        ("softmax", {}, (0,)),
    ],
)
def test_an_op_reads_its_taps(op: str, how: dict[str, Any], expected: tuple[int, ...]) -> None:
    """Kernels of every parity and shape, pools, padding and cropping read the columns that their settings say."""
    net = Net()
    given_out = {"out": 3} if op == "conv" else {}
    assert columns(net, net.add(op, net.image, **given_out, **how)) == expected


def test_strides_multiply() -> None:
    """Column 5 behind strides 2 and 3 is centred six times five columns in."""
    net = Net()
    y = net.conv(net.conv(net.image, 3, stride=2), 3, stride=3)
    assert columns(net, y, at=5) == tuple(range(30 - 3, 30 + 4))


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"scale": 2.0, "mode": "nearest"}, [(0,), (0,), (1,)]),
        ({"scale": 1.5, "mode": "nearest"}, [(0,), (0,), (1,), (2,)]),
        ({"scale": 0.25, "mode": "nearest"}, [(0,), (4,)]),
        ({"scale": 2.0}, [(-1, 0), (0, 1), (0, 1), (1, 2)]),
        ({"scale": 3.0}, [(-1, 0), (0,), (0, 1), (0, 1), (1,)]),
        ({"scale": 0.25}, [(1, 2), (5, 6)]),
        ({"scale": (1, Fraction(1, 3))}, [(1,), (4,)]),
        ({"scale": 0.25, "antialias": True}, [tuple(range(-2, 6)), tuple(range(2, 10))]),
        ({"scale": 2.0, "mode": "bicubic"}, [(-2, -1, 0, 1), (-1, 0, 1, 2)]),
        ({"scale": 3.0, "mode": "bicubic"}, [(-2, -1, 0, 1), (0,), (-1, 0, 1, 2)]),
    ],
)
def test_a_resize_reads_its_taps(how: dict[str, Any], expected: list[tuple[int, ...]]) -> None:
    """Each phase of a resize reads the taps of nonzero weight, up and down, by PyTorch's rule for centres."""
    net = Net()
    y = net.add("resize", net.image, **how)
    seen = reach(net.finish(y), "x")
    assert [seen.columns(y, at) for at in range(len(expected))] == expected
    assert not seen.nominal(y)


def test_antialias_keeps_the_rule_for_centres() -> None:
    """With align_corners the wide filter takes over the scale alone, and reads what has a gradient."""
    net = Net(52, 52, 1)
    small = net.conv(net.image, 3, stride=4)
    back = net.add("crop", net.add("pad", net.add("resize", small, net.image), amounts=3), net.image)
    y = net.add("resize", net.conv(back, 3), small, antialias=True, align_corners=True)
    graph = net.finish(y)
    seen = reach(graph, "x")
    assert (seen.columns(y, 3)[0], seen.columns(y, 3)[-1]) == (7, 21)
    assert_columns_match(seen, graph, y, phases=12)


def test_a_single_antialiased_column_reads_the_corner() -> None:
    """PyTorch's corner rule gives a result of one column the scale 0: nothing but the first pixels is read."""
    net = Net(8, 8, 1)
    y = net.add("resize", net.image, size=(8, 1), antialias=True, align_corners=True)
    assert [c for c in columns(net, y) if c >= 0] == [0]


def test_a_bicubic_resize_reads_what_has_a_gradient() -> None:
    """Taps of zero weight do not count, with antialiasing neither."""
    for scale in (2.0, 3.0, 0.5, 0.25, 0.75):
        for antialias in (False, True):
            net = Net(SIDE, SIDE, 1)
            y = net.add("resize", net.image, scale=scale, mode="bicubic", antialias=antialias)
            graph = net.finish(y)
            assert_columns_match(reach(graph, "x"), graph, y, phases=4)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"kernel": 4, "stride": 2, "padding": 1}, [(-1, 0), (0, 1), (0, 1)]),
        ({"kernel": 3, "stride": 2}, [(-1, 0), (0,), (0, 1)]),
        ({"kernel": 1, "stride": 3}, [(0,), (), (), (1,)]),
        ({"kernel": 2, "stride": 1, "dilation": 3}, [(-3, 0), (-2, 1)]),
    ],
)
def test_a_transposed_convolution_reads_what_wrote_to_it(how: dict[str, Any], expected: list[Any]) -> None:
    """Each phase reads the inputs whose windows reach it; a stride over the kernel leaves columns that read nothing."""
    net = Net()
    y = net.add("conv_transpose", net.image, out=3, **how)
    assert [columns(net, y, at) for at in range(len(expected))] == expected


def test_the_field_of_view_is_that_of_the_worst_phase() -> None:
    """Of three phases of a bilinear tripling one reads a single tap; the fact is the two of the others."""
    net = Net()
    y = net.add("resize", net.image, scale=3.0)
    assert reach(net.finish(y), "x").field_of_view(y) == 2


def test_pixel_shuffle_reads_the_pixel_it_came_from() -> None:
    """Four columns of a shuffle by 4 come from one."""
    net = Net(channels=16)
    y = net.add("pixel_shuffle", net.image, factor=4)
    assert [columns(net, y, at) for at in (0, 3, 4)] == [(0,), (0,), (1,)]


def test_unpooling_reads_back_through_its_pool() -> None:
    """Every column of an unpooled map comes from one window of the pool, values and indices alike."""
    net = Net()
    pooled = net.builder.add("max_pool", [net.image], {"kernel": 2, "indices": True})
    y = net.add("unpool", *pooled, kernel=2)
    assert [columns(net, y, at) for at in (0, 1, 2)] == [(0, 1), (0, 1), (2, 3)]


# ------------------------------------------------------------------------ channels


def test_reach_follows_split_channels() -> None:
    """After a split each part keeps to what its own channels read; together they read both."""
    net = Net(channels=4)
    left, right = net.split(net.image, 2)
    both = net.add("concat", net.conv(left, 5), net.conv(right, 1))
    again = net.split(net.add("relu", both), 2)
    assert columns(net, again[0]) == columns(net, both) == (-2, -1, 0, 1, 2)
    assert columns(net, again[1]) == (0,)


def test_groups_keep_channels_apart() -> None:
    """Two groups over two parts stay apart, three quarters meet where a group spans them."""
    net = Net(channels=4)
    first, rest = net.builder.add("split", [net.image], {"parts": [1, 3]})
    y = net.add("concat", net.conv(first, 5), rest)
    pairs = net.split(net.conv(y, 1, groups=2), 4)
    singles = net.split(net.add("depthwise", y, kernel=1, multiplier=2), 8)
    assert [len(columns(net, part)) for part in pairs] == [5, 5, 1, 1]
    assert [len(columns(net, part)) for part in singles] == [5, 5, 1, 1, 1, 1, 1, 1]


def test_one_channel_touches_all_it_is_multiplied_with() -> None:
    """An attention map of one channel spreads what it reads over every channel."""
    net = Net(channels=2)
    attention = net.conv(net.image, 5, 1)
    parts = net.split(net.add("mul", net.image, net.add("sigmoid", attention)), 2)
    assert [columns(net, part) for part in parts] == [(-2, -1, 0, 1, 2)] * 2


# ----------------------------------------------------------------------- context


def test_context_is_marked_and_left_out() -> None:
    """Global pooling marks what it touches and all after it, and adds nothing to the field of view."""
    net = Net()
    y = net.conv(net.image)
    pooled = net.add("global_pool", y)
    gated = net.add("mul", y, net.add("sigmoid", pooled))
    later = net.conv(gated)
    seen = reach(net.finish(later), "x", wanted=[y, pooled, gated])
    assert [seen.field_of_view(v) for v in (y, pooled, gated, later)] == [3, 0, 3, 5]
    assert [seen.context(v) for v in (y, pooled, gated, later)] == [False, True, True, True]


def test_a_size_is_no_reading() -> None:
    """`like=` takes the size of a map and none of its pixels, nor its mark."""
    net = Net()
    wide = net.add("group_norm", net.conv(net.image, 9), groups=1)
    y = net.add("resize", net.add("avg_pool", net.image, kernel=2), wide)
    seen = reach(net.finish(y), "x")
    assert (seen.context(y), seen.field_of_view(y)) == (False, 4)


def test_normalising_over_positions_is_context_around_a_position() -> None:
    """Group normalisation still reads the position it normalises."""
    net = Net()
    y = net.add("group_norm", net.conv(net.image), groups=1)
    seen = reach(net.finish(y), "x")
    assert (seen.context(y), seen.field_of_view(y)) == (True, 3)


def test_learned_offsets_count_as_zero() -> None:
    """A deformable convolution reads its nominal window; its offsets are context."""
    net = Net()
    y = net.add("deform_conv", net.image, net.conv(net.image, 7, 18), out=3, kernel=3)
    seen = reach(net.finish(y), "x")
    assert (seen.context(y), seen.columns(y)) == (True, (-1, 0, 1))


def test_a_pooled_image_spread_again_is_context() -> None:
    """The image branch of pyramid pooling, resized from one pixel, adds its mark and no columns."""
    net = Net()
    pooled = net.add("resize", net.conv(net.add("global_pool", net.image), 1), net.image)
    y = net.add("concat", net.conv(net.image), pooled)
    seen = reach(net.finish(y), "x")
    assert (seen.context(y), seen.columns(y)) == (True, (-1, 0, 1))


# --------------------------------------------------------------- sizes and inputs


def test_ratios_of_sizes_are_nominal_until_a_size_is_stated() -> None:
    """An odd size halves to a ratio that is not two; both a stated size and the strides say so in their way."""
    net = Net()
    small = net.conv(net.image, stride=2)
    y = net.add("resize", small, net.image, mode="nearest")
    graph = net.finish(y)
    nominal, exact = reach(graph, "x"), reach(graph, "x", values={"H": 5, "W": 5})
    assert (nominal.nominal(y), exact.nominal(y)) == (True, False)
    assert [nominal.columns(y, at)[1] for at in range(5)] == [0, 0, 2, 2, 4]
    assert [exact.columns(y, at)[1] for at in range(5)] == [0, 0, 2, 2, 4]
    assert exact.columns(y, 5)[1] == 6


def test_aligned_corners_are_exact_at_a_stated_size() -> None:
    """From 5 to 9 pixels with aligned corners every other pixel falls on a tap."""
    net = Net()
    small = net.conv(net.image, 1, stride=2)
    y = net.add("resize", small, net.image, align_corners=True)
    exact = reach(net.finish(y), "x", values={"H": 9, "W": 9})
    assert [exact.columns(y, at) for at in range(3)] == [(0,), (0, 2), (2,)]


def test_paths_of_different_stride_are_nominal() -> None:
    """Maps of one size whose columns lie two and three pixels apart have no period together."""
    net = Net(width=symbol("W"), height=12)
    a = net.add("resize", net.add("avg_pool", net.image, kernel=2), size=(4, 4), mode="nearest")
    b = net.add("resize", net.image, size=(4, 4), mode="nearest")
    y = net.add("add", a, b)
    seen = reach(net.finish(y), "x")
    assert seen.nominal(y) and seen.columns(y, 0) == (0, 1)


def test_inputs_can_be_asked_for_one_by_one() -> None:
    """Two inputs count as one image, unless one is named."""
    net = Net()
    other = net.builder.input("depth", 3)
    y = net.add("add", net.conv(net.image, 3), net.conv(other, 7))
    assert [len(columns(net, y, source=source)) for source in (None, "image", "depth")] == [7, 3, 7]


def test_a_value_not_kept_is_unknown() -> None:
    """Values without a name are let go unless they are wanted."""
    net = Net()
    inner = net.conv(net.image)
    graph = net.finish(net.conv(inner))
    with pytest.raises(KeyError):
        reach(graph, "x").columns(inner)
    assert reach(graph, "x", wanted=[inner]).field_of_view(inner) == 3


# ---------------------------------------------------------------------- limits


def test_awkward_ratios_end_in_a_nominal_answer() -> None:
    """A chain of resizes by unrelated ratios would have a period of millions; it is cut short, and says so."""
    net = Net()
    y = net.image
    for ratio in (Fraction(997, 991), Fraction(983, 977), Fraction(971, 967)):
        y = net.add("resize", y, scale=ratio)
    graph = net.finish(y)
    nominal, exact = reach(graph, "x"), reach(graph, "x", values={"H": 1000, "W": 1000})
    assert nominal.nominal(y) and nominal.field_of_view(y) < 20
    assert not exact.nominal(y) and exact.field_of_view(y) == 4


def test_absurd_rates_cost_no_memory() -> None:
    """A rate of a million million pixels is a field of view like any other."""
    net = Net()
    y = net.conv(net.image, dilation=10**12)
    seen = reach(net.finish(y), "x")
    assert (seen.field_of_view(y), seen.nominal(y)) == (2 * 10**12 + 1, True)


def test_deep_graphs_are_walked_and_not_recursed() -> None:
    """Ten thousand convolutions in a chain see two pixels more each."""
    net = Net()
    y = net.image
    for i in range(10_000):
        (y,) = net.builder.add("conv", [y], {"out": 3, "kernel": 3}, name=f"conv{i}")
    assert reach_both(net.finish(y))[1].field_of_view(y) == 20_001


def test_the_analyses_import_nothing_heavy() -> None:
    """Fields of view are worked out without torch, numpy or networkx."""
    code = """
import sys, archdsl.analyses.fieldofview, archdsl.analyses.bound, archdsl.analyses.planar
print({"torch", "numpy", "networkx", "pydantic"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# -------------------------------------------------------------------- gradients


def assert_columns_match(seen: ReachResult, graph: Graph, ref: Ref, phases: int) -> None:
    height, width = extent(graph.type_of(ref))
    gradients, (_, side) = Gradients(graph, ref), extent(graph.inputs[0].types[0])
    for at in range(width // 2 - phases // 2, width // 2 + phases - phases // 2):
        expected = seen.columns(ref, at)
        if expected and expected[0] >= 0 and expected[-1] < side:
            found = gradients.pixels((height // 2, at)).any(0).nonzero().flatten().tolist()
            assert found == list(expected)


@settings(deadline=None, max_examples=100)
@given(graphs())
def test_reach_is_where_gradients_are(case: tuple[Graph, Ref]) -> None:
    """With all weights above zero, the columns with a gradient are exactly the reach, phase by phase."""
    graph, ref = case
    seen = reach(graph, "x")
    phases = len(seen.footprint(ref).phases)
    assume(not seen.nominal(ref) and phases <= 6 and not reach(graph, "y").footprint(ref).empty)
    assume(all(p.extent for p in reach(graph, "y").footprint(ref).phases))
    assert_columns_match(seen, graph, ref, phases)
