"""The page of results says what the committed files say, and what is missing or missed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from archdsl.runtime.bench.measured import Measured, Step
from archdsl.runtime.bench.result import Against, Ratio, Report, Row

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"


def module() -> Any:
    spec = importlib.util.spec_from_file_location("page", BENCHMARKS / "page.py")
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    # a script finds its neighbours in its own folder
    sys.path.insert(0, str(BENCHMARKS))
    spec.loader.exec_module(found)
    return found


page = module()


def bench_file(folder: Path, ours: float, low: float, device: str = "cpu", own: bool = True) -> None:
    """A bench of RegSeg with two peers, the better of which takes 60 ms."""
    dtype, size = ("float32", "512x1024") if device == "cpu" else ("float16", "1024x2048")
    rows = [
        Row("RegSeg", name, device, dtype, 1, size, "logits", median_ms=ms, p5_ms=ms - 1, p95_ms=ms + 1, agrees=True)
        for name, ms in (("archdsl", ours), ("onnxruntime", 60.0), ("torch.compile-max-autotune", 66.0))
    ]
    rows.append(Row("RegSeg", "tensorrt", device, dtype, 1, size, "logits", skipped="it runs on CUDA devices only"))
    ratio = Ratio(
        "RegSeg", device, dtype, 1, size, "logits", "native", own, "onnxruntime", 60 / ours, low, 60 / ours + 0.1
    )
    ratio.against = {"torch.compile-max-autotune": Against(66 / ours, 1.0, 2.0)}
    ratio.floor_ms, ratio.of_limit = 10.0, 10.0 / ours
    steps = (Step("s4.0.conv1", "conv", 24, 0.03), Step("logits.resize1", "resize", 28, 0.01))
    source = "\n" * 23 + "s4 = stem -> DBlock(48)\n\n\n\nout logits = resize"
    case = f"RegSeg {size} {dtype} on {device}, logits"
    found = Report(
        {"processor": "CPU X", "threads": 2}, {"torch": "2.13"}, {}, "2026-11-21", "archdsl bench", rows, [ratio]
    )
    found.nodes[case] = Measured("native", dtype, 0.04, steps, source)
    (folder / f"{device}.json").write_text(json.dumps(found.json()), encoding="utf-8")


def test_the_page_is_what_the_committed_results_say() -> None:
    text = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    assert page.written(text, page.page(BENCHMARKS / "results")) == text, "run python benchmarks/page.py"


def test_what_was_not_measured_says_so(tmp_path: Path) -> None:
    made = page.page(tmp_path)
    # seven of the bench, six trainings on CamVid, one training step
    assert made.count("not yet measured") == 12 and made.count("not yet run on a GPU") == 7 + 6 + 1
    assert all(f"`python benchmarks/{name}" in made for name in ("planted_rates", "search_step", "search_use"))
    assert "No aim is missed by what was measured." in made


def test_an_aim_that_is_met_stands_in_the_table_alone(tmp_path: Path) -> None:
    bench_file(tmp_path, 40.0, 1.3)
    made = page.page(tmp_path)
    row = next(line for line in made.splitlines() if line.startswith("| RegSeg | float32 | 1 | 512x1024 | logits"))
    assert "| 40 | native | onnxruntime | 60 | **1.50×** | 1.30–1.60 | 1.3× | 4.0× 10 |" in row
    assert "[cpu.json](results/cpu.json)" in row and "No aim is missed" in made
    assert "| `archdsl bench` | CPU X, 2 threads | 2026-11-21 | 2.13 |" in made
    assert "it runs on CUDA devices only" in made and "40 (39–41)" in made


def test_an_aim_that_is_missed_says_by_how_much_and_where_the_time_goes(tmp_path: Path) -> None:
    bench_file(tmp_path, 55.0, 0.98)
    (line,) = page.misses(page.Results(tmp_path))
    assert "1.09× onnxruntime where 1.3× was aimed at (19 % short)" in line
    assert "the interval reaches down to 0.98" in line
    assert "line 24 (`s4 = stem -> DBlock(48)`) 75 %" in line and "s4.0.conv1 (conv) 30 ms" in line


def test_an_engine_of_others_is_no_win(tmp_path: Path) -> None:
    bench_file(tmp_path, 40.0, 1.3, own=False)
    made = page.page(tmp_path)
    assert "native (not our own: no win)" in made and "which is not our own" in made


def test_on_a_gpu_the_aim_is_about_graphs_of_torch_compile_and_the_floor(tmp_path: Path) -> None:
    bench_file(tmp_path, 50.0, 1.1, device="cuda")
    (line,) = page.misses(page.Results(tmp_path))
    assert "1.32× torch.compile-max-autotune where 1.5× was aimed at" in line and "5.0× the floor" in line


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_the_gpu_script_says_that_there_is_no_gpu() -> None:
    from sys import executable

    done = subprocess.run(
        ["bash", BENCHMARKS / "gpu.sh", "bench"],
        env={**os.environ, "PYTHON": executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (3, "no CUDA device on this machine\n")


def test_the_gpu_script_measures_every_case_of_the_page(tmp_path: Path) -> None:
    """With a stand-in for Python that notes what it was told, and fails for one of the cases."""
    noted, stub = tmp_path / "noted", tmp_path / "python"
    stub.write_text(
        f'#!/bin/sh\n[ "$1" = - ] && exit 0\necho "$@" >> {noted}\ncase "$*" in *batch8-gun*) exit 4 ;; esac\n'
    )
    stub.chmod(0o755)
    environment = {**os.environ, "PYTHON": str(stub)}
    done = subprocess.run(["bash", BENCHMARKS / "gpu.sh", "bench"], env=environment, capture_output=True, check=False)
    calls = [line.split() for line in noted.read_text().splitlines() if " bench " in line]
    measured = {(Path(c[3]).stem, int(c[c.index("--batch") + 1]), c[c.index("--input") + 1]) for c in calls}
    assert measured == {(network.lower(), batch, size) for network, _, _, batch, size, _ in page.GPU_CASES}
    assert done.returncode == 4 and all({"cuda", "float16", "--per-node"} <= set(call) for call in calls)
    wrong = subprocess.run(["bash", BENCHMARKS / "gpu.sh", "fly"], env=environment, capture_output=True, check=False)
    assert wrong.returncode == 2
