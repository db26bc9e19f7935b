"""Foreign checkpoints: what is read, what the map's rules mean, and what is said where names or shapes do not match."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

import archdsl
from archdsl.diagnostics import ArchError, Severity
from archdsl.ir.graph import Graph
from archdsl.ir.state import layout
from archdsl.lower.checkpoints import METADATA_KEY, read_checkpoint, read_weights, write_weights
from archdsl.lower.import_weights import import_weights
from archdsl.lower.name_map import NameMap
from archdsl.lower.weights import initial_weights

TEXT = """arch 1
network Net(classes: int = 4) {
  in image [3, H, W]
  s2 = image -> [conv(8, 3, stride=2), bn, relu, conv(8, 3), bn]
  out logits = s2 -> conv(classes, bias=true) as head
}
"""

MAP = """
ignore = ["*.num_batches_tracked", "teacher.*"]
[names]
"net.conv{i}.weight" = "s2.{i}.weight"
"net.bn{i}.{what}" = "s2.{i}.{what}"
"classifier.{what}" = "logits.head.{what}"
"""


@pytest.fixture(scope="module")
def graph() -> Graph:
    return archdsl.loads(TEXT).ir


def foreign(graph: Graph) -> dict[str, Tensor]:
    """The network's weights under other names, in the same order, with what PyTorch adds to a normalisation."""
    names = {
        "s2.0": "net.conv0",
        "s2.1": "net.bn1",
        "s2.3": "net.conv3",
        "s2.4": "net.bn4",
        "logits.head": "classifier",
    }
    state: dict[str, Tensor] = {}
    for key, tensor in initial_weights(graph, seed=3).items():
        path, _, name = key.rpartition(".")
        state[f"{names[path]}.{name}"] = tensor + torch.rand(tensor.shape)
        if name == "running_var":
            state[f"{names[path]}.num_batches_tracked"] = torch.tensor(7)
    return state


def saved(content: Any, path: Path) -> Path:
    torch.save(content, path)
    return path


def codes(error: pytest.ExceptionInfo[ArchError]) -> list[str]:
    return [d.code for d in error.value.diagnostics]


# --------------------------------------------------------------- checkpoints


@pytest.mark.parametrize("nest", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"model": s}])
@pytest.mark.parametrize("prefix", ["", "module.", "module.module."])
def test_state_dicts_are_found(nest: Any, prefix: str, tmp_path: Path) -> None:
    """A state dict may be nested as training scripts nest it, and wrapped by DataParallel."""
    state = {"a.weight": torch.ones(2), "b": torch.zeros(1)}
    path = saved(nest({prefix + name: tensor for name, tensor in state.items()}), tmp_path / "x.pth")
    found = read_checkpoint(path)
    assert list(found) == ["a.weight", "b"] and all(torch.equal(found[name], state[name]) for name in state)


