"""Every spec that ships, the zoo's included: checked, laid out, run, trained, compiled, written and read back."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

import pytest
import torch
from archdsl.runtime.compile import compile_graph
from archdsl.runtime.export.onnx import to_onnx
from torch import Tensor

import archdsl
from archdsl.checking import nearest_size
from archdsl.diagnostics import Source
from archdsl.elaborate.files import AliasDef, BlockDef
from archdsl.ir.graph import Graph
from archdsl.ir.text import from_text, to_text
from archdsl.lang.format import format_source
from archdsl.lower.module import ArchModule
from archdsl.lower.oracle import run
from archdsl.lower.verify import verify
from archdsl.lower.weights import initial_weights
from archdsl.network import Network
from archdsl.spec import Spec

ROOT = Path(__file__).parents[1] / "specs"
FILES = sorted(ROOT.rglob("*.arch"))
HEAVY = {
    *("Adelaide", "CRFRNN", "DeepLabV3Plus", "DeepLabV3PlusXception", "Dilation10", "FCN8s", "ICNet", "SegNet"),
    *("SegNetCaffe", "SQNet", "UNet"),
}
"""Networks that are run in the slow tests only, as are the variants of a file's first network."""
QUICK = {"ICNetAdaptive"}
"""Variants that are run in the quick ones."""


def networks() -> list[pytest.param]:  # type: ignore[valid-type]
    found = []
    for path in FILES:
        for position, name in enumerate(Spec.read(str(path)).networks):
            quick = name not in HEAVY and (position == 0 or name in QUICK)
            marks = [] if quick else [pytest.mark.slow]
            found.append(pytest.param(path, name, marks=marks, id=f"{path.stem}-{name}"))
    return found


def first_networks() -> list[pytest.param]:  # type: ignore[valid-type]
    """One network a file: its first, or one that stands for it at small sizes."""
    rows = {path: [p for p in networks() if p.values[0] == path] for path in FILES}
    return [next((p for p in found if p.values[1] in QUICK), found[0]) for found in rows.values()]


@pytest.fixture(autouse=True)
def one_heavy_network_at_a_time(request: pytest.FixtureRequest) -> None:
    if hasattr(request.node, "callspec") and request.node.callspec.params.get("name") in HEAVY:
        request.getfixturevalue("alone")


@cache
def net(path: Path, name: str) -> Network:
    return archdsl.load(str(path), network=name)


def small_sizes(graph: Graph) -> list[dict[str, int]]:
    """Two sizes that a network takes, close to 64 x 96 and 97 x 65."""
    wanted = ({"H": 64, "W": 96}, {"H": 97, "W": 65})
    return [nearest_size(graph, size) for size in wanted]


def images(graph: Graph, size: dict[str, int], batch: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(size["H"])
    return torch.randn(batch, graph.inputs[0].types[0].channels, size["H"], size["W"], generator=generator)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_text_is_canonical_and_documented(path: Path) -> None:
    """As `archdsl fmt` lays it out; every block and network has a `##` comment; a page, which is 150 lines at most."""
    text = path.read_text(encoding="utf-8")
    assert format_source(Source(str(path), text)) == text
    assert len(text.splitlines()) <= 150
    spec = Spec.read(str(path))
    assert spec.file is not None
    own = [d for d in spec.file.names.values() if isinstance(d, BlockDef | AliasDef) and d.file is spec.file]
    assert [d.tree.name.text for d in own if not d.tree.doc] == []


@pytest.mark.parametrize(("path", "name"), networks())
def test_network(path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No error; its graph's text reads back; it runs at two sizes, trains, and compiles to what the oracle gives."""
    graph = net(path, name).ir
    assert from_text(to_text(graph)) == graph
    weights = initial_weights(graph)
    compiles(graph, weights, monkeypatch)
    runs_and_trains(graph, weights)


@pytest.mark.slow
@pytest.mark.parametrize(("path", "name"), first_networks())
def test_onnx_gives_what_the_oracle_gives(path: Path, name: str) -> None:
    """Exported and run by ONNX Runtime at a small size, compared with the oracle in float64.

    Of the steps of a mean field, which share weights, one stands for all: exporting ten takes many minutes.
    """
    ort = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    steps = {"steps": 1} if name in ("Adelaide", "CRFRNN") else {}
    graph = archdsl.load(str(path), network=name, **steps).ir
    weights = initial_weights(graph)
    image = images(graph, small_sizes(graph)[0])
    session = ort.InferenceSession(to_onnx(graph, weights, [image], dynamic=False))
    expected = run(graph, {key: tensor.double() for key, tensor in weights.items()}, image.double())
    found = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    for output, values in zip(session.get_outputs(), found, strict=True):
        wanted = expected[output.name]
        assert values.shape == wanted.shape
        away = torch.from_numpy(values).double() - wanted
        assert away.square().mean() < 1e-8 * wanted.square().mean(), output.name


def compiles(graph: Graph, weights: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiled network gives what the oracle gives in float64, at a size that costs little."""
    monkeypatch.setattr("archdsl.runtime.compile.verify", partial(verify, max_macs=1))
    found = compile_graph(graph, weights, engine="eager").manifest.verification
    assert found is not None and found.error < 1e-4


def runs_and_trains(graph: Graph, weights: dict[str, Tensor]) -> None:
    """Forward at two sizes with the shapes that the graph states, backward to every trainable weight."""
    module = ArchModule(graph, weights)
    module.eval()
    names = [out.name for out in graph.outputs if not out.aux]
    for size in small_sizes(graph):
        with torch.no_grad():
            results = outputs_of(module, images(graph, size))
        for name, found in zip(names, results, strict=True):
            assert found.shape[1:] == graph.type_of(dict(graph.names)[name]).at(size).shape
            assert bool(found.isfinite().all())
    module.train()
    torch.stack(
        [y.square().mean() for y in outputs_of(module, images(graph, small_sizes(graph)[0], 2))]
    ).sum().backward()
    trained = {key: parameter for key, parameter in module.named_parameters() if parameter.requires_grad}
    assert [key for key, p in trained.items() if p.grad is None or not bool(p.grad.isfinite().all())] == []


def outputs_of(module: ArchModule, image: Tensor) -> list[Tensor]:
    results = module(image)
    return list(results.values()) if isinstance(results, dict) else [results]
