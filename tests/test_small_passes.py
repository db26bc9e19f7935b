"""Constants, argmax after increasing functions, and concatenations in place: proofs in float64, with counts."""

from __future__ import annotations

import random

import pytest
import torch
from pass_nets import Step, add, agree, between, noise, proven, random_net, random_weights, reasons
from random_graphs import shipped

from archdsl.ir.builder import GraphBuilder
from archdsl.ir.graph import Graph, Output, Ref
from archdsl.lower.oracle import run
from archdsl.passes import constants, inference_only, monotone_argmax, placed_concat, run_passes


def _scalars(builder: GraphBuilder, x: Ref, *steps: tuple[str, float]) -> Ref:
    for operator, value in steps:
        x = add(builder, "scalar", x, operator=operator, value=value)
    return x


def _chain(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    sums = [("+", 2.0), ("-", 0.5), ("+", 1.5)]
    products = [("*", 3.0), ("/", 4.0), ("*", -0.5)]
    return _scalars(builder, x, *dice.choice([sums, products])), 2


def _kinds_apart(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    return _scalars(builder, x, ("*", 2.0), ("+", 1.0), ("r-", 1.0), ("*", 3.0)), 0


def _known(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """A ramp, as SFNet's flow needs it: what stands before the resize is the same for every image."""
    one = _scalars(builder, add(builder, "mean", add(builder, "global_pool", x)), ("*", 0.0), ("+", 1.0))
    ramp = add(builder, "concat", *(add(builder, "pad", one, amounts=(1, i, 0, 0)) for i in (0, 0)))
    ramp = add(builder, "conv", add(builder, "resize", ramp, x), out=builder.type_of(x).channels)
    return add(builder, "add", x, ramp), 5


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("step", [_chain, _kinds_apart, _known])
def test_numbers_are_worked_out(seed: int, step: Step) -> None:
    graph, expected = random_net(seed, [step], length=3)
    result = proven(constants, graph, batch=3, tolerance=1e-6)
    assert len(result.fired) == expected


def test_what_an_image_changes_or_is_of_any_size_is_no_constant() -> None:
    builder = GraphBuilder()
    y = _scalars(builder, builder.input("image", 3), ("*", 0.0), ("+", 1.0))
    graph = builder.finish("Net", [Output("y", y)])
    assert proven(constants, graph).fired == ()


def test_constants_compute_what_the_oracle_does() -> None:
    """Every op that is worked out ahead, on a constant of several values."""
    builder = GraphBuilder()
    zero = _scalars(builder, add(builder, "global_pool", builder.input("image", 3)), ("*", 0.0))
    values = [_scalars(builder, zero, (operator, 2.5)) for operator in ("+", "-", "r-")]
    x = add(builder, "concat", *(add(builder, "pad", v, amounts=(1, 2, 0, 1)) for v in values))
    values = [add(builder, op, x) for op in ("relu", "sigmoid", "tanh", "mean")]
    values += [add(builder, op, x, values[1]) for op in ("add", "sub", "mul")]
    values += [_scalars(builder, x, (operator, 3.0)) for operator in ("*", "/", "+")]
    values.append(_scalars(builder, values[1], ("r/", 3.0)))
    values.append(add(builder, "pad", values[1], amounts=1, mode="replicate"))
    graph = builder.finish("Net", [Output(f"y{i}", ref) for i, ref in enumerate(values)])
    result = constants(graph, {"any": noise(1)})
    assert {node.op for node in result.graph.nodes} == {"input", "constant"}
    agree(graph, {}, result, size=(4, 5), batch=3, tolerance=1e-12)


def _argmax(*steps: tuple[str, dict[str, object]]) -> Graph:
    builder = GraphBuilder()
    x = builder.input("image", 5)
    for op, given in steps:
        x = builder.add(op, [x], given, name=f"f.{op}")[0]
    return builder.finish("Net", [Output("y", add(builder, "argmax", x))])


INCREASING = [
    ("sigmoid", {}),
    ("tanh", {}),
    ("softmax", {}),
    ("log_softmax", {}),
    ("elu", {"alpha": 0.5}),
    ("scalar", {"operator": "+", "value": -3.0}),
    ("scalar", {"operator": "-", "value": 3.0}),
    ("scalar", {"operator": "*", "value": 0.5}),
    ("scalar", {"operator": "/", "value": 2.0}),
    ("prelu", {"shared": True}),
]

OTHERS = [
    ("relu", {}, "f.relu is relu, which gives equal values for different ones, or falls"),
    ("relu6", {}, "f.relu6 is relu6, which gives equal values for different ones, or falls"),
    ("silu", {}, "f.silu is silu, which gives equal values for different ones, or falls"),
    ("prelu", {}, "f.prelu has a slope of its own for each class"),
    ("bn", {}, "f.bn is bn, no strictly increasing function"),
    ("scalar", {"operator": "*", "value": -1.0}, "f.scalar is scalar, no strictly increasing function"),
    ("scalar", {"operator": "*", "value": 0.0}, "f.scalar is scalar, no strictly increasing function"),
    ("scalar", {"operator": "r-", "value": 1.0}, "f.scalar is scalar, no strictly increasing function"),
    ("elu", {"alpha": 0.0}, "f.elu is elu, no strictly increasing function"),
    ("prelu", {"shared": True, "init": -0.25}, "f.prelu is prelu, no strictly increasing function"),
    ("identity", {}, "f.identity is identity, no strictly increasing function"),
]


def _slopes(graph: Graph) -> dict[str, torch.Tensor]:
    """Weights as they start: slopes then have the sign that the text gives them."""
    from archdsl.lower.weights import initial_weights

    return initial_weights(graph, dtype=torch.float64)


@pytest.mark.parametrize(("op", "given"), INCREASING)
def test_an_increasing_function_before_an_argmax_goes(op: str, given: dict[str, object]) -> None:
    graph = _argmax((op, given), ("tanh", {}))
    result = proven(monotone_argmax, graph, weights=_slopes(graph))
    assert len(result.fired) == 2 and [node.op for node in result.graph.nodes] == ["input", "argmax"]


@pytest.mark.parametrize(("op", "given", "reason"), OTHERS)
def test_any_other_function_before_an_argmax_stays(op: str, given: dict[str, object], reason: str) -> None:
    graph = _argmax((op, given))
    result = proven(monotone_argmax, graph, weights=_slopes(graph))
    assert result.fired == () and list(reasons(result).values()) == [reason]


def test_scores_that_a_sigmoid_makes_equal_are_told_apart() -> None:
    graph = _argmax(("sigmoid", {}))
    x = torch.tensor([50.0, 60.0, 40.0, 60.0, 0.0], dtype=torch.float64).view(1, 5, 1, 1)
    assert run(monotone_argmax(graph, {}).graph, {}, x)["y"].item() == 1


def _placing() -> Graph:
    builder = GraphBuilder()
    x = builder.input("x", 4)
    a = builder.add("relu", [x], name="a")[0]
    b = builder.add("conv", [x], {"out": 4}, name="b")[0]
    half = builder.add("split", [a], {"parts": 2}, name="half")[0]
    first = builder.add("concat", [a, b, x], name="first")[0]
    second = builder.add("concat", [b, first, half, builder.add("tanh", [x], name="t")[0]], name="second")[0]
    third = builder.add("concat", [x, half], name="third")[0]
    twice = builder.add("tanh", [b], name="twice")[0]
    fourth = builder.add("concat", [twice, twice], name="fourth")[0]
    return builder.finish("Net", [Output(f"y{i}", ref) for i, ref in enumerate([second, third, fourth, first])])


def test_operands_are_written_in_place_where_their_producer_can() -> None:
    result = proven(placed_concat, _placing())
    placed = {node.name: node["placed"] for node in result.graph.nodes if node.op == "placed_concat"}
    # b lies in `first` already; x is given from outside; a half shows a part of a; `first` is an output
    assert placed == {"first": (1, 1, 0), "second": (0, 0, 0, 1)}
    assert reasons(result) == {
        "third": "x is input, which writes nothing; half is split, which writes nothing",
        "fourth": "twice is there twice",
    }


def _beside(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """Branches that are written for the concatenation, and one read elsewhere as well."""
    branches = [between(builder, x, dice) for _ in range(dice.choice([2, 3]))]
    dice.shuffle(branches)
    y = add(builder, "concat", *branches)
    return add(builder, "concat", y, add(builder, "sigmoid", branches[0])), 2


def _shown(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """Parts of another map, and one value twice."""
    left, right = builder.add("split", [x], {"parts": 2})
    y = add(builder, "relu", x)
    return add(builder, "concat", add(builder, "concat", right, left), add(builder, "concat", y, y)), 1


@pytest.mark.parametrize("seed", range(6))
def test_random_concatenations_stay_what_they_are(seed: int) -> None:
    graph, expected = random_net(seed, [_beside, _shown])
    assert len(proven(placed_concat, graph, tolerance=0).fired) == expected


def test_a_ramp_of_a_shipped_decoder_is_a_constant() -> None:
    graph = shipped("regseg.arch", "RegSegAblation", decoder="SFNetDecoder")
    last, each = run_passes(graph, random_weights(graph), [inference_only, constants])
    assert len(each["constants"].fired) == 6
    assert sum(node.op == "constant" for node in last.graph.nodes) == 2
