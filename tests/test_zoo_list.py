"""What is told of the networks that ship: papers, counts beside the reference's, and how each was verified."""

from __future__ import annotations

import json
import time
import tomllib
from functools import cache
from pathlib import Path

import pytest
from golden import ROOT
from test_cli import archdsl as command
from test_golden import REGSEG
from test_golden_zoo import ZOO
from test_parity import RECORDS

import archdsl
from archdsl.checking import FACTS_SIZE
from archdsl.ir.graph import Graph
from archdsl.spec import Spec
from archdsl.zoo import VERIFIED, Entry, cited, facts, networks

# networks that are another that is tried, with other parameters
VARIANTS: dict[str, tuple[str, str, dict[str, object]]] = {
    "CGNet": ("zoo/cgnet", "CGNetCamVid", {"classes": 19}),
    "ESPNet": ("zoo/espnet", "ESPNetCamVid", {"classes": 19}),
    "RegSegCamVid": ("regseg", "RegSeg", {"classes": 11}),
}


@cache
def listed() -> list[tuple[Entry, Graph]]:
    return list(networks())


def test_every_network_is_described_and_nothing_else() -> None:
    text = (ROOT / "specs" / "zoo.toml").read_text(encoding="utf-8")
    specs = {path.stem: Spec.read(str(path)).networks for path in (ROOT / "specs").rglob("*.arch")}
    described = tomllib.loads(text)
    assert described.keys() == specs.keys()
    for stem, table in described.items():
        assert {key for key, value in table.items() if isinstance(value, dict)} <= set(specs[stem])
    assert [entry.network for entry, _ in listed()] == [
        name for path in sorted((ROOT / "specs").rglob("*.arch")) for name in specs[path.stem]
    ]


def test_every_spec_cites_its_paper() -> None:
    for entry, _ in listed():
        assert entry.verified in VERIFIED
        assert 2014 < entry.paper.year < 2027 and entry.paper.title and entry.paper.authors
        assert entry.reference or entry.verified in ("sizes", "none")


def test_a_spec_without_a_paper_is_refused() -> None:
    with pytest.raises(ValueError, match="cites no paper"):
        cited("arch 1\n\n# A network of our own.\n")


@pytest.mark.parametrize(("entry", "graph"), listed(), ids=lambda part: getattr(part, "network", ""))
def test_counts_are_the_references(entry: Entry, graph: Graph) -> None:
    """To the parameter and to the million multiply-adds, or with a reason."""
    found = facts(graph, FACTS_SIZE)
    if entry.reference_params is not None:
        assert (found.params == entry.reference_params) == (not entry.differs)
    if entry.reference_gmacs is not None:
        assert abs(found.macs / 1e9 - entry.reference_gmacs) < 1e-3


# references that were counted at a size of their own: GMACs, by network and size
COUNTED_AT = {
    ("DRND22", (224, 224)): 13.034,
    ("Dilation10", (1396, 1396)): 2647.411,
    ("Dilation10Padded", (1024, 1024)): 2647.411,
    ("ICNetAdaptive", (1025, 2049)): 29.812,  # the official file: only the pools differ, which multiply nothing
    ("SegNet", (720, 960)): 429.185,
    ("SegNetCaffe", (360, 480)): 106.712,
}


@pytest.mark.parametrize(("name", "size"), COUNTED_AT)
def test_counts_at_a_size_of_the_references_own(name: str, size: tuple[int, int]) -> None:
    (graph,) = (graph for entry, graph in listed() if entry.network == name)
    assert abs(facts(graph, {"H": size[0], "W": size[1]}).macs / 1e9 - COUNTED_AT[name, size]) < 1e-3


def test_outputs_are_claimed_where_they_are_tried() -> None:
    """A network is said to give its reference's numbers exactly when a test of this suite holds it to them."""
    first = {path.stem: Spec.read(str(path)).networks[0] for path in (ROOT / "specs").rglob("*.arch")}
    tried = {variant or first[spec] for spec, variant, *_ in ZOO.values()}
    tried |= {variant or first[spec.rpartition("/")[2]] for spec, variant, *_ in RECORDS.values()}
    tried |= {variant for variant, _ in REGSEG.values()} | {"DRNSeg"}
    assert {entry.network for entry, _ in listed() if entry.verified == "outputs"} == tried | VARIANTS.keys()


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_is_the_network_that_is_tried(name: str) -> None:
    spec, tried, settings = VARIANTS[name]
    graph = next(graph for entry, graph in listed() if entry.network == name)
    other = archdsl.load(str(ROOT / f"specs/{spec}.arch"), network=tried, **settings).ir
    assert [(n.op, n.inputs, n.settings, n.weights) for n in graph.nodes] == [
        (n.op, n.inputs, n.settings, n.weights) for n in other.nodes
    ]


def test_zoo_as_a_table(tmp_path: Path) -> None:
    """A line a network, what its words mean, and where counts disagree and why."""
    out = command("zoo", "stdc", "icnet", cwd=tmp_path).stdout
    rows = {line.split()[0]: line for line in out.splitlines() if line and line[0].isupper()}
    assert "8,275,104" in rows["STDC1Seg"] and "67.5" in rows["STDC1Seg"] and "2104.13188" in rows["STDC1Seg"]
    assert "2973x3997" in rows["ICNet"] and " outputs " in rows["ICNet"] and " counts " in rows["ICNetAdaptive"]
    assert "STDC1Seg, of the reference's 12,048,928 parameters without: the encoder's classifier" in out
    assert "ICNet: GMACs at 1025x2049" in out and "outputs: the reference's weights in" in out
    assert "layers:" not in out


def test_zoo_as_json_in_seconds(tmp_path: Path) -> None:
    """Every network, with the facts that `check` gives; no torch is loaded for it."""
    start = time.perf_counter()
    content = json.loads(command("zoo", "--format", "json", "--json", "zoo.json", cwd=tmp_path).stdout)
    assert time.perf_counter() - start < 20
    assert json.loads((tmp_path / "zoo.json").read_text(encoding="utf-8")) == content
    assert len(content["networks"]) == len(listed())
    (one,) = [row for row in content["networks"] if row["network"] == "LinkNet"]
    assert one["params"] == one["reference_params"] == 11_535_699
    assert (one["field_of_view"], one["context"], one["largest_gap"]) == ([499, 499], False, 0)
    assert one["paper"] == {
        "title": "LinkNet: exploiting encoder representations for efficient semantic segmentation",
        "authors": "Chaurasia & Culurciello",
        "year": 2017,
        "arxiv": "1707.03718",
    }


def test_zoo_at_another_size(tmp_path: Path) -> None:
    at = json.loads(command("zoo", "fast_scnn", "--input", "512x1024", "--format", "json", cwd=tmp_path).stdout)
    assert [row["size"] for row in at["networks"]] == ["512x1024"]
    assert at["networks"][0]["macs"] == pytest.approx(1.677e9, abs=1e6)


@pytest.mark.parametrize("wrong", [["nosuch"], ["--format", "sarif"]])
def test_zoo_of_nothing_is_wrong_usage(wrong: list[str], tmp_path: Path) -> None:
    command("zoo", *wrong, cwd=tmp_path, code=2)
