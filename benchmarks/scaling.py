"""How the time from text to facts grows: parse, elaborate and analyse networks of 100, 1,000 and 10,000 ops.

Each network is written out op by op (a line of three ops at a time, with a skip every tenth line), so that the parser
has as much to do as the analyses. Five rounds, interleaved over the sizes; the medians are printed and written.

    python benchmarks/scaling.py --json benchmarks/results/scaling.json
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from archdsl.checking import check_network
from archdsl.spec import Spec

OPS_PER_LINE = 3
ROUNDS = 5


def network_text(ops: int) -> str:
    """A network of about `ops` ops, every one written in the text."""
    lines = ["arch 1", "", "network Long {", "  in image [3, H, W]", "  x = image -> conv(16, 3, stride=2)"]
    for i in range(ops // OPS_PER_LINE):
        lines.append(f"  x = x -> conv(16, 3, dilation={1 + i % 3}) -> bn -> relu")
        if i % 10 == 9:
            lines.append("  x = x + (x -> conv(16))")
    lines += ["  out logits = x -> conv(19) -> resize(like=image)", "}"]
    return "\n".join(lines) + "\n"


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def once(ops: int) -> dict[str, float]:
    """Seconds for each step of one network, and how many nodes it has."""
    text = network_text(ops)
    parse_s, spec = timed(lambda: Spec.parse(text))
    check_s, checked = timed(lambda: check_network(spec))
    assert checked.ok and checked.graph is not None, checked.diagnostics
    return {"nodes": len(checked.graph.nodes), "parse_s": parse_s, "check_s": check_s, "total_s": parse_s + check_s}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--sizes", type=int, nargs="+", default=[100, 1_000, 10_000])
    options.add_argument("--json", type=Path)
    chosen = options.parse_args()
    once(100)  # the parser's table is loaded by the first network
    rounds = [{ops: once(ops) for ops in chosen.sizes} for _ in range(ROUNDS)]
    rows = [
        {"ops": ops, **{key: round(statistics.median(r[ops][key] for r in rounds), 4) for key in rounds[0][ops]}}
        for ops in chosen.sizes
    ]
    for row in rows:
        print("  ".join(f"{key} {value:g}" for key, value in row.items()))
    if chosen.json:
        machine = {"processor": platform.machine(), "python": platform.python_version(), "system": platform.system()}
        content = {"version": 1, "date": date.today().isoformat(), "machine": machine, "rounds": ROUNDS, "rows": rows}
        chosen.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
