"""Dead code, common subexpressions, and ops that do nothing: proofs in float64, with counts."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from pass_nets import add, agree, proven, random_net, random_weights
from random_graphs import allowed_size, graphs

from archdsl.diagnostics import InternalError
from archdsl.ir.builder import GraphBuilder
from archdsl.ir.graph import Graph, Output, Ref
from archdsl.passes import (
    Costs,
    PassResult,
    common_subexpressions,
    dead_code,
    inference_only,
    no_ops,
    passes_for,
    run_passes,
)
from archdsl.passes.infra import until_stable


def _dead(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    add(builder, "relu", add(builder, "conv", x, out=4))
    return x, 2


def _live(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    return add(builder, "tanh", x), 0


@pytest.mark.parametrize("seed", range(4))
def test_dead_code_goes_and_nothing_else(seed: int) -> None:
    graph, expected = random_net(seed, [_dead, _live])
    result = proven(dead_code, graph)
    assert len(result.fired) == expected == len(graph.nodes) - len(result.graph.nodes)


def _twice(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """Two chains of the same steps with the same weights: each step once."""
    ends = []
    for _ in range(2):
        y = builder.add("conv", [x], {"out": 4, "kernel": 3}, weights=f"{x.node}.shared")[0]
        ends.append(add(builder, "relu", y))
    return add(builder, "add", *ends), 2


def _alike(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """Weights of their own, or other settings: two things."""
    a, b = (add(builder, "conv", x, out=4, kernel=3) for _ in range(2))
    c, d = (add(builder, "elu", y, alpha=alpha) for y, alpha in ((a, 1.0), (a, 0.5)))
    return add(builder, "sum", b, c, d), 0


def _pooled_twice(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """Results of several parts."""
    parts = [builder.add("split", [x], {"parts": 2}) for _ in range(2)]
    return add(builder, "concat", parts[0][1], parts[1][0], parts[1][1]), 1


@pytest.mark.parametrize("seed", range(6))
def test_what_is_computed_twice_is_computed_once(seed: int) -> None:
    graph, expected = random_net(seed, [_twice, _alike, _pooled_twice])
    result = proven(common_subexpressions, graph)
    assert len(result.fired) == expected == len(graph.nodes) - len(result.graph.nodes)


IDLE = [
    ("identity", {}),
    ("resize", {"scale": 1, "mode": "bicubic"}),
    ("resize", {"scale": 1, "align_corners": True}),
    ("pad", {"amounts": 0}),
    ("scalar", {"operator": "*", "value": 1.0}),
    ("scalar", {"operator": "-", "value": 0.0}),
    ("max_pool", {"kernel": 1}),
    ("avg_pool", {"kernel": 1}),
    ("channel_shuffle", {"groups": 1}),
    ("split", {"parts": 1}),
    ("concat", {}),
    ("sum", {}),
]


def _idle(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    op, given = dice.choice(IDLE)
    return add(builder, op, x, **given), 1  # type: ignore[arg-type]


def _busy(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """One setting away from doing nothing."""
    op, given = dice.choice([("scalar", {"operator": "r-", "value": 0.0}), ("channel_shuffle", {"groups": 2})])
    return add(builder, op, x, **given), 0  # type: ignore[arg-type]


def _resized_back(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    """The size of an odd input is not what it was after half and double."""
    half = add(builder, "avg_pool", x, kernel=2, ceil=True)
    return add(builder, "resize", half, x), 0


def _split_and_back(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    return add(builder, "concat", *builder.add("split", [x], {"parts": 2})), 1


def _split_and_swapped(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    return add(builder, "concat", *builder.add("split", [x], {"parts": 2})[::-1]), 0


def _twice_relu(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    return add(builder, "relu", add(builder, dice.choice(["relu", "relu6", "sigmoid"]), x)), 1


def _sum_of_two(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    return add(builder, "sum", x, add(builder, "tanh", x)), 1


NO_OPS = [_idle, _idle, _busy, _resized_back, _split_and_back, _split_and_swapped, _twice_relu, _sum_of_two]


@pytest.mark.parametrize("seed", range(12))
def test_ops_that_do_nothing_go(seed: int) -> None:
    graph, expected = random_net(seed, NO_OPS)
    assert len(proven(no_ops, graph).fired) == expected


@pytest.mark.parametrize(("op", "given"), IDLE)
def test_each_op_that_does_nothing_goes(op: str, given: dict[str, object]) -> None:
    builder = GraphBuilder()
    x = builder.input("image", 4)
    y = add(builder, "relu", add(builder, op, x, **given))
    graph = builder.finish("Net", [Output("y", y)])
    assert [node.op for node in proven(no_ops, graph).graph.nodes] == ["input", "relu"]


@settings(max_examples=100, deadline=None)
@given(graphs())
def test_the_whole_pipeline_keeps_random_networks(graph: Graph) -> None:
    """Every setting, size and way of sharing: what compiling runs gives what the oracle gives."""
    if any(node.op == "scalar" and abs(float(node["value"])) > 1e200 for node in graph.nodes):  # type: ignore[arg-type]
        return
    reference = inference_only(graph, random_weights(graph))
    last, _ = run_passes(reference.graph, reference.weights, passes_for("logits"))
    size = allowed_size(graph)
    if any(not rule.allows(size[name]) for name, rule in graph.size_rules):
        return
    agree(reference.graph, reference.weights, last, size=(size["H"], size["W"]), batch=1, tolerance=1e-7)


def test_names_and_outputs_follow_what_stays() -> None:
    builder = GraphBuilder()
    x = builder.input("image", 3)
    y = add(builder, "identity", x)
    graph = builder.finish("Net", [Output("y", y)], {"y": y})
    result = proven(no_ops, graph)
    assert dict(result.graph.names) == {"y": x} and result.graph.outputs == (Output("y", x),)


def test_a_rule_that_goes_in_circles_is_stopped() -> None:
    builder = GraphBuilder()
    graph = builder.finish("Net", [Output("y", add(builder, "relu", builder.input("image", 3)))])
    circling = until_stable(lambda graph, weights, costs: PassResult(graph, dict(weights), ("relu",)))
    with pytest.raises(InternalError, match="comes to no end"):
        circling(graph, {}, Costs())
