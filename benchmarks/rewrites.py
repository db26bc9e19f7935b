"""What each rewrite that is judged by costs is worth: networks compiled with all rewrites, and with all but one.

For every such rewrite that fires, the processor time of one image with the others over that with all; above 1 it helps.
One thread, so that other work on the machine disturbs little; rounds are interleaved, and medians are written.

    python benchmarks/rewrites.py --rounds 11 --json benchmarks/results/rewrites.json
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import torch
from archdsl.runtime.costs import costs_on
from archdsl.runtime.engines import ENGINES, Program
from archdsl.runtime.machine import describe, versions
from torch import Tensor

from archdsl.ir.graph import Graph
from archdsl.lower.weights import initial_weights
from archdsl.passes import PASSES, PassResult, passes_for, run_passes
from archdsl.spec import Spec, locate

NETWORKS = [
    ("specs/regseg.arch", "RegSeg"), ("specs/dwrseg.arch", "DWRSeg"), ("specs/dwrseg.arch", "DWRSegR1"),
    ("specs/zoo/icnet.arch", "ICNetAdaptive"), ("specs/zoo/ddrnet.arch", "DDRNet23Slim"),
    ("specs/zoo/pidnet.arch", "PIDNetS"),
    ("specs/zoo/fc_hardnet.arch", "FCHarDNet70"), ("specs/zoo/espnetv2.arch", "ESPNetV2"),
    ("specs/zoo/sfnet.arch", "SFNetRN18"), ("specs/zoo/fast_scnn.arch", "FastSCNN"),
    ("specs/zoo/bisenetv2.arch", "BiSeNetV2"), ("specs/zoo/mobilenetv3.arch", "MobileNetV3LRASPP"),
    ("specs/zoo/fcn8s.arch", "FCN8s"),
]  # fmt: skip

JUDGED = (
    "fold_into_next", "through_concat", "pooled_bias", "split_pointwise", "below_upsample", "after_shrinking",
    "merge_resizes", "join_pointwise", "parallel_convs", "gates", "epilogues",
)  # fmt: skip


def graph_of(spec: str, network: str) -> Graph:
    elaboration, _ = Spec.read(locate(spec).path).elaborate(network)
    assert elaboration is not None and elaboration.graph is not None
    return elaboration.graph


def variants(graph: Graph, dtype: str, size: tuple[int, int]) -> dict[str, PassResult]:
    """The network with all rewrites, under "all", and without each that is judged and fires, under its name."""
    weights, costs = initial_weights(graph), costs_on(torch.device("cpu"), dtype, [size])
    found: dict[str, PassResult] = {}
    found["all"], each = run_passes(graph, weights, passes_for("logits"), costs)
    for name in JUDGED:
        if each[name].fired:
            others = [rewrite for rewrite in passes_for("logits") if rewrite is not PASSES[name]]
            found[name], _ = run_passes(graph, weights, others, costs)
    return found


def nearest(graph: Graph, size: tuple[int, int]) -> tuple[int, int]:
    """The size that the network takes which is closest to a size."""
    values = costs_on(torch.device("cpu"), "float32", [size]).values(graph)
    return values["H"], values["W"]


def seconds(run: Callable[[Tensor], object], x: Tensor) -> float:
    start = time.process_time()
    run(x)
    return time.process_time() - start


def measured(graph: Graph, engine: str, dtype: str, size: tuple[int, int], rounds: int) -> dict[str, float]:
    """Median processor seconds of an image by variant."""
    kind = getattr(torch, dtype)
    runners = {
        name: ENGINES[engine].prepare(Program.of(last.graph, last.weights, kind, torch.device("cpu"), [size]))
        for name, last in variants(graph, dtype, size).items()
    }
    x = torch.randn(1, graph.inputs[0].types[0].channels, *size).to(kind, memory_format=torch.channels_last)
    for run in runners.values():
        run(x)
    taken = []
    for turn in range(rounds):
        # the order turns, so that no variant always runs after the same one
        names = sorted(runners, key=lambda name: (list(runners).index(name) - turn) % len(runners))
        taken.append({name: seconds(runners[name], x) for name in names})
    return {name: statistics.median(round[name] for round in taken) for name in runners}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--engine", nargs="+", default=["eager", "native"], choices=list(ENGINES))
    options.add_argument("--dtype", nargs="+", default=["float32"])
    options.add_argument("--size", type=int, nargs=2, default=[256, 512])
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--only", nargs="+", default=[])
    options.add_argument("--json", type=Path)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for spec, network in NETWORKS:
        if chosen.only and network not in chosen.only:
            continue
        graph = graph_of(spec, network)
        size = nearest(graph, tuple(chosen.size))
        for engine in chosen.engine:
            for dtype in chosen.dtype:
                found = measured(graph, engine, dtype, size, chosen.rounds)
                whole = found.pop("all")
                worth = {name: round(value / whole, 3) for name, value in found.items()}
                row = {"network": network, "engine": engine, "dtype": dtype, "ms": round(1e3 * whole, 2)}
                rows.append(row | {"worth": worth})
                print(rows[-1], flush=True)
    if chosen.json:
        content = {
            "version": 1,
            "date": date.today().isoformat(),
            "command": "python " + " ".join(sys.argv),
            "machine": describe() | {"threads": 1, "python": platform.python_version()},
            "versions": versions(),
            "size": chosen.size,
            "rounds": chosen.rounds,
            "rows": rows,
        }
        chosen.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
