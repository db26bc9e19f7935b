"""Which samples a step sees: a function of the seed and the step alone, so that any step can be gone back to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

_ORDER, _CHOICE, _PLAN, _DONOR = range(4)
"""What random numbers are for; each has streams of its own."""
Places = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Draw:
    """One sample of one step. `position` counts all draws of a training; `centre` is a pixel (y, x) to crop around."""

    position: int
    index: int
    centre: tuple[int, int] | None = None


class Order:
    """Epochs in a random order, one after the other; batches may reach from one into the next."""

    def __init__(
        self, length: int, batch: int, seed: int, *, tiles: list[Places] | None = None, uniform: float = 0.0
    ) -> None:
        """`tiles` lists per class the places (image, y, x) that have it; a share `uniform` of the draws is from these.

        Raises ValueError for an empty data set.
        """
        if length < 1:
            raise ValueError("there are no samples")
        self.length, self.batch, self.seed, self.uniform = length, batch, seed, uniform
        self.tiles = [places for places in tiles or () if len(places)]
        self._permutation = lru_cache(maxsize=2)(self._shuffled)

    def at(self, step: int) -> list[Draw]:
        """The batch of a step, from 0."""
        return [self.draw(position) for position in range(step * self.batch, (step + 1) * self.batch)]

    def draw(self, position: int) -> Draw:
        """One draw, by its number."""
        if self.uniform and self.tiles:
            dice = random(self.seed, _CHOICE, position)
            if dice.random() < self.uniform:
                places = self.tiles[int(dice.random() * len(self.tiles))]
                image, y, x = places[int(dice.random() * len(places))].tolist()
                return Draw(position, image, (y, x))
        epoch, place = divmod(position, self.length)
        return Draw(position, int(self._permutation(epoch)[place]))

    def epoch(self, step: int) -> float:
        """Epochs that are over before a step."""
        return step * self.batch / self.length

    def _shuffled(self, epoch: int) -> npt.NDArray[np.int64]:
        return random(self.seed, _ORDER, epoch).permutation(self.length)


def random(seed: int, purpose: int, number: int) -> np.random.Generator:
    """A generator that depends on these three alone."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, purpose, number))))


def plan_dice(seed: int, draw: Draw) -> np.random.Generator:
    """The random numbers of a sample's augmentation."""
    return random(seed, _PLAN, draw.position)


def donor_dice(seed: int, draw: Draw) -> np.random.Generator:
    """The random numbers of the geometry of what is pasted over a sample."""
    return random(seed, _DONOR, draw.position)
