"""Saving and loading: an artifact is whole or refused, and computes what was compiled."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from archdsl.runtime import load
from archdsl.runtime.artifact import FILES, MANIFEST
from archdsl.runtime.compile import Description, compile_graph
from nets import compiled, image, net

import archdsl
from archdsl.diagnostics import ArchError
from archdsl.ir.graph import Preprocessing
from archdsl.ir.serial import from_json, to_json
from archdsl.lower.weights import initial_weights


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    description = Description(
        "arch 1\n", {"classes": 5, "rates": [[1], [1, 2]]}, tuple("abcde"), ((1, 2, 3),) * 5, "random"
    )
    graph = net()
    model = compile_graph(graph, initial_weights(graph), sizes=[(40, 52)], engine="eager", description=description)
    return model.save(tmp_path_factory.mktemp("build") / "net", "<p>report</p>")


def test_a_loaded_network_segments_an_image(tmp_path: Path) -> None:
    """Its own preprocessing stands in the artifact: what is asked of a caller is an image."""
    text = """arch 1
network Net {
  in image [3, H, W] = bgr(mean=[0.1, 0.2, 0.3], std=[0.5, 1, 2])
  out logits = image -> conv(5, 3, bias=true)
}
"""
    module = archdsl.loads(text).module(seed=0).eval()
    archdsl.compile(module, sizes=[(24, 32)], engine="eager").save(tmp_path / "net")
    pixels = torch.randint(0, 256, (24, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    prepared = (pixels.flip(2) / 255 - torch.tensor([0.1, 0.2, 0.3])) / torch.tensor([0.5, 1, 2])
    with torch.no_grad():
        wanted = module(prepared.permute(2, 0, 1)[None]).argmax(1)[0]
    found = load(tmp_path / "net").segment(pixels.numpy()).labels
    assert (torch.from_numpy(found) == wanted).float().mean() > 0.99


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


# -------------------------------------------------------------------- artifact


def test_a_saved_model_comes_back_whole(saved: Path) -> None:
    graph = net()
    again = load(saved)
    assert torch.equal(again(image()), compile_graph(graph, initial_weights(graph))(image()))  # type: ignore[arg-type]
    assert sorted(entry.name for entry in saved.iterdir()) == sorted([MANIFEST, *FILES])
    m = again.manifest
    assert (m.network, m.sizes, m.parameters) == ("Net", [(40, 52)], {"classes": 5, "rates": [[1], [1, 2]]})
    assert m.class_names == tuple("abcde") and m.palette == ((1, 2, 3),) * 5
    assert m.weights == "random"
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
