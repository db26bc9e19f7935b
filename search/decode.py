"""From a relaxed answer to the rates that are written: its neighbourhood, ranked and trained.

How sure a method is of a rate proposes neighbours and never ranks them: architecture weights are a poor ranking
(DARTS-PT, Wang et al. 2021). The loss with inherited weights ranks; short trainings from scratch decide, by successive
halving (Jamieson and Talwalkar, 2016).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

Rates = tuple[int, ...]
Inherited = Callable[[Rates], float]
"""The score of an assignment with the weights of the search; higher is better."""
Train = Callable[[Rates, int], float]
"""The score of an assignment trained from scratch for so many steps; higher is better."""


@dataclass(frozen=True)
class Effort:
    """How much the decision may cost."""

    keep: int = 8
    """Assignments that are trained in a round, beside the one to beat."""
    steps: int = 100
    """Steps of the shortest trainings; survivors are trained anew for twice as many."""
    rungs: int = 3
    rounds: int = 3
    """How often the answer may move."""

    @property
    def longest(self) -> int:
        """Steps of the longest trainings."""
        return int(self.steps * 2 ** (self.rungs - 1))


@dataclass
class Decision:
    """What was decided, and everything that it rests on."""

    rates: Rates
    inherited: dict[Rates, float] = field(default_factory=dict)
    trained: dict[tuple[Rates, int], float] = field(default_factory=dict)
    """By assignment and steps."""

    @property
    def steps(self) -> int:
        """Steps of all trainings together."""
        return sum(steps for _, steps in self.trained)


def neighbours(rates: Rates, candidates: Sequence[Sequence[int]], tops: Sequence[Sequence[int]] = ()) -> list[Rates]:
    """One rate moved by one, halved, doubled or set to one of its `tops`, or two that stand beside each other swapped.

    Where the candidates have holes, "by one" is to the next candidate.
    """
    found: dict[Rates, None] = {}
    for place, rate in enumerate(rates):
        moves = [*_beside(rate, candidates[place]), rate // 2, rate * 2, *(tops[place] if tops else ())]
        for move in moves:
            found[(*rates[:place], move, *rates[place + 1 :])] = None
    for place in range(len(rates) - 1):
        found[(*rates[:place], rates[place + 1], rates[place], *rates[place + 2 :])] = None
    inside = (all(r in own for r, own in zip(one, candidates, strict=True)) for one in found)
    return [one for one, is_inside in zip(found, inside, strict=True) if is_inside and one != rates]


def _beside(rate: int, candidates: Sequence[int]) -> Iterable[int]:
    ordered = sorted(candidates)
    below = [c for c in ordered if c < rate][-1:]
    above = [c for c in ordered if c > rate][:1]
    return (*below, *above)


def decide(
    start: Rates,
    around: Callable[[Rates], Iterable[Rates]],
    inherited: Inherited,
    train: Train,
    effort: Effort,
    rivals: Sequence[Rates] = (),
    decision: Decision | None = None,
) -> Decision:
    """Moves from `start` to the best of its neighbourhood while that helps.

    `around` gives the neighbours that are allowed; `rivals` are trained in the first round too. `decision` is one that
    was broken off: what it knows is not worked out again.
    """
    made = decision or Decision(start)
    made.rates = start
    for number in range(effort.rounds):
        pool = [rates for rates in around(made.rates) if rates != made.rates]
        kept = _best(pool, lambda rates: _known(made.inherited, rates, inherited), effort.keep)
        if number == 0:
            kept += [rates for rates in rivals if rates not in kept and rates != made.rates]
        winner = _halved(made, kept, train, effort)
        if winner == made.rates:
            break
        made.rates = winner
    return made


def _halved(made: Decision, rivals: list[Rates], train: Train, effort: Effort) -> Rates:
    """The winner among the present answer, which takes part to the end, and its rivals."""
    steps = effort.steps
    for rung in range(effort.rungs):
        scores = {rates: _trained(made, rates, steps, train) for rates in (made.rates, *rivals)}
        if not rivals:
            break
        last = rung == effort.rungs - 1
        rivals = _best(rivals, scores.__getitem__, 1 if last else max(1, len(rivals) // 2))
        steps *= 2
    if not rivals or scores[rivals[0]] <= scores[made.rates]:
        return made.rates
    return rivals[0]


def _trained(made: Decision, rates: Rates, steps: int, train: Train) -> float:
    if (rates, steps) not in made.trained:
        made.trained[rates, steps] = train(rates, steps)
    return made.trained[rates, steps]


def _known(scores: dict[Rates, float], rates: Rates, score: Inherited) -> float:
    if rates not in scores:
        scores[rates] = score(rates)
    return scores[rates]


def _best(pool: Sequence[Rates], score: Callable[[Rates], float], count: int) -> list[Rates]:
    """The best, best first; of equals, those that come first."""
    return sorted(pool, key=score, reverse=True)[:count]
