"""`archdsl bench`: what it measures, what it says of what it cannot measure, and what stays after Ctrl-C."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from archdsl.runtime import stopwatch
from archdsl.runtime.bench import rounds
from archdsl.runtime.bench.case import Case
from archdsl.runtime.bench.contender import Ready
from archdsl.runtime.bench.difference import difference
from archdsl.runtime.bench.peers import PEERS
from archdsl.runtime.bench.pernode import measured
from archdsl.runtime.bench.plot import svg
from archdsl.runtime.bench.report import add_case, new_report
from archdsl.runtime.bench.statistics import paired_ratio, spread
from archdsl.runtime.compile import compile_graph
from nets import net

from archdsl.cli.app import _run
from archdsl.cli.bench import _engine_on
from archdsl.lower.weights import initial_weights

SPEC = """arch 1
network Tiny {
  in image [3, H, W]
  x = image -> conv(8, 3, stride=2) -> bn -> relu
  out logits = x -> conv(5, bias=true) -> resize(like=image)
}
"""
NO_CUDA = not torch.cuda.is_available()


def case(**options: Any) -> Case:
    graph = net()
    return Case(graph, initial_weights(graph), (40, 52), **options)


def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *options: str) -> int:
    spec = tmp_path / "tiny.arch"
    spec.write_text(SPEC)
    arguments = ["bench", str(spec), "--input", "32x48", "--time", "20ms", *options]
    monkeypatch.setattr(sys, "argv", ["archdsl", *arguments])
    return _run()


# ----------------------------------------------------------------- statistics


def test_a_spread_is_median_and_percentiles_in_milliseconds() -> None:
    times = spread({i: (i + 1) / 1000 for i in range(101)})
    assert (times.median, times.p5, times.p95, times.rounds) == (pytest.approx(51), pytest.approx(6), 96, 101)


def test_the_interval_of_a_paired_ratio_holds_the_truth_and_shrinks_with_rounds() -> None:
    """Noise that a round's two timings share leaves the ratio alone."""
    generator = np.random.default_rng(1)
    shared = np.exp(generator.normal(0, 0.5, 200))
    own = {i: 0.01 * shared[i] * float(np.exp(generator.normal(0, 0.02))) for i in range(200)}
    peer = {i: 1.3 * 0.01 * shared[i] * float(np.exp(generator.normal(0, 0.02))) for i in range(200)}
    many = paired_ratio(peer, own)
    few = paired_ratio({i: peer[i] for i in range(8)}, own)
    assert many.low < 1.3 < many.high and many.low <= many.ratio <= many.high
    assert many.high - many.low < few.high - few.low
    assert paired_ratio(own, peer).ratio == pytest.approx(1 / many.ratio)


def test_only_rounds_that_both_took_part_in_count() -> None:
    assert paired_ratio({0: 4.0, 1: 2.0}, {1: 1.0, 2: 9.0}).ratio == 2.0
    with pytest.raises(ValueError, match="no round"):
        paired_ratio({0: 1.0}, {1: 1.0})


# ------------------------------------------------------------------- contenders


