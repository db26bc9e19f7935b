"""Compiling, verifying, saving and loading: the artifact is whole or refused, and computes what was compiled."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from archdsl.runtime import ENGINES, CompiledModel, Program, Unavailable, load, register
from archdsl.runtime.artifact import FILES, MANIFEST
from torch import Tensor

import archdsl.ir.ops  # noqa: F401
from archdsl.diagnostics import ArchError, InternalError, Source, Span
from archdsl.ir.builder import GraphBuilder
from archdsl.ir.dims import symbol
from archdsl.ir.graph import Graph, Origin, Output, Preprocessing
from archdsl.ir.serial import from_json, to_json
from archdsl.lower.compile import Description, compile, compile_graph
from archdsl.lower.module import build_module
from archdsl.lower.oracle import run
from archdsl.lower.verify import verification_size, verify
from archdsl.lower.weights import initial_weights

H, W = symbol("H"), symbol("W")
SOURCE = Source("net.arch", "arch 1\nnetwork Net {\n  in image\n}\n")


def net(dilation: int = 6, classes: int = 5) -> Graph:
    """A network with a dilated convolution, batch normalisation, dropout, sizes by rule and an auxiliary head."""
    builder = GraphBuilder()
    image = builder.input("image", 3)
    origin = Origin(Span(SOURCE, 27, 35))
    y = builder.add("conv", [image], {"out": 8, "kernel": 3, "stride": 4}, name="s4.conv1", origin=origin)
    y = builder.add("bn", y, name="s4.bn1")
    y = builder.add("relu", y, name="s4.relu1")
    head = builder.add("conv", y, {"out": classes}, name="early.conv1")[0]
    y = builder.add("depthwise", y, {"dilation": dilation}, name="deep.depthwise1")
    y = builder.add("dropout", y, {"p": 0.5}, name="deep.dropout1")
    y = builder.add("resize", y, {"size": ((H - 1) // 4 + 1, W // 2)}, name="deep.resize1")
    y = builder.add("resize", y, {"scale": (1.5, 1 / 3)}, name="deep.resize2")
    y = builder.add("conv", y, {"out": classes, "bias": True}, name="logits.conv1")
    y = builder.add("resize", [y[0], image], name="logits.resize1")
    outputs = [Output("logits", y[0]), Output("early", head, aux=True)]
    return builder.finish("Net", outputs, {"logits": y[0]}, {"image": Preprocessing("bgr", std=(1.0, 2.0, 3.0))})


def image(height: int = 40, width: int = 52, seed: int = 0) -> Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(seed))


def compiled(**options: object) -> CompiledModel:
    return compile(build_module(net()), **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    description = Description("arch 1\n", {"classes": 5, "rates": [[1], [1, 2]]}, tuple("abcde"), ((1, 2, 3),) * 5)
    graph = net()
    model = compile_graph(graph, initial_weights(graph), sizes=[(40, 52)], description=description)
    return model.save(tmp_path_factory.mktemp("build") / "net", "<p>report</p>")


# ----------------------------------------------------------------------- graph


def test_a_graph_goes_through_json_unchanged() -> None:
    """Sizes by symbol, exact fractions, tuples, preprocessing and size rules included; of origins the place remains."""
    graph = net()
    back = from_json(json.loads(json.dumps(to_json(graph))))
    assert back == graph
    assert back.by_name["deep.resize2"]["scale"] == (Fraction(3, 2), Fraction(1, 3))
    origin = back.by_name["s4.conv1"].origin
    assert origin is not None
    assert (origin.span.path, origin.span.line, origin.span.column) == ("net.arch", 3, 7)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("version",), 2, "version 2"),
        (("nodes", 1, "op"), "evil", "no op evil"),
        (("nodes", 1, "inputs"), [["later", 0]], "later"),
        (("nodes", 1, "inputs"), [], "reads 0 values"),
        (("nodes", 1, "types"), [["map", 9, 1, 1]], "what its types say"),
        (("nodes", 1, "settings"), {}, "settings of conv"),
        (("nodes", -1, "name"), "image", "one name"),
        (("nodes", 1, "weights"), "", "path"),
        (("nodes", 1, "origin"), ["a", 10**12, 1], "no place"),
        (("nodes", 0, "types", 0, 1), "3", "whole number"),
        (("outputs", 0, "value"), ["nothing", 0], "no value nothing"),
        (("nodes",), None, "not a graph"),
    ],
)
def test_data_that_are_no_graph_are_refused_in_words(path: tuple[str | int, ...], value: object, words: str) -> None:
    data = to_json(net())
    place = data
    for step in path[:-1]:
        place = place[step]  # type: ignore[index]
    place[path[-1]] = value  # type: ignore[index]
    with pytest.raises(ValueError, match=words):
        from_json(json.loads(json.dumps(data)))


# --------------------------------------------------------------------- compile


def test_compiling_folds_verifies_and_keeps_the_outputs() -> None:
    module = build_module(net(), 3)
    module.train()(image())  # moves the running statistics away from their start
    model = compile(module, sizes=[(40, 52)])
    module.eval()
    torch.testing.assert_close(model(image()), module(image()))
    assert [record.fired for record in model.manifest.passes] == [["early.conv1", "deep.dropout1"], ["s4.bn1"]]
    result = model.manifest.verification
    assert result is not None and result.passed and result.every_tap and 0 < result.error < 1e-5
    assert model.manifest.engines[0].engine == "eager"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_reduced_precision_is_verified_against_its_own_error(dtype: str) -> None:
    model = compiled(dtype=dtype)
    result = model.manifest.verification
    assert result is not None and 1e-5 < result.error <= result.limit
    assert str(model(image()).dtype) == f"torch.{dtype}"  # type: ignore[union-attr]


def test_labels_are_the_classes_of_the_largest_logits() -> None:
    labels, logits = compiled(output="labels")(image()), compiled()(image())
    assert isinstance(labels, Tensor) and isinstance(logits, Tensor)
    assert labels.dtype == torch.uint8 and labels.shape == (2, 40, 52)
    assert torch.equal(labels.long(), logits.argmax(1))
    many = compile(build_module(net(classes=300)), output="labels")(image())
    assert isinstance(many, Tensor) and many.dtype == torch.int16


def test_a_wrong_dilation_is_caught_and_a_small_input_would_not_see_it() -> None:
    """Outer taps of a rate as large as the map read padding only; the size that is chosen lets all of them count."""
    graph, wrong = net(dilation=20), net(dilation=19)
    weights = initial_weights(graph)
    at = verification_size(graph)
    assert at.every_tap and at.values == {"H": 161, "W": 193}
    small = {"image": image(64, 76)[:1].double()}
    exact = {key: tensor.double() for key, tensor in weights.items()}
    assert torch.equal(run(graph, exact, small)["logits"], run(wrong, exact, small)["logits"])
    with pytest.raises(InternalError, match="differs from the oracle"):
        verify(graph, weights, lambda inputs: run(wrong, weights, inputs), torch.float32)


def test_the_cost_of_a_verification_is_capped() -> None:
    graph = net(dilation=20)
    somewhere = verification_size(graph, 5e5)
    assert somewhere.every_tap and somewhere.values == {"H": 81, "W": 113}
    blind = verification_size(graph, 1.5e5)
    assert not blind.every_tap and blind.values["H"] < 81


def test_a_network_that_overflows_is_told_from_a_wrong_result() -> None:
    graph = net()
    weights = {key: 1e4 * tensor for key, tensor in initial_weights(graph).items()}
    with pytest.raises(ArchError) as caught:
        compile_graph(graph, weights, dtype="float16")
    assert caught.value.diagnostics[0].code == "E0808"
    assert "float16" in caught.value.diagnostics[0].message


def test_a_size_that_was_not_declared_runs_and_says_so_once() -> None:
    model = compiled(sizes=[(40, 52)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(image())
    with pytest.warns(UserWarning, match="compiled for 40x52; 48x60 runs"):
        model(image(48, 60))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(image(48, 60))


def test_what_cannot_be_compiled_is_refused_in_words() -> None:
    graph = net()
    weights = initial_weights(graph)
    with pytest.raises(ValueError, match=r"missing, deep\.depthwise1\.weight first"):
        compile_graph(graph, {k: t for k, t in weights.items() if not k.startswith("deep")})
    with pytest.raises(ValueError, match="dtype is one of"):
        compile_graph(graph, weights, dtype="int8")
    with pytest.raises(ValueError, match="there is no engine warp"):
        compile_graph(graph, weights, engine="warp")
    with pytest.raises(ValueError, match="W must be"):
        compile_graph(graph, weights, sizes=[(40, 2)])
    if not torch.cuda.is_available():
        with pytest.raises(Unavailable, match="no CUDA device"):
            compile_graph(graph, weights, device="cuda")


def test_an_engine_of_ones_own_is_one_class_and_one_registration() -> None:
    class Absent:
        name, own = "absent", False

        def available(self, program: Program) -> str | None:
            return "it is never installed"

        def prepare(self, program: Program) -> object:
            raise AssertionError

    register(Absent())  # type: ignore[arg-type]
    try:
        with pytest.raises(Unavailable, match="absent cannot run: it is never installed"):
            compiled(engine="absent")
    finally:
        del ENGINES["absent"]


# -------------------------------------------------------------------- artifact


def test_a_saved_model_comes_back_whole(saved: Path) -> None:
    graph = net()
    again = load(saved)
    assert torch.equal(again(image()), compile_graph(graph, initial_weights(graph))(image()))  # type: ignore[arg-type]
    assert sorted(entry.name for entry in saved.iterdir()) == sorted([MANIFEST, *FILES])
    m = again.manifest
    assert (m.network, m.sizes, m.parameters) == ("Net", [(40, 52)], {"classes": 5, "rates": [[1], [1, 2]]})
    assert m.class_names == tuple("abcde") and m.palette == ((1, 2, 3),) * 5
    assert again.spec == "arch 1\n" and again.report == "<p>report</p>"
    assert dict(again.graph.preprocessing)["image"] == Preprocessing("bgr", std=(1.0, 2.0, 3.0))
    assert not [entry for entry in saved.parent.iterdir() if entry != saved]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_reduced_weights_come_back_bit_for_bit(dtype: str, tmp_path: Path) -> None:
    model = compiled(dtype=dtype, output="labels")
    assert torch.equal(load(model.save(tmp_path / "net"))(image()), model(image()))  # type: ignore[arg-type]


def _copy(saved: Path, target: Path) -> Path:
    target.mkdir()
    for entry in saved.iterdir():
        (target / entry.name).write_bytes(entry.read_bytes())
    return target


def _refused(folder: Path) -> tuple[str, str]:
    with pytest.raises(ArchError) as caught:
        load(folder)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic.code, diagnostic.message


@pytest.mark.parametrize("name", FILES)
def test_a_changed_truncated_or_missing_file_is_refused_by_name(saved: Path, tmp_path: Path, name: str) -> None:
    folder = _copy(saved, tmp_path / "net")
    content = (folder / name).read_bytes()
    for damaged in (content[:-1], content[:-1] + bytes([content[-1] ^ 1]), b""):
        (folder / name).write_bytes(damaged)
        code, message = _refused(folder)
        assert code == "E0805" and name in message
    (folder / name).unlink()
    assert _refused(folder)[0] == "E0805"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", "[" * 100_000, '{"kind": "archdsl artifact", "format": 1}', '{"kind": "other", "format": 1}'],
    ids=range(7),
)
def test_a_damaged_manifest_is_refused(saved: Path, tmp_path: Path, text: str) -> None:
    folder = _copy(saved, tmp_path / "net")
    (folder / MANIFEST).write_text(text)
    code, message = _refused(folder)
    assert code == "E0806" and MANIFEST in message


def test_other_formats_and_other_folders_are_refused(saved: Path, tmp_path: Path) -> None:
    folder = _copy(saved, tmp_path / "net")
    data = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**data, "format": 99}))
    code, message = _refused(folder)
    assert code == "E0806" and "format 99" in message
    assert _refused(tmp_path)[0] == _refused(tmp_path / "nowhere")[0] == "E0806"


@pytest.mark.parametrize("what", ["graph", "weights", "shape"])
def test_well_hashed_nonsense_is_refused_too(tmp_path: Path, what: str) -> None:
    """Hashes prove that nothing changed since it was written, not that it was ever sound."""
    model = compiled()
    program = model.program
    if what == "graph":
        broken = replace(program, graph=replace(program.graph, nodes=program.graph.nodes[1:]))
    else:
        key = "s4.conv1.weight"
        rest = {k: t for k, t in program.weights.items() if k != key}
        broken = replace(program, weights=rest if what == "weights" else {**rest, key: program.weights[key][:, :, :1]})
    model.program = broken
    code, message = _refused(model.save(tmp_path / "net"))
    assert code == "E0806" and ("graph.json" if what == "graph" else "s4.conv1.weight") in message


def test_an_artifact_is_replaced_and_anything_else_is_left_alone(saved: Path, tmp_path: Path) -> None:
    target = _copy(saved, tmp_path / "net")
    model = compiled()
    model.save(target)
    assert load(target).manifest.sizes == []
    assert [entry.name for entry in tmp_path.iterdir()] == ["net"]
    (target / "notes.txt").write_text("mine")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for taken in (target, foreign, tmp_path / "file"):
        with pytest.raises(ArchError) as caught:
            model.save(taken)
        assert caught.value.diagnostics[0].code == "E0807"
    assert (foreign / "thesis.tex").read_text() == "mine" and (target / "notes.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert load(model.save(tmp_path / "empty")).manifest.network == "Net"


def test_a_write_that_fails_leaves_the_old_artifact(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = _copy(saved, tmp_path / "net")
    rename = Path.rename

    def broken(self: Path, to: Path) -> Path:
        if self.suffix == ".new":
            raise OSError(28, "No space left on device")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", broken)
    with pytest.raises(ArchError) as caught:
        compiled().save(target)
    assert caught.value.diagnostics[0].code == "E0803"
    assert load(target).manifest.sizes == [(40, 52)]
    assert [entry.name for entry in tmp_path.iterdir()] == ["net"]


def test_a_deployed_model_needs_no_parser_and_no_networkx(saved: Path) -> None:
    code = f"""
import sys
from archdsl.runtime import load
load({str(saved)!r})
print([name for name in ("lark", "networkx", "archdsl.lang", "typer", "jinja2") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
