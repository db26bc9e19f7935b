"""What the tests of trainings share: a tiny network on small scenes, and the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import archdsl
from archdsl.network import Network
from archdsl.training.recipes import Recipe, read_recipe
from archdsl.training.train import Trained

SPEC = """arch 1

network Tiny(classes: int = 4) {
  in image [3, H, W]
  s2 = image -> conv(8, 3, stride=2) -> bn -> relu
  s4 = s2 -> conv(8, 3, stride=2) -> bn -> relu -> dropout(0.2)
  aux out early = s2 -> conv(classes)
  out logits = s4 -> conv(classes, bias=true) -> resize(like=image)
}
"""
DATA = "streets:8@32x64"
QUICK = (
    "steps=12",
    "batch=4",
    "augment.crop=[32,64]",
    "log_every=3",
    "validate.every=4",
    "augment.paste=0.5",
    "data.class_uniform=0.5",
    "data.tile=16",
)


def net(classes: int = 11) -> Network:
    return archdsl.loads(SPEC, classes=classes)


def quick(*options: str) -> Recipe:
    return read_recipe("quickstart", [*QUICK, *options])


def trained(folder: Path, *options: str, **given: Any) -> Trained:
    return archdsl.train(net(), DATA, quick(*options), out=folder, device="cpu", **given)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def ask_to_stop() -> None:
    """As SIGTERM does, through the handler that waits for it: where none does, a signal would end the tests with it."""
    waiting = signal.getsignal(signal.SIGTERM)
    assert callable(waiting), "nothing waits for a signal"
    waiting(signal.SIGTERM, None)


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def archdsl_in(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "archdsl", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def options(*given: str) -> list[str]:
    return [word for option in (*QUICK, *given) for word in ("--opt", option)]
