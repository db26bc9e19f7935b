"""Whether a network runs faster on several engines, each for a part, than on one: found out by measuring.

The network is cut into up to four parts of about equal work where the least crosses; each engine is timed on each part,
and a part changes hands where another engine is clearly faster on it. What that promises is held against the best
engine for the whole, and only a gain that is seen there, conversions between engines included, counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from archdsl.runtime.costs import costs_on
from archdsl.runtime.engines import Engine, Program, Runner, Split
from archdsl.runtime.engines.parts import Cut, cuts
from archdsl.runtime.engines.samples import sample_inputs
from archdsl.runtime.manifest import Choice
from archdsl.runtime.stopwatch import medians, timed_alone

PARTS = 4

MARGIN = 0.03
"""What a part must gain to change hands, and the whole to be split: less is noise, and one engine is simpler."""

LATE = "not tried in the time given"
"""Why something that could be tried was not."""

_ROUNDS, _SHARE = 7, 1.0
"""Rounds on one part, and the seconds after which they end."""

_HOPELESS = 2.0
"""An engine that takes so many times as long as another on a part is not timed on it more than once."""

Timings = dict[str, float]


@dataclass(frozen=True)
class Found:
    """A split that parts speak for, with what each engine took on each of them; or why there is none."""

    split: Split | None = None
    parts: tuple[Choice, ...] = ()
    why_not: str = ""


def find_split(
    program: Program, champion: Engine, others: Sequence[Engine], in_time: Callable[[Engine], bool]
) -> Found:
    """The split that measured parts speak for. `in_time` says whether an engine may still be prepared."""
    behind = [cut.behind for cut in _spread(program)]
    if not behind:
        return Found(why_not="the network has no narrow place to be cut at")
    tried = [engine for engine in others if in_time(engine)]
    if not tried:
        return Found(why_not=LATE)
    alone = Split([champion] * (len(behind) + 1), behind)
    timings = _timed(program, alone, [champion, *tried])
    hands = [_best(champion, tried, taken) for taken in timings]
    if all(engine is champion for engine in hands):
        names = ", ".join(engine.name for engine in tried)
        return Found(why_not=f"{champion.name} is the fastest on each of {len(hands)} parts ({names} tried)")
    made = _joined(hands, behind)
    return Found(made, tuple(_choices(program, alone, hands, timings)))


def _spread(program: Program) -> list[Cut]:
    """The narrowest cut near each quarter of the work."""
    size = program.sizes[0]
    places = cuts(program, size, costs_on(program.device, str(program.dtype).removeprefix("torch."), program.sizes))
    found = []
    for number in range(1, PARTS):
        near = [cut for cut in places if abs(cut.before * PARTS - number) < 0.5]
        if near:
            # of equals the last: what follows a map without making it larger belongs to it
            found.append(min(reversed(near), key=lambda cut: cut.numbers))
    return found


def _timed(program: Program, alone: Split, engines: Sequence[Engine]) -> list[Timings]:
    """Milliseconds by engine for each part, over all sizes; an engine that cannot run a part is not among them."""
    totals: list[Timings] = [{} for _ in alone.engines]
    for size in program.sizes:
        for total, part in zip(totals, alone.parts(program, size), strict=True):
            for name, seconds in _on_part(part.program, engines).items():
                total[name] = total.get(name, 0.0) + 1e3 * seconds
    return totals


def _on_part(program: Program, engines: Sequence[Engine]) -> Timings:
    """Seconds by engine."""
    (inputs,) = sample_inputs(program)
    works = {name: partial(run, *inputs) for name, run in _runners(program, engines)}
    once = {name: timed_alone(work, program.device) for name, work in works.items()}
    near = {name: works[name] for name in works if once[name] <= _HOPELESS * min(once.values())}
    return {**once, **medians(near, program.device, _ROUNDS, _SHARE)}


def _runners(program: Program, engines: Sequence[Engine]) -> list[tuple[str, Runner]]:
    found = []
    for engine in engines:
        try:
            if engine.available(program) is None:
                run = engine.prepare(program)
                run(*sample_inputs(program)[0])
                found.append((engine.name, run))
        except Exception:  # whatever a compiler raises: it ran the whole, and a part it cannot is another's
            continue
    return found


def _best(champion: Engine, others: Sequence[Engine], taken: Timings) -> Engine:
    held = taken.get(champion.name, float("inf"))
    able = [engine for engine in others if taken.get(engine.name, float("inf")) < held * (1 - MARGIN)]
    return min(able, key=lambda engine: taken[engine.name], default=champion)


def _joined(hands: Sequence[Engine], behind: Sequence[str]) -> Split:
    """Neighbouring parts in the same hands are one."""
    groups = [list(group) for _, group in groupby(range(len(hands)), lambda place: hands[place].name)]
    return Split([hands[group[0]] for group in groups], [behind[group[-1]] for group in groups[:-1]])


def _choices(program: Program, alone: Split, hands: Sequence[Engine], timings: Sequence[Timings]) -> Iterator[Choice]:
    for part, engine, taken in zip(alone.parts(program, program.sizes[0]), hands, timings, strict=True):
        rounded = {name: round(ms, 4) for name, ms in taken.items()}
        yield Choice(part=part.name, engine=engine.name, own=engine.own, milliseconds=rounded)


def parts_of(program: Program, engine: Engine) -> tuple[Choice, ...]:
    """The parts that an engine consists of, where nothing is known of how they were chosen; none for most engines."""
    if not isinstance(engine, Split):
        return ()
    return tuple(_choices(program, engine, engine.engines, [{}] * len(engine.engines)))
