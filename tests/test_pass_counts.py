"""How often each rewrite fires on the networks that ship: one that stops firing fails here, and is not merely slow."""

from __future__ import annotations

import pytest
from pass_nets import plain_weights
from random_graphs import shipped, shipped_networks

from archdsl.ir.graph import Graph
from archdsl.passes import Costs, PassResult, labels, passes_for, run_passes

DRN = {"fold_batch_norm": 25, "epilogues": 29}
GUN = {"fold_batch_norm": 43, "epilogues": 49}
REGSEG = {
    "no_ops": 12, "fold_batch_norm": 76, "through_concat": 24, "gates": 18, "epilogues": 127, "placed_concat": 13,
}  # fmt: skip

FIRED: dict[str, dict[str, int]] = {
    "DRNSeg": DRN,
    "DRND22": DRN,
    "DWRSeg": {"fold_batch_norm": 15, "fold_into_next": 5, "epilogues": 25, "placed_concat": 7},
    "DWRSegLarge": {"fold_batch_norm": 21, "fold_into_next": 10, "epilogues": 37, "placed_concat": 12},
    "DWRSegR1": {
        "no_ops": 2, "fold_batch_norm": 17, "fold_into_next": 6, "merge_resizes": 2, "epilogues": 29,
        "placed_concat": 7,
    },
    "DWRSegR1Large": {
        "no_ops": 2, "fold_batch_norm": 23, "fold_into_next": 11, "merge_resizes": 2, "epilogues": 41,
        "placed_concat": 12,
    },
    "GUN": GUN,
    "GUNUntied": GUN,
    "GUNLargeRF": {"fold_batch_norm": 41, "epilogues": 47},
    "GUNHighRes": {"fold_batch_norm": 38, "epilogues": 44},
    "GUNBilinear": {"fold_batch_norm": 38, "epilogues": 44},
    "RegSeg": REGSEG,
    "RegSegCamVid": REGSEG,
    "RegSegSearched": {
        "no_ops": 10, "fold_batch_norm": 77, "through_concat": 26, "gates": 18, "epilogues": 128, "placed_concat": 14,
    },
    "RegSegLarge": {
        "no_ops": 20, "fold_batch_norm": 88, "through_concat": 24, "gates": 22, "epilogues": 151, "placed_concat": 13,
    },
    "RegSegAblation": {
        "no_ops": 12, "fold_batch_norm": 74, "through_concat": 24, "gates": 18, "epilogues": 125, "placed_concat": 12,
    },
}  # fmt: skip

CLASSES = {
    "DRNSeg": {"labels": 2, "monotone_argmax": 1},
    "DRND22": {"labels": 1},
}
"""Besides, where labels are asked for. Others have one output, whose upsampling is fused with the argmax."""


def _fired(each: dict[str, PassResult]) -> dict[str, int]:
    return {name: len(result.fired) for name, result in each.items() if result.fired and name != "inference_only"}


def _run(graph: Graph, output: str = "logits") -> tuple[PassResult, dict[str, PassResult]]:
    return run_passes(graph, plain_weights(graph), passes_for(output))


@pytest.mark.parametrize(("spec", "network"), shipped_networks())
def test_rewrites_fire_on_shipped_networks_as_often_as_they_should(spec: str, network: str) -> None:
    graph = shipped(spec, network)
    last, each = _run(graph)
    assert _fired(each) == FIRED[network]
    assert "bn" not in {node.op for node in last.graph.nodes}
    _, each = _run(graph, "labels")
    classes = CLASSES.get(network, {"labels": 1, "argmax_of_upsample": 1})
    assert _fired(each) == FIRED[network] | classes


USUAL = ("inference_only", "labels", "no_ops", "fold_batch_norm", "epilogues", "placed_concat", "argmax_of_upsample")

