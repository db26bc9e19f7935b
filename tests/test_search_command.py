"""`archdsl search` from the command line, and over several processes."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from archdsl.search.entry import Found
from test_search import DATA, QUICK, SPEC
from trainings import archdsl_in
from typer import BadParameter

from archdsl.cli.search import _check_neighbours, _say, _target
from archdsl.diagnostics import ArchError

OPTIONS = [word for option in (*QUICK, "steps=8") for word in ("--opt", option)]


@pytest.mark.slow
def test_from_spec_to_spec(tmp_path: Path) -> None:
    """The new spec, its picture, page and record; then the same in place; the new spec is clean and differs."""
    (tmp_path / "tiny.arch").write_text(SPEC)
    said = archdsl_in(tmp_path, "search", "tiny.arch", "--data", DATA, *OPTIONS).stdout
    assert "wrote tiny.found.arch, with tiny.found.html, .svg and .json beside it" in said and "entropy" in said
    assert {p.name for p in tmp_path.glob("tiny.found.*")} == {
        f"tiny.found.{k}" for k in ("arch", "html", "svg", "json")
    }
    archdsl_in(tmp_path, "check", "tiny.found.arch", "--set", "classes=11")
    archdsl_in(tmp_path, "fmt", "--check", "tiny.found.arch")
    archdsl_in(tmp_path, "diff", "tiny.arch", "tiny.found.arch")
    assert (tmp_path / "tiny.arch").read_text() == SPEC
    alone = archdsl_in(tmp_path, "search", "tiny.arch", "--apply", "--data", DATA, "--json", "-", *OPTIONS).stdout
    found = [rate["found"] for rate in json.loads(alone)["rates"]]
    assert (tmp_path / "tiny.arch").read_text() == (tmp_path / "tiny.found.arch").read_text()
    assert all(str(rate) in (tmp_path / "tiny.arch").read_text() for rate in found)


@pytest.mark.slow
def test_a_budget_from_the_table_that_bench_measures(tmp_path: Path) -> None:
    """`bench --rates` writes it, `search --budget` keeps to it; what nothing meets, or no budget, is said."""
    (tmp_path / "tiny.arch").write_text(SPEC)
    size = ("--input", "32x64", "--set", "classes=11")
    said = archdsl_in(tmp_path, "bench", "tiny.arch", "--rates", "table.json", *size).stdout
    measured = json.loads((tmp_path / "table.json").read_text())
    assert "18 rates of 3 layers in table.json" in said and measured["machine"]
    assert all(ms > 0 for own in measured["nodes"].values() for ms in own.values())
    for own in measured["nodes"].values():
        own["2"] += 100
    measured["total_ms"] += 300
    (tmp_path / "table.json").write_text(json.dumps(measured))
    arguments = ["search", "tiny.arch", "--data", DATA, "--latency-table", "table.json", *OPTIONS]
    said = archdsl_in(tmp_path, *arguments, "--budget", f"latency <= {measured['total_ms'] - 150:.4f} ms").stdout
    record = json.loads((tmp_path / "tiny.found.json").read_text())
    assert [rate["found"] for rate in record["rates"]].count(2) <= 1 and "could not be the answer" in said
    archdsl_in(tmp_path, "check", "tiny.found.arch", "--set", "classes=11")
    said = archdsl_in(tmp_path, *arguments, "--budget", "latency <= 0.0001ms", code=1).stderr
    assert "the fastest choice takes" in said
    assert "is no budget" in archdsl_in(tmp_path, *arguments, "--budget", "8 ms", code=2).stderr
    archdsl_in(tmp_path, "search", "tiny.arch", "--budget", "latency <= 8ms", code=2)


@pytest.mark.slow
def test_it_goes_on_when_nobody_reads_any_more(tmp_path: Path) -> None:
    """`archdsl search … | head -1` writes its answer all the same."""
    (tmp_path / "tiny.arch").write_text(SPEC)
    command = [sys.executable, "-m", "archdsl", "search", "tiny.arch", "--data", DATA, *OPTIONS]
    running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdout is not None and running.stderr is not None
    running.stdout.close()
    assert (running.wait(timeout=120), running.stderr.read()) == (0, b"")
    archdsl_in(tmp_path, "check", "tiny.found.arch", "--set", "classes=11")


@pytest.mark.slow
def test_usage(tmp_path: Path) -> None:
    """What is misused ends with 2, what is wrong with the spec with 1."""
    (tmp_path / "plain.arch").write_text(SPEC.replace("search(2 in 1..6)", "2"))
    for wrong in (
        [],
        ["plain.arch", "--method", "sofmax"],
        ["plain.arch", "--untie"],
        ["plain.arch", "--budget", "latency <= 8ms"],
        ["specs/regseg.arch", "--apply"],
        ["plain.arch", "--apply", "-o", "x.arch"],
        ["plain.arch", "--resume", "runs"],
        ["plain.arch", "-o", "."],
        ["--resume", "runs", "--method", "gumbel"],
        ["--resume", "runs", "--gap", "exact"],
    ):
        archdsl_in(tmp_path, "search", *wrong, code=2)
    assert "--rates all" in archdsl_in(tmp_path, "search", "plain.arch", "--data", DATA, *OPTIONS, code=1).stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_two_processes_find_one_answer(tmp_path: Path) -> None:
    """Under torchrun each takes a part of every batch; both decide the same, and the first writes it."""
    (tmp_path / "tiny.arch").write_text(SPEC)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29531"]
    command += ["-m", "archdsl", "search", "tiny.arch", "--data", DATA, "--device", "cpu", *OPTIONS]
    command += ["--opt", "search.judge=1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("wrote tiny.found.arch") == 1
    record = json.loads((tmp_path / "tiny.found.json").read_text())
    assert record["machine"]["processes"] == 2 and math.isfinite(record["comparison"]["difference"])


IN_ONE_PROCESS = """
import json, os, sys
import archdsl
from archdsl.search.entry import run
from archdsl.search.relaxed import RelaxedModule
from archdsl.search.weights import Fit

