"""Trees, lamps, signs and other things that do not move."""

from __future__ import annotations

from archdsl.training.streets.canvas import Canvas, Point
from archdsl.training.streets.classes import Class
from archdsl.training.streets.dice import Dice
from archdsl.training.streets.light import Colour
from archdsl.training.streets.street import Thing

_LEAVES: tuple[Colour, ...] = ((70, 102, 44), (84, 112, 50), (58, 90, 46), (104, 116, 52), (132, 108, 46), (64, 96, 60))
_BLOBS = (7, 6, 5)
"""How many blobs the dark, middle and bright layer of a crown have."""
_SMALL, _LARGE = 6, 16
"""Radius of a crown in pixels up to which it casts no shadow, and from which on it has all its blobs."""
_BARK: Colour = (84, 70, 58)
_METAL: tuple[Colour, ...] = ((120, 122, 124), (70, 74, 78), (150, 152, 150), (58, 70, 62))
_RED: Colour = (190, 34, 38)
_WHITE: Colour = (236, 236, 234)
_BLUE: Colour = (34, 78, 158)
_DARK: Colour = (36, 36, 38)
_BOARDS: tuple[Colour, ...] = ((28, 104, 74), (34, 78, 158), (226, 190, 60), (232, 232, 228))


def draw_tree(canvas: Canvas, dice: Dice, x: float, z: float, crown: float) -> None:
    """A tree whose crown has a radius of `crown` metres."""
    trunk, leaves, places = crown * dice.uniform(1.1, 1.6), dice.pick(_LEAVES), dice.many(3 * sum(_BLOBS))
    if not canvas.sees(x, z, 3 * crown):
        return
    if canvas.pixels(crown, z) > _SMALL:
        _tree_shadow(canvas, x, z, trunk, crown)
    low, high = 0.11 + crown * 0.06, 0.08 + crown * 0.05
    bark = canvas.surface(_BARK, Class.TREE, z, 0.9, 0.1)
    canvas.polygon(((x - low, 0, z), (x - high, trunk, z), (x + high, trunk, z), (x + low, 0, z)), bark)
    _crown(canvas, leaves, (x, trunk + crown * 0.7, z), crown, places)


def _tree_shadow(canvas: Canvas, x: float, z: float, trunk: float, crown: float) -> None:
    canvas.shade_wall((x - 0.1, z), (x + 0.1, z), trunk)
    right, away = canvas.light.shadow(trunk + crown)
    canvas.shade_disc((x + right, z + away), crown * 0.9)


def _crown(canvas: Canvas, leaves: Colour, middle: Point, crown: float, places: list[float]) -> None:
    """Three layers of blobs, each brighter and nearer to the sun than the one before."""
    x, y, z = middle
    share = min(1.0, max(0.3, canvas.pixels(crown, z) / _LARGE))
    lit, towards = canvas.light.on(0, 0.6, -0.6), canvas.light.sun[0]
    draw = iter(places)
    for shade, number, pull in zip((0.62, 0.84, 1.06), _BLOBS, (-0.12, 0.08, 0.3), strict=True):
        surface = canvas.surface(leaves, Class.TREE, z, shade * lit, 0.2, 0.22)
        for _ in range(round(number * share)):
            right, up, size = next(draw) * 1.2 - 0.6, next(draw) * 1.1 - 0.55, crown * (0.24 + 0.26 * next(draw))
            centre = (x + crown * (right + pull * towards), y + crown * (up + pull), z)
            canvas.ellipse(centre, size, size * 0.85, surface)


def draw_street_tree(canvas: Canvas, dice: Dice, thing: Thing) -> None:
    draw_tree(canvas, dice, thing.x, thing.z, dice.uniform(1.2, 2.3))


def draw_lamp(canvas: Canvas, dice: Dice, thing: Thing) -> None:
    x, z, height = thing.x, thing.z, dice.uniform(5, 8)
    metal = canvas.surface(dice.pick(_METAL), Class.POLE, z)
    reach = x + thing.facing * dice.uniform(0.8, 1.8)
    _pole(canvas, x, z, height, 0.075, metal)
    canvas.polygon(((x, height, z), (reach, height + 0.3, z), (reach, height + 0.2, z), (x, height - 0.14, z)), metal)
    _plate(canvas, reach - thing.facing * 0.25, height + 0.21, z, (0.25, 0.09), metal)