ZOO: dict[tuple[str, str], dict[str, int]] = {
    ("bisenetv2.arch", "BiSeNetV2"): {"below_upsample": 1, "fold_into_next": 1},
    ("cgnet.arch", "CGNet"): {"through_concat": 48},
    ("ddrnet.arch", "DDRNet23"): {"common_subexpressions": 1, "join_pointwise": 1},
    ("deeplabv3plus.arch", "DeepLabV3Plus"): {"pooled_bias": 1, "join_pointwise": 2},
    ("deeplabv3plus.arch", "DeepLabV3PlusMobileNetV2"): {"pad_into_conv": 17, "pooled_bias": 1},
    ("erfnet.arch", "ERFNet"): {"through_concat": 6},
    ("espnetv2.arch", "ESPNetV2"): {"below_upsample": 4, "split_pointwise": 1},
    ("fast_scnn.arch", "FastSCNN"): {},
    ("fc_hardnet.arch", "FCHarDNet70"): {"below_upsample": 4, "split_pointwise": 4},
    ("fcn8s.arch", "FCN8s"): {"after_shrinking": 2},
    ("icnet.arch", "ICNet"): {"below_upsample": 1, "join_pointwise": 3},
    ("linknet.arch", "LinkNet"): {"monotone_argmax": 1},
    ("mobilenetv3.arch", "MobileNetV3LRASPP"): {"below_upsample": 1, "gates": 9},
    ("pidnet.arch", "PIDNetS"): {"through_concat": 2, "join_pointwise": 2},
    ("sfnet.arch", "SFNetRN18"): {"below_upsample": 3, "pooled_bias": 1, "split_pointwise": 1},
    ("sqnet.arch", "SQNet"): {"through_concat": 7},
}
"""What fires in networks of the zoo besides."""


@pytest.mark.parametrize(("spec", "network"), ZOO)
def test_rewrites_fire_in_the_zoo(spec: str, network: str) -> None:
    _, each = _run(shipped(f"zoo/{spec}", network), "labels")
    assert {name: count for name, count in _fired(each).items() if name not in USUAL} == ZOO[spec, network]


RESTRUCTURED = [
    ("regseg.arch", "RegSeg"), ("dwrseg.arch", "DWRSegR1"), ("zoo/fc_hardnet.arch", "FCHarDNet70"),
    ("zoo/espnetv2.arch", "ESPNetV2"), ("zoo/sfnet.arch", "SFNetRN18"), ("zoo/icnet.arch", "ICNet"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "network"), RESTRUCTURED)
def test_no_rewrite_makes_a_network_cost_more(spec: str, network: str) -> None:
    """By the model that judges them, though not all ask it; but for asking for labels, which is no rewrite."""
    graph, costs = shipped(spec, network), Costs()
    last = labels(graph, plain_weights(graph))
    for rewrite in passes_for("logits"):
        before = costs.seconds(last.graph, last.graph.nodes)
        last = rewrite(last.graph, last.weights, costs)
        assert costs.seconds(last.graph, last.graph.nodes) <= before * (1 + 1e-6), rewrite.name


DECODERS: dict[str, dict[str, int]] = {
    "lraspp": {"below_upsample": 1},
    "SFNetDecoder": {
        "constants": 6, "below_upsample": 3, "fold_scalar": 1, "pooled_bias": 1, "split_pointwise": 1,
    },
    "BisenetDecoder": {},
    "FaPNDecoder": {},
}  # fmt: skip
"""What fires in the decoders of RegSeg's ablation beside the passes that fire in every body."""


@pytest.mark.parametrize("decoder", DECODERS)
def test_rewrites_fire_in_the_decoders_of_the_ablation(decoder: str) -> None:
    _, each = _run(shipped("regseg.arch", "RegSegAblation", decoder=decoder))
    everywhere = FIRED["RegSegAblation"]
    assert {name: count for name, count in _fired(each).items() if name not in everywhere} == DECODERS[decoder]


@pytest.mark.parametrize("network", ["RegSeg", "DWRSeg", "GUN"])
def test_nothing_elementwise_is_left_of_the_three_networks(network: str) -> None:
    """All that runs is convolutions, with their epilogues, and what moves or pools maps."""
    last, _ = _run(shipped(f"{network.lower()}.arch", network))
    assert {node.op for node in last.graph.nodes} <= {
        "input", "fused_conv", "conv", "depthwise", "split", "placed_concat", "resize", "guided_upsample", "avg_pool",
        "max_pool", "global_pool",
    }  # fmt: skip


def test_the_passes_say_why_not() -> None:
    """Each reason names what stands in the way."""
    _, each = _run(shipped("regseg.arch", "RegSeg"))
    (first, second) = each["parallel_convs"].declined
    assert first.place == "s8.0.conv1" and first.reason.startswith("as one with logits.decoder.head4.conv1 it would")
    assert second.place == "s16.0.conv1"
    assert [declined.place for declined in each["join_pointwise"].declined] == [
        "s4.0.add1", "s8.0.add1", "s16.0.add1", "s16.13.add1",
    ]  # fmt: skip
