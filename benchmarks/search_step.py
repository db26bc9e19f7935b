"""What a step of a search costs beside a step of training: time and memory, over a whole search.

    python benchmarks/search_step.py --json benchmarks/results/search_step.json [--device cuda]

RegSeg with 18 candidates in each of its 13 blocks. Training steps and search steps take turns, so that whatever else
the machine does weighs on both alike; on a CPU seconds are those of this process, on CUDA those that pass. What a step
costs with so many candidates is then weighed in three ways: by how many the bound and the search had left open at each
step of a search of these rates on street scenes; by candidates that fall evenly from all to one after the warm-up, as
in planted searches (`planted_rates.py`); and with all of them always open, the worst case.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from archdsl.search.entry import run
from archdsl.search.relaxed import RelaxedModule, relax
from archdsl.search.space import marked_rates

import archdsl
from archdsl.training.recipes.schema import Search

ROUNDS = 4
"""Steps of each kind that are timed, in turns."""
WARM_UP = 0.3
STEPS = 400
"""Of the search on street scenes."""


def thirteen(classes: int) -> archdsl.Network:
    """RegSeg with a rate to search in every one of its 13 dilated blocks."""
    text = (Path(__file__).parents[1] / "specs" / "regseg.arch").read_text()
    marked = "[[1, search(1 in 1..18)] for i in 1..13]"
    old = "[[1], [1, 2]] + 4 * [[1, 4]] + [[1, search(14 in 1..18)] for i in 1..7]"
    assert old in text
    text = text.replace(old, marked).replace("  assert field_of_view(s16) >= 2047", "  assert gap_free", 1)
    return archdsl.loads(text, network="RegSeg", classes=classes)


class Steps:
    """A plain and a relaxed network, and what a step does with each."""

    def __init__(self, batch: int, size: tuple[int, int], device: str) -> None:
        net = thirteen(11)
        rates = marked_rates(net)
        self.relaxations = relax(rates, "softmax")
        for relaxation in self.relaxations.values():
            relaxation.to(device)
        place: dict[str, Any] = {"device": device, "memory_format": torch.channels_last}
        self.relaxed = RelaxedModule(net, rates, self.relaxations, 0).to(**place)
        self.plain = net.module(0).to(**place)
        self.x = torch.randn(batch, 3, *size).to(**place)
        self.y = torch.randint(0, 11, (batch, *size), device=device)
        self.own = [parameter for relaxation in self.relaxations.values() for parameter in relaxation.parameters()]

    def open(self, count: int) -> None:
        """Leaves so many candidates of each rate."""
        for relaxation in self.relaxations.values():
            relaxation.restrict(range(1, count + 1))

    def train(self) -> None:
        """Forward and backward of the plain network."""
        F.cross_entropy(self.plain(self.x), self.y).backward()  # type: ignore[no-untyped-call]

    def weights(self) -> None:
        """Forward and backward of the mixtures, for the weights."""
        self.relaxed.progress, self.relaxed.judged = 1.0, False
        F.cross_entropy(self.relaxed(self.x), self.y).backward()  # type: ignore[no-untyped-call]

    def rates(self) -> None:
        """The same for the rates alone, on the part of a batch that judges them."""
        self.relaxed.progress, self.relaxed.judged = 1.0, True
        part = slice(0, max(2, round(len(self.x) * Search().judge)))
        torch.autograd.grad(F.cross_entropy(self.relaxed(self.x[part]), self.y[part]), self.own)


def clock(device: str) -> float:
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def timed(work: Callable[[], None], device: str) -> float:
    start = clock(device)
    work()
    return clock(device) - start


def ratios(steps: Steps, count: int, device: str) -> dict[str, float]:
    """Medians, over rounds of turns, of a search's steps in units of a training step, with so many candidates."""
    steps.open(count)
    found = []
    for turn in range(ROUNDS + 1):
        order = [steps.train, steps.weights, steps.rates]
        order = order[turn % 3 :] + order[: turn % 3]
        taken = {work.__name__: timed(work, device) for work in order}
        found.append({name: taken[name] / taken["train"] for name in ("weights", "rates")} | {"s": taken["train"]})
    return {name: statistics.median(one[name] for one in found[1:]) for name in ("weights", "rates", "s")}


def open_at_each_step(device: str) -> list[float]:
    """How many candidates a rate has, on average over all 13, at each step of a search by the quick recipe.

    A search is over where every rate has one left, which may be before its last step.
    """
    with tempfile.TemporaryDirectory() as folder:
        options = [f"steps={STEPS}"]
        # nothing but the relaxation is asked for
        options += [f"search.{name}=1" for name in ("keep", "short", "rungs", "rounds", "seeds", "images")]
        record = run(thirteen(11), "streets", options=options, out=Path(folder) / "run", device=device).record
    steps, shares = record["trajectory"]["steps"], record["trajectory"]["shares"]
    counts = [statistics.fmean(sum(share > 0 for share in one) for one in all_rates) for all_rates in shares]
    found = []
    for step in range(record["steps"]):
        settled = sum(one <= step for one in steps)
        found.append(counts[settled - 1] if settled else counts[0])
    return found


