"""Against the official code of RegSeg and DRN: weights drawn by rule under its names, and what it makes of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from golden import GOLDEN, check, checkpoint, golden, golden_input, golden_lib, name_map, needs_golden, network
from torch import Tensor

import archdsl.lower.weights
from archdsl.ir.graph import Graph
from archdsl.lower.import_weights import ImportReport, import_weights
from archdsl.lower.oracle import run

pytestmark = needs_golden

REGSEG: dict[str, tuple[str, dict[str, str]]] = {
    "regseg_exp48_decoder26": ("RegSeg", {}),
    "regseg_exp53_decoder29": ("RegSegLarge", {}),
    "regseg_exp48_decoder14": ("RegSegAblation", {"body": "exp48", "decoder": "decoder14"}),
    "regseg_exp30_decoder14": ("RegSegAblation", {"body": "exp30", "decoder": "decoder14"}),
    "regseg_exp50_decoder14": ("RegSegAblation", {"body": "exp50", "decoder": "decoder14"}),
    "regseg_exp48_BisenetDecoder": ("RegSegAblation", {"body": "exp48", "decoder": "BisenetDecoder"}),
}
WIDE = "353x449"
"""The size that can see a wrong rate: at 64x128 the outer taps at 1/16 all fall into the padding."""
SIZES = ("64x128", "97x161", WIDE)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("golden")


@cache
def regseg(name: str, folder: Path) -> tuple[Graph, ImportReport]:
    variant, parameters = REGSEG[name]
    graph = network("regseg.arch", variant, **parameters)
    return graph, import_weights(graph, checkpoint(name, folder), name_map=name_map("regseg"))


def test_every_regseg_file_is_tried() -> None:
    """No golden file of the official RegSeg code is left out, and none has a size that is not run."""
    assert {path.stem for path in (GOLDEN / "data").glob("regseg_*.npz")} == set(REGSEG)
    sizes = {tuple(golden(name)["meta"]["outputs"]) for name in REGSEG}
    assert sizes == {SIZES}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", REGSEG)
def test_regseg(name: str, size: str, folder: Path) -> None:
    """RegSeg, its larger version and the ablations give what RolandGao/RegSeg at 0f61c66 gives."""
    graph, report = regseg(name, folder)
    check(name, size, "out", run(graph, report.state, golden_input(size))["logits"])


def test_the_wide_input_sees_a_wrong_rate(folder: Path) -> None:
    """One rate of 13 instead of 14 moves the output at 353x449 by far more than the golden rule allows."""
    name = "regseg_exp48_decoder26"
    rates = [[1], [1, 2], *4 * [[1, 4]], *6 * [[1, 14]], [1, 13]]
    wrong = run(network("regseg.arch", rates=rates), regseg(name, folder)[1].state, golden_input(WIDE))["logits"]
    assert golden_lib().compare(golden(name), WIDE, "out", wrong.numpy())["rel"] > 1e-2


@cache
def drn(folder: Path) -> tuple[Graph, ImportReport]:
    graph = network("drn.arch")
    return graph, import_weights(graph, checkpoint("drn_d_22", folder), name_map=name_map("drn"))


@pytest.mark.parametrize("size", ["64x128", "97x161"])
def test_drn(size: str, folder: Path) -> None:
    """DRNSeg gives both outputs of fyu/drn at d75db2e: the scores at 1/8 and the upsampled log-probabilities."""
    graph, report = drn(folder)
    results = run(graph, report.state, golden_input(size))
    check("drn_d_22", size, "out", results["logits"])
    check("drn_d_22", size, "logsoftmax", results["log_probabilities"])


def check_trace(graph: Graph, state: dict[str, Tensor], image: Tensor, value: str, last: str) -> int:
    """Compares mean and rms after every convolution, normalisation and ReLU before `value`; gives their number."""
    rows = golden("drn_d_22")["meta"]["trace"]
    rows = rows[: 1 + max(i for i, row in enumerate(rows) if row[0].startswith(last))]
    before = graph.reaching(dict(graph.names)[value])
    nodes = [node.name for node in graph.nodes if node.name in before and node.op in ("conv", "bn", "relu")]
    results = run(graph, state, image, keep=nodes)
    assert len(nodes) == len(rows)
    for node, (layer, kind, shape, mean, rms) in zip(nodes, rows, strict=True):
        found = results[node].double()
        assert list(found.shape) == shape, (node, layer, kind)
        assert abs(float(found.mean()) - mean) < 1e-4 * rms, (node, layer)
        assert abs(float(found.square().mean().sqrt()) - rms) < 1e-4 * rms, (node, layer)
    return len(nodes)


def test_drn_layer_by_layer(folder: Path) -> None:
    """Every leaf of the official network up to the classifier has its counterpart, with the same statistics."""
    graph, report = drn(folder)
    assert check_trace(graph, report.state, golden_input("97x161"), "l8", "base.8") == 71


def test_gun_encoder_layer_by_layer(folder: Path) -> None:
    """GUN's low branch is DRN-D-22 up to layer 6. The image is doubled, so that the branch's halving gives it back."""
    graph = network("gun.arch")
    path = checkpoint("drn_d_22", folder)
    report = import_weights(graph, path, name_map=name_map("gun"), partial=True)
    assert not report.unexpected and not report.shape_mismatches
    assert {name.split(".")[0] for name in report.missing} == {"deep", "scores", "table"}
    state = archdsl.lower.weights.initial_weights(graph) | report.state
    doubled = golden_input("97x161").repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert check_trace(graph, state, doubled, "low", "base.6") == 65


def test_gun_medium_branch(folder: Path) -> None:
    """GUN's medium branch is DRN-D-22 up to layer 4 at the image's own size."""
    graph = network("gun.arch")
    report = import_weights(graph, checkpoint("drn_d_22", folder), name_map=name_map("gun"), partial=True)
    state = archdsl.lower.weights.initial_weights(graph) | report.state
    assert check_trace(graph, state, golden_input("97x161"), "medium", "base.4") == 37


@pytest.mark.slow
@pytest.mark.parametrize("name", [*REGSEG, "drn_d_22"])
def test_a_guess_finds_what_the_map_says(name: str, folder: Path) -> None:
    """Squeeze-and-excite, which the official code defines after the projection that follows it, included."""
    graph, report = regseg(name, folder) if name in REGSEG else drn(folder)
    assert dict(import_weights(graph, checkpoint(name, folder), guess=True).matched) == dict(report.matched)
