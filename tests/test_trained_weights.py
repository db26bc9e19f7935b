"""Weights that others trained, imported by the maps that ship, against what their authors' code scores with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden import SHARED, network
from torch import device

from archdsl.lower.import_weights import import_weights
from archdsl.lower.module import ArchModule
from archdsl.lower.name_map import NameMap
from archdsl.training.data import open_data
from archdsl.training.evaluate import evaluate
from archdsl.training.predict import Predictor

ROOT = Path(__file__).parents[1]
WEIGHTS, CAMVID = SHARED / "weights", SHARED / "camvid"

# spec -> network, file, mIoU of the authors' code on the same images
TRAINED = {
    "cgnet": ("CGNetCamVid", "cgnet_camvid.safetensors", 65.26),
    "espnet": ("ESPNetCamVid", "espnet_p2q8_camvid.safetensors", 57.25),
}


@pytest.mark.slow
@pytest.mark.skipif(not (WEIGHTS.is_dir() and CAMVID.is_dir()), reason=f"no weights or no CamVid under {SHARED}")
@pytest.mark.parametrize("spec", TRAINED)
def test_camvid(spec: str) -> None:
    """From image files to the authors' mIoU on the test split: weights, preprocessing and evaluation are theirs."""
    variant, file, miou = TRAINED[spec]
    graph = network(f"zoo/{spec}.arch", variant)
    name_map = NameMap.read(ROOT / "specs" / "maps" / f"{spec}.toml")
    state = import_weights(graph, WEIGHTS / file, name_map=name_map).state
    source = open_data(f"camvid:{CAMVID}")
    predictor = Predictor(ArchModule(graph, state).eval(), graph, device("cpu"))
    scores = evaluate(predictor, source.split("test"), source.classes)
    assert scores.images == 233 and 100 * scores.miou == pytest.approx(miou, abs=0.05)
