"""Which engine runs a network: the one asked for, or the fastest that was measured here and proved right."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from archdsl.runtime.cache import key_of, remember, remembered
from archdsl.runtime.engines import ENGINES, Engine, Program, Runner, Unavailable, named
from archdsl.runtime.engines.samples import sample_inputs
from archdsl.runtime.manifest import Choice
from archdsl.runtime.stopwatch import interleaved, timed

from archdsl.diagnostics import InternalError

TUNE_SECONDS = 10.0
"""What automatic choice may take by default: enough for engines that are ready in seconds, not for long tuning."""

LATE, FAILED, REJECTED = "not tried in the time given", "failed", "rejected"
"""How the reasons begin for which an engine that could run here was not chosen."""

_ROUNDS = 7
_SHARE = 4.0
"""Rounds end when measuring a pair has taken this many seconds, after the second."""

_NOT_OWN = "not tried: it is no engine of archdsl"

Prove = Callable[[Engine, Runner], None]
"""Raises InternalError when what a runner computes is wrong."""


@dataclass(frozen=True)
class Chosen:
    """An engine with its runner, and how it was chosen."""

    engine: Engine
    run: Runner
    record: Choice


@dataclass
class _Contest:
    """Challengers meet the champion one at a time, so that no more than two are in memory."""

    program: Program
    seconds: float
    own_only: bool = False
    milliseconds: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    champion: tuple[Engine, Runner] | None = None
    deadline: float = 0.0

    def candidates(self) -> list[Engine]:
        found = []
        for engine in ENGINES.values():
            reason = _NOT_OWN if self.own_only and not engine.own else engine.available(self.program)
            if reason is None:
                found.append(engine)
            else:
                self.skipped[engine.name] = reason
        return found

    def in_time(self, engine: Engine) -> bool:
        left = self.deadline - time.monotonic()
        if engine.seconds <= left:
            return True
        self.skipped[engine.name] = f"{LATE}: it takes about {engine.seconds:.0f} s to prepare"
        return False

    def prepare(self, engine: Engine) -> Runner | None:
        try:
            run = engine.prepare(self.program)
            for inputs in sample_inputs(self.program):
                run(*inputs)
        except Exception as error:  # whatever a compiler raises, the network still has other engines
            self.skipped[engine.name] = f"{FAILED}: {_first_line(error)}"
            return None
        return run

    def enter(self, engine: Engine) -> None:
        """A challenger meets the champion, and the faster of them is champion."""
        run = self.prepare(engine)
        if run is None:
            return
        if self.champion is None:
            self.champion = engine, run
            return
        holder, held = self.champion
        first, second = _compare(self.program, held, run)
        self.milliseconds[holder.name], self.milliseconds[engine.name] = first, second
        if second < first:
            self.champion = engine, run


def choose(name: str, program: Program, prove: Prove, seconds: float = TUNE_SECONDS) -> Chosen:
    """The engine of a name, or for "auto" the fastest of those that run here and can be tried in the given seconds.

    "own" is the same among archdsl's own. Timings are remembered; an engine found fastest before is taken again,
    however long it takes to prepare. Without declared sizes nothing is measured, and the first engine that runs is
    taken. Raises ValueError for an unknown name, Unavailable when the engine asked for cannot run here, InternalError
    when what it computes is wrong.
    """
    if name in ("auto", "own"):
        return _automatic(_Contest(program, seconds, name == "own"), prove)
    engine = named(name, program)
    try:
        run = engine.prepare(program)
    except (RuntimeError, ImportError, OSError) as error:
        raise Unavailable(f"{name} cannot run: {_first_line(error)}") from error
    prove(engine, run)
    return Chosen(engine, run, Choice(part="all", engine=name, own=engine.own))


def _automatic(contest: _Contest, prove: Prove) -> Chosen:
    candidates = contest.candidates()
    if not candidates:
        raise Unavailable("; ".join(f"{engine} cannot run: {why}" for engine, why in contest.skipped.items()))
    if contest.program.sizes and contest.program.graph.inputs:
        _measure(contest, candidates)
    return _proven(contest, candidates, prove)


def _measure(contest: _Contest, candidates: list[Engine]) -> None:
    # from here on: asking whether engines can run imports what they stand on, which is not for them to pay
    contest.deadline = time.monotonic() + contest.seconds
    key = key_of(contest.program)
    known = remembered(key)
    contest.milliseconds = {engine.name: known[engine.name] for engine in candidates if engine.name in known}
    fresh = [engine for engine in candidates if engine.name not in known]
    holder = _fastest(contest, candidates) or fresh.pop(0)
    challengers = [engine for engine in fresh if contest.in_time(engine)]
    if not challengers:
        return
    for engine in (holder, *challengers):
        if contest.champion is None or contest.in_time(engine):
            contest.enter(engine)
    remember(key, {**known, **contest.milliseconds})


def _proven(contest: _Contest, candidates: list[Engine], prove: Prove) -> Chosen:
    """The fastest that computes what it should; where nothing was measured, the first."""
    for engine in _ranking(contest, candidates):
        if contest.champion is not None and contest.champion[0] is engine:
            run: Runner | None = contest.champion[1]
        else:
            contest.champion = None
            run = contest.prepare(engine)
        if run is None:
            continue
        try:
            prove(engine, run)
        except InternalError as error:
            contest.skipped[engine.name] = f"{REJECTED}: {error}"
            continue
        others = {name: why for name, why in contest.skipped.items() if name != engine.name}
        timings = {name: round(ms, 4) for name, ms in contest.milliseconds.items()}
        return Chosen(
            engine, run, Choice(part="all", engine=engine.name, own=engine.own, milliseconds=timings, skipped=others)
        )
    raise InternalError("no engine computes this network rightly: " + "; ".join(contest.skipped.values()))


def _fastest(contest: _Contest, candidates: list[Engine]) -> Engine | None:
    return _ranking(contest, candidates)[0] if contest.milliseconds else None


def _ranking(contest: _Contest, candidates: list[Engine]) -> list[Engine]:
    """The measured ones, fastest first, then those that nothing is known of."""
    taken = contest.milliseconds
    measured = sorted((e for e in candidates if e.name in taken), key=lambda e: taken[e.name])
    return measured + [e for e in candidates if e.name not in taken and e.name not in contest.skipped]


# ----------------------------------------------------------------- measuring


def _compare(program: Program, held: Runner, challenger: Runner) -> tuple[float, float]:
    """Milliseconds of two runners, medians of interleaved rounds, summed over the declared sizes."""
    totals = [0.0, 0.0]
    for inputs in sample_inputs(program):
        works = {"held": lambda at=inputs: held(*at), "new": lambda at=inputs: challenger(*at)}
        for work in works.values():
            timed(work, program.device)
        start, rounds = time.monotonic(), []
        for one in interleaved(works, program.device, _ROUNDS):
            rounds.append(one)
            if len(rounds) >= 2 and time.monotonic() - start > _SHARE:
                break
        for place, name in enumerate(works):
            totals[place] += 1e3 * statistics.median(one[name] for one in rounds)
    return totals[0], totals[1]


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