def draw_sign(canvas: Canvas, dice: Dice, thing: Thing) -> None:
    """A round, triangular, square or octagonal traffic sign on a post."""
    x, z, y = thing.x, thing.z, dice.uniform(2.2, 2.8)
    _pole(canvas, x, z, y, 0.045, canvas.surface(_METAL[0], Class.POLE, z))
    size = dice.uniform(0.32, 0.42)
    outer, inner = dice.pick(((_RED, _WHITE), (_BLUE, _BLUE), (_RED, _BLUE), (_WHITE, _DARK), (_RED, _RED)))
    rim = canvas.surface(outer, Class.SIGN, z, canvas.light.on(0, 0, -1))
    face = canvas.surface(inner, Class.SIGN, z, canvas.light.on(0, 0, -1))
    mark = canvas.surface(_WHITE if inner != _WHITE else _DARK, Class.SIGN, z)
    kind = dice.pick(("round", "round", "triangle", "square"))
    for radius, surface in ((size, rim), (size * 0.74, face)):
        if kind == "round":
            canvas.ellipse((x, y, z), radius, radius, surface)
        elif kind == "triangle":
            foot = y - radius * 0.6
            canvas.polygon(((x - radius, foot, z), (x, y + radius, z), (x + radius, foot, z)), surface)
        else:
            _plate(canvas, x, y, z, (radius * 0.9, radius * 0.9), surface)
    _plate(canvas, x, y - size * 0.06, z, (size * 0.4, size * 0.12), mark)


def draw_board(canvas: Canvas, dice: Dice, thing: Thing) -> None:
    """A direction board on two posts."""
    x, z, y = thing.x, thing.z, dice.uniform(2.5, 3.1)
    metal = canvas.surface(_METAL[0], Class.POLE, z)
    half = dice.uniform(0.55, 1.0)
    for post in (x - half * 0.6, x + half * 0.6):
        _pole(canvas, post, z, y, 0.05, metal)
    colour = dice.pick(_BOARDS)
    lit = canvas.light.on(0, 0, -1)
    ink = canvas.surface(_WHITE if sum(colour) < 450 else _DARK, Class.SIGN, z, lit)
    _plate(canvas, x, y, z, (half, 0.5), ink)
    _plate(canvas, x, y, z, (half - 0.05, 0.45), canvas.surface(colour, Class.SIGN, z, lit))
    for row in (-0.22, 0.02, 0.24):
        _plate(canvas, x - half * 0.15, y + row, z, (half * dice.uniform(0.35, 0.6), 0.06), ink)


def draw_signal(canvas: Canvas, dice: Dice, thing: Thing) -> None:
    """A traffic light."""
    x, z, y = thing.x, thing.z, 2.9
    _pole(canvas, x, z, y, 0.06, canvas.surface(_METAL[1], Class.POLE, z))
    _plate(canvas, x, y, z, (0.2, 0.5), canvas.surface(_DARK, Class.SIGN, z))
    on = dice.count(0, 2)
    for i, lamp in enumerate(((255, 60, 40), (255, 190, 40), (60, 240, 130))):
        brightness = 1.0 if i == on else 0.2
        canvas.ellipse((x, y + 0.3 - 0.3 * i, z), 0.12, 0.12, canvas.surface(lamp, Class.SIGN, z, brightness))


def draw_bollard(canvas: Canvas, dice: Dice, thing: Thing) -> None:
    _pole(canvas, thing.x, thing.z, 0.95, 0.08, canvas.surface(_METAL[1], Class.POLE, thing.z))


def draw_bin(canvas: Canvas, dice: Dice, thing: Thing) -> None:
    """A dustbin: none of the classes, and so void."""
    colour = dice.pick(((50, 80, 60), (60, 60, 64), (70, 80, 110)))
    surface = canvas.surface(colour, Class.VOID, thing.z, canvas.light.on(0, 0, -1))
    _plate(canvas, thing.x, 0.5, thing.z, (0.3, 0.5), surface)


def _pole(canvas: Canvas, x: float, z: float, height: float, radius: float, surface: int) -> None:
    canvas.shade_wall((x - radius, z), (x + radius, z), height)
    canvas.polygon(((x - radius, 0, z), (x - radius, height, z), (x + radius, height, z), (x + radius, 0, z)), surface)


def _plate(canvas: Canvas, x: float, y: float, z: float, half: tuple[float, float], surface: int) -> None:
    a, b = half
    canvas.polygon(((x - a, y - b, z), (x - a, y + b, z), (x + a, y + b, z), (x + a, y - b, z)), surface)