def test_a_prefix_of_some_names_stays(tmp_path: Path) -> None:
    """Only a prefix that every name has is a wrapper's."""
    path = saved({"module.a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "x.pt")
    assert list(read_checkpoint(path)) == ["module.a", "b"]


@pytest.mark.parametrize(
    "content",
    [
        {
            "state_dict": {"a": torch.zeros(1), "b": torch.zeros(1)},
            "state_dict_ema": {"a": torch.ones(1), "b": torch.ones(1)},
        },
        {"model": {"a": torch.zeros(1)}, "model_ema": {"module.a": torch.ones(1), "n_averaged": torch.tensor(3)}},
        {"state_dict": {"model.a": torch.zeros(1), "ema.module.a": torch.ones(1)}},
        {"a": torch.zeros(1), "model_ema.a": torch.ones(1)},
        {"module.a": torch.ones(1), "n_averaged": torch.tensor(3)},
        {"_orig_mod.module.a": torch.ones(1)},
        {"model": {"a": torch.zeros(1)}, "ema": {"module": {"a": torch.ones(1)}, "updates": 3}},
        {"model": {"a": torch.ones(1)}, "ema": {"decay": 0.999}},
    ],
)
def test_averaged_weights_are_taken(content: Any, tmp_path: Path) -> None:
    """Averages that stand beside the weights themselves, as training scripts write them, and other wrappers."""
    found = read_checkpoint(saved(content, tmp_path / "x.pth"))
    assert "a" in found and set(found) <= {"a", "b"} and all(t.item() == 1 for t in found.values())


def test_a_module_of_a_network_may_be_called_ema(tmp_path: Path) -> None:
    """Only names that stand without the mark too are those of averages."""
    path = saved({"ema.a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "x.pth")
    assert set(read_checkpoint(path)) == {"ema.a", "b"}


def test_the_module_that_holds_a_network(graph: Graph, tmp_path: Path) -> None:
    """`model.` before every name goes where names are known without it, and stays where a map has it."""
    held = {f"model.{name}": tensor for name, tensor in foreign(graph).items()}
    path = saved(held, tmp_path / "x.pth")
    with_it = MAP.replace('"net.', '"model.net.').replace('"classifier', '"model.classifier').replace('"*.num', '"*num')
    for text in (MAP, with_it):
        assert import_weights(graph, path, name_map=NameMap.parse(text)).complete
    own = saved({f"model.{name}": t for name, t in initial_weights(graph).items()}, tmp_path / "own.pth")
    assert import_weights(graph, own).complete


class Custom:
    """Something that only running code can bring back."""


def _broken_files(folder: Path) -> dict[str, Path]:
    (folder / "noise.pth").write_bytes(bytes(range(256)) * 8)
    (folder / "empty.pth").write_bytes(b"")
    whole = safetensors.torch.save({"a": torch.ones(100)})
    (folder / "half.safetensors").write_bytes(whole[:200])
    archive = saved({"a": torch.ones(1000)}, folder / "cut.pth")
    archive.write_bytes(archive.read_bytes()[:900])
    return {
        "missing": folder / "nowhere.pth",
        "missing safetensors": folder / "nowhere.safetensors",
        "folder": folder,
        "noise": folder / "noise.pth",
        "empty": folder / "empty.pth",
        "half": folder / "half.safetensors",
        "cut": archive,
        "object": saved({"state_dict": Custom()}, folder / "object.pth"),
        "no tensors": saved({"epoch": 3}, folder / "epoch.pth"),
        "list": saved([torch.ones(1)], folder / "list.pth"),
    }


@pytest.mark.parametrize("what", ["missing", "missing safetensors", "folder", "safetensors folder"])
def test_what_the_system_says_of_a_file(what: str, tmp_path: Path) -> None:
    """A missing file and a folder are called so, once, whatever their name ends in."""
    path = tmp_path / ("x.safetensors" if "safetensors" in what else "x.pth")
    if "folder" in what:
        path.mkdir()
    with pytest.raises(ArchError) as error:
        read_checkpoint(path)
    said = "Is a directory" if "folder" in what else "No such file or directory"
    assert error.value.diagnostics[0].message == f"{path} cannot be read: {said}"


def test_unreadable_checkpoints(tmp_path: Path) -> None:
    """Whatever is wrong with a file is E0812 and names it; a pickle with code in it is never run."""
    for what, path in _broken_files(tmp_path).items():
        with pytest.raises(ArchError) as error:
            read_checkpoint(path)
        (diagnostic,) = error.value.diagnostics
        assert diagnostic.code == "E0812" and path.name in diagnostic.message, what
        assert (what == "object") == ("weights_only=False" in diagnostic.help), what


def test_a_dict_that_holds_itself_ends(tmp_path: Path) -> None:
    """A pickle can hold one; it is looked through for some way, not for ever."""
    ring: dict[str, Any] = {"epoch": 3}
    ring["model"] = ring
    with pytest.raises(ArchError, match="E0812"):
        read_checkpoint(saved(ring, tmp_path / "x.pth"))


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_values_in_other_forms(tmp_path: Path) -> None:
    """Sparse and quantised tensors are read in full; a tensor without values is refused."""
    values = torch.tensor([[0.0, 0.5], [0.0, 1.0]])
    forms = {"sparse": values.to_sparse(), "quantised": torch.quantize_per_tensor(values, 0.5, 0, torch.qint8)}
    found = read_checkpoint(saved(forms, tmp_path / "x.pth"))
    assert all(torch.equal(found[name], values) for name in forms)
    with pytest.raises(ArchError, match=r"E0812.*shapes without values, of a"):
        read_checkpoint(saved({"a": values.to("meta")}, tmp_path / "bare.pth"))


@pytest.mark.parametrize("kind", [torch.int8, torch.complex64])
def test_numbers_that_are_no_weights(graph: Graph, kind: torch.dtype, tmp_path: Path) -> None:
    """Whole numbers without their scale, and complex ones, are refused; counters of batches may be whole."""
    state = {name: t.to(kind) if name == "s2.0.weight" else t for name, t in initial_weights(graph).items()}
    path = saved(state | {"s2.1.num_batches_tracked": torch.tensor(7)}, tmp_path / "x.pth")
    with pytest.raises(ArchError, match=rf"1 weight .* holds no real numbers but {str(kind)[6:]}") as error:
        import_weights(graph, path)
    assert error.value.diagnostics[0].notes == ("s2.0.weight",)


def test_our_files_come_back(tmp_path: Path) -> None:
    """What is written is read back bit by bit, with its metadata; views are stored alone, and no other file is left."""
    whole = torch.arange(12.0).reshape(3, 4)
    metadata = {"network": "Net", "parameters": {"classes": 4}, "classes": ["Straße"]}
    write_weights(tmp_path / "w.safetensors", {"a": whole[0], "b": whole.T}, metadata)
    state, found = read_weights(tmp_path / "w.safetensors")
    assert torch.equal(state["a"], whole[0]) and torch.equal(state["b"], whole.T) and found == metadata
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_foreign_safetensors_have_no_metadata(tmp_path: Path) -> None:
    """A file of another program has none of our metadata; a damaged header of ours is an error."""
    safetensors.torch.save_file({"a": torch.ones(1)}, tmp_path / "w.safetensors")
    assert read_weights(tmp_path / "w.safetensors")[1] == {}
    safetensors.torch.save_file({"a": torch.ones(1)}, tmp_path / "w.safetensors", {METADATA_KEY: "{"})
    with pytest.raises(ArchError, match="E0812"):
        read_weights(tmp_path / "w.safetensors")


def test_metadata_is_plain_json(tmp_path: Path) -> None:
    """Other programs read the metadata as one JSON text of the header."""
    write_weights(tmp_path / "w.safetensors", {"a": torch.ones(1)}, {"network": "Net"})
    with safetensors.safe_open(tmp_path / "w.safetensors", "pt") as file:
        assert json.loads(file.metadata()[METADATA_KEY]) == {"network": "Net"}


# ---------------------------------------------------------------------- maps


@pytest.mark.parametrize(
    ("rule", "theirs", "ours"),
    [
        ('"a.{i}.w" = "b.{i+2}.w"', "a.3.w", "b.5.w"),
        ('"a{i}.w" = "b.{i-1}"', "a10.w", "b.9"),
        ('"a.{i}.w" = "b.{i}"', "a.x.w", None),
        ('"a.{part}.w" = "{part}"', "a.x1.w", "x1"),
        ('"a.{part}.w" = "{part}"', "a.x.y.w", None),
        ('"a.{rest...}" = "b.{rest...}"', "a.x.y.w", "b.x.y.w"),
        ('"{i}.{i}.w" = "{i}"', "4.4.w", "4"),
        ('"{i}.{i}.w" = "{i}"', "4.5.w", None),
        ('"a.w" = "b"', "aXw", None),
    ],
)
def test_rules(rule: str, theirs: str, ours: str | None) -> None:
    """One letter is a number, a word is text without a dot, `…...` is any text; a name met again is the same."""
    found = NameMap.parse(f"[names]\n{rule}\n").find(theirs)
    assert (found[1] if found else None) == ([ours] if ours else None)


def test_words() -> None:
    """A placeholder with a table stands for the table's words only, and for what they are on our side."""
    words = '[words]\nlayer = { "1" = "bn1", "10" = "conv{i}", conv = "conv1" }\n'
    name_map = NameMap.parse(f'{words}[names]\n"a{{layer}}.{{what}}" = "b.{{layer}}.{{what}}"\n')
    found = {name: name_map.find(name) for name in ("a1.w", "aconv.w", "a10.w", "a2.w")}
    assert {name: rule and rule[1] for name, rule in found.items()} == {
        "a1.w": ["b.bn1.w"],
        "aconv.w": ["b.conv1.w"],
        "a10.w": ["b.conv{i}.w"],  # what a word becomes is text, not a pattern
        "a2.w": None,
    }


def test_the_first_rule_that_fits_decides() -> None:
    """Exceptions stand before what they are exceptions of."""
    name_map = NameMap.parse('[names]\n"a.last.{x...}" = "z.{x...}"\n"a.{x...}" = "b.{x...}"\n')
    assert [name_map.find(n)[1] for n in ("a.last.w", "a.first.w")] == [["z.w"], ["b.first.w"]]  # type: ignore[index]


BAD_MAPS = {
    "no TOML": "[names",
    "no rules": "ignore = []",
    "unknown key": '[name]\n"a" = "b"',
    "wrong ignore": 'ignore = "x"\n[names]\n"a" = "b"',
    "unknown placeholder": '[names]\n"a.{i}" = "b.{j}"',
    "arithmetic on text": '[names]\n"a.{word}" = "b.{word+1}"',
    "arithmetic on the left": '[names]\n"a.{i+1}" = "b.{i}"',
    "stray brace": '[names]\n"a.{I}" = "b"',
    "stray brace on the right": '[names]\n"a.{i}" = "b.{i*2}"',
    "unknown form": '[names]\n"a" = { into = "b" }',
    "two forms": '[names]\n"a" = { to = "b", split = ["c"] }',
    "a number": '[names]\n"a" = 3',
    "words without a table": 'words = 3\n[names]\n"a" = "b"',
    "words without words": '[words]\nkind = {}\n[names]\n"a" = "b"',
    "numbers for words": '[words]\nkind = { a = 1 }\n[names]\n"a" = "b"',
    "arithmetic on a word": '[words]\ni = { "0" = "a" }\n[names]\n"a.{i}" = "b.{i+1}"',
    "fill with a name": '[names]\n"a" = "b"\n[fill]\n"*.bias" = "zeros"',
    "fill with nothing": 'fill = 3\n[names]\n"a" = "b"',
    "numbers to split into": '[names]\n"a" = { split = [1, 2] }',
}


@pytest.mark.parametrize("what", BAD_MAPS)
def test_bad_maps(what: str) -> None:
    """What is wrong with a map is E0813, and stands where the rule stands."""
    with pytest.raises(ArchError) as error:
        NameMap.parse(BAD_MAPS[what], "names.toml")
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code == "E0813"
    if what not in ("no TOML", "no rules"):
        assert diagnostic.span is not None and diagnostic.span.path == "names.toml"


def test_a_missing_map(tmp_path: Path) -> None:
    """A map file that is not there is E0813."""
    with pytest.raises(ArchError, match="E0813"):
        NameMap.read(tmp_path / "nothing.toml")


def test_transforms() -> None:
    """A linear layer becomes a 1x1 convolution; one tensor becomes several."""
    text = '[names]\n"fc" = { to = "head", from_linear = true }\n"qkv" = { split = ["q", "k", "v"] }\n'
    name_map = NameMap.parse(text)
    linear, split = name_map.find("fc"), name_map.find("qkv")
    assert linear is not None and split is not None
    assert [list(part.shape) for part in linear[0].parts(torch.ones(4, 8))] == [[4, 8, 1, 1]]
    assert [part.tolist() for part in split[0].parts(torch.arange(6))] == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(ValueError, match="3 equal parts"):
        split[0].parts(torch.ones(4))


# ------------------------------------------------------------------- imports


def test_import_by_map(graph: Graph, tmp_path: Path) -> None:
    """Every tensor arrives under our name, as float32, and what the map ignores is listed as ignored."""
    state = foreign(graph) | {"teacher.w": torch.ones(1)}
    path = saved({name: t.double() for name, t in state.items()}, tmp_path / "x.pth")
    report = import_weights(graph, path, name_map=NameMap.parse(MAP))
    assert report.complete and report.diagnostics() == ()
    assert set(report.state) == set(layout(graph)) and {t.dtype for t in report.state.values()} == {torch.float32}
    assert torch.equal(report.state["s2.3.weight"], state["net.conv3.weight"])
    assert report.ignored == ("net.bn1.num_batches_tracked", "net.bn4.num_batches_tracked", "teacher.w")


def test_fill(graph: Graph, tmp_path: Path) -> None:
    """What the checkpoint lacks gets the map's value, and nothing that it has."""
    state = {name: t for name, t in foreign(graph).items() if "running" not in name}
    fill = '\n[fill]\n"*.running_var" = 0.5\n"s2.*" = 0\n'
    report = import_weights(graph, saved(state, tmp_path / "x.pth"), name_map=NameMap.parse(MAP + fill))
    assert report.complete and len(report.matched) == len(layout(graph)) - 4
    assert report.state["s2.4.running_var"].tolist() == 8 * [0.5]
    assert report.state["s2.1.running_mean"].tolist() == 8 * [0.0]
    assert torch.equal(report.state["s2.0.weight"], state["net.conv0.weight"])


def test_own_names_need_no_map(graph: Graph, tmp_path: Path) -> None:
    """A file that we wrote comes back by its names."""
    write_weights(tmp_path / "w.safetensors", initial_weights(graph), {})
    assert import_weights(graph, tmp_path / "w.safetensors").complete


def test_what_does_not_match_is_listed(graph: Graph, tmp_path: Path) -> None:
    """Names that are missing or unexpected are E0810, with the likely partner; shapes that differ are E0811."""
    state = initial_weights(graph)
    state["s2.0.wieght"] = state.pop("s2.0.weight")
    state["logits.head.bias"] = torch.zeros(5)
    path = saved(state, tmp_path / "x.pth")
    with pytest.raises(ArchError) as error:
        import_weights(graph, path)
    assert codes(error) == ["E0810", "E0810", "E0811"]
    missing, unexpected, shape = error.value.diagnostics
    assert missing.notes == ("s2.0.weight [8, 3, 3, 3] (did you mean `s2.0.wieght`?)",)
    assert unexpected.notes == ("s2.0.wieght [8, 3, 3, 3]",)
    assert shape.notes == ("logits.head.bias is [5], and logits.head.bias is [4]",)


def test_values_that_are_not_finite_are_refused(graph: Graph, tmp_path: Path) -> None:
    """NaN, infinity and what float32 cannot hold are no weights, not even in part of an import."""
    state = initial_weights(graph)
    state["s2.0.weight"][0, 0, 0, 0] = float("nan")
    state["s2.1.bias"] = torch.full((8,), 1e300, dtype=torch.float64)
    path = saved(state, tmp_path / "x.pth")
    for partial in (False, True):
        with pytest.raises(ArchError) as error:
            import_weights(graph, path, partial=partial)
        assert codes(error) == ["E0814"]
        assert error.value.diagnostics[0].notes == ("s2.0.weight", "s2.1.bias")


def test_counts_agree_with_their_verbs(graph: Graph, tmp_path: Path) -> None:
    path = saved(initial_weights(graph) | {"x": torch.ones(1)}, tmp_path / "x.pth")
    with pytest.raises(ArchError, match="1 tensor of the checkpoint belongs nowhere"):
        import_weights(graph, path)
    path = saved(initial_weights(graph) | {"logits.head.bias": torch.zeros(5)}, tmp_path / "x.pth")
    with pytest.raises(ArchError, match="1 tensor of the checkpoint has another shape"):
        import_weights(graph, path)


def test_partial(graph: Graph, tmp_path: Path) -> None:
    """With `partial` the rest comes in, and the report says what did not."""
    path = saved(initial_weights(archdsl.loads(TEXT, classes=7).ir), tmp_path / "x.pth")
    report = import_weights(graph, path, partial=True)
    assert [m.ours for m in report.shape_mismatches] == ["logits.head.weight", "logits.head.bias"]
    assert report.missing == () and set(layout(graph)) - set(report.state) == {m.ours for m in report.shape_mismatches}
    assert {d.severity for d in report.diagnostics(Severity.WARNING)} == {Severity.WARNING}


def test_every_tensor_left_over_is_listed(graph: Graph, tmp_path: Path) -> None:
    """However many there are, each with its shape."""
    extra = {f"extra.{i}": torch.ones(i, 2) for i in range(40)}
    with pytest.raises(ArchError) as error:
        import_weights(graph, saved(initial_weights(graph) | extra, tmp_path / "x.pth"))
    (diagnostic,) = error.value.diagnostics
    assert len(diagnostic.notes) == 40 and diagnostic.notes[-1] == "extra.39 [39, 2]"


def test_a_map_may_not_send_two_to_one(graph: Graph, tmp_path: Path) -> None:
    """Two tensors that become one is a fault of the map."""
    name_map = NameMap.parse('[names]\n"{any...}" = "s2.0.weight"')
    with pytest.raises(ArchError, match="E0813"):
        import_weights(graph, saved(foreign(graph), tmp_path / "x.pth"), name_map=name_map)


def test_a_transform_that_does_not_apply(graph: Graph, tmp_path: Path) -> None:
    """A tensor that cannot be cut as the map says is E0811."""
    name_map = NameMap.parse('[names]\n"classifier.bias" = { split = ["a", "b", "c"] }')
    with pytest.raises(ArchError, match="E0811"):
        import_weights(graph, saved(foreign(graph), tmp_path / "x.pth"), name_map=name_map)
