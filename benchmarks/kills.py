"""Kills trainings at random moments, goes on with them, and compares what comes out with one that nothing killed.

python benchmarks/kills.py --kills 100 --json benchmarks/results/kills.json

A small network trains on noise, saving its state after every step, so that kills (SIGKILL: nothing can be tidied up)
fall into saving as well as into training. Each training that reaches its end must have the weights, the optimiser's
state and the curves of the reference, to the last bit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter  # noqa: F401  (imported once, before the forks)

import archdsl
from archdsl.diagnostics import ArchError
from archdsl.lower.checkpoints import read_weights
from archdsl.training.data import Sample, register
from archdsl.training.recipes import Recipe, read_recipe
from archdsl.training.resume import resume
from archdsl.training.state import STATE

SPEC = """arch 1

network Tiny(classes: int = 3) {
  in image [3, H, W]
  s2 = image -> conv(8, 3, stride=2) -> bn -> relu -> dropout(0.2)
  out logits = s2 -> conv(classes, bias=true) -> resize(like=image)
}
"""
OPTIONS = (
    "steps=40", "batch=2", "augment.crop=[16,16]", "augment.paste=0.5", "data.class_uniform=0.5", "data.tile=8",
    "log_every=1", "save_every=0.000001", "validate.every=7",
)  # fmt: skip


class Noise:
    """Six images to train on and three to score."""

    name, recipe, splits = "noise", "quickstart", ("train", "val")
    classes, palette = ("a", "b", "c"), ((0, 0, 0), (90, 0, 0), (0, 90, 0))

    def __init__(self, first: int = 0, count: int = 0) -> None:
        self.first, self.count = first, count

    def split(self, name: str) -> Noise:
        return Noise(0, 6) if name == "train" else Noise(6, 3)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        dice = np.random.default_rng(self.first + index)
        image, labels = dice.integers(0, 256, (24, 24, 3)), dice.integers(0, 3, (24, 24))
        return Sample(image.astype(np.uint8), labels.astype(np.uint8))

    def name_of(self, index: int) -> str:
        return f"noise {self.first + index}"


def recipe() -> Recipe:
    return read_recipe("quickstart", OPTIONS)


def go(folder: Path) -> None:
    """Begins the training in a folder, or goes on with it."""
    if (folder / STATE).exists():
        resume(folder, device="cpu")
    else:
        # killed before anything was saved: there is nothing to lose
        shutil.rmtree(folder, ignore_errors=True)
        archdsl.train(archdsl.loads(SPEC), "noise:", recipe(), out=folder, device="cpu")


def fingerprint(folder: Path) -> str:
    """What must be equal: the state, both checkpoints, and the curves without what depends on the clock."""
    found = hashlib.sha256()
    for name in (STATE, "last.safetensors", "best.safetensors"):
        for key, tensor in sorted(read_weights(folder / name)[0].items()):
            found.update(key.encode() + tensor.numpy().tobytes())
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        found.update(repr([record.get(key) for key in ("step", "split", "loss", "lr", "miou", "confusion")]).encode())
    return found.hexdigest()


def in_child(work: Callable[[], None]) -> int:
    """Runs it in a fork, and returns the fork's process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        work()
        code = 0
    except ArchError as error:
        print(error, file=sys.stderr)
    finally:
        os._exit(code)


def killed(folder: Path, after: float) -> bool:
    """Whether the training in a folder was killed so many seconds in. Raises RuntimeError where it failed by itself."""
    child, deadline = in_child(lambda: go(folder)), time.monotonic() + after
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if status:
                raise RuntimeError(f"a training ended with status {status}, and nobody had killed it")
            return False
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def campaign(kills: int, dice: random.Random, root: Path) -> Counter[str]:
    """Kills so many times; counts kills, trainings that reached their end, and those that differ."""
    start = time.monotonic()
    os.waitpid(in_child(lambda: go(root / "reference")), 0)
    whole, expected = time.monotonic() - start, fingerprint(root / "reference")
    counts: Counter[str] = Counter(kills=0, ended=0, different=0)
    folder = root / "run"
    while counts["kills"] < kills or (folder / STATE).exists():
        enough = counts["kills"] >= kills
        if killed(folder, 3600 if enough else dice.uniform(0, 0.7 * whole)):
            counts["kills"] += 1
            continue
        counts["ended"] += 1
        counts["different"] += fingerprint(folder) != expected
        shutil.rmtree(folder)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    register("noise", lambda path: Noise())
    with tempfile.TemporaryDirectory() as root:
        counts = campaign(chosen.kills, random.Random(chosen.seed), Path(root))
    machine = {"system": f"{platform.system()} {platform.machine()}", "torch": torch.__version__}
    content = {"version": 1, "date": date.today().isoformat(), "machine": machine, **counts}
    print(json.dumps(content, indent=1))
    if chosen.json:
        chosen.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    sys.exit(counts["different"] > 0)


if __name__ == "__main__":
    main()
