"""Random choices that come out the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Dice:
    """Draws from PCG64 through `Generator.random` alone.

    NumPy may change how its other distributions use the bit stream; the uniform double has one sensible form.
    """

    def __init__(self, seed: int, stream: int) -> None:
        self.generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(stream,))))
        self._draw = self.generator.random

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self._draw()

    def many(self, number: int) -> list[float]:
        """Numbers from 0 to 1, for what would otherwise call `uniform` in a loop."""
        drawn: list[float] = self._draw(number).tolist()
        return drawn

    def chance(self, probability: float) -> bool:
        return self._draw() < probability

    def pick(self, items: Sequence[T]) -> T:
        return items[int(self._draw() * len(items))]

    def count(self, low: int, high: int) -> int:
        """A whole number from low to high, both possible."""
        return low + int(self._draw() * (high - low + 1))
