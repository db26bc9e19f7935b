"""How long `archdsl check specs/regseg.arch` takes as a whole process, interpreter start included.

python benchmarks/startup.py --json benchmarks/results/startup.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

ROUNDS = 15
COMMAND = ["-m", "archdsl", "check", "specs/regseg.arch"]


def once(arguments: list[str]) -> tuple[float, float]:
    """Seconds of one run by the clock, and of the processor alone. Raises CalledProcessError when it fails."""
    start, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - start, spent


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--json", type=Path)
    chosen = options.parse_args()
    once(COMMAND)
    pairs = [(*once(["-c", "pass"]), *once(COMMAND)) for _ in range(ROUNDS)]
    bare, _, whole, spent = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"check {whole:.3f} s, of which a bare interpreter takes {bare:.3f} s (medians of {ROUNDS}, interleaved)")
    print(f"processor time alone: {spent:.3f} s; the load of the machine is {os.getloadavg()[0]:.1f}")
    if chosen.json:
        machine = {"processor": platform.machine(), "python": platform.python_version(), "system": platform.system()}
        content = {
            "version": 1,
            "date": date.today().isoformat(),
            "machine": machine,
            "rounds": ROUNDS,
            "command": "archdsl check specs/regseg.arch",
            "load": round(os.getloadavg()[0], 1),
            "median_s": round(whole, 3),
            "median_processor_s": round(spent, 3),
            "bare_interpreter_median_s": round(bare, 3),
        }
        chosen.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
