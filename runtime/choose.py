"""Which engine runs a network: the one asked for, or the fastest that was measured here and proved right."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from archdsl.runtime.by_parts import LATE, MARGIN, find_split, parts_of
from archdsl.runtime.cache import Timings, key_of, remember, remembered
from archdsl.runtime.engines import ENGINES, Engine, Program, Runner, Split, Unavailable, named
from archdsl.runtime.engines.samples import sample_inputs
from archdsl.runtime.manifest import Choice
from archdsl.runtime.stopwatch import medians

from archdsl.diagnostics import InternalError

TUNE_SECONDS = 10.0
"""What automatic choice may take by default: enough for engines that are ready in seconds, not for long tuning."""

FAILED, REJECTED = "failed", "rejected"
"""How the reasons begin for which an engine that could run here was not chosen."""

PARTS = "parts"
"""Under this name stands, among what was skipped, why parts of the network are not left to several engines."""

_ROUNDS = 7
_SHARE = 4.0
"""Rounds end when measuring a pair has taken this many seconds, after the second."""

_NOT_OWN = "not tried: it is no engine of archdsl"

Prove = Callable[[Engine, Runner], None]
"""Raises InternalError when what a runner computes is wrong."""


@dataclass(frozen=True)
class Chosen:
    """An engine with its runner, and how it was chosen: for the whole, and for parts where it is a split."""

    engine: Engine
    run: Runner
    records: tuple[Choice, ...]


@dataclass
class _Contest:
    """Challengers meet the champion one at a time, so that no more than two are in memory."""

    program: Program
    seconds: float
    own_only: bool = False
    milliseconds: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    parts: tuple[Choice, ...] = ()
    tried_parts: dict[str, str] = field(default_factory=dict)
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

    def has_time(self, engine: Engine) -> bool:
        return engine.seconds <= self.deadline - time.monotonic()

    def in_time(self, engine: Engine) -> bool:
        if self.has_time(engine):
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
        for inputs in () if engine.own else sample_inputs(program):
            run(*inputs)
    except (RuntimeError, ImportError, OSError) as error:
        raise Unavailable(f"{name} cannot run: {_first_line(error)}") from error
    prove(engine, run)
    record = Choice(part="all", engine=name, own=engine.own)
    return Chosen(engine, run, (record, *parts_of(program, engine)))


def _automatic(contest: _Contest, prove: Prove) -> Chosen:
    candidates = contest.candidates()
    if not candidates:
        raise Unavailable("; ".join(f"{engine} cannot run: {why}" for engine, why in contest.skipped.items()))
    measurable = bool(contest.program.sizes and contest.program.graph.inputs)
    if measurable:
        _measure(contest, candidates)
    engine, run = _proven(contest, candidates, prove)
    if measurable and not isinstance(engine, Split):
        engine, run = _in_parts(contest, (engine, run), candidates, prove)
    return Chosen(engine, run, _records(contest, engine))


def _measure(contest: _Contest, candidates: list[Engine]) -> None:
    known = remembered(key_of(contest.program))
    _once(engine for engine in candidates if engine.name not in known.milliseconds)
    # from here on: asking whether engines can run imports what they stand on, which is not for them to pay
    contest.deadline = time.monotonic() + contest.seconds
    candidates += _known_splits(contest, known)
    contest.parts, contest.tried_parts = known.parts, known.split
    contest.milliseconds = {e.name: known.milliseconds[e.name] for e in candidates if e.name in known.milliseconds}
    fresh = [engine for engine in candidates if engine.name not in contest.milliseconds]
    holder = _fastest(contest, candidates) or fresh.pop(0)
    challengers = [engine for engine in fresh if contest.in_time(engine)]
    if not challengers:
        return
    for engine in (holder, *challengers):
        if contest.champion is None or contest.in_time(engine):
            contest.enter(engine)
    _remember(contest)


def _once(engines: Iterable[Engine]) -> None:
    """What engines do once per machine; those that fail say so when they are prepared."""
    for engine in engines:
        once: Callable[[], None] | None = getattr(engine, "once", None)
        if once is not None:
            with suppress(Exception):
                once()


def _remember(contest: _Contest) -> None:
    key = key_of(contest.program)
    taken = {**remembered(key).milliseconds, **contest.milliseconds}
    remember(key, Timings(taken, contest.parts, contest.tried_parts))


def _known_splits(contest: _Contest, known: Timings) -> list[Engine]:
    """Splits that were found before, as far as their engines may take part and still run."""
    found: list[Engine] = []
    for name in known.milliseconds:
        if "+" not in name:
            continue
        try:
            engine = named(name, contest.program)
        except (ValueError, Unavailable):
            continue
        if engine.own or not contest.own_only:
            found.append(engine)
    return found


def _in_parts(
    contest: _Contest, best: tuple[Engine, Runner], candidates: list[Engine], prove: Prove
) -> tuple[Engine, Runner]:
    """The best engine for the whole, or a split that beats it, if there is one; what came of looking is remembered."""
    others = [engine for engine in _ranking(contest, candidates) if engine.name in contest.milliseconds]
    others = [engine for engine in others if engine is not best[0] and engine.name not in contest.skipped]
    tried = ",".join(sorted(engine.name for engine in (best[0], *others)))
    if not others:
        return best
    if tried not in contest.tried_parts:
        found = find_split(contest.program, best[0], others, contest.has_time)
        made, why_not = (None, found.why_not) if found.split is None else _faster(contest, best, found.split, prove)
        if why_not == LATE:
            contest.skipped[PARTS] = LATE
            return best
        contest.tried_parts = {**contest.tried_parts, tried: why_not}
        contest.parts = found.parts if made else contest.parts
        _remember(contest)
        best = made or best
    if why_not := contest.tried_parts[tried]:
        contest.skipped[PARTS] = why_not
    return best


def _faster(
    contest: _Contest, best: tuple[Engine, Runner], split: Split, prove: Prove
) -> tuple[tuple[Engine, Runner] | None, str]:
    """A split made ready and proven, where it gains more than noise; else why it does not do."""
    run = contest.prepare(split)
    if run is None:
        return None, f"{split.name} {contest.skipped.pop(split.name)}"
    held, taken = _compare(contest.program, best[1], run)
    if taken >= held * (1 - MARGIN):
        times = f"{split.name} took {taken:.3g} ms where {best[0].name} took {held:.3g} ms"
        return None, f"{times}, and must be {MARGIN:.0%} faster to be worth it"
    try:
        prove(split, run)
    except InternalError as error:
        return None, f"{split.name} {REJECTED}: {error}"
    contest.milliseconds |= {best[0].name: held, split.name: taken}
    return (split, run), ""


def _proven(contest: _Contest, candidates: list[Engine], prove: Prove) -> tuple[Engine, Runner]:
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
        return engine, run
    raise InternalError("no engine computes this network rightly: " + "; ".join(contest.skipped.values()))


def _records(contest: _Contest, engine: Engine) -> tuple[Choice, ...]:
    others = {name: why for name, why in contest.skipped.items() if name != engine.name}
    taken = {name: round(ms, 4) for name, ms in contest.milliseconds.items()}
    whole = Choice(part="all", engine=engine.name, own=engine.own, milliseconds=taken, skipped=others)
    parts = parts_of(contest.program, engine)
    return whole, *(contest.parts if parts and contest.parts else parts)


def _fastest(contest: _Contest, candidates: list[Engine]) -> Engine | None:
    return _ranking(contest, candidates)[0] if contest.milliseconds else None


def _ranking(contest: _Contest, candidates: list[Engine]) -> list[Engine]:
    """The measured ones, fastest first, then those that nothing is known of."""
    taken = contest.milliseconds
    measured = sorted((e for e in candidates if e.name in taken), key=lambda e: taken[e.name])
    return measured + [e for e in candidates if e.name not in taken and e.name not in contest.skipped]


def _compare(program: Program, held: Runner, challenger: Runner) -> tuple[float, float]:
    """Milliseconds of two runners, medians of interleaved rounds, summed over the declared sizes."""
    totals = [0.0, 0.0]
    for inputs in sample_inputs(program):
        works = {"held": partial(held, *inputs), "new": partial(challenger, *inputs)}
        found = medians(works, program.device, _ROUNDS, _SHARE)
        totals = [totals[0] + 1e3 * found["held"], totals[1] + 1e3 * found["new"]]
    return totals[0], totals[1]


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