@pytest.mark.parametrize("output", ["logits", "labels"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["eager", "eager-channels-last"])
def test_eager_peers_compute_the_network(name: str, dtype: str, output: str) -> None:
    at = case(dtype=dtype, output=output, batch=2)
    ready = PEERS[name].prepare(at)
    assert difference(at, ready.read(ready.run()))["agrees"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torch.compile", "onnxruntime", "openvino"])
@pytest.mark.parametrize("output", ["logits", "labels"])
def test_compiling_peers_compute_the_network(name: str, output: str) -> None:
    at = case(output=output)
    reason = PEERS[name].missing(at)
    if reason is not None:
        pytest.skip(reason)
    ready = PEERS[name].prepare(at)
    found = difference(at, ready.read(ready.run()))
    assert found["agrees"], found
    assert ready.compile_s > 0


def test_a_wrong_output_does_not_agree() -> None:
    at, labels = case(), case(output="labels")
    assert not difference(at, at.reference * 1.01)["agrees"]
    assert not difference(labels, (labels.reference + 1) % 5)["agrees"]


def test_a_peer_that_is_missing_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archdsl.runtime.foreign.find_spec", lambda name: None)
    for name in ("onnxruntime", "openvino"):
        reason = PEERS[name].missing(case())
        assert reason is not None and reason.endswith(f"pip install 'archdsl[{name}]'")
    assert PEERS["tensorrt"].missing(case()) == "it runs on CUDA devices only"
    assert PEERS["onnxruntime"].missing(case(dtype="bfloat16")) == "its CPU kernels have no bfloat16 convolution"


class Waits:
    """A peer that does nothing, and whose clock says that it took some seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self) -> None:
        return None

    def missing(self, at: Case) -> str | None:
        return None

    def prepare(self, at: Case) -> Ready:
        return Ready(self, lambda _: at.reference)


def quick(monkeypatch: pytest.MonkeyPatch, **delays: float) -> None:
    """Peers, and a clock on which they take what they say and archdsl a millisecond, however busy the machine is."""

    def timed(run: Callable[[], object], device: torch.device) -> float:
        run()
        return run.seconds if isinstance(run, Waits) else 0.001

    monkeypatch.setattr(rounds, "PEERS", {name: Waits(delay) for name, delay in delays.items()})
    monkeypatch.setattr(rounds, "timed", timed)
    monkeypatch.setattr(rounds, "timed_alone", timed)


def test_slow_contenders_leave_after_the_first_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, fast=0.002, slow=0.05)
    monkeypatch.setattr(rounds, "MAX_ROUNDS", 12)
    found = rounds.measure(case(), ["fast", "slow"], "eager", 60.0, lambda line: None)
    assert (found.rows["slow"].rounds, found.rows["fast"].rounds) == (rounds.MIN_ROUNDS, 12)
    ratio = rounds.ratio_of(found, 0.001)
    assert ratio is not None and ratio.best_peer == "fast" and ratio.chosen == "eager" and ratio.own
    assert ratio.ratio_low is not None and ratio.ratio is not None and ratio.ratio_low <= ratio.ratio
    assert ratio.of_limit == pytest.approx(0.001 / (found.rows["archdsl"].median_ms or 0))


def test_a_peer_that_computes_something_else_is_not_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, fast=0.001, slow=0.002)
    peers = rounds.PEERS
    wrong = Ready(lambda: None, lambda _: torch.zeros_like(case().reference))
    monkeypatch.setattr(peers["fast"], "prepare", lambda at: wrong)
    found = rounds.measure(case(), ["fast", "slow"], "eager", 0.05, lambda line: None)
    ratio = rounds.ratio_of(found, None)
    assert found.rows["fast"].agrees is False and ratio is not None and ratio.best_peer == "slow"


def test_a_peer_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(at: Case) -> Ready:
        raise RuntimeError("no kernel\nand a trace")

    quick(monkeypatch, broken=0.0)
    monkeypatch.setattr(rounds.PEERS["broken"], "prepare", fail)
    found = rounds.measure(case(), ["broken"], "eager", 0.01, lambda line: None)
    assert found.rows["broken"].skipped == "failed: no kernel" and found.rows["archdsl"].median_ms is not None


def test_an_interrupt_keeps_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter(range(100))

    def run() -> None:
        if next(calls) == 8:
            raise KeyboardInterrupt

    quick(monkeypatch, late=0.0)
    monkeypatch.setattr(rounds.PEERS["late"], "prepare", lambda at: Ready(run, lambda _: at.reference))
    report = new_report("bench", ["cpu"])
    add_case(report, case(), ["late"], "eager", 5.0, True, lambda line: None)
    assert report.interrupted and report.nodes == {}
    assert [row.engine for row in report.rows if row.median_ms is not None] == ["archdsl", "late"]
    assert report.ratios[0].best_peer == "late"


# ----------------------------------------------------------------- per node


@pytest.mark.parametrize("engine", ["eager", "native"])
def test_the_time_of_each_step_stands_at_its_line(engine: str) -> None:
    model = compile_graph(case().graph, case().weights, sizes=[case().size], engine=engine)
    found = measured(model, model.graph, case().inputs, "one\ntwo\n  in image")
    assert found.engine == engine and found.call > 0
    assert {step.node for step in found.steps} <= {node.name for node in model.graph.nodes if node.op != "input"}
    assert all(step.seconds > 0 for step in found.steps) and "logits.conv1" in {step.node for step in found.steps}
    lines = found.by_line()
    assert set(lines) == {0, 3} and sum(lines.values()) == pytest.approx(found.total)
    assert found.text(3) == "in image" and found.text(0) == found.text(9) == ""
    assert found.under("logits", 0) == sum(s.seconds for s in found.steps if s.node.startswith("logits."))


def test_an_engine_that_tells_no_steps_is_measured_in_eager_pytorch() -> None:
    model = compile_graph(case().graph, case().weights, sizes=[case().size], engine="eager")
    assert model.profile(*case().inputs) is None


# ------------------------------------------------------------------- command


def test_the_command_writes_table_json_and_plot(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, plot = tmp_path / "b.json", tmp_path / "b.svg"
    options = ["--peers", "eager,tensorrt", "--engine", "eager", "--json", str(data), "--svg", str(plot), "--per-node"]
    assert bench(monkeypatch, tmp_path, *options) == 0
    printed = capsys.readouterr()
    assert "| **archdsl** (eager)" in printed.out and "- tensorrt: it runs on CUDA devices only" in printed.out
    assert "archdsl chose eager (its own engine)" in printed.out and "95 % interval" in printed.out
    assert "preparing eager" in printed.err
    found = json.loads(data.read_text())
    assert found["version"] == 1 and found["limits"]["copy_gb_s"] > 0 and found["hardware"]["processor"]
    ours, eager, _ = found["rows"]
    assert (ours["engine"], ours["network"], ours["input"], ours["dtype"]) == ("archdsl", "Tiny", "32x48", "float32")
    assert ours["p5_ms"] <= ours["median_ms"] <= ours["p95_ms"] and ours["rounds"] >= rounds.MIN_ROUNDS
    assert ours["max_abs_error"] < 1e-4 and ours["load_s"] > 0 and eager["first_call_s"] > 0
    (ratio,) = found["ratios"]
    assert ratio["best_peer"] == "eager" and ratio["own"] and ratio["chosen"] == "eager" and ratio["of_limit"] > 0
    (profile,) = found["nodes"].values()
    assert [line["line"] for line in profile["lines"]] == [4, 5] and profile["engine"] == "eager"
    assert profile["lines"][0]["text"] == "x = image -> conv(8, 3, stride=2) -> bn -> relu"
    assert "| 4    | `x = image -> conv(8, 3, stride=2) -> bn -> relu`" in printed.out
    assert ElementTree.parse(plot).getroot().tag.endswith("svg")


@pytest.mark.parametrize("options", [("--json", "-"), ("--format", "json")])
def test_json_on_standard_output_stands_alone(
    options: tuple[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(monkeypatch, tmp_path, "--peers", "none", "--engine", "eager", *options) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["engine"] for row in found["rows"]] == ["archdsl"] and found["ratios"][0]["ratio"] is None
    assert svg(new_report("", ["cpu"])).startswith("<svg")


def test_why_our_kernels_cannot_run_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on a processor without AVX-512: another engine is taken, and nobody has to look for the reason."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert bench(monkeypatch, tmp_path, "--peers", "none", "--engine", "own") == 0
    printed = capsys.readouterr().out
    assert "archdsl chose eager" in printed
    assert "- archdsl's engine native: its kernels need a processor with AVX-512" in printed
    monkeypatch.setattr("sys.argv", ["archdsl", "compile", str(tmp_path / "tiny.arch"), "--input", "32x48"])
    monkeypatch.chdir(tmp_path)
    assert _run() == 0
    assert "native cannot run here: its kernels need a processor with AVX-512" in capsys.readouterr().out


# ------------------------------------------------------------------- in turns


def test_rounds_have_orders_of_their_own_that_are_the_same_each_time() -> None:
    names = ["a", "b", "c", "d"]
    orders = [stopwatch.in_turns(names, turn) for turn in range(40)]
    assert orders == [stopwatch.in_turns(names, turn) for turn in range(40)]
    before_a = Counter(order[order.index("a") - 1] for order in orders if order[0] != "a")
    assert all(sorted(order) == names for order in orders) and set(before_a) == {"b", "c", "d"}


def test_a_call_is_timed_when_what_spun_on_has_gone_to_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock of the test: a pool of threads that spins for 30 ms after a call, and one that never stops."""
    now, spins_until = [0.0], [0.03]
    clock = SimpleNamespace(
        process_time=lambda: min(now[0], spins_until[0]), sleep=lambda s: now.__setitem__(0, now[0] + s)
    )
    monkeypatch.setattr(stopwatch, "time", clock)
    stopwatch.settle()
    assert 0.03 <= now[0] < 0.04
    spins_until[0] = float("inf")
    stopwatch.settle()
    assert 1.5 < now[0] < 2.5


@pytest.mark.skipif(not NO_CUDA, reason="there is a CUDA device")
def test_without_cuda_its_rows_say_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--cuda-graphs", "--peers", "eager", "--engine", "eager")
    assert bench(monkeypatch, tmp_path, *options) == 0
    printed = capsys.readouterr().out
    assert printed.count("no CUDA device on this machine") == 2 and "| **archdsl** (eager)" in printed
    assert bench(monkeypatch, tmp_path, *options, "--require", "cuda") == 3
    assert "no CUDA device on this machine" in capsys.readouterr().err


def test_an_engine_that_was_named_is_the_cpus() -> None:
    assert _engine_on("cpu", ["cpu", "cuda"], "native") == "native"
    assert _engine_on("cuda", ["cpu", "cuda"], "native") == "own"
    assert _engine_on("cuda", ["cuda"], "cuda-graphs") == "cuda-graphs"
    assert _engine_on("cuda", ["cpu", "cuda"], "auto") == "auto"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--peers", "caffe"], "'caffe' is not one of all, none, eager"),
        (["--dtype", "int8"], "'int8' is not one of"),
        (["--engine", "warp"], "'warp' is not one of auto, own, eager"),
        (["--time", "soon"], "is no time"),
        (["--batch", "0"], "--batch"),
        (["--require", "tpu"], "'tpu' is not one of cuda"),
    ],
)
def test_wrong_usage_is_told_in_words(
    options: list[str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert bench(monkeypatch, tmp_path, *options) == 2
    assert words in capsys.readouterr().err
