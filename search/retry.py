"""Going on from the last state that made sense, more slowly, where a search stopped making sense."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from archdsl.search.schedule import Diverged

MOST = 1
"""How often a search goes back before it gives up."""
SLOWER = 0.5
"""What each time does to the learning rates, of weights and of rates."""


@dataclass(frozen=True)
class Retry:
    """A loss, weight or rate that was no number was noticed at step `noticed`; the search went back to step `back`."""

    noticed: int
    back: int
    factor: float
    """What the recipe's learning rates are multiplied by from there on."""


def factor(retries: Sequence[Retry]) -> float:
    """What learning rates are multiplied by after so many retries."""
    return retries[-1].factor if retries else 1.0


def retrying(attempt: Callable[[], None], go_back: Callable[[], None], may: Callable[[], bool]) -> None:
    """Attempts, and goes back and attempts again while it may. Raises Diverged when it may no more."""
    while True:
        try:
            attempt()
            return
        except Diverged:
            if not may():
                raise
        go_back()
