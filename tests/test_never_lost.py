"""Kills, signals, full disks and losses that are no number: what was saved stays whole, and can be gone on with."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from trainings import DATA, SPEC, lines, options, same, trained

from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.lower.checkpoints import read_weights
from archdsl.training import state
from archdsl.training.callbacks import Callback, Logged
from archdsl.training.finish import Gallery
from archdsl.training.loop import Trainer
from archdsl.training.resume import resume
from archdsl.training.state import STATE
from archdsl.training.train import Trained

ROOT = Path(__file__).parents[1]
STEADY = ("validate.every=0", "log_every=2", "save_every=0.000001")


def steady(folder: Path, *more: str, **given: Any) -> Trained:
    return trained(folder, *STEADY, *more, **given)


def test_a_disk_that_fills_up_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The training ends with the file's name; the state before is whole, and leads to the same end."""
    whole = steady(tmp_path / "whole")
    saves, write = [0], state.write_bytes

    def full(path: Path, content: bytes, **how: bool) -> None:
        saves[0] += 1
        if saves[0] == 3:
            raise ArchError([Diagnostic("E0803", f"{path} cannot be written: {os.strerror(errno.ENOSPC)}")])
        write(path, content, **how)

    monkeypatch.setattr(state, "write_bytes", full)
    with pytest.raises(ArchError, match=r"E0803.*state.safetensors.*No space left"):
        steady(tmp_path / "run")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["state"] == "failed"
    assert state.load_state(tmp_path / "run").facts["step"] == 4
    again = resume(tmp_path / "run")
    assert same(again.module.state_dict(), whole.module.state_dict())


def test_weights_that_are_no_numbers_are_not_saved(tmp_path: Path) -> None:
    """Neither by a validation that comes before the next line, nor by a stop."""
    for more in (("validate.every=2", "log_every=10"), ("log_every=10",)):
        folder = tmp_path / more[0]
        with pytest.raises(ArchError, match="E0835"):
            steady(folder, *more, "optimizer.lr=1e30", "optimizer.clip=none", "ema=0", "steps=10")
        assert not (folder / STATE).exists() and not (folder / "last.safetensors").exists()


def test_memory_that_is_full(tmp_path: Path) -> None:
    """Is said with what helps, and the state before is there."""

    class Full(Callback):
        def on_log(self, trainer: Trainer, logged: Logged) -> None:
            if logged.step == 4:
                raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(ArchError, match=r"E0837(.|\n)*accumulate=2"):
        steady(tmp_path / "run", callbacks=[Full()])
    assert state.load_state(tmp_path / "run").facts["step"] == 2


def test_what_changes_the_last_bits_is_said(tmp_path: Path) -> None:
    """Another layout, precision or data set on the way on; nothing where all is as it was."""
    steady(tmp_path / "run", "steps=4")
    remarks: list[str] = []
    changed = ["steps=6", "run.channels_last=false", "run.precision=bfloat16"]
    resume(tmp_path / "run", data="streets:9@32x64", options=changed, remark=remarks.append)
    assert [remark.split(":")[0] for remark in remarks] == [
        "training images was 8 and is 9 now",
        "precision was float32 and is bfloat16 now",
        "layout was channels last and is contiguous now",
    ]
    assert [x["step"] for x in json.loads((tmp_path / "run" / "run.json").read_text())["resumed"]] == [4]


def test_a_kill_between_scores_and_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores that were written before the state came to know of them are not there twice; nor those of the end."""

    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    whole = steady(tmp_path / "whole", "validate.every=4")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Gallery, "on_validation", kill)
        steady(tmp_path / "run", "validate.every=4")
    expected = [(line["step"], line["split"]) for line in lines(whole.folder)]
    for _ in range(2):
        again = resume(tmp_path / "run")
        assert [(line["step"], line["split"]) for line in lines(again.folder)] == expected
        assert again.scores is not None and (again.folder / "confusion.png").exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """Is named before the first step."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchError, match=r"E0803.*file/run"):
        steady(tmp_path / "file" / "run")


@pytest.mark.slow
def test_kills_at_random_moments() -> None:
    """SIGKILL within training and within saving: every training ends as if nothing had happened, to the last bit."""
    command = [sys.executable, "benchmarks/kills.py", "--kills", "6", "--seed", str(time.time_ns() % 2**32)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=single())
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["kills"] == 6 and found["different"] == 0


def hear() -> None:
    """What runs in the background of a shell has Ctrl-C ignored, and so have its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def single() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_ctrl_c_with_workers(tmp_path: Path) -> None:
    """A terminal sends it to the workers as well; they go on until the main process has saved."""
    (tmp_path / "tiny.arch").write_text(SPEC)
    long = options("steps=100000", "validate.every=0", "data.memory=never", "data.workers=1")
    command = [sys.executable, "-m", "archdsl", "train", "tiny.arch", "--data", DATA, *long]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=single(),
        start_new_session=True, preexec_fn=hear,
    )  # fmt: skip
    run = tmp_path / "runs" / "train" / "tiny-streets"
    deadline = time.monotonic() + 120
    while not ((run / "metrics.jsonl").exists() and (run / "metrics.jsonl").read_text().count("\n") > 2):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    said, complaints = process.communicate(timeout=120)
    assert process.returncode == 130 and "Traceback" not in complaints, said + complaints
    assert state.load_state(run).facts["step"] == json.loads((run / "run.json").read_text())["step"] > 0


@pytest.mark.slow
def test_files_that_may_not_grow(tmp_path: Path) -> None:
    """The shell's limit on file sizes stops the first save: a message, exit code 1, no traceback, nothing half done."""
    (tmp_path / "tiny.arch").write_text(SPEC)
    command = [sys.executable, "-m", "archdsl", "train", "tiny.arch", "--data", DATA, *options(*STEADY)]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, env=single(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )  # fmt: skip
    assert done.returncode == 1 and "cannot be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert not list((tmp_path / "runs/train/tiny-streets").glob(".*"))


def test_a_state_can_be_read_as_weights(tmp_path: Path) -> None:
    """A state is a plain safetensors file: nothing in it is executed, and other tools can look into it."""
    steady(tmp_path / "run", "steps=2")
    found = read_weights(tmp_path / "run" / STATE)[0]
    assert torch.equal(
        found["module.s2.conv1.weight"], state.load_state(tmp_path / "run").part("module")["s2.conv1.weight"]
    )


def test_a_search_is_not_gone_on_with_as_a_training(tmp_path: Path) -> None:
    """Its folder is a run too; the message names the command."""
    (tmp_path / "run.json").write_text('{"version": 1, "kind": "search"}')
    with pytest.raises(ArchError, match="archdsl search --resume"):
        resume(tmp_path)
