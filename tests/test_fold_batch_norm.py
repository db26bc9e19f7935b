"""Folding batch normalisation, and leaving out training: proofs in float64 against the oracle, with counts."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from pass_nets import KERNELS, noise, random_weights
from torch import Tensor

import archdsl.ir.ops  # noqa: F401
from archdsl.ir.builder import GraphBuilder
from archdsl.ir.graph import Graph, Output, Ref
from archdsl.ir.state import layout
from archdsl.lower.oracle import run
from archdsl.passes import PASSES, fold_batch_norm, inference_only, run_passes
from archdsl.spec import Spec, locate


def _random_convolution(builder: GraphBuilder, x: Ref, dice: random.Random) -> Ref:
    channels, bias = builder.type_of(x).channels, dice.random() < 0.5
    out, groups = dice.choice([4, 8, 12]), dice.choice([1, 2, 4])
    dilation, multiplier = dice.choice([1, 2]), dice.choice([1, 2]) if channels < 16 else 1
    settings: dict[str, dict[str, Any]] = {
        "conv": {"out": out, "kernel": dice.choice(KERNELS), "groups": groups, "dilation": dilation},
        "depthwise": {
            "kernel": dice.choice(KERNELS),
            "multiplier": multiplier,
            "dilation": dilation,
        },
        "conv_transpose": {"out": out, "kernel": 3, "padding": 1, "groups": groups},
        "deform_conv": {"out": out, "kernel": 1, "groups": groups},
    }
    op = dice.choice(sorted(settings))
    offsets = builder.add("conv", [x], {"out": 2}) if op == "deform_conv" else ()
    return builder.add(op, [x, *offsets], {"bias": bias, **settings[op]})[0]


def _random_net(seed: int) -> tuple[Graph, int]:
    """Convolutions, most of them normalised, with residual sums; and how many normalisations can be folded."""
    dice, builder, foldable = random.Random(seed), GraphBuilder(), 0
    x = builder.add("conv", [builder.input("x", 3)], {"out": 8, "kernel": 3})[0]
    for _ in range(6):
        y = _random_convolution(builder, x, dice)
        settings = {"affine": dice.random() < 0.7, "eps": dice.choice([1e-5, 1e-3])}
        kind = dice.choice(["fold", "fold", "read twice", "after relu", "bare"])
        if kind == "after relu":
            y = builder.add("relu", [y])[0]
        z = builder.add("bn", [y], settings)[0] if kind != "bare" else y
        foldable += kind == "fold"
        x = builder.add("add", [z, y])[0] if kind == "read twice" else builder.add("relu", [z])[0]
    return builder.finish("Net", [Output("y", x)]), foldable


@pytest.mark.parametrize("seed", range(12))
def test_folding_keeps_every_output_and_fires_wherever_it_can(seed: int) -> None:
    graph, foldable = _random_net(seed)
    weights, x = random_weights(graph), noise(1, 3, 9, 8)
    before = {key: tensor.clone() for key, tensor in weights.items()}
    result = fold_batch_norm(graph, weights)
    norms = sum(node.op == "bn" for node in graph.nodes)
    assert len(result.fired) == foldable
    assert len(result.declined) == norms - foldable == sum(node.op == "bn" for node in result.graph.nodes)
    assert set(result.weights) == set(layout(result.graph))
    expected = run(graph, weights, x)["y"]
    torch.testing.assert_close(run(result.graph, result.weights, x)["y"], expected, rtol=1e-9, atol=1e-9)
    assert all(torch.equal(weights[key], before[key]) for key in before)


def _declining(kind: str) -> Graph:
    builder = GraphBuilder()
    x = builder.input("x", 4)
    y = builder.add("conv", [x], {"out": 4, "kernel": 3}, name="c1", weights="w")[0]
    z = builder.add("bn", [y], name="n1")[0]
    outputs = [Output("z", z)]
    if kind == "read":
        outputs.append(Output("sum", builder.add("add", [y, z], name="a1")[0]))
    elif kind == "output":
        outputs.append(Output("y", y))
    elif kind == "shared":
        twin = builder.add("conv", [z], {"out": 4, "kernel": 3}, name="c2", weights="w")[0]
        outputs.append(Output("twin", builder.add("bn", [twin], name="n2")[0]))
    elif kind == "bare twin":
        outputs.append(Output("twin", builder.add("conv", [z], {"out": 4, "kernel": 3}, name="c2", weights="w")[0]))
    return builder.finish("Net", outputs)


@pytest.mark.parametrize(
    ("kind", "reasons"),
    [
        ("read", ["read by a1 too"]),
        ("output", ["is an output"]),
        ("shared", ["c1 shares its weights with c2", "c2 shares its weights with c1"]),
        ("bare twin", ["c1 shares its weights with c2"]),
    ],
)
def test_folding_declines_with_the_reason(kind: str, reasons: list[str]) -> None:
    graph = _declining(kind)
    weights = random_weights(graph)
    result = fold_batch_norm(graph, weights)
    assert result.fired == () and result.graph == graph
    for declined, reason in zip(result.declined, reasons, strict=True):
        assert reason in declined.reason
    assert result.declined[0].place == "n1"


def test_weights_shared_by_places_that_are_normalised_alike_are_folded_once() -> None:
    """One encoder at two resolutions (GUN, ICNet): its convolution keeps one weight, now with a bias."""
    builder = GraphBuilder()
    image = builder.input("image", 3)
    ends = []
    for place, x in (("a", image), ("b", builder.add("avg_pool", [image], {"kernel": 2})[0])):
        y = builder.add("conv", [x], {"out": 5, "kernel": 3}, name=f"{place}.conv1", weights="enc.conv1")[0]
        ends.append(builder.add("bn", [y], name=f"{place}.bn1", weights="enc.bn1")[0])
    graph = builder.finish("Net", [Output("a", ends[0]), Output("b", ends[1])], {"a": ends[0]})
    weights, x = random_weights(graph), noise(1, 3, 8, 10)
    result = fold_batch_norm(graph, weights)
    assert result.fired == ("a.bn1", "b.bn1") and sorted(result.weights) == ["enc.conv1.bias", "enc.conv1.weight"]
    expected, got = run(graph, weights, x), run(result.graph, result.weights, x, keep=["a"])
    for name in expected:
        torch.testing.assert_close(got[name], expected[name])


def test_a_name_of_the_value_before_the_normalisation_goes_with_it() -> None:
    builder = GraphBuilder()
    y = builder.add("conv", [builder.input("x", 4)], {"out": 4})[0]
    z = builder.add("bn", [y])[0]
    result = fold_batch_norm(*_with_weights(builder.finish("Net", [Output("z", z)], {"y": y, "z": z})))
    assert dict(result.graph.names) == {"z": y}


def _with_weights(graph: Graph) -> tuple[Graph, dict[str, Tensor]]:
    return graph, random_weights(graph)


def test_inference_leaves_out_what_is_for_training() -> None:
    builder = GraphBuilder()
    x = builder.input("x", 4)
    y = builder.add("dropout", builder.add("conv", [x], {"out": 4}, name="c1"), {"p": 0.5}, name="d1")[0]
    y = builder.add("dropout2d", [y], {"p": 0.5}, name="d2")[0]
    z = builder.add("relu", [y], name="r1")[0]
    head = builder.add("conv", [y], {"out": 2}, name="head")[0]
    graph, weights = _with_weights(builder.finish("Net", [Output("z", z), Output("aux", head, aux=True)], {"y": y}))
    result = inference_only(graph, weights)
    assert result.fired == ("d1", "d2", "head")
    assert [node.name for node in result.graph.nodes] == ["x", "c1", "r1"]
    assert list(result.weights) == ["c1.weight"] and dict(result.graph.names) == {"y": Ref("c1")}
    image = noise(1, 4, 5, 5)
    assert torch.equal(run(result.graph, result.weights, image)["z"], run(graph, weights, image)["z"])


def test_passes_run_one_after_the_other_and_say_what_each_did() -> None:
    graph, foldable = _random_net(0)
    last, each = run_passes(graph, random_weights(graph), [inference_only, fold_batch_norm])
    assert list(each) == ["inference_only", "fold_batch_norm"]
    assert last is each["fold_batch_norm"] and len(last.fired) == foldable
    assert all(rewrite.promises and rewrite.needs and rewrite.rewrites for rewrite in PASSES.values())


@pytest.mark.parametrize(("spec", "folded", "after_concat"), [("regseg", 46, 18), ("dwrseg", 15, 5), ("gun", 43, 0)])
def test_shipped_specs_fold_what_follows_a_convolution(spec: str, folded: int, after_concat: int) -> None:
    """In the shipped networks a normalisation follows a convolution, or the concatenation of parallel ones."""
    elaboration, _ = Spec.read(locate(f"specs/{spec}.arch").path).elaborate()
    assert elaboration is not None and elaboration.graph is not None
    graph = elaboration.graph
    _, each = run_passes(graph, random_weights(graph), [fold_batch_norm])
    result = each["fold_batch_norm"]
    assert (len(result.fired), len(result.declined)) == (folded, after_concat)
    assert all("which is concat and no convolution" in declined.reason for declined in result.declined)
    assert sum(node.op == "bn" for node in result.graph.nodes) == after_concat
