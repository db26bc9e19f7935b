"""Dilated convolutions as dense ones on phases: proofs in float64, and where they do not pay or cannot be."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from pass_nets import Step, add, noise, proven, random_weights, reasons
from random_graphs import SPECS, graph_of

from archdsl.ir.builder import GraphBuilder
from archdsl.ir.graph import Graph, Output, Ref
from archdsl.lower.fx import lower_fx
from archdsl.lower.oracle import run
from archdsl.passes import Costs, passes_for, run_passes, space_to_batch

SLOW_DILATION = Costs(dilated=1000.0, size=(48, 36))


def _dilated(builder: GraphBuilder, x: Ref, dice: random.Random, rate: int, **given: object) -> Ref:
    kernel = dice.choice([(3, 3), (5, 3), (1, 3), (3, 1)])
    settings: dict[str, object] = {"kernel": kernel, "dilation": rate, "padding": "same", "bias": dice.random() < 0.5}
    if dice.random() < 0.3:
        return add(builder, "depthwise", x, **settings)
    out = builder.type_of(x).channels
    return add(builder, "conv", x, out=out, groups=dice.choice([1, 2, 4]), **(settings | given))


def _run_of_several(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """A residual block, with all that can stand between its convolutions."""
    y = x
    for _ in range(3):
        y = add(builder, "bn", _dilated(builder, y, dice, 3))
        y = add(builder, dice.choice(["relu", "elu", "prelu", "tanh"]), y)
        y = add(builder, "conv", y, out=builder.type_of(x).channels)
    return add(builder, "relu", add(builder, "add", y, x)), 3


def _read_on_the_way(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """What is read elsewhere is put together too."""
    first = _dilated(builder, x, dice, 2)
    second = _dilated(builder, add(builder, "relu", first), dice, 2)
    return add(builder, "add", add(builder, "max_pool", first, kernel=3, stride=1, padding=1), second), 2


def _two_rates(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """Two runs, one after the other, and both beside a branch of another rate."""
    y = _dilated(builder, _dilated(builder, x, dice, 2), dice, 4)
    return add(builder, "concat", y, _dilated(builder, x, dice, 2)), 3


def _not_alike(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """Rates that differ along the axes, and windows that change the map's size."""
    a = add(builder, "conv", x, out=4, kernel=3, dilation=(2, 3), padding=(2, 3))
    b = add(builder, "conv", x, out=4, kernel=3, dilation=2, padding=0)
    c = add(builder, "conv", x, out=4, kernel=3, dilation=2, padding=2, stride=2)
    return add(builder, "add", a, add(builder, "sum", *(add(builder, "resize", y, a) for y in (b, c)))), 0


def _even(seed: int, step: Step) -> tuple[Graph, int]:
    """A network that takes multiples of 12 alone, and how many convolutions can become dense."""
    dice, builder = random.Random(seed), GraphBuilder()
    x = builder.input("image", 3)
    add(builder, "pixel_unshuffle", x, factor=12)
    y, expected = step(builder, add(builder, "conv", x, out=8), dice)
    return builder.finish("Net", [Output("y", y)], {"y": y}), expected


@pytest.mark.parametrize("step", [_run_of_several, _read_on_the_way, _two_rates, _not_alike])
@pytest.mark.parametrize("seed", range(6))
def test_runs_of_one_rate_become_dense_on_phases(seed: int, step: Step) -> None:
    graph, expected = _even(seed, step)
    result = proven(space_to_batch, graph, size=(24, 36), costs=SLOW_DILATION)
    assert len(result.fired) == expected
    dilated = [n.name for n in result.graph.nodes if n.op in ("conv", "depthwise") and n["dilation"] != (1, 1)]
    assert len(dilated) == (3 if step is _not_alike else 0)


def test_a_run_is_taken_apart_and_put_together_once() -> None:
    graph, _ = _even(0, _run_of_several)
    result = proven(space_to_batch, graph, size=(24, 12), costs=SLOW_DILATION)
    ops = [node.op for node in result.graph.nodes]
    assert (ops.count("space_to_batch"), ops.count("batch_to_space")) == (1, 1)
    y = result.graph.by_name[result.graph.outputs[0].value.node]
    assert y.op == "batch_to_space" and y.types == graph.by_name[y.name].types


def test_torch_fx_runs_it_too() -> None:
    graph, _ = _even(1, _two_rates)
    weights = random_weights(graph)
    result = space_to_batch(graph, weights, SLOW_DILATION)
    x = noise(2, 3, 24, 12)
    torch.testing.assert_close(lower_fx(result.graph, result.weights)(x), run(graph, weights, x)["y"])


def test_uneven_phases_and_what_does_not_pay_are_told() -> None:
    builder = GraphBuilder()
    x = builder.input("image", 3)
    y = builder.add("conv", [x], {"out": 4, "kernel": 3, "dilation": 2}, name="c")[0]
    uneven = builder.finish("Net", [Output("y", y)])
    reason = "H is no multiple of its rate 2 for every input size"
    assert reasons(proven(space_to_batch, uneven, costs=SLOW_DILATION)) == {"c": reason}
    add(builder, "pixel_unshuffle", x, factor=2)
    even = builder.finish("Net", [Output("y", y)])
    assert proven(space_to_batch, even, size=(18, 14), costs=SLOW_DILATION).fired == ("c",)
    declined = proven(space_to_batch, even, size=(18, 14), costs=replace(SLOW_DILATION, dilated=1.0))
    assert declined.fired == () and "on phases, dense but for the copies, it would take" in reasons(declined)["c"]


def test_sizes_are_looked_at_as_the_network_takes_them() -> None:
    """At half of 8n + 4 there are phases of two, at a quarter not."""
    builder = GraphBuilder()
    x = builder.input("image", 3)
    padded = add(builder, "pad", x, amounts=(4, 0, 4, 0))
    add(builder, "pixel_unshuffle", padded, factor=8)
    half = builder.add("conv", [x], {"out": 4, "kernel": 3, "stride": 2}, name="half")[0]
    a = builder.add("conv", [half], {"out": 4, "kernel": 3, "dilation": 2}, name="a")[0]
    quarter = builder.add("conv", [a], {"out": 4, "kernel": 3, "stride": 2}, name="quarter")[0]
    b = builder.add("conv", [quarter], {"out": 4, "kernel": 3, "dilation": 2}, name="b")[0]
    result = proven(space_to_batch, builder.finish("Net", [Output("y", b)]), size=(20, 28), costs=SLOW_DILATION)
    assert result.fired == ("a",) and "is no multiple of its rate 2" in reasons(result)["b"]


def _erfnet(size: str) -> Graph:
    text = (SPECS / "zoo" / "erfnet.arch").read_text()
    return graph_of(text.replace("in image [3, H, W]", f"in image [3, {size}]"))


@pytest.mark.parametrize(("size", "dilated", "fired"), [("256, 512", 4.0, 16), ("256, 512", 1.0, 0), ("H, W", 4.0, 0)])
def test_the_dilated_blocks_of_erfnet_run_on_phases(size: str, dilated: float, fired: int) -> None:
    """Where dilation is slow and sizes are stated: eight pairs of a 3x1 and a 1x3, of rates 2 to 16 at 1/8."""
    graph = _erfnet(size)
    _, each = run_passes(graph, random_weights(graph), passes_for("logits"), Costs(dilated=dilated))
    result = each["space_to_batch"]
    assert len(result.fired) == fired
    assert len(result.declined) == (0 if fired else 8)
