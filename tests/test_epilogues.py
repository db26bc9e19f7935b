"""Epilogues and gates: activations, residual sums and squeeze-and-excite's scale inside the convolution."""

from __future__ import annotations

import random

import pytest
from pass_nets import add, agree, proven, random_net, random_weights, reasons

from archdsl.ir.builder import GraphBuilder
from archdsl.ir.graph import Graph, Output, Ref
from archdsl.ir.ops.fused import ACTIVATIONS
from archdsl.passes import epilogues, gates, plain, run_passes

SAME = {"kernel": 3, "padding": "same"}


def _carrier(builder: GraphBuilder, x: Ref, dice: random.Random) -> Ref:
    channels = builder.type_of(x).channels
    if dice.random() < 0.3:
        return add(builder, "depthwise", x, dilation=dice.choice([1, 2]), bias=dice.random() < 0.5)
    groups = dice.choice([1, 2, 4])
    return add(builder, "conv", x, out=channels, groups=groups, bias=dice.random() < 0.5, **SAME)


def _activated(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    return add(builder, dice.choice(ACTIVATIONS), _carrier(builder, x, dice)), 1


def _residual(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    operands = [_carrier(builder, x, dice), x]
    dice.shuffle(operands)
    return add(builder, "relu", add(builder, "add", *operands)), 2


def _activated_residual(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    y = add(builder, "relu", _carrier(builder, x, dice))
    return add(builder, "sigmoid", add(builder, "add", y, x)), 3


def _two_branches(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """The shortcut is a convolution too: one of the two carries the sum."""
    return add(builder, "add", _carrier(builder, x, dice), _carrier(builder, x, dice)), 1


def _three(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    pooled = add(builder, "max_pool", x, kernel=3, stride=1, padding=1)
    return add(builder, "sum", x, _carrier(builder, x, dice), pooled), 1


def _per_sample_bias(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    return add(builder, "add", add(builder, "global_pool", x), _carrier(builder, x, dice)), 1


def _read_twice(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    y = _carrier(builder, x, dice)
    return add(builder, "mul", add(builder, "relu", y), y), 0


def _spread(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """The convolution's result is spread over the sum: an epilogue has nothing to spread."""
    pooled = _carrier(builder, add(builder, "global_pool", x), dice)
    return add(builder, "add", pooled, x), 0


STEPS = [
    _activated, _residual, _activated_residual, _two_branches, _three, _per_sample_bias, _read_twice, _spread,
]  # fmt: skip


@pytest.mark.parametrize("seed", range(10))
def test_epilogues_keep_every_output_and_fire_wherever_they_can(seed: int) -> None:
    graph, expected = random_net(seed, STEPS)
    # the convolution before each step and its pooling after it keep the steps apart
    result = proven(epilogues, graph, size=(9, 7))
    assert len(result.fired) == expected > 0
    apart = plain(result.graph, result.weights)
    assert not any(node.op == "fused_conv" for node in apart.graph.nodes)
    agree(graph, random_weights(graph), apart, size=(9, 7))


@pytest.mark.parametrize("step", STEPS)
def test_each_pattern_fires_as_often_as_it_should(step: object) -> None:
    for seed in range(3):
        graph, expected = random_net(seed, [step], length=2)  # type: ignore[list-item]
        assert len(proven(epilogues, graph, size=(9, 7), batch=1).fired) == expected


def _blocked(kind: str) -> Graph:
    builder = GraphBuilder()
    x = builder.input("image", 4)
    y = builder.add("conv", [x], {"out": 4}, name="c")[0]
    outputs = []
    if kind == "pool":
        y = builder.add("max_pool", [y], {"kernel": 2}, name="p")[0]
    elif kind == "output":
        outputs = [Output("y", y)]
    elif kind == "twice":
        y = builder.add("tanh", [builder.add("relu", [y], name="r")[0]], name="t")[0]
    elif kind == "itself":
        return builder.finish("Net", [Output("z", builder.add("add", [y, y], name="a")[0])])
    return builder.finish("Net", [*outputs, Output("z", builder.add("sigmoid", [y], name="s")[0])])


@pytest.mark.parametrize(
    ("kind", "place", "reason"),
    [
        ("pool", "s", "it reads p, which is max_pool and has no epilogue"),
        ("output", "s", "the value of c before it is an output"),
        ("twice", "t", "c ends in an activation already"),
        ("itself", "a", "it adds c to itself"),
    ],
)
def test_epilogues_decline_with_the_reason(kind: str, place: str, reason: str) -> None:
    assert reasons(proven(epilogues, _blocked(kind)))[place] == reason


def _gated(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """Squeeze-and-excite before a convolution of any kernel, whose zero padding no scale changes."""
    gate = add(builder, "sigmoid", add(builder, "global_pool", x))
    operands = [x, gate]
    dice.shuffle(operands)
    y = add(
        builder, "conv", add(builder, "mul", *operands), out=8, kernel=dice.choice([1, 3]), groups=dice.choice([1, 4])
    )
    return add(builder, "add", y, y), 1


def _gated_twice_read(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    y = add(builder, "mul", x, add(builder, "global_pool", x))
    return add(builder, "add", add(builder, "conv", y, out=builder.type_of(x).channels), y), 0


def _full_product(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    return add(builder, "conv", add(builder, "mul", x, x), out=4), 0


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("batch", [1, 3])
def test_gates_keep_every_output_for_one_image_and_for_several(seed: int, batch: int) -> None:
    graph, expected = random_net(seed, [_gated, _gated, _gated_twice_read, _full_product])
    assert len(proven(gates, graph, batch=batch, size=(10, 9)).fired) == expected > 0


def test_a_gated_convolution_has_its_epilogue_too() -> None:
    builder = GraphBuilder()
    x = builder.input("image", 8)
    y = add(builder, "mul", x, add(builder, "sigmoid", add(builder, "global_pool", x)))
    y = add(builder, "relu", add(builder, "add", add(builder, "conv", y, out=8, bias=True), x))
    graph = builder.finish("Net", [Output("y", y)])
    weights = random_weights(graph)
    last, each = run_passes(graph, weights, [gates, epilogues])
    assert (len(each["gates"].fired), len(each["epilogues"].fired)) == (1, 2)
    assert [node.op for node in last.graph.nodes] == ["input", "global_pool", "sigmoid", "fused_conv"]
    agree(graph, weights, last, size=(6, 5), batch=1)
