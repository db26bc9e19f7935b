"""The zoo against references of which no golden file is at hand: what `record_parity.py` and
`record_prototxt.py` kept of their outputs.

Weights are drawn by rule under the reference's names (`drawn.py`) and come in by the map that ships.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import drawn
import numpy as np
import pytest
import torch
from golden import ROOT, name_map, network
from guesses import misplaced

from archdsl.ir.graph import Graph
from archdsl.lower.import_weights import ImportReport, import_weights
from archdsl.lower.oracle import run
from archdsl.spec import Spec
from archdsl.zoo import networks

# record -> spec, network (None: its first), parameters, map
RECORDS: dict[str, tuple[str, str | None, dict[str, Any], str]] = {
    "bisenetv1": ("zoo/bisenetv1", None, {}, "bisenetv1"),
    "crf_rnn": ("zoo/crf_rnn", None, {}, "crf_rnn"),
    "ddrnet23": ("zoo/ddrnet", "DDRNet23", {}, "ddrnet"),
    "deeplabv3plus_mobilenet": ("zoo/deeplabv3plus", "DeepLabV3PlusMobileNetV2", {}, "deeplabv3plus"),
    "deeplabv3plus_resnet": ("zoo/deeplabv3plus", None, {}, "deeplabv3plus"),
    "deeplabv3plus_xception": ("zoo/deeplabv3plus_xception", None, {}, "deeplabv3plus"),
    "dilation10": ("zoo/dilation10", None, {}, "dilation10"),
    "drn_d_22": ("drn", "DRND22", {}, "drn"),
    "espnet_cityscapes": ("zoo/espnet", "ESPNetCityscapes", {}, "espnet"),
    "espnetv2": ("zoo/espnetv2", None, {}, "espnetv2"),
    "fast_scnn": ("zoo/fast_scnn", None, {}, "fast_scnn"),
    "fc_hardnet": ("zoo/fc_hardnet", None, {}, "fc_hardnet"),
    "fcn8s": ("zoo/fcn8s", None, {}, "fcn8s"),
    "linknet": ("zoo/linknet", None, {}, "linknet"),
    "mobilenetv3": ("zoo/mobilenetv3", None, {}, "mobilenetv3"),
    "pidnet_m": ("zoo/pidnet", "PIDNetM", {}, "pidnet"),
    "pidnet_s": ("zoo/pidnet", "PIDNetS", {}, "pidnet"),
    "regnety": ("zoo/regnety", None, {}, "regseg"),
    "segnet_caffe": ("zoo/segnet", "SegNetCaffe", {}, "segnet_caffe"),
    "sfnet": ("zoo/sfnet", None, {}, "sfnet"),
    "sqnet": ("zoo/sqnet", None, {}, "sqnet"),
    "stdc1": ("zoo/stdc", "STDC1Seg", {}, "stdc"),
    "stdc2": ("zoo/stdc", "STDC2Seg", {}, "stdc"),
    "swiftnet": ("zoo/swiftnet", None, {}, "swiftnet"),
    "unet": ("zoo/unet", None, {}, "unet"),
}
HEAVY = {
    "crf_rnn",
    "deeplabv3plus_resnet",
    "deeplabv3plus_xception",
    "dilation10",
    "fcn8s",
    "pidnet_m",
    "segnet_caffe",
    "unet",
}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parity")


# one at a time: together they would hold gigabytes
@lru_cache(maxsize=1)
def imported(name: str, folder: Path) -> tuple[Graph, ImportReport]:
    meta, _ = drawn.recorded(name)
    path = folder / f"{name}.pth"
    torch.save({"state_dict": drawn.state(meta["state"], meta["gain"])}, path)
    spec, variant, parameters, map_ = RECORDS[name]
    graph = network(f"{spec}.arch", variant, **parameters)
    report = import_weights(graph, path, name_map=name_map(map_))
    path.unlink()
    return graph, report


def cases() -> list[Any]:
    """Every size of every record; what takes seconds is slow."""
    found = []
    for name in RECORDS:
        for size in drawn.recorded(name)[0]["outputs"]:
            marks = [pytest.mark.slow] if name in HEAVY or int(size.split("x")[0]) > 128 else []
            found.append(pytest.param(name, size, marks=marks, id=f"{name}-{size}"))
    return found


def test_every_record_is_tried_at_the_commit_that_the_spec_names() -> None:
    assert {path.stem for path in drawn.FOLDER.glob("*.npz")} == set(RECORDS)
    references = {(entry.path, entry.network): entry.reference for entry, _ in networks()}
    for name, (spec, variant, *_) in RECORDS.items():
        path = f"specs/{spec}.arch"
        code = references[path, variant or Spec.read(str(ROOT / path)).networks[0]]
        assert code.endswith(f" at {drawn.recorded(name)[0]['commit']}"), name


@pytest.mark.parametrize(("name", "size"), cases())
def test_same_weights_same_numbers(name: str, size: str, folder: Path) -> None:
    """By the golden rule: max(1e-4, 20 x the reference's own float32 noise) of the output's rms."""
    meta, samples = drawn.recorded(name)
    graph, report = imported(name, folder)
    height, width = map(int, size.split("x"))
    image = torch.from_numpy(drawn.image(height, width, meta.get("spread", 1.0)))
    result = next(iter(run(graph, report.state, image).values()))
    known = meta["outputs"][size]
    assert result.numel() == np.prod(known["shape"])
    found = result.flatten()[torch.from_numpy(drawn.places(result.numel()))].double().numpy()
    assert np.abs(found - samples[size]).max() / known["rms"] <= max(1e-4, 20 * known["noise"])


def guessed(name: str, *, ordered: bool) -> tuple[set[str], set[str]]:
    spec, variant, parameters, map_ = RECORDS[name]
    graph = network(f"{spec}.arch", variant, **parameters)
    return misplaced(graph, drawn.recorded(name)[0]["state"], name_map(map_), ordered=ordered)


# guesses that name other layers that could be meant, right as they are
UNSURE = {"deeplabv3plus_xception": 2, "sfnet": 10}


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDS)
def test_a_guess_finds_what_the_map_says(name: str) -> None:
    """Every layer goes where its map sends it, and hardly one is in doubt."""
    wrong, unsure = guessed(name, ordered=True)
    assert (wrong, len(unsure)) == (set(), UNSURE.get(name, 0))


# of files without an order: how many layers a guess has wrong, and how many it names as doubtful
IN_DOUBT = {
    "bisenetv1": (4, 16),
    "ddrnet23": (0, 4),
    "deeplabv3plus_mobilenet": (0, 3),
    "deeplabv3plus_resnet": (0, 3),
    "deeplabv3plus_xception": (2, 13),
    "dilation10": (0, 9),
    "espnet_cityscapes": (2, 8),
    "espnetv2": (0, 50),
    "fast_scnn": (0, 7),
    "fcn8s": (0, 2),
    "pidnet_m": (0, 25),
    "pidnet_s": (0, 25),
    "segnet_caffe": (0, 35),
    "sfnet": (0, 16),
    "stdc1": (0, 14),
    "stdc2": (0, 14),
    "swiftnet": (0, 2),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDS)
def test_a_guess_without_an_order_says_what_it_doubts(name: str) -> None:
    """As a .safetensors file has it: what goes elsewhere is among what the guess says it is unsure of."""
    wrong, unsure = guessed(name, ordered=False)
    assert wrong <= unsure and (len(wrong), len(unsure)) == IN_DOUBT.get(name, (0, 0))
