"""Measuring contenders on one case: prepared one after the other, timed in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from archdsl.runtime.bench import archdsl
from archdsl.runtime.bench.case import Case
from archdsl.runtime.bench.contender import Ready
from archdsl.runtime.bench.difference import difference
from archdsl.runtime.bench.memory import MemoryMeter
from archdsl.runtime.bench.peers import PEERS
from archdsl.runtime.bench.result import Against, Ratio, Row
from archdsl.runtime.bench.statistics import paired_ratio, spread
from archdsl.runtime.engines import Unavailable
from archdsl.runtime.model import CompiledModel
from archdsl.runtime.stopwatch import in_turns, timed, timed_alone

from archdsl.ir.graph import Graph

OURS = "archdsl"

MIN_ROUNDS, MAX_ROUNDS = 5, 200
_WARM_UP = 2
_SLOW = 3.0
"""A contender that takes so many times as long as the fastest takes part in the first rounds only."""

Tell = Callable[[str], None]


@dataclass
class Measured:
    """What is known of a case so far: a row per contender, and seconds by contender and round."""

    case: Case
    rows: dict[str, Row] = field(default_factory=dict)
    samples: dict[str, dict[int, float]] = field(default_factory=dict)
    model: CompiledModel | None = None
    graph: Graph | None = None
    interrupted: bool = False


def measure(case: Case, peers: list[str], engine: str, seconds: float, tell: Tell) -> Measured:
    """Measures archdsl and peers in interleaved rounds, for some seconds and at least five rounds.

    Ctrl-C ends it; what was measured until then is returned, marked `interrupted`.
    """
    found = Measured(case)
    try:
        ready = dict(_prepared(found, peers, engine, tell))
        tell(f"{case.graph.name}: {len(ready)} contenders, {seconds:.0f} s of rounds")
        _rounds(found, ready, seconds)
    except KeyboardInterrupt:
        found.interrupted = True
    for name, samples in found.samples.items():
        if samples:
            _fill(found.rows[name], samples)
    return found


def row_of(case: Case, name: str, skipped: str | None = None) -> Row:
    """An empty row."""
    size = f"{case.size[0]}x{case.size[1]}"
    return Row(case.graph.name, name, case.device, case.dtype, case.batch, size, case.output, skipped=skipped)


def _prepared(found: Measured, peers: list[str], engine: str, tell: Tell) -> Iterator[tuple[str, Ready]]:
    case = found.case
    for name in (OURS, *peers):
        row = found.rows[name] = row_of(case, name)
        row.skipped = None if name == OURS else PEERS[name].missing(case)
        if row.skipped is not None:
            continue
        tell(f"{case.graph.name}: preparing {name}")
        try:
            yield name, _ready(found, row, engine)
        except Unavailable as lacking:
            row.skipped = str(lacking)
        except Exception as error:  # a peer's failure is a finding, and the others go on
            if name == OURS:
                raise
            row.skipped = f"failed: {(str(error).strip().splitlines() or [type(error).__name__])[0][:200]}"


def _ready(found: Measured, row: Row, engine: str) -> Ready:
    """Prepares a contender, calls it a few times, and notes what that took and what came out."""
    case = found.case
    meter = MemoryMeter(case.torch_device)
    if row.engine == OURS:
        ready, found.model, found.graph = archdsl.prepare(case, engine)
    else:
        ready = PEERS[row.engine].prepare(case)
    row.compile_s, row.load_s, row.detail = ready.compile_s, ready.load_s, ready.detail
    row.first_call_s = timed(ready.run, case.torch_device)
    row.peak_mb = meter.peak_mb(ready.run)
    for name, value in difference(case, ready.read(ready.run())).items():
        setattr(row, name, value)
    found.samples[row.engine] = {}
    for _ in range(_WARM_UP):
        ready.run()
    return ready


def _rounds(found: Measured, ready: Mapping[str, Ready], seconds: float) -> None:
    names, device, end = list(ready), found.case.torch_device, time.monotonic() + seconds
    for turn in range(MAX_ROUNDS):
        if turn >= MIN_ROUNDS and time.monotonic() > end:
            break
        if turn == MIN_ROUNDS:
            names = _fast(found, names)
        for name in in_turns(names, turn):
            found.samples[name][turn] = timed_alone(ready[name].run, device)


def _fast(found: Measured, names: list[str]) -> list[str]:
    medians = {name: spread(found.samples[name]).median for name in names}
    least = min(medians.values(), default=0.0)
    return [name for name in names if name == OURS or medians[name] <= _SLOW * least]


def _fill(row: Row, samples: Mapping[int, float]) -> None:
    times = spread(samples)
    row.median_ms, row.p5_ms, row.p95_ms, row.rounds = times.median, times.p5, times.p95, times.rounds
    row.images_s = 1e3 * row.batch / times.median


def ratio_of(found: Measured, floor_ms: float | None) -> Ratio | None:
    """archdsl against the fastest peer that computes the same; None where archdsl was not measured."""
    ours = found.rows.get(OURS)
    if ours is None or ours.median_ms is None or found.model is None:
        return None
    at = (ours.network, ours.device, ours.dtype, ours.batch, ours.input, ours.output)
    result = Ratio(*at, found.model.engine.name, found.model.engine.own)
    result.passed_over = dict(found.model.manifest.engines[0].skipped)
    if floor_ms is not None:
        result.floor_ms, result.of_limit = floor_ms, floor_ms / ours.median_ms
    result.against = {name: _against(found, name) for name in _honest_peers(found)}
    if result.against:
        result.best_peer = min(result.against, key=lambda name: found.rows[name].median_ms or 0.0)
        best = result.against[result.best_peer]
        result.ratio, result.ratio_low, result.ratio_high = best.ratio, best.low, best.high
    return result


def _against(found: Measured, peer: str) -> Against:
    compared = paired_ratio(found.samples[peer], found.samples[OURS])
    return Against(compared.ratio, compared.low, compared.high)


def _honest_peers(found: Measured) -> list[str]:
    """Those that were measured, and whose output is the network's."""
    timed = [name for name, row in found.rows.items() if row.median_ms is not None and row.agrees]
    return [name for name in timed if name != OURS and found.samples[name]]
