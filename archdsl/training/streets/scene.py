"""One seed, one street scene."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archdsl.training.streets.canvas import Camera, Canvas
from archdsl.training.streets.dice import Dice
from archdsl.training.streets.figures import draw_cyclist, draw_walker
from archdsl.training.streets.furniture import (
    draw_bin,
    draw_board,
    draw_bollard,
    draw_lamp,
    draw_sign,
    draw_signal,
    draw_street_tree,
)
from archdsl.training.streets.layout import lay_out
from archdsl.training.streets.light import weather
from archdsl.training.streets.plots import draw_backdrop, draw_plot
from archdsl.training.streets.render import render
from archdsl.training.streets.street import Plot, Street, Thing
from archdsl.training.streets.vehicles import draw_vehicle

_SMALLEST = 32
_DRAW: dict[str, Callable[[Canvas, Dice, Thing], None]] = {
    "car": draw_vehicle,
    "van": draw_vehicle,
    "bus": draw_vehicle,
    "walker": draw_walker,
    "crosser": draw_walker,
    "cyclist": draw_cyclist,
    "rider": draw_cyclist,
    "tree": draw_street_tree,
    "lamp": draw_lamp,
    "sign": draw_sign,
    "board": draw_board,
    "signal": draw_signal,
    "bollard": draw_bollard,
    "bin": draw_bin,
}


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture and what is in it."""

    image: npt.NDArray[np.uint8]
    """RGB [H,W,3]."""
    labels: npt.NDArray[np.uint8]
    """Class indices [H,W], 255 where no class fits."""


def scene(seed: int, height: int = 256, width: int = 512) -> Scene:
    """The street scene of a seed (0 or more) at a size in pixels.

    The same seed and size give the same scene, whatever else draws random numbers; at another size it is the same
    street. Raises ValueError for a side below 32.
    """
    if min(height, width) < _SMALLEST:
        raise ValueError(f"a street scene is at least {_SMALLEST}x{_SMALLEST} pixels, not {height}x{width}")
    dice = Dice(seed, stream=0)
    canvas = Canvas(_camera(dice, height, width), weather(dice), height, width)
    street = lay_out(dice)
    draw_backdrop(canvas, dice)
    _draw(canvas, dice, street)
    image, labels = render(canvas, street, Dice(seed, stream=1).generator)
    return Scene(image, labels)


def _camera(dice: Dice, height: int, width: int) -> Camera:
    return Camera(
        focal=dice.uniform(0.8, 1.15) * height,
        column=dice.uniform(0.36, 0.64) * width,
        horizon=dice.uniform(0.38, 0.52) * height,
        height=dice.uniform(1.35, 2.1),
        bend=dice.uniform(-0.0014, 0.0014),
    )


def _draw(canvas: Canvas, dice: Dice, street: Street) -> None:
    """Far to near. A plot counts by its far end: whatever stands before it on the pavement comes later."""
    items: list[Plot | Thing] = [*street.plots, *street.things]
    for item in sorted(items, key=_depth, reverse=True):
        if isinstance(item, Plot):
            draw_plot(canvas, dice, street, item)
        else:
            _DRAW[item.kind](canvas, dice, item)


def _depth(item: Plot | Thing) -> float:
    return item.far if isinstance(item, Plot) else item.z
