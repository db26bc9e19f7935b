"""The zoo against its references: weights drawn by rule under their names, imported by the maps that ship."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from golden import GOLDEN, check, checkpoint, golden, golden_input, name_map, needs_golden, network

from archdsl.ir.graph import Graph
from archdsl.lower.import_weights import ImportReport, import_weights
from archdsl.lower.oracle import run

pytestmark = needs_golden

# golden file -> spec under specs/zoo, network (None: its first), parameters, map (where it is not the spec's)
ZOO: dict[str, tuple[str, str | None, dict[str, Any], str | None]] = {
    "bisenetv2": ("bisenetv2", None, {}, None),
    "cgnet": ("cgnet", "CGNetCamVid", {}, None),
    "contextnet": ("contextnet", None, {}, None),
    "ddrnet23_slim": ("ddrnet", "DDRNet23Slim", {}, None),
    "deeplab_largefov": ("deeplab_largefov", None, {}, None),
    "enet": ("enet", None, {}, None),
    "enet2018": ("enet", "ENet2018", {}, "enet2018"),
    "erfnet": ("erfnet", None, {"classes": 20}, None),
    "espnet": ("espnet", "ESPNetCamVid", {}, None),
    "icnet_official": ("icnet", None, {}, None),
    "segnet": ("segnet", None, {}, None),
}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("zoo")


@cache
def imported(name: str, folder: Path) -> tuple[Graph, ImportReport]:
    spec, variant, parameters, map_ = ZOO[name]
    graph = network(f"zoo/{spec}.arch", variant, **parameters)
    return graph, import_weights(graph, checkpoint(name, folder), name_map=name_map(map_ or spec))


def sizes() -> list[tuple[str, str]]:
    if not GOLDEN.is_dir():
        return [("enet", "64x128")]
    return [(name, size) for name in ZOO for size in golden(name)["meta"]["outputs"]]


@pytest.mark.parametrize(("name", "size"), sizes())
def test_same_weights_same_numbers(name: str, size: str, folder: Path) -> None:
    """Every size of the golden file, the widest too, by the golden rule."""
    graph, report = imported(name, folder)
    check(name, size, "out", run(graph, report.state, golden_input(size))["logits"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_a_guess_finds_what_the_map_says(name: str, folder: Path) -> None:
    """As if no map shipped: every tensor of every reference goes where its map sends it, and none is in doubt."""
    graph, report = imported(name, folder)
    guess = import_weights(graph, checkpoint(name, folder), guess=True)
    assert dict(guess.matched) == dict(report.matched) and guess.complete
    assert guess.proposal is not None and guess.proposal.unsure == {}
