"""The zoo against its references: weights drawn by rule under their names, imported by the maps that ship."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from golden import GOLDEN, check, checkpoint, golden, golden_input, name_map, needs_golden, network
from guesses import misplaced

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


# of files without an order: how many layers a guess has wrong, and how many it names as doubtful
IN_DOUBT = {
    "cgnet": (0, 56),
    "contextnet": (4, 8),
    "ddrnet23_slim": (0, 4),
    "enet": (4, 51),
    "espnet": (2, 8),
    "icnet_official": (4, 111),
    "segnet": (0, 21),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_a_guess_without_an_order_says_what_it_doubts(name: str) -> None:
    """As a .safetensors file has it: what goes elsewhere is among what the guess says it is unsure of."""
    spec, variant, parameters, map_ = ZOO[name]
    graph = network(f"zoo/{spec}.arch", variant, **parameters)
    wrong, unsure = misplaced(graph, golden(name)["meta"]["state"], name_map(map_ or spec), ordered=False)
    assert wrong <= unsure and (len(wrong), len(unsure)) == IN_DOUBT.get(name, (0, 0))
