"""Houses, and walls with openings in general."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.training.streets.canvas import Canvas, Openings, Point, Spot, Wall
from archdsl.training.streets.classes import Class
from archdsl.training.streets.dice import Dice
from archdsl.training.streets.light import Colour

Quad = tuple[Point, Point, Point, Point]

_WALLS: tuple[Colour, ...] = (
    (168, 92, 70), (146, 80, 62), (188, 160, 124), (206, 194, 172), (222, 216, 204), (176, 172, 166),
    (150, 148, 148), (202, 170, 120), (190, 128, 96), (160, 168, 164), (214, 186, 170), (128, 116, 104),
)  # fmt: skip
_ROOFS: tuple[Colour, ...] = ((120, 66, 50), (92, 70, 62), (84, 86, 92), (104, 100, 98), (140, 80, 60))
_SHOPS: tuple[Colour, ...] = ((150, 40, 40), (40, 80, 120), (40, 96, 70), (200, 160, 60), (50, 50, 54), (180, 90, 40))
_TRIMS: tuple[Colour, ...] = ((228, 226, 220), (206, 200, 188), (110, 104, 98), (70, 62, 56))
_GLASS: Colour = (74, 86, 98)
_FIRST = 5.0
"""Metres up to which a house is the first of its row."""
_SHADES = (0.8, 1.0, 1.3)
"""Brightness of the panes."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a wall looks like."""

    colour: Colour
    glass: Colour
    trim: Colour
    openings: Openings
    shop: Colour | None = None
    """Colour of the board over a shop on the ground floor, where there is one."""
    blank: float = 0.3
    """Metres below the top without openings."""


@dataclass(frozen=True, slots=True)
class House:
    """`x` is the front and `depth` how far it reaches away from the street; metres."""

    side: int
    x: float
    depth: float
    near: float
    far: float
    height: float
    rise: float
    """Of the ridge above the eaves; 0 for a flat roof, which the camera cannot see."""
    look: Look
    roof: Colour

    @property
    def back(self) -> float:
        return self.x + self.side * self.depth


def draw_house(canvas: Canvas, house: House) -> None:
    """A house with its front to the street and one end towards the camera."""
    corner, far, back = (house.x, house.near), (house.x, house.far), (house.back, house.near)
    # The row goes on behind the camera, where only its shadow is seen.
    start = (house.x, house.near - 40) if house.near < _FIRST else corner
    canvas.shade_wall(start, far, house.height + house.rise / 2)
    canvas.shade_wall(corner, back, house.height + house.rise / 2)
    if house.rise:
        _roof(canvas, house)
    draw_wall(canvas, house.look, Class.BUILDING, upright(corner, back, house.height), (0, -1), shop=False)
    draw_wall(canvas, house.look, Class.BUILDING, upright(corner, far, house.height), (-house.side, 0), shop=True)


def _roof(canvas: Canvas, house: House) -> None:
    x, back, near, far, eaves = house.x, house.back, house.near, house.far, house.height
    top, ridge, lower = eaves + house.rise, (x + back) / 2, eaves - 0.1
    gable = canvas.surface(house.look.colour, Class.BUILDING, near, canvas.light.on(0, 0, -1))
    canvas.polygon(((x, eaves, near), (ridge, top, near), (back, eaves, near)), gable)
    tiles = canvas.surface(house.roof, Class.BUILDING, near, canvas.light.on(-house.side * 0.6, 0.8, 0), 0.06, 0.08)
    edge = x - house.side * 0.3
    canvas.polygon(((edge, lower, near), (edge, lower, far), (ridge, top, far), (ridge, top, near)), tiles)


def draw_wall(canvas: Canvas, look: Look, label: Class, points: Quad, normal: Spot, shop: bool) -> None:
    """An upright wall that faces `normal`; `shop` lets it have one if its look does."""
    (x0, _, z0), (_, height, _), _, (x1, _, z1) = points
    distance, bend = (z0 + z1) / 2, canvas.camera.bend
    lit = canvas.light.on(normal[0], 0, normal[1])
    panes = [canvas.surface(look.glass, label, distance, lit * shade) for shade in _SHADES]
    board = canvas.surface(look.shop, label, distance, lit) if shop and look.shop else None
    wall = Wall(
        start=(x0 + bend * z0 * z0, z0),
        end=(x1 + bend * z1 * z1, z1),
        top=height - look.blank,
        openings=look.openings,
        glass=panes[0],
        trim=canvas.surface(look.trim, label, distance, lit),
        board=board,
    )
    canvas.wall(wall, points, canvas.surface(look.colour, label, distance, lit, 0.03, 0.06))


def upright(start: Spot, end: Spot, height: float) -> Quad:
    """The corners of an upright rectangle, from one foot over the top to the other."""
    (x0, z0), (x1, z1) = start, end
    return (x0, 0, z0), (x0, height, z0), (x1, height, z1), (x1, 0, z1)


def any_roof(dice: Dice) -> Colour:
    return dice.pick(_ROOFS)


def any_look(dice: Dice, shops: float) -> Look:
    """The look of some house; `shops` is the chance of a shop in it."""
    openings = Openings(
        pitch=dice.uniform(1.7, 3.6),
        storey=dice.uniform(2.7, 3.5),
        width=dice.uniform(0.32, 0.62),
        sill=dice.pick((0.22, 0.34)),
        lintel=dice.uniform(0.72, 0.86),
    )
    shop = dice.pick(_SHOPS) if dice.chance(shops) else None
    return Look(dice.pick(_WALLS), _GLASS, dice.pick(_TRIMS), openings, shop)
