"""Automatic choice: the fastest engine that is right, what is skipped and why, and what is remembered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from archdsl.runtime import ENGINES, Engine, Program, Unavailable, choose, register, stopwatch
from archdsl.runtime.cache import Timings, cache_folder, key_of, remember, remembered
from archdsl.runtime.engines.eager import Eager
from archdsl.runtime.engines.registry import Outputs, Runner
from nets import compiled, image
from torch import Tensor

from archdsl.diagnostics import InternalError

SIZES = [(40, 52)]


class Clock:
    """A clock that moves when a fake engine runs, and by nothing else: how busy the machine is decides no test."""

    def __init__(self) -> None:
        self.now = 0.0

    def read(self) -> float:
        return self.now


CLOCK = Clock()
CLOCKS = ("monotonic", "perf_counter", "process_time")


class Fake(Eager):
    """Eager with a delay on that clock, a wrong result, or a fault."""

    own = False

    def __init__(
        self,
        name: str,
        delay: float = 0.0,
        scale: float = 1.0,
        seconds: float = 0.0,
        fault: str = "",
        late_fault: str = "",
    ) -> None:
        self.name, self.delay, self.scale, self.seconds, self.fault = name, delay, scale, seconds, fault
        self.late_fault = late_fault
        self.prepared = 0

    def prepare(self, program: Program) -> Runner:
        if self.fault:
            raise RuntimeError(f"{self.fault}\nand a long trace")
        self.prepared += program.graph.inputs[0].name == "image"  # the whole, and not a part
        run = super().prepare(program)

        def slowly(*inputs: Tensor) -> Outputs:
            if self.late_fault:
                raise RuntimeError(self.late_fault)
            CLOCK.now += 0.001 + self.delay
            result = run(*inputs)
            assert isinstance(result, Tensor)
            return result * self.scale

        return slowly


@pytest.fixture(autouse=True)
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No engine is there but what a test puts, and the cache is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    clock = SimpleNamespace(**dict.fromkeys(CLOCKS, CLOCK.read), sleep=lambda seconds: None)
    monkeypatch.setattr(choose, "time", clock)
    monkeypatch.setattr(stopwatch, "time", clock)
    before = dict(ENGINES)
    ENGINES.clear()
    yield
    ENGINES.clear()
    ENGINES.update(before)


def put(*engines: Engine) -> None:
    for engine in engines:
        register(engine)


def test_the_fastest_right_engine_is_chosen_and_the_others_say_why_not() -> None:
    put(
        Fake("slow", delay=0.02),
        Fake("wrong", scale=1.1),
        Fake("fast", delay=0.005),
        Fake("broken", fault="no compiler"),
        Fake("long", seconds=600),
    )
    model = compiled(sizes=SIZES)
    record = model.manifest.engines[0]
    assert record.engine == "fast" and not record.own
    assert record.milliseconds == {"slow": pytest.approx(21), "wrong": pytest.approx(1), "fast": pytest.approx(6)}
    assert set(record.skipped) == {"wrong", "broken", "long", "parts"}
    assert record.skipped["parts"] == "fast is the fastest on each of 4 parts (slow tried)"
    assert record.skipped["wrong"].startswith("rejected: Net as compiled differs from the oracle")
    assert record.skipped["broken"] == "failed: no compiler"
    assert "600 s" in record.skipped["long"]
    verification = model.manifest.verification
    assert verification is not None and verification.passed


def test_what_was_measured_is_remembered_and_a_slow_start_is_paid_for_a_known_winner() -> None:
    slow, fast = Fake("slow", delay=0.01), Fake("fast", seconds=5)  # of the ten that are given by default
    put(slow, fast)
    first = compiled(sizes=SIZES).manifest.engines[0]
    assert (first.engine, slow.prepared, fast.prepared) == ("fast", 1, 1)
    again = compiled(sizes=SIZES, tune=0.001).manifest.engines[0]
    assert (again.engine, slow.prepared, fast.prepared) == ("fast", 1, 2)
    assert again.milliseconds == pytest.approx(first.milliseconds, abs=1e-3)
    other = compiled(sizes=[(44, 52)], tune=0.001).manifest.engines[0]
    assert other.engine == "slow" and "fast" in other.skipped


def test_a_new_engine_is_measured_against_the_known_best_only() -> None:
    slow, fast = Fake("slow", delay=0.02), Fake("fast", delay=0.005)
    put(slow, fast)
    compiled(sizes=SIZES)
    put(Fake("newer"))
    assert compiled(sizes=SIZES).manifest.engines[0].engine == "newer"
    assert (slow.prepared, fast.prepared) == (1, 2)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 9}', '{"version": 2, "milliseconds": {"fast": "x"}}'])
def test_a_damaged_cache_is_as_good_as_none(content: str) -> None:
    put(Fake("slow", delay=0.01), Fake("fast"))
    program = compiled(sizes=SIZES).program
    (file,) = (cache_folder() / "engines").iterdir()
    assert set(remembered(key_of(program)).milliseconds) == {"slow", "fast"}
    file.write_text(content)
    assert remembered(key_of(program)).milliseconds == {}
    assert compiled(sizes=SIZES).manifest.engines[0].engine == "fast"
    assert json.loads(file.read_text())["milliseconds"]["fast"] > 0


def test_a_cache_that_cannot_be_written_costs_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    remember("key", Timings({"a": 1.0}))
    assert remembered("key") == Timings()


def test_the_key_changes_with_what_a_timing_hangs_on() -> None:
    put(Fake("only"))
    model = compiled(sizes=SIZES)
    keys = {key_of(program) for program in (model.program, compiled(sizes=SIZES, dtype="bfloat16").program)}
    keys |= {key_of(compiled(sizes=[(44, 52)]).program), key_of(compiled(sizes=SIZES, output="labels").program)}
    assert len(keys) == 4 and key_of(compiled(sizes=SIZES).program) in keys


def test_asking_whether_engines_can_run_takes_none_of_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Fake("asks-long", seconds=5)

    def asked(program: Program) -> None:
        CLOCK.now += 6

    monkeypatch.setattr(slow, "available", asked)
    put(Fake("quick"), slow)
    assert set(compiled(sizes=SIZES).manifest.engines[0].milliseconds) == {"quick", "asks-long"}


def test_what_is_done_once_per_machine_takes_none_of_the_time_of_a_choice() -> None:
    builds, fails = Fake("builds", seconds=5), Fake("fails", seconds=5)
    done = []

    def once() -> None:
        CLOCK.now += 60
        done.append(True)

    def fault() -> None:
        raise OSError("no disk")

    builds.once, fails.once = once, fault  # type: ignore[attr-defined]
    put(Fake("quick"), builds, fails)
    assert set(compiled(sizes=SIZES).manifest.engines[0].milliseconds) == {"quick", "builds", "fails"}
    compiled(sizes=SIZES)
    assert len(done) == 1


def test_without_sizes_nothing_is_measured() -> None:
    put(Fake("slow", delay=0.01), Fake("fast"))
    record = compiled().manifest.engines[0]
    assert record.engine == "slow" and record.milliseconds == {}


def test_an_engine_that_was_asked_for_is_taken_or_refused() -> None:
    put(Fake("slow"), Fake("wrong", scale=2.0), Fake("broken", fault="no compiler"))
    assert compiled(engine="slow")(image()) is not None
    with pytest.raises(InternalError, match="differs from the oracle"):
        compiled(engine="wrong")
    with pytest.raises(Unavailable, match="broken cannot run: no compiler"):
        compiled(engine="broken")
    put(Fake("breaks", late_fault="an input is gone"))
    with pytest.raises(Unavailable, match="breaks cannot run: an input is gone"):
        compiled(sizes=SIZES, engine="breaks")


def test_when_no_engine_is_right_there_is_no_artifact() -> None:
    put(Fake("wrong", scale=2.0), Fake("worse", scale=3.0))
    with pytest.raises(InternalError, match="no engine computes this network rightly"):
        compiled(sizes=SIZES)
