"""How long and how large `archdsl check` becomes on texts made to be as bad as the limits allow.

Each text goes through a process of its own, started three times; the median time and the largest memory are kept. CPU
time is that of the whole process, interpreter start included; the aim is 2 s and 300 MB. Exits with 1 when a text
misses it.

    python benchmarks/limits.py --json benchmarks/results/limits.json
"""

from __future__ import annotations

import argparse
import json
import os
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

ROUNDS = 3
MAX_SECONDS = 2.0
MAX_MEGABYTES = 300
BIG = 10_000_000


def network(body: str, blocks: str = "") -> str:
    return f"arch 1\n{blocks}\nnetwork N {{\n  in image [3, H, W]\n{body}\n}}\n"


HOLES = "  x = image -> conv(8, 3, stride=2) -> conv(8, 3, stride=2) -> conv(8, 3, dilation=9)\n"
RESIDUAL = "block R { in x [C, H, W] out relu((x -> conv(C, 3) -> bn) + x) }"
WIDE = "".join(f"  y{i} = x -> conv(1, 1)\n" for i in range(4000))

TEXTS: dict[str, Callable[[], str | bytes]] = {
    "empty": lambda: "",
    "binary": lambda: bytes(range(256)) * 4096,
    "96,000 nodes, one chain, holes at its start": lambda: network(
        HOLES + "  x = x -> 31998 * [conv(8, 3), bn, relu]\n  out x -> conv(2)"
    ),
    "96,000 nodes, residual blocks, holes at their start": lambda: network(
        HOLES + "  x = x -> 23998 * R\n  out x -> conv(2)", RESIDUAL
    ),
    "96,000 nodes, 300 branches, holes in all": lambda: network(
        HOLES + "  y = [x]\n  for i in 1..300 { y = y + [x -> 320 * relu] }\n  out sum(y) -> conv(2)"
    ),
    "96,000 nodes, split and concatenated, holes in half of the channels": lambda: network(
        HOLES + "  x = concat([x, image -> conv(8, 3, stride=4)])\n"
        "  for i in 1..24000 {\n    a, b = split(x, 2)\n    x = concat([b -> relu, a])\n  }\n  out x"
    ),
    "33,000 nodes, branches of different rates": lambda: network(
        "  x = image -> conv(8, 3, stride=2)\n"
        "  for i in 1..8000 { x = concat([x -> conv(4, 3, dilation=1 + i % 7), x -> conv(4, 3, dilation=i % 97 + 1)]) }"
        "\n  out x"
    ),
    "4,000 lines": lambda: network(
        "  x = image\n" + WIDE + f"  out concat([{', '.join(f'y{i}' for i in range(4000))}])"
    ),
    "a block that doubles itself": lambda: network(
        "  out image -> B", "block B(n: int = 60) { in x out x -> relu if n == 0 else x -> B(n - 1) -> B(n - 1) }"
    ),
    "a loop without use": lambda: network("  for i in 1..99999 { for j in 1..99999 { _y = i * j } }\n  out image"),
    "a list of lists": lambda: network("  _y = [[[0 for i in 1..999] for j in 1..99] for k in 1..99]\n  out image"),
    "6,000 faulty statements": lambda: network("  _y = image -> conv(0)\n" * 6000 + "  out image"),
    "20 networks of 90,000 nodes": lambda: (
        "arch 1\n" + "".join(f"network N{i} {{ in image [3, H, W] out image -> 90000 * relu }}\n" for i in range(20))
    ),
    "10 MB of letters": lambda: "a" * BIG,
    "10 MB of open brackets": lambda: "(" * BIG,
    "10 MB of lines": lambda: network("  x = image -> relu\n" * (BIG // 20)),
    "10 MB of comments": lambda: "# of a comment\n" * (BIG // 15),
    "10 MB of one string": lambda: 'arch 1\n"' + "s" * BIG,
    "100,000 open brackets": lambda: network("  x = " + "(" * 100_000),
    "deep nesting": lambda: network("  _x = " + "(" * 5000 + "1" + ")" * 5000 + "\n  out image"),
    "a long sum": lambda: network("  _x = " + " + ".join(["1"] * 100_000) + "\n  out image"),
    "a long chain": lambda: network("  out image" + " -> relu" * 50_000),
}


def measured(path: Path) -> tuple[float, float, int]:
    """CPU seconds, megabytes at the peak, and the exit code of one check."""
    process = subprocess.Popen(
        [sys.executable, "-m", "archdsl", "check", path.name],
        cwd=path.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in (0, 1), said.decode(errors="replace")
    per_megabyte = 1_000_000 if sys.platform == "darwin" else 1000
    return used.ru_utime + used.ru_stime, used.ru_maxrss / per_megabyte, process.returncode


def summed_up(path: Path) -> dict[str, Any]:
    runs = [measured(path) for _ in range(ROUNDS)]
    seconds, megabytes, codes = zip(*runs, strict=True)
    return {"cpu_s": round(statistics.median(seconds), 3), "peak_mb": round(max(megabytes), 1), "exit": codes[0]}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--json", type=Path)
    options.add_argument("--only", default="", help="run the texts whose name holds this")
    chosen = options.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spec.arch"
        for name, made in TEXTS.items():
            if chosen.only not in name:
                continue
            text = made()
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
            del text
            started = time.perf_counter()
            row = {"text": name, **summed_up(path)}
            row["met"] = row["cpu_s"] <= MAX_SECONDS and row["peak_mb"] <= MAX_MEGABYTES
            rows.append(row)
            wall = (time.perf_counter() - started) / ROUNDS
            print(f"{row['cpu_s']:7.2f} s  {row['peak_mb']:6.1f} MB  exit {row['exit']}  {name}  (wall {wall:.2f} s)")
    if chosen.json:
        machine = {"processor": platform.machine(), "python": platform.python_version(), "system": platform.system()}
        content = {
            "version": 1,
            "date": date.today().isoformat(),
            "machine": machine,
            "load": round(os.getloadavg()[0], 1),
            "rounds": ROUNDS,
            "rows": rows,
        }
        chosen.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if not all(row["met"] for row in rows):
        sys.exit("some texts take more than 2 s or 300 MB")


if __name__ == "__main__":
    main()
