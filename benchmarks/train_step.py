"""Images per second of a training step: archdsl's loop against RegSeg's official one, interleaved.

python benchmarks/train_step.py --official DIR --json benchmarks/results/train_step.json

The official step is what RegSeg's train.py does: eager, contiguous, autocast with a gradient scaler, SGD as torch has
it by default, cross entropy, the loss read every step. DIR is a checkout of github.com/RolandGao/RegSeg, whose model is
used; without it that loop drives our module of the same network, which is said in the result. Data are random and lie
on the device, so that neither side pays for loading. Each side has a process of its own, as settings of the allocator
are for a whole process; they do the same number of steps in turn, one waiting for the other, and the ratio is the
median of those of paired rounds. On a CPU a round is measured by the processor's time too (`processor_ratio_median`),
which is what is left to look at where other work shares the machine.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import statistics
import sys
import time
import types
from collections.abc import Callable
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

import archdsl
from archdsl.training.allocator import keep_memory
from archdsl.training.compiled import compiled
from archdsl.training.cuda_graph import GraphedBackward
from archdsl.training.losses import Criterion
from archdsl.training.optimizer import make_optimizer
from archdsl.training.processes import Processes
from archdsl.training.recipes import overridden, read_recipe
from archdsl.training.step import Step

SPEC = "specs/regseg.arch"
Once = Callable[[], Any]


def official_model(folder: Path | None, classes: int) -> torch.nn.Module:
    """The official model, or ours where there is no checkout."""
    if folder is None:
        return archdsl.load(SPEC, classes=classes).module(0)
    # decoders of competitors, which RegSeg does not use, want packages that may be missing
    stub: Any = types.ModuleType("competitor_blocks")
    stub.BiseNetDecoder = stub.SFNetDecoder = stub.FaPNDecoder = None
    sys.modules["competitor_blocks"] = stub
    sys.path.insert(0, str(folder))
    from model import RegSeg  # type: ignore[import-not-found]

    made: torch.nn.Module = RegSeg("exp48_decoder26", classes)
    return made


def official(chosen: argparse.Namespace, images: torch.Tensor, labels: torch.Tensor) -> Once:
    """A step as the official train.py takes it."""
    device = images.device.type
    model = official_model(chosen.official, chosen.classes).to(images.device).train()
    norm = [p for n, p in model.named_parameters() if "bn" in n]
    rest = [p for n, p in model.named_parameters() if "bn" not in n]
    groups = [{"params": norm, "weight_decay": 0}, {"params": rest, "weight_decay": 1e-4}]
    optimizer = torch.optim.SGD(groups, lr=0.01, momentum=0.9)
    scaler = torch.amp.GradScaler(device, enabled=device == "cuda" and chosen.precision == "float16")
    mean, std = (
        torch.tensor(v, device=images.device).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    inputs = (images.float() / 255 - mean) / std
    dtype = {"float32": None, "float16": torch.float16, "bfloat16": torch.bfloat16}[chosen.precision]

    def once() -> float:
        with torch.autocast(device, dtype or torch.bfloat16, enabled=dtype is not None):
            loss = F.cross_entropy(model(inputs), labels.long(), ignore_index=255)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss.item()

    return once


def ours(chosen: argparse.Namespace, images: torch.Tensor, labels: torch.Tensor) -> Once:
    """A step of `archdsl train`, from uint8 crops on."""
    if images.device.type == "cpu":
        keep_memory()
    net = archdsl.load(SPEC, classes=chosen.classes)
    options = [f"run.precision={chosen.precision}", "optimizer.lr=0.01", f"run.cuda_graph={str(chosen.graph).lower()}"]
    recipe = overridden(read_recipe("regseg-paper"), [*options, f"run.compile={str(chosen.compile).lower()}"])
    module = net.module(0).to(images.device).to(memory_format=torch.channels_last).train()
    forward = compiled(module) if chosen.compile else module
    criterion = Criterion.of(recipe.loss, "logits", {}, device=images.device)
    seen = (net.preprocessing, 3)
    step = Step(forward, criterion, make_optimizer(module, recipe.optimizer), recipe, images.device, seen, Processes())
    if chosen.graph:
        step.run = GraphedBackward(step, module)
    return lambda: step(images, labels)


Times = tuple[float, float]
"""Seconds of the clock and of the processor."""


def seconds(once: Once, steps: int, device: torch.device) -> Times:
    start, busy = time.perf_counter(), time.process_time()
    for _ in range(steps):
        once()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / steps, (time.process_time() - busy) / steps


def side(name: str, chosen: argparse.Namespace, wire: Connection) -> None:
    """One side in its process: warms up, then takes steps whenever it is asked to, until it is asked for none."""
    torch.set_num_threads(chosen.threads)
    height, width = map(int, chosen.size.split("x"))
    device, generator = torch.device(chosen.device), torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (chosen.batch, 3, height, width), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, chosen.classes, (chosen.batch, height, width), generator=generator).to(torch.uint8)
    once = {"official": official, "archdsl": ours}[name](chosen, images.to(device), labels.to(device))
    seconds(once, 3 if device.type == "cuda" else 1, device)
    wire.send(None)
    while steps := wire.recv():
        wire.send(seconds(once, steps, device))


def measured(chosen: argparse.Namespace) -> list[dict[str, Times]]:
    """Rounds in which each side takes its steps while the other waits."""
    context, wires = multiprocessing.get_context("spawn"), {}
    for name in ("official", "archdsl"):
        wires[name], theirs = context.Pipe()
        context.Process(target=side, args=(name, chosen, theirs), daemon=True).start()
        wires[name].recv()
    rounds = [{name: _asked(wire, chosen.steps) for name, wire in wires.items()} for _ in range(chosen.rounds)]
    for wire in wires.values():
        wire.send(0)
    return rounds


def _asked(wire: Any, steps: int) -> Times:
    wire.send(steps)
    found: Times = wire.recv()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--official", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", choices=("float32", "float16", "bfloat16"), default="float32")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--size", default="360x480")
    parser.add_argument("--classes", type=int, default=11)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--graph", action="store_true", help="ours as a CUDA graph")
    parser.add_argument("--compile", action="store_true", help="ours through torch.compile")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    chosen = parser.parse_args()
    report(chosen, measured(chosen), torch.device(chosen.device))


def report(chosen: argparse.Namespace, rounds: list[dict[str, Times]], device: torch.device) -> None:
    medians = {name: statistics.median(r[name][0] for r in rounds) for name in rounds[0]}
    ratios, of_processor = (sorted(r["official"][i] / r["archdsl"][i] for r in rounds) for i in (0, 1))
    content: dict[str, Any] = {
        "version": 1,
        "date": date.today().isoformat(),
        "machine": {
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
            "threads": chosen.threads,
            "torch": torch.__version__,
        },
        "network": "RegSeg",
        "official_model": "RolandGao/RegSeg" if chosen.official else "our module of the same network",
        **{
            key: getattr(chosen, key)
            for key in ("precision", "batch", "size", "classes", "rounds", "steps", "graph", "compile")
        },
        "images_per_second": {name: round(chosen.batch / value, 3) for name, value in medians.items()},
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_quartiles": [round(ratios[len(ratios) // 4], 3), round(ratios[3 * len(ratios) // 4], 3)],
    }
    if device.type == "cpu":
        content["processor_ratio_median"] = round(statistics.median(of_processor), 3)
    print(json.dumps(content, indent=2))
    if chosen.json:
        chosen.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
