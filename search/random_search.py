"""Random search, the baseline that has to be beaten: draws assignments, trains each, and keeps the best."""

from __future__ import annotations

from collections.abc import Callable

from archdsl.search.decode import Decision, Rates, Train

TRIES = 200


def random_search(draw: Callable[[], Rates], train: Train, count: int, steps: int, decision: Decision) -> Decision:
    """Trains `count` different assignments for `steps` steps each, those that `decision` knows already included.

    Fewer where `draw` has no more to give. The answer is the best of them; a decision without any keeps its rates.
    """
    for _ in range(count - len(decision.trained)):
        drawn = next(
            (rates for rates in (draw() for _ in range(TRIES)) if (rates, steps) not in decision.trained), None
        )
        if drawn is None:
            break
        decision.trained[drawn, steps] = train(drawn, steps)
    if decision.trained:
        decision.rates = max(decision.trained, key=lambda known: decision.trained[known])[0]
    return decision
