"""How long `archdsl check specs/regseg.arch` takes as a whole process, interpreter start included.

python benchmarks/startup.py --json benchmarks/results/startup.json
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

ROUNDS = 15
COMMAND = ["-m", "archdsl", "check", "specs/regseg.arch"]


def once(arguments: list[str]) -> float:
    """Seconds of one run. Raises CalledProcessError when it fails."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--json", type=Path)
    chosen = options.parse_args()
    once(COMMAND)
    pairs = [(once(["-c", "pass"]), once(COMMAND)) for _ in range(ROUNDS)]
    bare, whole = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"check {whole:.3f} s, of which a bare interpreter takes {bare:.3f} s (medians of {ROUNDS}, interleaved)")
    if chosen.json:
        machine = {"processor": platform.machine(), "python": platform.python_version(), "system": platform.system()}
        content = {
            "version": 1,
            "date": date.today().isoformat(),
            "machine": machine,
            "rounds": ROUNDS,
            "command": "archdsl check specs/regseg.arch",
            "median_s": round(whole, 3),
            "bare_interpreter_median_s": round(bare, 3),
        }
        chosen.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
