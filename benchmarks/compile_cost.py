"""What compiling costs: seconds, and the most memory held, against what the model itself needs for a call.

Each figure is taken in a process of its own, at 512x1024 in float32, after everything is imported; memory is what the
process holds above that. "own" is the module in plain eager PyTorch, built and called once.

    python benchmarks/compile_cost.py --json benchmarks/results/compile_cost.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

SPECS = ("dwrseg", "regseg", "gun")
SIZE = (512, 1024)
ROUNDS = 3


def one(spec: str, engine: str) -> dict[str, float]:
    """Seconds and peak MB of one compilation, or of the module's own call for the engine "own call"."""
    import torch
    from archdsl.runtime.bench.memory import MemoryMeter
    from archdsl.runtime.compile import compile

    import archdsl

    meter = MemoryMeter(torch.device("cpu"))
    took = 0.0

    def work() -> None:
        nonlocal took
        module = archdsl.load(f"specs/{spec}.arch").module(seed=0).eval()
        start = time.perf_counter()
        if engine == "own call":
            with torch.no_grad():
                module(torch.zeros(1, 3, *SIZE))
        else:
            compile(module, sizes=[SIZE], engine=engine)
        took = time.perf_counter() - start

    peak = meter.peak_mb(work)
    return {"seconds": took, "peak_mb": peak or 0.0}


def measure(spec: str, engine: str) -> dict[str, Any]:
    """Medians over fresh processes."""
    command = [sys.executable, __file__, "--one", spec, engine]
    runs = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(ROUNDS)]
    medians = {key: round(statistics.median(run[key] for run in runs), 3) for key in ("seconds", "peak_mb")}
    return {"spec": spec, "engine": engine, **medians}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", nargs=2, metavar=("SPEC", "ENGINE"), help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(one(*chosen.one)))
        return
    from archdsl.runtime.machine import describe, versions

    rows = []
    for spec in SPECS:
        own = measure(spec, "own call")
        for engine in ("eager", "own"):
            row = measure(spec, engine)
            row["own_mb"], row["memory_ratio"] = own["peak_mb"], round(row["peak_mb"] / own["peak_mb"], 2)
            rows.append(row)
            print("{spec} {engine}: {seconds:.2f} s, {peak_mb:.0f} MB, {memory_ratio}x a call".format(**row))
    if chosen.json:
        facts = {"version": 1, "date": date.today().isoformat(), "command": " ".join(["python", *sys.argv])}
        content = {**facts, "hardware": describe(), "versions": versions(), "size": "512x1024", "rows": rows}
        chosen.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
