"""People on foot and on bicycles, as flat figures that face the camera."""

from __future__ import annotations

from collections.abc import Iterable

from archdsl.training.streets.canvas import Canvas
from archdsl.training.streets.classes import Class
from archdsl.training.streets.dice import Dice
from archdsl.training.streets.light import Colour
from archdsl.training.streets.street import Thing

_SKINS: tuple[Colour, ...] = ((224, 180, 150), (198, 150, 118), (150, 106, 80), (96, 68, 52))
_HAIRS: tuple[Colour, ...] = ((40, 32, 28), (90, 64, 44), (170, 140, 90), (150, 150, 150))
_CLOTHES: tuple[Colour, ...] = (
    (40, 44, 60), (150, 40, 46), (60, 90, 130), (200, 196, 186), (70, 74, 66), (190, 140, 60), (110, 70, 110),
    (30, 30, 34), (60, 120, 110), (210, 110, 70),
)  # fmt: skip
_TROUSERS: tuple[Colour, ...] = ((44, 52, 74), (36, 36, 40), (96, 88, 74), (70, 72, 80), (120, 100, 80))
_METAL: tuple[Colour, ...] = ((40, 40, 44), (150, 40, 40), (50, 90, 130), (180, 180, 176))
_HELMETS: tuple[Colour, ...] = ((230, 230, 226), (40, 40, 44), (200, 60, 50))

_Outline = Iterable[tuple[float, float]]


class _Figure:
    """Draws outlines given in metres across and up from where the figure stands."""

    def __init__(self, canvas: Canvas, thing: Thing, label: Class, size: float, squeeze: float) -> None:
        self.canvas, self.label, self.size = canvas, label, size
        self.x, self.z = thing.x, thing.z
        self.across = size * squeeze
        self.lit = canvas.light.on(0, 0.2, -0.9)

    def surface(self, colour: Colour, brightness: float = 1.0) -> int:
        return self.canvas.surface(colour, self.label, self.z, self.lit * brightness, 0.04)

    def shape(self, outline: _Outline, surface: int) -> None:
        self.canvas.polygon([(self.x + a * self.across, b * self.size, self.z) for a, b in outline], surface)

    def disc(self, a: float, b: float, across: float, up: float, surface: int) -> None:
        centre = (self.x + a * self.across, b * self.size, self.z)
        self.canvas.ellipse(centre, across * self.size, up * self.size, surface)

    def shadow(self, height: float, half: float) -> None:
        x, z = self.x, self.z
        self.canvas.shade_wall((x - half, z), (x + half, z), height * self.size)
        self.canvas.shade_disc((x, z), half)


def draw_walker(canvas: Canvas, dice: Dice, thing: Thing) -> None:
    """Someone who walks along the street or, as a `crosser`, across it."""
    size = dice.uniform(0.9, 1.08) if dice.chance(0.88) else dice.uniform(0.6, 0.75)
    figure = _Figure(canvas, thing, Class.PERSON, size, 1.0)
    figure.shadow(1.6, 0.22)
    stride = dice.uniform(0.12, 0.3) if thing.kind == "crosser" else dice.uniform(0.02, 0.12)
    trousers = dice.pick(_TROUSERS)
    back, front = figure.surface(trousers, 0.8), figure.surface(trousers)
    for foot, leg in ((-stride, back), (stride, front)):
        figure.shape(((-0.13, 0.9), (0.13, 0.9), (foot + 0.1, 0.0), (foot - 0.1, 0.0)), leg)
    _upper_body(figure, dice, 0.0, swing=stride)
    if dice.chance(0.3):
        bag = figure.surface(dice.pick(_CLOTHES))
        figure.shape(((0.2, 0.95), (0.36, 0.95), (0.38, 0.62), (0.2, 0.62)), bag)


def _upper_body(figure: _Figure, dice: Dice, lean: float, swing: float) -> None:
    """Torso, arms and head above a hip 0.85 m up; `lean` moves the shoulders."""
    coat, skin, hair = dice.pick(_CLOTHES), dice.pick(_SKINS), dice.pick(_HAIRS)
    sleeve, cloth = figure.surface(coat, 0.82), figure.surface(coat)
    hem = 0.62 if dice.chance(0.25) else 0.85
    for hand, shoulder in ((-0.25 - swing / 2, -0.2), (0.25 + swing / 2, 0.2)):
        top = lean + shoulder
        figure.shape(((top - 0.05, 1.42), (top + 0.05, 1.42), (hand + 0.05, 0.82), (hand - 0.05, 0.82)), sleeve)
    figure.shape(((lean - 0.22, 1.44), (lean + 0.22, 1.44), (0.18, hem), (-0.18, hem)), cloth)
    figure.disc(lean * 1.2, 1.62, 0.115, 0.15, figure.surface(hair))
    figure.disc(lean * 1.2, 1.58, 0.085, 0.11, figure.surface(skin))


def draw_cyclist(canvas: Canvas, dice: Dice, thing: Thing) -> None:
    """Someone on a bicycle, along the street or, as a `rider`, across it."""
    figure = _Figure(canvas, thing, Class.CYCLIST, dice.uniform(0.95, 1.08), 1.0)
    figure.shadow(1.6, 0.25)
    if thing.kind == "rider":
        _bicycle_from_the_side(figure, dice, thing.facing)
    else:
        _bicycle_from_the_end(figure, dice)
    helmet = figure.surface(dice.pick(_HELMETS))
    lean = 0.28 * thing.facing if thing.kind == "rider" else 0.0
    if dice.chance(0.6):
        figure.disc(lean * 1.2, 1.7, 0.13, 0.09, helmet)


def _bicycle_from_the_end(figure: _Figure, dice: Dice) -> None:
    tyre, frame = figure.surface((30, 30, 32)), figure.surface(dice.pick(_METAL))
    trousers = figure.surface(dice.pick(_TROUSERS))
    figure.disc(0, 0.36, 0.06, 0.36, tyre)
    figure.shape(((-0.3, 0.98), (0.3, 0.98), (0.3, 1.03), (-0.3, 1.03)), frame)
    for foot, up in ((-0.14, 0.18), (0.14, 0.4)):
        figure.shape(((foot * 0.3, 0.95), (foot * 1.9, 0.85), (foot * 1.7, up), (foot * 0.7, up)), trousers)
    _upper_body(figure, dice, 0.0, swing=0.1)


def _bicycle_from_the_side(figure: _Figure, dice: Dice, facing: int) -> None:
    tyre, frame = figure.surface((30, 30, 32)), figure.surface(dice.pick(_METAL))
    trousers = figure.surface(dice.pick(_TROUSERS))
    for wheel in (-0.52, 0.52):
        figure.canvas.ring((figure.x + wheel, 0.35 * figure.size, figure.z), 0.34, 0.34, 0.06, tyre)
    f = facing
    figure.shape(((-0.52 * f, 0.33), (-0.15 * f, 0.85), (0.4 * f, 0.82), (0.0, 0.3)), frame)
    figure.shape(((0.36 * f, 1.0), (0.44 * f, 1.0), (0.56 * f, 0.33), (0.48 * f, 0.33)), frame)
    figure.shape(((-0.22 * f, 0.95), (0.02 * f, 0.98), (0.22 * f, 0.62), (0.08 * f, 0.2), (-0.02 * f, 0.2)), trousers)
    _upper_body(figure, dice, 0.28 * f, swing=0.0)