def of_search(by_count: dict[int, dict[str, float]], profile: list[float]) -> dict[str, Any]:
    """A whole search in units of a training step, for each of its steps of weights."""
    most, warm = max(by_count), round(WARM_UP * STEPS)
    evenly = [most - (most - 1) * max(0, step - warm) / (STEPS - warm) for step in range(STEPS)]

    def price(counts: list[float]) -> float:
        cost = {kind: [_between(by_count, kind, count) for count in counts] for kind in ("weights", "rates")}
        return (sum(cost["weights"]) + sum(cost["rates"][warm:])) / len(counts)

    return {
        "pruned as on street scenes": price(profile),
        "pruned evenly": price(evenly),
        "nothing pruned": price([most] * STEPS),
    }


def _between(by_count: dict[int, dict[str, float]], kind: str, count: float) -> float:
    """What was measured for so many candidates, linearly between those that were."""
    known = sorted(by_count)
    return float(np.interp(count, known, [by_count[one][kind] for one in known]))


def to_answer(per_step: float) -> dict[str, float]:
    """Trainings of as many steps as the search has that the whole of it costs, by the recipe's defaults."""
    s = Search()
    rounds = s.short * sum(2**rung * (max(1, s.keep // 2**rung) + 1) for rung in range(s.rungs))
    seeds = 2 * (s.seeds - 1) * s.short * 2 ** (s.rungs - 1)
    return {
        "search": per_step,
        "with a neighbourhood that holds": per_step + rounds + seeds,
        "with every round": per_step + s.rounds * rounds + seeds,
    }


def memory(kind: str, batch: int, size: tuple[int, int], device: str) -> float:
    """Bytes at the peak of a step above what there was before it, in a process of its own."""
    command = [sys.executable, __file__, "--peak", kind, "--batch", str(batch), "--size", *map(str, size)]
    done = subprocess.run([*command, "--device", device], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def peak(kind: str, batch: int, size: tuple[int, int], device: str) -> float:
    steps = Steps(batch, size, device)
    steps.open(18)
    if device == "cuda":
        getattr(steps, kind)()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        getattr(steps, kind)()
        return torch.cuda.max_memory_allocated() - before
    before = resident("VmRSS")
    getattr(steps, kind)()
    return resident("VmHWM") - before


def resident(what: str) -> float:
    """Bytes of memory of this process: now (VmRSS), or at its peak (VmHWM). Linux only."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith(what))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--json", type=Path)
    options.add_argument("--device", default="cpu")
    options.add_argument("--batch", type=int, default=8)
    options.add_argument("--size", type=int, nargs=2, default=[192, 384])
    options.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of the search on street scenes")
    options.add_argument("--peak", choices=("train", "weights", "rates"))
    chosen = options.parse_args()
    torch.set_num_threads(1)
    size = (chosen.size[0], chosen.size[1])
    if chosen.peak:
        print(peak(chosen.peak, chosen.batch, size, chosen.device))
        return
    peaks = {kind: memory(kind, chosen.batch, size, chosen.device) for kind in ("train", "weights", "rates")}
    print(peaks, flush=True)
    steps = Steps(chosen.batch, size, chosen.device)
    by_count = {}
    for count in (1, 6, 12, 18):
        by_count[count] = ratios(steps, count, chosen.device)
        print(count, by_count[count], flush=True)
    torch.set_num_threads(chosen.threads)
    profile = open_at_each_step(chosen.device)
    print(profile, flush=True)
    record = {
        "version": 1,
        "command": " ".join(["python", "benchmarks/search_step.py", *sys.argv[1:]]),
        "machine": {"system": platform.platform(), "torch": torch.__version__, "threads": 1, "device": chosen.device},
        "date": str(date.today()),
        "network": "RegSeg, 13 searched rates of 18 candidates",
        "batch": chosen.batch,
        "size": list(size),
        "by_candidates": by_count,
        "open_candidates_on_streets": [round(count, 2) for count in profile],
        "search_over_training": (price := of_search(by_count, profile)),
        "time_to_answer_in_trainings": to_answer(price["pruned as on street scenes"]),
        "peak_bytes": peaks,
        "memory_over_training": max(peaks["weights"], peaks["rates"]) / peaks["train"],
    }
    text = json.dumps(record, indent=1)
    print(text)
    if chosen.json:
        chosen.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