one, steps = Fit.one, []

def wrong(fit, feed, step):
    loss = one(fit, feed, step)
    if isinstance(fit.module, RelaxedModule):
        steps.append(step)
        if len(steps) == 4 and os.environ["RANK"] == "1":
            dict(fit.module.named_buffers())["s.bn1.running_mean"][0] = float("nan")
    return loss

Fit.one = wrong
net = archdsl.load("tiny.arch", classes=11)
found = run(net, sys.argv[1], "quicksearch", options=sys.argv[2:], out="run", device="cpu")
with open("found" + os.environ["RANK"] + ".json", "w") as file:
    json.dump(found.record, file)
"""


@pytest.mark.slow
def test_two_processes_go_back_together(tmp_path: Path) -> None:
    """Where only one of them has a number that is none."""
    (tmp_path / "tiny.arch").write_text(SPEC)
    (tmp_path / "poisoned.py").write_text(IN_ONE_PROCESS)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "poisoned.py"]
    command += [DATA, *QUICK, "steps=8", "search.judge=1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = (json.loads((tmp_path / f"found{rank}.json").read_text()) for rank in (0, 1))
    assert first["retries"] == second["retries"] == [{"noticed": 4, "back": 3, "factor": 0.5}]
    assert first["rates"] == second["rates"]


def test_the_answer_goes_where_the_spec_left_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line ends are no edit; what was edited or is gone is said; a spec with files beside it stays with them."""
    monkeypatch.chdir(tmp_path)
    source = SPEC.replace("\n", "\r\n")
    spec = tmp_path / "sub" / "mine.arch"
    spec.parent.mkdir()
    spec.write_bytes(source.encode())
    found = Found(tmp_path, source, source, {}, 0)
    assert _target(str(spec), True, None, found) == spec
    assert _target(str(spec), False, None, found) == Path("mine.found.arch")
    using = replace(found, source=source.replace("\r\n", "\r\nuse blocks: Mine\r\n", 1))
    assert _target(str(spec), False, None, using) == spec.with_name("mine.found.arch")
    spec.write_bytes(using.source.encode())
    _check_neighbours(str(spec), spec.with_name("other.arch"))
    with pytest.raises(BadParameter, match="files beside it"):
        _check_neighbours(str(spec), tmp_path / "other.arch")
    with pytest.raises(ArchError, match="was edited"):
        _target(str(spec), True, None, found)
    spec.unlink()
    with pytest.raises(ArchError, match="cannot be read any more"):
        _target(str(spec), True, None, found)


def test_the_next_command_can_be_typed_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    """Quoted where a path needs it, and of the network that was searched."""
    text = SPEC + "\nnetwork Big = Tiny(classes=7)\n"
    for network, wanted in (("Tiny", "'my net.arch' a.found.arch\n"), ("Big", "'my net.arch' a.found.arch -n Big\n")):
        record = {"network": network, "seconds": 1.0, "rates": [], "remarks": [], "discretisation_gap": None}
        _say(Found(Path("run"), text, text, record, 8), "my net.arch", Path("a.found.arch"))
        assert capsys.readouterr().out.endswith(f"next: archdsl diff {wanted}")
