"""What people type, and what it prints, writes and ends with."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from archdsl.cli import exits, signals

ROOT = Path(__file__).parents[1]

SPEC = """arch 1

network Tiny(classes: int = 4) {
  in image [3, H, W]
  s2 = image -> conv(8, 3, stride=2) -> bn -> relu
  out logits = s2 -> conv(classes) -> resize(like=image)
}
"""


def archdsl(*arguments: str | Path, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Runs the command line in a folder, and holds it to its exit code."""
    command = [sys.executable, "-m", "archdsl", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one small spec."""
    (tmp_path / "tiny.arch").write_text(SPEC, encoding="utf-8")
    return tmp_path


def test_check_prints_facts(folder: Path) -> None:
    """A spec without errors ends in its facts and 0."""
    out = archdsl("check", "tiny.arch", cwd=folder).stdout
    assert "tiny.arch  Tiny: ok" in out
    assert "264 parameters" in out


def test_check_json_has_the_documented_fields(folder: Path) -> None:
    """`--format json` is one object on standard output, with every fact of interface."""
    content = json.loads(archdsl("check", "tiny.arch", "--format", "json", cwd=folder).stdout)
    (entry,) = content["specs"]
    assert content["version"] == 1
    assert (entry["path"], entry["network"], entry["ok"], entry["diagnostics"]) == ("tiny.arch", "Tiny", True, [])
    facts = entry["facts"]
    assert facts["params"] == facts["params_train"] == 264
    assert facts["field_of_view"]["s2"] == [3, 3]
    assert facts["size_rule"]["H"] == {"modulus": 1, "remainders": [0], "min": 1}
    assert facts["shapes"] == {"logits": [4, 1024, 2048]}
    assert facts["macs"] == {"1024x2048": 512 * 1024 * (3 * 9 * 8 + 8 * 4)}


def test_check_reports_errors_with_their_place(folder: Path) -> None:
    """An error ends with 1; JSON says where it is, in a file beside standard output too."""
    (folder / "bad.arch").write_text(SPEC.replace("classes)", "clases)"), encoding="utf-8")
    out = archdsl("check", "bad.arch", "--json", "out.json", cwd=folder, code=1).stdout
    assert "did you mean `classes`?" in out
    (found,) = json.loads((folder / "out.json").read_text(encoding="utf-8"))["specs"][0]["diagnostics"]
    assert (found["code"], found["line"], found["column"], found["end_column"]) == ("E0201", 6, 27, 33)


def test_check_as_sarif(folder: Path) -> None:
    """`--format sarif` gives a run with a result per diagnostic."""
    (folder / "bad.arch").write_text(SPEC.replace("bn", "bm"), encoding="utf-8")
    content = json.loads(archdsl("check", "bad.arch", "--format", "sarif", cwd=folder, code=1).stdout)
    assert [r["ruleId"] for r in content["runs"][0]["results"]] == ["E0201"]


def test_check_takes_folders_parameters_and_sizes(folder: Path) -> None:
    """Folders are searched, --set reaches parameters, --input states the size."""
    out = archdsl("check", ".", "--set", "classes=7", "--input", "32x64", cwd=folder).stdout
    assert "288 parameters" in out and "at 32x64" in out
    assert "no parameter `clases`" in archdsl("check", ".", "--set", "clases=7", cwd=folder, code=1).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["check"], 2, "Missing argument"),
        (["chek"], 2, "No such command"),
        (["check", "nope.arch"], 1, "nope.arch does not exist"),
        (["check", "tiny.arch", "--network", "Tony"], 1, "did you mean `Tiny`?"),
        (["check", "tiny.arch", "--input", "32"], 2, "is no size"),
        (["check", "tiny.arch", "--format", "xml"], 2, "is not text, json or sarif"),
        (["check", "tiny.arch", "--set", "classes"], 2, "is not name=value"),
        (["explain", "E9999"], 2, "there is no code"),
        (["compile", "tiny.arch", "--dtype", "float8"], 2, "is not one of"),
        (["compile", "tiny.arch", "--weights", "no.safetensors"], 1, "no.safetensors"),
        (["compile", "tiny.arch", "--input", "0x4"], 2, "is no size"),
        (["run", "tiny.arch", "no.png"], 1, "no.png"),
        (["run", "empty"], 1, "empty"),
        (["show", "tiny.arch", "--reach", "s3"], 2, "did you mean `s2`?"),
        (["show", "tiny.arch", "--hardware", "t5"], 1, "t4"),
        (["show", "tiny.arch", "--hardware", "my.toml"], 1, "my.toml cannot be read"),
        (["weights", "import", "tiny.arch", "no.pth", "-o", "x.safetensors"], 1, "no.pth"),
        (["weights", "import", "tiny.arch", "no.pth", "-o", "x.pth"], 2, ".safetensors"),
        (["compile", "tiny.arch", "--engine", "warp"], 2, "is not one of"),
        (["compile", "tiny.arch", "--engine", "native:y+warp"], 2, "there is no engine native:y+warp"),
        (["compile", "tiny.arch", "-o", "tiny.arch/sub"], 1, "E0803"),
        (["show", "tiny.arch", "--svg", "empty"], 1, "E0803"),
        (["show", "tiny.arch", "--budget", "8ms"], 2, "--hardware"),
        (["check", "/dev/zero"], 1, "E0901"),
    ],
)
def test_mistakes_get_their_exit_code_and_a_word(folder: Path, arguments: list[str], code: int, said: str) -> None:
    """Wrong usage is 2, a spec, file or weights at fault 1; the message names what is wrong."""
    (folder / "empty").mkdir()
    done = archdsl(*arguments, cwd=folder, code=code)
    assert said in done.stdout + done.stderr


def test_shipped_specs_are_found_by_name(tmp_path: Path) -> None:
    """In an empty folder `specs/dwrseg.arch` is the one shipped, and that is said."""
    done = archdsl("check", "specs/dwrseg.arch", cwd=tmp_path)
    assert "taking the one shipped with archdsl" in done.stderr
    assert "2,537,059 parameters" in done.stdout
    assert "3,358,627 parameters" in archdsl("check", "zoo/bisenetv2.arch", cwd=tmp_path).stdout


def test_fmt_changes_only_the_layout(folder: Path) -> None:
    """`fmt --check` changes nothing and ends with 1; `fmt` formats; a second run finds nothing to do."""
    path = folder / "tiny.arch"
    path.write_text(SPEC.replace("->", " ->  "), encoding="utf-8")
    untidy = path.read_text(encoding="utf-8")
    archdsl("fmt", "--check", ".", cwd=folder, code=1)
    assert path.read_text(encoding="utf-8") == untidy
    archdsl("fmt", ".", cwd=folder)
    assert path.read_text(encoding="utf-8") == SPEC
    assert archdsl("fmt", ".", cwd=folder).stdout == ""


def test_fmt_leaves_a_broken_spec_alone(folder: Path) -> None:
    """A file that cannot be read is reported and not touched."""
    (folder / "tiny.arch").write_text("network {", encoding="utf-8")
    archdsl("fmt", "tiny.arch", cwd=folder, code=1)
    assert (folder / "tiny.arch").read_text(encoding="utf-8") == "network {"


def test_new_writes_a_spec_that_checks(tmp_path: Path) -> None:
    """The starter is free of errors and warnings, formatted, and never overwrites."""
    archdsl("new", "my-net", cwd=tmp_path)
    out = archdsl("check", "my-net.arch", cwd=tmp_path).stdout
    assert "MyNet: ok" in out and "warning" not in out
    archdsl("fmt", "--check", "my-net.arch", cwd=tmp_path)
    assert "exists already" in archdsl("new", "my-net", cwd=tmp_path, code=1).stderr


def test_diff_names_what_changed(folder: Path) -> None:
    """Equal specs say so; a wider head shows in parameters."""
    (folder / "wide.arch").write_text(SPEC.replace("conv(8", "conv(16"), encoding="utf-8")
    assert "264" in archdsl("diff", "tiny.arch", "wide.arch", cwd=folder).stdout
    same = json.loads(archdsl("diff", "tiny.arch", "tiny.arch", "--json", "-", cwd=folder).stdout)
    assert same["same"] is True


def test_show_prints_draws_and_gives_the_graph(folder: Path) -> None:
    """A table, an SVG, a page, and a text form of the graph that reads back."""
    from archdsl.ir.text import from_text
    from archdsl.network import load

    assert "total" in archdsl("show", "tiny.arch", "--hardware", "t4", "--budget", "8ms", cwd=folder).stdout
    drawn = archdsl("show", "tiny.arch", "--svg", "a.svg", "--html", "a.html", cwd=folder)
    assert "total" in drawn.stdout
    assert (drawn.stderr.splitlines()) == ["picture: a.svg", "page: a.html"]
    assert (folder / "a.svg").read_text(encoding="utf-8").startswith("<svg")
    assert "Tiny" in (folder / "a.html").read_text(encoding="utf-8")
    (folder / "a.svg").unlink()
    text = archdsl("show", "tiny.arch", "--ir", "--svg", "a.svg", cwd=folder).stdout
    assert (folder / "a.svg").exists()
    assert from_text(text) == load(str(folder / "tiny.arch")).ir


def test_compile_and_run(folder: Path) -> None:
    """An artifact with a report, then labels and an overlay of a drawn scene, with a warning about random weights."""
    done = archdsl("compile", "tiny.arch", "--input", "48x64", cwd=folder)
    assert "random" in done.stderr and "build/tiny" in done.stdout
    assert "  rewrites: fold_batch_norm 1, epilogues 1\n" in done.stdout
    assert "  looked at and left: 1; manifest.json says where and why\n" in done.stdout
    passes = json.loads((folder / "build" / "tiny" / "manifest.json").read_text())["passes"]
    (left,) = [declined for record in passes for declined in record["declined"]]
    assert left[0] == "logits.conv1" and "it would take" in left[1]
    names = {p.name for p in (folder / "build" / "tiny").iterdir()}
    assert names == {"manifest.json", "graph.json", "weights.safetensors", "spec.arch", "report.html"}
    done = archdsl("run", "build/tiny", cwd=folder)
    assert "random" in done.stderr
    results = folder / "runs" / "run" / "tiny"
    labels = np.asarray(Image.open(results / "sample.labels.png"))
    assert labels.shape == (48, 64) and labels.max() < 4
    assert Image.open(results / "sample.overlay.png").height == 48


def test_run_takes_any_image(folder: Path) -> None:
    """Odd sizes, modes and both formats; two files of one name keep their results apart."""
    (folder / "in").mkdir()
    Image.new("L", (37, 21), 90).save(folder / "in" / "a.png")
    Image.new("RGB", (40, 30), (9, 99, 200)).save(folder / "in" / "a.jpg")
    Image.new("P", (8, 9)).save(folder / "in" / "b.png")
    archdsl("run", "tiny.arch", "in", "-o", "out", cwd=folder)
    sizes = {p.name: Image.open(p).size for p in (folder / "out").glob("*.labels.png")}
    assert sizes == {"a.labels.png": (40, 30), "a-2.labels.png": (37, 21), "b.labels.png": (8, 9)}


def test_run_puts_back_a_size_that_the_network_does_not_take(folder: Path) -> None:
    """An image whose size breaks the rule is resized, its labels are put back, and that is said."""
    text = SPEC.replace("-> resize(like=image)\n", "-> resize(scale=2) -> conv(3)\n")
    text = text.replace("out logits =", "y =").replace("\n}\n", "\n  out logits = y + image\n}\n")
    (folder / "even.arch").write_text(text, encoding="utf-8")
    Image.new("RGB", (33, 20)).save(folder / "odd.png")
    out = archdsl("run", "even.arch", "odd.png", "-o", "out", cwd=folder).stdout
    assert "seen at 20x34 and put back" in out
    assert Image.open(folder / "out" / "odd.labels.png").size == (33, 20)


def test_results_keep_apart_and_never_overwrite_an_image(folder: Path) -> None:
    """Made-up names do not meet real ones, and an image that looks like a result is refused before anything runs."""
    (folder / "in").mkdir()
    for name in ("a-2.png", "a.jpg", "a.png"):
        Image.new("RGB", (16, 12)).save(folder / "in" / name)
    archdsl("run", "tiny.arch", "in", "-o", "out", cwd=folder)
    assert len(list((folder / "out").glob("*.labels.png"))) == 3
    Image.new("RGB", (16, 12)).save(folder / "in" / "a.labels.png")
    before = (folder / "in" / "a.labels.png").read_bytes()
    assert "overwritten" in archdsl("run", "tiny.arch", "in", "-o", "in", cwd=folder, code=1).stderr
    assert (folder / "in" / "a.labels.png").read_bytes() == before


def test_one_bad_image_does_not_keep_the_others(folder: Path) -> None:
    """Every readable image is segmented; the others are reported together at the end."""
    (folder / "in").mkdir()
    (folder / "in" / "a.png").write_bytes(b"no image")
    (folder / "in" / "b.png").write_bytes(b"")
    Image.new("RGB", (16, 12)).save(folder / "in" / "c.png")
    said = archdsl("run", "tiny.arch", "in", "-o", "out", cwd=folder, code=1).stderr
    assert "a.png" in said and "b.png" in said
    assert (folder / "out" / "c.labels.png").is_file()


def test_an_artifact_keeps_its_own_weights(folder: Path) -> None:
    """Options that only a spec could follow are refused, not ignored; `fmt` leaves the copy of the spec alone."""
    (folder / "tiny.arch").write_text(SPEC.replace("->", " ->  "), encoding="utf-8")
    archdsl("compile", "tiny.arch", "--input", "32x32", cwd=folder)
    assert "compile the spec again" in archdsl("run", "build/tiny", "--set", "classes=3", cwd=folder, code=2).stderr
    archdsl("fmt", ".", cwd=folder)
    archdsl("run", "build/tiny", cwd=folder)


def test_fmt_follows_links(folder: Path) -> None:
    """A link stays a link, and the spec behind it is formatted."""
    (folder / "tiny.arch").write_text(SPEC.replace("->", " ->  "), encoding="utf-8")
    (folder / "link.arch").symlink_to("tiny.arch")
    archdsl("fmt", "link.arch", cwd=folder)
    assert (folder / "link.arch").is_symlink()
    assert (folder / "tiny.arch").read_text(encoding="utf-8") == SPEC


def test_a_reader_that_leaves_is_no_fault(folder: Path) -> None:
    """`archdsl explain | head -1` ends with 0."""
    running = subprocess.Popen(
        [sys.executable, "-m", "archdsl", "explain"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert running.stdout is not None and running.stderr is not None
    running.stdout.close()
    assert (running.wait(timeout=60), running.stderr.read()) == (0, b"")


def test_set_reaches_the_networks_that_have_the_parameter(folder: Path) -> None:
    """A parameter of one network of a file is no mistake for the others."""
    (folder / "two.arch").write_text(
        SPEC
        + SPEC.replace("arch 1\n", "")
        .replace("Tiny(classes: int = 4)", "Other(classes: int = 4, w: int = 8)")
        .replace("conv(8", "conv(w"),
        encoding="utf-8",
    )
    out = archdsl("check", "two.arch", "--set", "w=16", cwd=folder).stdout
    assert "Tiny: ok\n  264 parameters" in out and "Other: ok\n  528 parameters" in out


def test_partly_imported_weights_say_so(folder: Path) -> None:
    """What --partial leaves random is remembered, and said when it is compiled."""
    import torch

    from archdsl.network import load

    state = load(str(folder / "tiny.arch")).module(seed=3).state_dict()
    torch.save({k: v for k, v in state.items() if not k.startswith("logits")}, folder / "theirs.pth")
    archdsl("weights", "import", "tiny.arch", "theirs.pth", "--partial", "-o", "ours.safetensors", cwd=folder)
    done = archdsl("compile", "tiny.arch", "--weights", "ours.safetensors", "--input", "32x32", cwd=folder)
    assert "imported in part" in done.stderr
    assert "partly random" in archdsl("run", "build/tiny", cwd=folder).stderr


def test_weights_travel_with_their_parameters(folder: Path) -> None:
    """Imported weights remember network and parameters, so that compile needs no --set."""
    import torch

    from archdsl.network import load

    module = load(str(folder / "tiny.arch"), classes=6).module(seed=3)
    torch.save({"module." + name: tensor for name, tensor in module.state_dict().items()}, folder / "theirs.pth")
    imported = archdsl(
        "weights", "import", "tiny.arch", "theirs.pth", "--set", "classes=6", "-o", "ours.safetensors", cwd=folder
    )
    assert "matched" in imported.stdout
    done = archdsl("compile", "tiny.arch", "--weights", "ours.safetensors", "--input", "32x32", cwd=folder)
    assert "random" not in done.stderr
    manifest = json.loads((folder / "build" / "tiny" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["parameters"] == {"classes": 6}


def test_a_tampered_artifact_is_refused(folder: Path) -> None:
    """A changed file is named, and nothing runs."""
    archdsl("compile", "tiny.arch", "--input", "32x32", cwd=folder)
    path = folder / "build" / "tiny" / "graph.json"
    path.write_text(path.read_text(encoding="utf-8").replace("relu", "tanh"), encoding="utf-8")
    assert "graph.json" in archdsl("run", "build/tiny", cwd=folder, code=1).stderr


def test_cuda_without_a_device_says_so(folder: Path) -> None:
    """What this machine lacks ends with 3."""
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    assert "cuda" in archdsl("compile", "tiny.arch", "--device", "cuda", cwd=folder, code=3).stderr.lower()


def test_a_machine_that_is_not_known_has_no_place(folder: Path) -> None:
    """What was typed on the command line stands in no file."""
    said = archdsl("show", "tiny.arch", "--hardware", "nope", cwd=folder, code=1).stderr
    assert "no machine is called `nope`" in said and "-->" not in said


@pytest.mark.parametrize(
    ("name", "file", "network"),
    [("Ünet", "Ünet.arch", "Unet"), ("MyNet", "MyNet.arch", "MyNet"), ("my net", "my net.arch", "MyNet")],
)
def test_new_keeps_the_name(tmp_path: Path, name: str, file: str, network: str) -> None:
    """The file is called as it was asked for; the network's name keeps the letters, without their accents."""
    archdsl("new", name, cwd=tmp_path)
    assert f"{file}  {network}: ok" in archdsl("check", file, cwd=tmp_path).stdout


def test_new_refuses_a_name_without_letters(tmp_path: Path) -> None:
    assert "letter from A to Z" in archdsl("new", "日本", cwd=tmp_path, code=2).stderr
    assert list(tmp_path.iterdir()) == []


def test_run_leaves_an_artifact_as_it_is(folder: Path) -> None:
    """Results in an artifact's folder would make it one that is refused from then on."""
    archdsl("compile", "tiny.arch", "--input", "32x32", cwd=folder)
    before = sorted(path.name for path in (folder / "build" / "tiny").iterdir())
    assert "is a compiled network" in archdsl("run", "build/tiny", "-o", "build/tiny", cwd=folder, code=1).stderr
    assert sorted(path.name for path in (folder / "build" / "tiny").iterdir()) == before


def test_weights_of_another_network_are_told_how_to_come_in(folder: Path) -> None:
    """`compile --weights` has no --map, and speaks of the command that has."""
    import safetensors.torch
    import torch

    safetensors.torch.save_file({"conv.weight": torch.zeros(1)}, folder / "other.safetensors")
    said = archdsl("compile", "tiny.arch", "--weights", "other.safetensors", cwd=folder, code=1).stderr
    assert "1 tensor of the checkpoint belongs nowhere" in said
    assert "archdsl weights import" in said and "--map" not in said


def test_weights_that_are_not_finite_are_refused_by_name(folder: Path) -> None:
    import safetensors.torch
    import torch

    state = {"s2.conv1.weight": torch.full((8, 3, 3, 3), float("nan")), "logits.conv1.weight": torch.zeros(4, 8, 1, 1)}
    state |= {f"s2.bn1.{key}": torch.ones(8) for key in ("weight", "bias", "running_mean", "running_var")}
    safetensors.torch.save_file(state, folder / "nan.safetensors")
    said = archdsl("compile", "tiny.arch", "--weights", "nan.safetensors", cwd=folder, code=1).stderr
    assert "E0814" in said and "s2.conv1.weight" in said and "overflow" not in said


@pytest.mark.parametrize("command", [["show", "tiny.arch"], ["diff", "tiny.arch", "tiny.arch"]])
def test_format_json_is_json_on_standard_output(folder: Path, command: list[str]) -> None:
    """`--format json` and `--json -` are the same, and a file may be written besides."""
    out = archdsl(*command, "--format", "json", "--json", "a.json", cwd=folder).stdout
    assert out == archdsl(*command, "--json", "-", cwd=folder).stdout
    assert json.loads(out) == json.loads((folder / "a.json").read_text(encoding="utf-8"))
    assert "is not text or json" in archdsl(*command, "--format", "xml", cwd=folder, code=2).stderr


def test_a_file_that_is_not_there_has_no_lines(folder: Path) -> None:
    """No line and column of a file that was never read."""
    assert "  --> nope\n" in archdsl("check", "nope", cwd=folder, code=1).stdout
    assert "  --> tiny.arch\n" in archdsl("check", "tiny.arch", "-n", "Nope", cwd=folder, code=1).stdout
    sarif = json.loads(archdsl("check", "nope", "--format", "sarif", cwd=folder, code=1).stdout)
    ((place,),) = [result["locations"] for result in sarif["runs"][0]["results"]]
    assert place == {"physicalLocation": {"artifactLocation": {"uri": "nope"}}}


@pytest.mark.parametrize(("value", "code"), [("1 b = 2", "E0101"), ("1 network N {}", "E0101"), ("", "E0108")])
def test_a_parameter_is_given_one_value(folder: Path, value: str, code: str) -> None:
    """What is no value is an error of the value."""
    said = archdsl("check", "tiny.arch", "--set", f"classes={value}", cwd=folder, code=1).stderr
    assert f"error[{code}]" in said and "--set:1:" in said and "classes =" in said


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8:strict"])
def test_any_encoding_of_standard_output_will_do(tmp_path: Path, encoding: str) -> None:
    """Names that are no text, and our own signs, reach a terminal that knows neither; JSON stays JSON."""
    name = os.fsdecode(b"n\xff\xe9.arch")
    (tmp_path / name).write_text(
        SPEC.replace("conv(8, 3, stride=2)", "conv(8, 3, stride=4) -> conv(8, 3)"), encoding="utf-8"
    )
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    for form in ("text", "json", "sarif"):
        command = [sys.executable, "-m", "archdsl", "check", name, "--format", form]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, env=environment)
        assert (done.returncode, done.stderr) == (0, b"")
        if form != "text":
            assert json.loads(done.stdout.decode("utf-8" if "utf" in encoding else encoding))


