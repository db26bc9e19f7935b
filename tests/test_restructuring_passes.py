"""Rewrites that move work to where there is less of it, judged by costs: proofs in float64, with counts."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from pass_nets import KERNELS, Step, add, agree, proven, random_net, random_weights, reasons
from random_graphs import graph_of

from archdsl.analyses.hardware import Hardware
from archdsl.ir.builder import GraphBuilder
from archdsl.ir.dims import symbol
from archdsl.ir.graph import Graph, Output, Ref
from archdsl.passes import (
    Costs,
    after_shrinking,
    below_upsample,
    join_pointwise,
    merge_resizes,
    parallel_convs,
    passes_for,
    pooled_bias,
    run_passes,
    split_pointwise,
)

H, W = symbol("H"), symbol("W")
FREE_LAUNCHES = Costs(Hardware("ideal", {"float32": 1e12}, 1e10), size=(64, 64))


def _up(builder: GraphBuilder, x: Ref, dice: random.Random) -> Ref:
    modes = [
        {"scale": 2},
        {"scale": 3, "align_corners": True},
        {"scale": 2, "mode": "nearest"},
        {"scale": 2, "mode": "bicubic"},
    ]
    return add(builder, "resize", x, **dice.choice(modes))


def _conv_above(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    groups = dice.choice([1, 2])
    return add(builder, "conv", _up(builder, x, dice), out=4, groups=groups, bias=dice.random() < 0.7), 1


def _chain_above(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """A projection, its normalisation and a number, all at the larger size."""
    y = add(builder, "bn", add(builder, "conv", _up(builder, x, dice), out=4))
    return add(builder, "scalar", y, operator="+", value=2.0), 3


def _twice_up(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    up = add(builder, "resize", add(builder, "resize", x, scale=2), scale=2)
    # it moves below both
    return add(builder, "avg_pool", add(builder, "conv", up, out=2, bias=True), kernel=4), 2


def _guided(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """Sampling beyond the map gives its edge, or zeros that only what has no bias leaves alone."""
    padding, bias = dice.choice(["border", "zeros"]), dice.random() < 0.5
    offsets = add(builder, "resize", add(builder, "conv", x, out=2), scale=2)
    y = add(builder, "guided_upsample", x, offsets, scale=2, padding=padding)
    return add(builder, "conv", y, out=3, bias=bias), int(padding == "border" or not bias)


def _gated_above(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """One value per channel, as a factor or a summand, on either side."""
    operands = [_up(builder, x, dice), add(builder, "global_pool", x)]
    dice.shuffle(operands)
    return add(builder, dice.choice(["mul", "add"]), *operands), 1


def _gate_resized(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """The gate itself was resized: that commutes with nothing."""
    gate = add(builder, "resize", add(builder, "adaptive_pool", x, size=2), size=(1, 1))
    return add(builder, "mul", gate, add(builder, "tanh", x)), 0


def _mean_above(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    return add(builder, "mean", _up(builder, x, dice)), 1


def _picked(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """Nearest copies values: any function of one position can come first."""
    up = add(builder, "resize", x, scale=(2, 3), mode="nearest")
    return add(builder, dice.choice(["sigmoid", "gelu", "elu", "prelu", "softmax", "max"]), up), 1


def _shrunk(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """Above a resize that shrinks there is less to do."""
    return add(builder, "conv", add(builder, "resize", x, scale=0.5), out=8), 0


def _wider(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """The resize of what comes out would write more than the convolution saves."""
    return add(builder, "conv", add(builder, "resize", x, scale=(1, 1.25)), out=96), 0


def _other_windows(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    settings = dice.choice([{"kernel": 3}, {"stride": 2}, {"padding": 1}])
    up = add(builder, "resize", x, scale=2)
    return add(builder, "relu", add(builder, "conv", add(builder, "relu", up), out=4, **settings)), 0


ABOVE = [
    _gated_above,
    _mean_above,
    _picked,
    _conv_above,
    _chain_above,
    _twice_up,
    _guided,
    _shrunk,
    _wider,
    _other_windows,
]


@pytest.mark.parametrize("step", ABOVE)
@pytest.mark.parametrize("seed", range(4))
def test_what_mixes_channels_moves_below_an_upsampling(step: Step, seed: int) -> None:
    graph, expected = random_net(seed, [step], length=2)
    result = proven(below_upsample, graph, size=(7, 5), costs=FREE_LAUNCHES)
    assert len(result.fired) == expected


def test_relu_and_zero_padded_bias_stay_above() -> None:
    builder = GraphBuilder()
    x, offsets = builder.input("image", 4), builder.input("offsets", 2, *(2 * size for size in (H, W)))
    y = builder.add("guided_upsample", [x, offsets], {"scale": 2, "padding": "zeros"}, name="up")[0]
    z = builder.add("conv", [y], {"out": 2, "bias": True}, name="biased")[0]
    r = builder.add("conv", [add(builder, "relu", add(builder, "resize", x, scale=2))], {"out": 2}, name="c")[0]
    graph = builder.finish("Net", [Output("z", z), Output("r", r)])
    result = below_upsample(graph, random_weights(graph), FREE_LAUNCHES)
    assert result.fired == ()
    assert reasons(result) == {
        "biased": "up counts zeros beyond the map, which a shift would reach",
        "relu": "resize mixes positions, and relu is not linear",
    }


def _transition(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """DenseNet's: a projection, and a mean of its results."""
    pools = [
        ("avg_pool", {"kernel": 2}),
        ("avg_pool", {"kernel": 3, "stride": 2, "padding": 1, "count_pad": False}),
        ("avg_pool", {"kernel": 2, "ceil": True}),
        ("global_pool", {}),
        ("adaptive_pool", {"size": (3, 2)}),
        ("resize", {"scale": 0.5}),
        ("crop", {"size": (2, 5)}),
    ]
    op, given = dice.choice(pools)
    channels = builder.type_of(x).channels
    x = add(builder, "relu", x)
    y = add(builder, "conv", x, out=dice.choice([channels // 2, channels]), bias=dice.random() < 0.5)
    return add(builder, "resize", add(builder, op, y, **given), x), 1  # type: ignore[arg-type]


def _padded_mean(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """Zeros that count in the mean: only what has no bias goes after it."""
    bias = dice.random() < 0.5
    y = add(builder, "conv", add(builder, "relu", x), out=4, bias=bias)
    return add(builder, "avg_pool", y, kernel=(3, 2), stride=2, padding=(1, 1)), int(not bias)


def _not_linear(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    return add(builder, "avg_pool", add(builder, "tanh", x), kernel=2), 0


def _cut(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """Of what is cut off, nothing has to be worked out."""
    y = add(builder, "crop", add(builder, "gelu", add(builder, "max_pool", x, kernel=1, stride=2)), size=(2, 2))
    return add(builder, "pad", y, amounts=8), 1


def _expanding(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """Read by another, too; and a maximum, which is no mean."""
    y = add(builder, "conv", x, out=builder.type_of(x).channels)
    pooled = add(builder, "resize", add(builder, "avg_pool", y, kernel=2), y)
    most = add(builder, "global_pool", add(builder, "conv", x, out=builder.type_of(x).channels), kind="max")
    return add(builder, "sum", y, pooled, add(builder, "resize", most, x)), 0


@pytest.mark.parametrize("step", [_transition, _padded_mean, _not_linear, _cut, _expanding])
@pytest.mark.parametrize("seed", range(5))
def test_what_acts_on_channels_moves_after_what_leaves_fewer_positions(step: Step, seed: int) -> None:
    graph, expected = random_net(seed, [step], length=2)
    result = proven(after_shrinking, graph, size=(33, 35), costs=FREE_LAUNCHES)
    assert len(result.fired) == expected


def test_a_decoder_that_upsamples_before_its_classifier_is_turned_around() -> None:
    """None of the shipped decoders does; of the course of a newcomer's first text it is the usual one."""
    graph = graph_of("""arch 1
use std.conv: ConvBnAct
network Net(classes: int = 19) {
  in image [3, H, W]
  x = image -> ConvBnAct(16, 3, stride=2) -> ConvBnAct(32, 3, stride=2)
  out logits = x -> resize(like=image) -> conv(classes, bias=true)
}
""")
    weights = random_weights(graph)
    last, each = run_passes(graph, weights, passes_for("logits"))
    assert len(each["below_upsample"].fired) == 1
    assert _named(last.graph)[-2:] == ["conv", "resize"]
    agree(graph, weights, last, size=(33, 21))


def _sum_of_resized(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    parts = [add(builder, "resize", ref, scale=2) for ref in (x, add(builder, "tanh", x), add(builder, "sigmoid", x))]
    if dice.random() < 0.5:
        parts.append(
            add(builder, "pixel_shuffle", add(builder, "conv", x, out=4 * builder.type_of(x).channels), factor=2)
        )
    dice.shuffle(parts)
    return add(builder, "sum", *parts), 1


def _resized_otherwise(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """Corners aligned in one of them; read by another, too."""
    a = add(builder, "resize", x, scale=2)
    b = add(builder, "resize", x, scale=2, align_corners=True)
    return add(builder, "mul", add(builder, "add", a, b), a), 0


def _shrunk_sum(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    return add(builder, "add", *(add(builder, "resize", ref, scale=0.25) for ref in (x, add(builder, "tanh", x)))), 0


@pytest.mark.parametrize("step", [_sum_of_resized, _resized_otherwise, _shrunk_sum])
@pytest.mark.parametrize("seed", range(3))
def test_maps_that_are_resized_alike_are_added_first(step: Step, seed: int) -> None:
    graph, expected = random_net(seed, [step], length=2)
    assert len(proven(merge_resizes, graph, costs=FREE_LAUNCHES).fired) == expected


def _aspp(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    pooled = add(builder, "resize", add(builder, "conv", add(builder, "global_pool", x), out=5), x)
    operands = [x, add(builder, "conv", x, out=4, kernel=3), pooled]
    dice.shuffle(operands)
    window = dice.choice([{}, {"kernel": (3, 1), "padding": 0}, {"stride": 2}])
    return add(builder, "conv", add(builder, "concat", *operands), out=8, bias=dice.random() < 0.5, **window), 1


def _two_pooled(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    pooled = [add(builder, "resize", add(builder, "global_pool", x, kind=kind), x) for kind in ("avg", "max")]
    return add(builder, "conv", add(builder, "concat", pooled[0], x, pooled[1]), out=8), 2


def _pooled_padded(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    pooled = add(builder, "resize", add(builder, "global_pool", x), x)
    return add(builder, "conv", add(builder, "concat", x, pooled), out=8, kernel=3), 0


@pytest.mark.parametrize("step", [_aspp, _two_pooled, _pooled_padded])
@pytest.mark.parametrize("seed", range(4))
def test_a_pooled_image_becomes_a_bias_per_image(step: Step, seed: int) -> None:
    graph, expected = random_net(seed, [step], length=2)
    assert len(proven(pooled_bias, graph).fired) == expected


def test_a_pooled_image_beside_padding_stays_and_says_so() -> None:
    graph, _ = random_net(0, [_pooled_padded], length=1)
    reason = "it reads padding beside the spread value, which is another at the edge"
    assert list(reasons(proven(pooled_bias, graph)).values()) == [reason]


def _over_upsampled(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """A wide coarse map brought up beside a fine one: its share is convolved below."""
    coarse = add(builder, "conv", x, out=64, kernel=3, stride=4, padding=1)
    operands = [add(builder, "resize", coarse, x), x]
    dice.shuffle(operands)
    return add(builder, "conv", add(builder, "concat", *operands), out=8, bias=dice.random() < 0.5), 1


def _over_three(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """What is not resized stays together."""
    coarse = add(builder, "conv", x, out=96, kernel=3, stride=4, padding=1)
    y = add(builder, "concat", add(builder, "tanh", x), add(builder, "resize", coarse, x), x)
    return add(builder, "conv", y, out=8), 1


def _over_fine(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """Written in place, the concatenation costs nothing, and a sum would."""
    return add(builder, "conv", add(builder, "concat", x, add(builder, "tanh", x)), out=8), 0


@pytest.mark.parametrize("step", [_over_upsampled, _over_three, _over_fine])
@pytest.mark.parametrize("seed", range(4))
def test_a_convolution_over_a_concatenation_is_split_where_that_is_less_work(step: Step, seed: int) -> None:
    graph, expected = random_net(seed, [step], length=2)
    result = proven(split_pointwise, graph, costs=FREE_LAUNCHES)
    assert len(result.fired) == expected
    below = proven(below_upsample, result.graph, weights=result.weights, costs=FREE_LAUNCHES)
    assert len(below.fired) == expected


def _narrow_operands(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    a, b = (add(builder, "conv", y, out=64, bias=dice.random() < 0.5) for y in (x, add(builder, "tanh", x)))
    return add(builder, "add", a, b), 1


def _parts_side_by_side(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """The parts of one map: nothing has to be put together."""
    parts = builder.add("split", [x], {"parts": 2})
    return add(builder, "add", *(add(builder, "conv", part, out=4) for part in parts)), 1


def _wide_operands(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    wide = add(builder, "conv", x, out=64)
    return add(builder, "add", *(add(builder, "conv", add(builder, op, wide), out=4) for op in ("tanh", "relu"))), 0


def _strided(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    pooled = add(builder, "max_pool", x, kernel=2)
    return add(builder, "add", add(builder, "conv", pooled, out=64), add(builder, "conv", pooled, out=64, kernel=3)), 0


@pytest.mark.parametrize("step", [_narrow_operands, _parts_side_by_side, _wide_operands, _strided])
@pytest.mark.parametrize("seed", range(3))
def test_a_sum_of_projections_becomes_one_where_that_is_less_work(step: Step, seed: int) -> None:
    graph, expected = random_net(seed, [step], length=2)
    assert len(proven(join_pointwise, graph, costs=FREE_LAUNCHES).fired) == expected


def _heads(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """Two narrow heads on one wide map, activated alike."""
    wide, act = add(builder, "conv", x, out=64, kernel=3), dice.choice(["relu", "tanh", None])
    window = {"kernel": dice.choice(KERNELS), "dilation": 2, "padding": "same"}
    ends = [add(builder, "conv", wide, out=3, bias=dice.random() < 0.5, **window) for _ in range(2)]
    ends = [add(builder, act, end) for end in ends] if act else ends
    return add(builder, "mul", *ends), 2


def _other_rates(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    wide = add(builder, "conv", x, out=64, kernel=3)
    return add(builder, "mul", *(add(builder, "conv", wide, out=3, kernel=3, dilation=d) for d in (1, 2))), 0


def _wide_heads(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """What comes out is wider than what is read: taking it apart costs more than reading twice."""
    return add(builder, "mul", *(add(builder, "conv", x, out=48) for _ in range(2))), 0


@pytest.mark.parametrize("step", [_heads, _other_rates, _wide_heads])
@pytest.mark.parametrize("seed", range(3))
def test_convolutions_of_one_map_become_one_where_that_is_less_work(step: Step, seed: int) -> None:
    graph, expected = random_net(seed, [step], length=2)
    assert len(proven(parallel_convs, graph, costs=FREE_LAUNCHES).fired) == expected


def test_costs_decide_and_are_told() -> None:
    """The same network on a machine whose arithmetic is free: only bytes count, and the answer turns."""
    builder = GraphBuilder()
    x = builder.input("image", 24)
    y = builder.add("conv", [add(builder, "resize", x, scale=(1, 2))], {"out": 96}, name="c")[0]
    graph = builder.finish("Net", [Output("y", y)])
    weights = random_weights(graph)
    slow = replace(FREE_LAUNCHES, hardware=Hardware("slow", {"float32": 1e9}, 1e12))
    fast = replace(FREE_LAUNCHES, hardware=Hardware("fast", {"float32": 1e15}, 1e9))
    assert below_upsample(graph, weights, slow).fired == ("c",)
    declined = below_upsample(graph, weights, fast)
    assert declined.fired == () and "it would take" in reasons(declined)["c"]


def _named(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


def test_pyramid_pooling_is_done_at_the_size_of_its_cells() -> None:
    """PSPNet's module with a 1x1 at its end: four pooled maps, none of them convolved at full size any more."""
    graph = graph_of("""arch 1
use std.conv: ConvBnAct
use std.pyramid: PyramidPooling
network Net {
  in image [3, H, W]
  x = image -> ConvBnAct(64, 3, stride=4)
  out y = x -> PyramidPooling(64, kernel=1)
}
""")
    weights = random_weights(graph)
    last, each = run_passes(graph, weights, passes_for("logits"))
    assert {name: len(each[name].fired) for name in ("pooled_bias", "split_pointwise")} == {
        "pooled_bias": 1,
        "split_pointwise": 1,
    }
    assert len(each["below_upsample"].fired) == 3 and "concat" not in _named(last.graph)
    agree(graph, weights, last, size=(50, 37), tolerance=1e-7)
