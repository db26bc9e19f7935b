"""Scales, shifts and padding that become part of convolutions: before them, after them, through concatenations."""

from __future__ import annotations

import random

import pytest
from pass_nets import KERNELS, add, agree, proven, random_net, random_weights, reasons

from archdsl.ir.builder import GraphBuilder
from archdsl.ir.graph import Graph, Output, Ref
from archdsl.ir.state import layout
from archdsl.passes import (
    epilogues,
    fold_batch_norm,
    fold_into_next,
    fold_scalar,
    pad_into_conv,
    run_passes,
    through_concat,
)

OPERATORS = ["+", "-", "*", "/", "r-"]


def _scalar(builder: GraphBuilder, x: Ref, dice: random.Random) -> Ref:
    value = dice.choice([-2.5, 0.3, 4.0])
    return add(builder, "scalar", x, operator=dice.choice(OPERATORS), value=value)


def _conv(builder: GraphBuilder, x: Ref, dice: random.Random, **settings: object) -> Ref:
    given: dict[str, object] = {"out": 8, "groups": dice.choice([1, 2, 4]), "bias": dice.random() < 0.5}
    return add(builder, "conv", x, **(given | settings))


def _number_after(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    kinds = [
        lambda: _conv(builder, x, dice, kernel=dice.choice(KERNELS), padding="same"),
        lambda: add(builder, "depthwise", x, bias=dice.random() < 0.5),
        lambda: add(builder, "conv_transpose", x, out=8, kernel=2, stride=2, groups=dice.choice([1, 2])),
    ]
    return _scalar(builder, _scalar(builder, dice.choice(kinds)(), dice), dice), 2


def _number_elsewhere(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    y = add(builder, "sigmoid", _conv(builder, x, dice))
    y = add(builder, "scalar", y, operator="+", value=0.5)
    return add(builder, "scalar", y, operator="r/", value=2.0), 0


@pytest.mark.parametrize("seed", range(6))
def test_numbers_after_a_convolution_join_it(seed: int) -> None:
    graph, expected = random_net(seed, [_number_after, _number_elsewhere])
    assert len(proven(fold_scalar, graph, tolerance=1e-6).fired) == expected


def _affine(builder: GraphBuilder, x: Ref, dice: random.Random) -> Ref:
    if dice.random() < 0.5:
        return _scalar(builder, x, dice)
    return add(builder, "bn", x, affine=dice.random() < 0.5)


def _next_unpadded(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """Unpadded windows and depthwise ones, on every kind of group."""
    y = _affine(builder, add(builder, "relu", x), dice)
    if dice.random() < 0.3:
        return add(builder, "depthwise", y, kernel=1, multiplier=2), 1
    return _conv(builder, y, dice, kernel=dice.choice([1, 2, (1, 3), (3, 2)]), padding=0), 1


def _two_next(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """Two convolutions read it, with one weight between them: each gets its own."""
    y = _affine(builder, add(builder, "relu", x), dice)
    a = builder.add("conv", [y], {"out": 4, "bias": True}, weights=f"{x.node}.w")[0]
    b = builder.add("conv", [add(builder, "tanh", x)], {"out": 4, "bias": True}, weights=f"{x.node}.w")[0]
    return add(builder, "sum", a, b, add(builder, "conv", y, out=4)), 1


def _scaled_padded(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """Padding is zero before and after a scale."""
    y = add(builder, "scalar", add(builder, "relu", x), operator="*", value=-3.0)
    return add(builder, "depthwise", y, bias=True), 1


def _shifted_padded(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    return _conv(builder, add(builder, "bn", add(builder, "relu", x)), dice, kernel=3), 0


def _also_read(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    y = add(builder, "bn", add(builder, "relu", x))
    return add(builder, "add", add(builder, "conv", y, out=builder.type_of(x).channels), y), 0


NEXT = [_next_unpadded, _two_next, _scaled_padded, _shifted_padded, _also_read]


@pytest.mark.parametrize("seed", range(10))
def test_what_scales_and_shifts_joins_the_convolutions_after_it(seed: int) -> None:
    graph, expected = random_net(seed, NEXT)
    assert len(proven(fold_into_next, graph, tolerance=1e-7).fired) == expected


@pytest.mark.parametrize("step", NEXT)
def test_each_kind_of_reader_is_told_apart(step: object) -> None:
    for seed in range(2):
        graph, expected = random_net(seed, [step], length=2)  # type: ignore[list-item]
        assert len(proven(fold_into_next, graph, tolerance=1e-7).fired) == expected


def test_folding_forward_says_why_it_does_not() -> None:
    builder = GraphBuilder()
    x = builder.input("image", 4)
    shifted = builder.add("bn", [x], name="a")[0]
    pooled = builder.add("bn", [x], name="b")[0]
    kept = builder.add("bn", [x], name="c")[0]
    y = builder.add("conv", [shifted], {"out": 4, "kernel": 3}, name="conv")[0]
    z = builder.add("max_pool", [pooled], {"kernel": 3, "stride": 1, "padding": 1}, name="pool")[0]
    graph = builder.finish("Net", [Output("y", add(builder, "add", y, z)), Output("kept", kept)])
    assert reasons(proven(fold_into_next, graph)) == {
        "a": "conv reads padding, which is not shifted",
        "b": "it is read by pool, which is max_pool and no plain convolution",
        "c": "its value is an output",
    }


def _d_block(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """RegSeg: branches on shares of the channels, put together, normalised, rectified."""
    branches = [
        add(builder, "conv", part, out=4, kernel=3, dilation=dice.choice([1, 3]), groups=2)
        for part in builder.add("split", [x], {"parts": 2})
    ]
    y = add(builder, "concat", *branches)
    return add(builder, dice.choice(["relu", "elu", "prelu"]), add(builder, "bn", y)), 2


def _mixed(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """Most of the channels come from a convolution, some from a pooling."""
    pooled = add(builder, "max_pool", x, kernel=3, stride=1, padding=1)
    operands = [add(builder, "conv", x, out=64, kernel=3), pooled]
    dice.shuffle(operands)
    return add(builder, "prelu", add(builder, "concat", *operands), shared=dice.random() < 0.5), 1


def _no_branch(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    return add(builder, "bn", add(builder, "concat", x, add(builder, "tanh", x))), 0


def _read_before(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    y = add(builder, "concat", add(builder, "conv", x, out=4), add(builder, "conv", x, out=4))
    return add(builder, "add", add(builder, "relu", y), y), 0


@pytest.mark.parametrize("seed", range(8))
def test_what_follows_a_concatenation_goes_into_its_branches(seed: int) -> None:
    graph, expected = random_net(seed, [_d_block, _d_block, _mixed, _no_branch, _read_before])
    assert len(proven(through_concat, graph).fired) == expected > 0


def test_a_d_block_ends_up_in_its_two_convolutions() -> None:
    graph = _rectified_d_block()
    weights = random_weights(graph)
    last, each = run_passes(graph, weights, [through_concat, fold_batch_norm, epilogues])
    assert [len(each[name].fired) for name in ("through_concat", "fold_batch_norm", "epilogues")] == [2, 2, 2]
    assert not {"bn", "relu"} & {node.op for node in last.graph.nodes}
    assert set(last.weights) == set(layout(last.graph))
    agree(graph, weights, last, size=(11, 9))


def _rectified_d_block() -> Graph:
    builder = GraphBuilder()
    x = add(builder, "conv", builder.input("image", 3), out=8)
    branches = [
        add(builder, "conv", part, out=4, kernel=3, dilation=1 + 2 * i)
        for i, part in enumerate(builder.add("split", [x], {"parts": 2}))
    ]
    y = add(builder, "relu", add(builder, "bn", add(builder, "concat", *branches)))
    return builder.finish("Net", [Output("y", y)], {"y": y})


def _padded(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    y = add(builder, "pad", x, amounts=(1, 1, 2, 2))
    if dice.random() < 0.5:
        return add(builder, "depthwise", y, padding=dice.choice([0, 1]), kernel=3, stride=2), 1
    z = add(builder, "pad", y, amounts=1)
    return add(builder, "add", *(_conv(builder, z, dice, kernel=3, dilation=2) for _ in range(2))), 2


def _lopsided(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    amounts, mode = dice.choice([((0, 1, 0, 1), "zero"), ((1, 1, 1, 1), "replicate"), ((1, 1, 1, 1), "reflect")])
    return _conv(builder, add(builder, "pad", x, amounts=amounts, mode=mode), dice, kernel=3), 0


def _padded_pool(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    return add(builder, "max_pool", add(builder, "pad", x, amounts=1), kernel=3), 0


@pytest.mark.parametrize("seed", range(8))
def test_zeros_around_a_map_become_padding(seed: int) -> None:
    graph, expected = random_net(seed, [_padded, _padded, _lopsided, _padded_pool])
    assert len(proven(pad_into_conv, graph, size=(33, 35), tolerance=1e-12).fired) == expected > 0


def test_padding_says_why_it_stays() -> None:
    builder = GraphBuilder()
    x = builder.input("image", 4)
    pads = [((0, 1, 0, 1), "zero"), (1, "reflect"), (1, "zero"), (1, "zero")]
    a, b, c, d = (
        builder.add("pad", [x], {"amounts": amounts, "mode": mode}, name=f"p{i}")[0]
        for i, (amounts, mode) in enumerate(pads)
    )
    ends = [add(builder, "conv", ref, out=2, kernel=3) for ref in (a, b, d)]
    pool = builder.add("avg_pool", [c], {"kernel": 2}, name="pool")[0]
    outputs = [Output(f"y{i}", ref) for i, ref in enumerate([*ends, pool, d])]
    assert reasons(proven(pad_into_conv, builder.finish("Net", outputs))) == {
        "p0": "a convolution pads both sides alike, and this does not",
        "p1": "it adds no zeros: its mode is reflect",
        "p2": "it is read by pool, which is avg_pool and pads with no zeros",
        "p3": "its value is an output",
    }
