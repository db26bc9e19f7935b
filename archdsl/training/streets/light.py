"""Weather: where the light comes from, what colour it has, and how far one sees."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from archdsl.training.streets.dice import Dice

Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Light:
    """Directions are (right, up, away from the camera); colours are RGB from 0 to 255."""

    sun: tuple[float, float, float]
    """A unit vector towards the sun."""
    direct: float
    """Share of the sun in the light on a surface that faces it; the rest comes from the whole sky."""
    cast: Colour
    """Factor on each colour channel of the finished picture."""
    zenith: Colour
    horizon: Colour
    cloud: Colour
    cloudiness: float
    sight: float
    """Metres at which haze hides half of an object's colour."""

    def on(self, right: float, up: float, away: float) -> float:
        """Brightness of a surface whose unit normal is given."""
        sx, sy, sz = self.sun
        return 1.1 - self.direct * (0.75 - max(0.0, sx * right + sy * up + sz * away))

    def shadow(self, height: float) -> tuple[float, float]:
        """Where on the ground the shadow of a point lies: metres to the right and away, from below it."""
        x, y, z = self.sun
        return -x / y * height, -z / y * height

    def haze(self, colour: Colour, distance: float) -> Colour:
        """The colour as seen from `distance` metres."""
        # A rational fall-off: exp differs in its last bit between platforms, and pictures must not.
        seen = self.sight / (self.sight + distance * distance / self.sight)
        return (
            self.horizon[0] + (colour[0] - self.horizon[0]) * seen,
            self.horizon[1] + (colour[1] - self.horizon[1]) * seen,
            self.horizon[2] + (colour[2] - self.horizon[2]) * seen,
        )


@dataclass(frozen=True, slots=True)
class _Weather:
    direct: float
    cast: Colour
    zenith: Colour
    horizon: Colour
    cloud: Colour
    cloudiness: tuple[float, float]
    sight: tuple[float, float]


_WEATHERS = (
    _Weather(0.6, (1.03, 1.0, 0.96), (62, 118, 190), (186, 210, 232), (250, 250, 250), (0.0, 0.45), (190, 320)),
    _Weather(0.5, (1.02, 1.0, 0.97), (80, 130, 192), (198, 212, 226), (242, 243, 246), (0.4, 0.7), (170, 280)),
    _Weather(0.12, (0.92, 0.95, 1.0), (176, 184, 194), (214, 218, 222), (200, 205, 212), (0.5, 1.0), (120, 220)),
    _Weather(0.1, (0.93, 0.95, 0.97), (196, 199, 202), (210, 212, 213), (205, 207, 209), (0.0, 0.3), (45, 90)),
    _Weather(0.65, (1.1, 0.95, 0.8), (84, 112, 164), (246, 204, 150), (250, 190, 150), (0.1, 0.6), (130, 240)),
    _Weather(0.15, (0.62, 0.68, 0.86), (52, 68, 110), (150, 150, 170), (96, 104, 136), (0.1, 0.7), (110, 200)),
)
_OFTEN = (0, 0, 0, 1, 1, 2, 2, 3, 4, 4, 5)


def weather(dice: Dice) -> Light:
    """Sun, clouds, overcast, mist, low sun or dusk, with a brightness of its own."""
    kind = _WEATHERS[dice.pick(_OFTEN)]
    gain = dice.uniform(0.82, 1.14)
    red, green, blue = (c * gain * dice.uniform(0.96, 1.04) for c in kind.cast)
    return Light(
        sun=_sun(dice),
        direct=kind.direct,
        cast=(red, green, blue),
        zenith=kind.zenith,
        horizon=kind.horizon,
        cloud=kind.cloud,
        cloudiness=dice.uniform(*kind.cloudiness),
        sight=dice.uniform(*kind.sight),
    )


def _sun(dice: Dice) -> tuple[float, float, float]:
    x, y, z = dice.uniform(-1, 1), dice.uniform(0.45, 1.1), dice.uniform(-1, 0.6)
    length = sqrt(x * x + y * y + z * z)
    return x / length, y / length, z / length
