"""What happens to one sample: worked out from random numbers on the CPU, before any pixel is touched."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archdsl.training.data.order import Draw, donor_dice, plan_dice
from archdsl.training.recipes.schema import Augment

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """Geometry and colour of a sample.

    `matrix` [2, 3] takes (x, y, 1) of the crop to (x, y) of the source, in pixels whose centres lie at halves. Colours:
    factors for brightness, contrast and saturation, a turn of the hue as a share of the circle, an exponent. `ops` are
    RandAugment's, with magnitudes from -1 to 1.
    """

    matrix: Matrix
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    hue: float = 0.0
    gamma: float = 1.0
    ops: tuple[tuple[str, float], ...] = ()
    donor: Draw | None = None
    """A sample whose rare classes are pasted over this one."""


class Planner:
    """Plans by a recipe. What a draw gets depends on the seed, the draw and the size of its image alone."""

    def __init__(self, settings: Augment, seed: int, donors: int = 0) -> None:
        """`donors` is how many samples there are to paste from."""
        self.settings, self.seed, self.donors = settings, seed, donors

    def plan(self, draw: Draw, size: tuple[int, int], *, calm: bool = False) -> Plan:
        """The plan for an image (height, width); a calm one has no more than scale, crop and flip."""
        dice, s = plan_dice(self.seed, draw), self.settings
        # drawn in the same order and number whatever is used, so that one setting does not change what another does
        geometry, colours, turn = dice.random(6), dice.random(5) * 2 - 1, float(dice.random() * 2 - 1)
        ops = self._ops(dice)
        donor = self._donor(dice, draw)
        rotation = 0.0 if calm else s.rotate * turn + sum(30 * m for name, m in ops if name == "rotate")
        matrix = self._matrix(size, geometry, draw.centre, rotation)
        if calm:
            return Plan(matrix)
        return Plan(
            matrix,
            brightness=1 + s.brightness * colours[0],
            contrast=1 + s.contrast * colours[1],
            saturation=1 + s.saturation * colours[2],
            hue=s.hue * colours[3],
            gamma=math.exp(s.gamma * colours[4]),
            ops=tuple((name, m) for name, m in ops if name != "rotate"),
            donor=donor,
        )

    def donor_matrix(self, draw: Draw, size: tuple[int, int]) -> Matrix:
        """The geometry of a donor with an image (height, width)."""
        return self._matrix(size, donor_dice(self.seed, draw).random(6), None, 0.0)

    def _ops(self, dice: np.random.Generator) -> tuple[tuple[str, float], ...]:
        settings = self.settings.randaugment
        if settings is None:
            return ()
        drawn = dice.random((settings.ops, 2))
        names = [settings.choices[int(d * len(settings.choices))] for d in drawn[:, 0]]
        return tuple(
            (name, settings.magnitude if sign < 0.5 else -settings.magnitude)
            for name, sign in zip(names, drawn[:, 1].tolist(), strict=True)
        )

    def _donor(self, dice: np.random.Generator, draw: Draw) -> Draw | None:
        wanted, which = dice.random(2).tolist()
        if not self.donors or wanted >= self.settings.paste:
            return None
        return Draw(draw.position, int(which * self.donors))

    def _matrix(
        self,
        size: tuple[int, int],
        drawn: npt.NDArray[np.float64],
        centre: tuple[int, int] | None,
        rotation: float,
    ) -> Matrix:
        s, (height, width) = self.settings, self.settings.crop
        scale = _scale(s, size, float(drawn[0]))
        y, x = (
            _start(round(side * scale), crop, float(d), None if centre is None else (centre[axis] + 0.5) * scale)
            for axis, (side, crop, d) in enumerate(zip(size, s.crop, drawn[1:3], strict=True))
        )
        middle = _shift(width / 2, height / 2)
        turned = middle @ _turn(rotation) @ _shift(-width / 2, -height / 2)
        mirrored = np.array([[-1.0, 0, width], [0, 1, 0], [0, 0, 1]]) if drawn[3] < s.flip else np.eye(3)
        scaled = np.diag([1 / scale, 1 / scale, 1.0])
        return (scaled @ _shift(x, y) @ turned @ mirrored)[:2]


def _scale(settings: Augment, size: tuple[int, int], drawn: float) -> float:
    if settings.short_side is not None:
        low, high = settings.short_side
        return (low + (high - low) * drawn) / min(size)
    if settings.scale is None:
        return 1.0
    low, high = settings.scale
    return low * (high / low) ** drawn


def _start(side: int, crop: int, drawn: float, centre: float | None) -> float:
    """Where a crop begins along a side of the scaled image; negative where the image is smaller, and is padded."""
    low, high = sorted((0, side - crop))
    if centre is None:
        return float(round(low + (high - low) * drawn))
    return float(min(max(round(centre - crop / 2), low), high))


def _shift(x: float, y: float) -> Matrix:
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])


def _turn(degrees: float) -> Matrix:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