def test_show_says_when_only_the_plane_has_holes(folder: Path) -> None:
    """Holes that rows and columns alone do not have are in the plain table, too."""
    table = archdsl("show", "specs/regseg.arch", "-n", "RegSegAblation", "--set", "body=exp30", cwd=folder).stdout
    assert "s16 in the plane: 768 pixels of the 3263×3263 stay unread, though no axis has a hole" in table
    assert "in the plane" not in archdsl("show", "specs/regseg.arch", cwd=folder).stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_while_the_program_loads(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """From the first line of ours on, a signal ends with one line and its exit code."""
    program = (
        "import os, sys\n"
        "class Watch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == 'typer': os.kill(os.getpid(), {int(number)})\n"
        "sys.meta_path.insert(0, Watch())\n"
        "import archdsl.__main__\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.strip() in ("archdsl: interrupted", "archdsl: terminated")


def test_ctrl_c_says_so(folder: Path) -> None:
    """An interrupted command ends with a word, too."""
    program = (
        "import os, signal, sys\n"
        "import archdsl.checking as c\n"
        "c.check_network = lambda *a, **k: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.argv = ['archdsl', 'check', 'tiny.arch']\n"
        "from archdsl.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (130, "archdsl: interrupted")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_leave_no_half_artifact(folder: Path, number: signal.Signals, code: int) -> None:
    """Ctrl-C ends with 130 and SIGTERM with 143; the target is whole or not there."""
    command = [sys.executable, "-m", "archdsl", "compile", str(ROOT / "specs" / "regseg.arch"), "-o", "build/r"]
    running = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, env={**os.environ})
    time.sleep(1.5)
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert running.returncode == code, said
    assert "Traceback" not in said
    assert not (folder / "build" / "r").exists()


def test_a_signal_that_got_lost_is_raised_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callbacks out of C and finalisers lose exceptions; long work must end all the same."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}
    monkeypatch.setattr(exits, "interrupted", False)
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background has it ignored
        signals.end_in_order()
        with pytest.raises(KeyboardInterrupt), signals.insisted_on(0.05):
            with contextlib.suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            time.sleep(5)
        time.sleep(0.15)  # and not once more after that
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
