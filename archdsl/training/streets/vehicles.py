"""Cars, vans and buses, as boxes with a cabin, wheels and lights."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.training.streets.canvas import OCTAGON, Canvas
from archdsl.training.streets.classes import Class
from archdsl.training.streets.dice import Dice
from archdsl.training.streets.light import Colour
from archdsl.training.streets.street import Thing

_PAINTS: tuple[Colour, ...] = (
    (34, 36, 40), (200, 202, 206), (228, 228, 228), (120, 124, 130), (150, 30, 34), (36, 62, 120), (60, 90, 140),
    (70, 74, 66), (46, 84, 70), (190, 150, 60), (90, 60, 50),
)  # fmt: skip
_BUSES: tuple[Colour, ...] = ((180, 36, 40), (210, 170, 50), (60, 110, 160), (220, 220, 216))
_SMALL = 9
"""Pixels of height up to which details would not show."""
_LONG = 6.0
"""Metres of length from which on a vehicle is built like a bus."""
_GLASS: Colour = (48, 58, 68)
_BUMPER: Colour = (58, 58, 60)
_TYRE: Colour = (26, 26, 28)
_RIM: Colour = (130, 132, 136)
_FRONT_LIGHT: Colour = (250, 246, 226)
_REAR_LIGHT: Colour = (210, 30, 30)
_PLATE: Colour = (226, 222, 200)


@dataclass(frozen=True, slots=True)
class _Shape:
    """Metres; `waist` is where the windows begin, `bonnet` and `boot` how far the cabin keeps from either end."""

    length: float
    width: float
    height: float
    waist: float
    bonnet: float
    boot: float
    rake: float
    """How much shorter the roof is than the foot of the cabin, at each end."""


_SHAPES = {
    "hatch": _Shape(3.9, 1.7, 1.48, 0.88, 1.0, 0.05, 0.5),
    "saloon": _Shape(4.5, 1.8, 1.44, 0.86, 1.2, 0.7, 0.6),
    "offroad": _Shape(4.6, 1.9, 1.75, 1.05, 1.1, 0.05, 0.4),
    "van": _Shape(5.0, 2.0, 2.3, 1.25, 0.6, 0.0, 0.35),
    "bus": _Shape(11.0, 2.5, 3.1, 1.1, 0.0, 0.0, 0.05),
}


def draw_vehicle(canvas: Canvas, dice: Dice, thing: Thing) -> None:
    """A vehicle whose end nearer to the camera stands at the thing's z; facing +1 shows its rear."""
    kind = thing.kind if thing.kind != "car" else dice.pick(("hatch", "hatch", "saloon", "saloon", "offroad"))
    paint = dice.pick(_BUSES if kind == "bus" else _PAINTS)
    _Vehicle(canvas, thing, _SHAPES[kind], paint).draw()


class _Vehicle:
    def __init__(self, canvas: Canvas, thing: Thing, shape: _Shape, paint: Colour) -> None:
        self.canvas, self.shape, self.paint = canvas, shape, paint
        self.near, self.far = thing.z, thing.z + shape.length
        self.rear = thing.facing > 0
        self.left, self.right = thing.x - shape.width / 2, thing.x + shape.width / 2
        near_gap, far_gap = (shape.boot, shape.bonnet) if self.rear else (shape.bonnet, shape.boot)
        self.foot = (self.near + near_gap, self.far - far_gap)
        self.roof = (self.foot[0] + shape.rake, self.foot[1] - shape.rake)
        self.inset = 0.04 if shape.height > 2 else 0.17
        self.detailed = canvas.pixels(shape.height, thing.z) > _SMALL

    def draw(self) -> None:
        self._shadow()
        self._level(0.0, self.shape.waist, (self.near, self.far))
        flank = self._flank()
        if flank:
            self._side(flank, self.left if flank < 0 else self.right)
        self._level(self.inset, self.shape.height, self.roof)
        self._end()
        self._screen()
        if self.detailed:
            self._lights()

    def _flank(self) -> int:
        """The flank that the camera sees: -1 the left, +1 the right, 0 neither, where it looks straight at the end."""
        pixel = self.canvas.camera.pixel
        right = pixel((self.right, 0, self.far))[0] > pixel((self.right, 0, self.near))[0]
        left = pixel((self.left, 0, self.far))[0] < pixel((self.left, 0, self.near))[0]
        return int(right) - int(left)

    def _surface(self, colour: Colour, brightness: float = 1.0) -> int:
        return self.canvas.surface(colour, Class.CAR, self.near, brightness, 0.02)

    def _shadow(self) -> None:
        left, right, near, far = self.left, self.right, self.near, self.far
        self.canvas.shade(((left, 0, near), (left, 0, far), (right, 0, far), (right, 0, near)), contact=True)
        for start, end in (((left, near), (left, far)), ((left, near), (right, near)), ((right, near), (right, far))):
            self.canvas.shade_wall(start, end, self.shape.height * 0.8)

    def _level(self, inset: float, height: float, along: tuple[float, float]) -> None:
        """The bonnet and boot, or the roof."""
        near, far = along
        left, right = self.left + inset, self.right - inset
        surface = self._surface(self.paint, self.canvas.light.on(0, 1, 0) * 1.08)
        corners = ((left, near), (left, far), (right, far), (right, near))
        self.canvas.polygon([(x, height, z) for x, z in corners], surface)

    def _side(self, flank: int, x: float) -> None:
        """The flank at `x`: body, windows and wheels."""
        light, waist, top, near, far = self.canvas.light, self.shape.waist, self.shape.height, self.near, self.far
        (foot0, foot1), (roof0, roof1) = self.foot, self.roof
        body = self._surface(self.paint, light.on(flank, 0, 0))
        glass = self._surface(_GLASS, light.on(flank, 0.3, 0))
        inner, low, high = x - flank * self.inset, waist + 0.04, top - 0.1
        self.canvas.polygon(((x, 0.22, near), (x, waist, near), (x, waist, far), (x, 0.22, far)), body)
        self.canvas.polygon(((x, waist, foot0), (inner, top, roof0), (inner, top, roof1), (x, waist, foot1)), body)
        pane = ((x, low, foot0 + 0.2), (inner, high, roof0 + 0.1), (inner, high, roof1 - 0.1), (x, low, foot1 - 0.2))
        self.canvas.polygon(pane, glass)
        if self.detailed:
            self._pillars((x, inner), (low, high), body)
        self._wheels(x)

    def _pillars(self, x: tuple[float, float], y: tuple[float, float], body: int) -> None:
        for part in (0.3, 0.55, 0.8) if self.shape.length > _LONG else (0.5,):
            z = self.foot[0] + part * (self.foot[1] - self.foot[0])
            self.canvas.polygon(((x[0], y[0], z), (x[1], y[1], z), (x[1], y[1], z + 0.1), (x[0], y[0], z + 0.1)), body)

    def _wheels(self, x: float) -> None:
        tyre, rim = self._surface(_TYRE), self._surface(_RIM)
        reach = 2.2 if self.shape.length > _LONG else 0.75
        for z in (self.far - reach, self.near + reach):
            for radius, surface in ((0.34, tyre), (0.19, rim)):
                self.canvas.polygon([(x, 0.34 + radius * b, z + radius * a) for a, b in OCTAGON], surface)

    def _end(self) -> None:
        """The body at the end that the camera sees, with its bumper and tyres."""
        left, right, tyre = self.left, self.right, self._surface(_TYRE)
        paint = self._surface(self.paint, self.canvas.light.on(0, 0, -1) * 0.94)
        self._plate((left, right), (0.22, self.shape.waist), paint)
        self._plate((left, right), (0.22, 0.42), self._surface(_BUMPER))
        self._plate((left, left + 0.22), (0, 0.24), tyre)
        self._plate((right - 0.22, right), (0, 0.24), tyre)

    def _screen(self) -> None:
        """The window at that end, in its frame."""
        frame = self._surface(self.paint, self.canvas.light.on(0, 0.4, -0.9))
        glass = self._surface(_GLASS, self.canvas.light.on(0, 0.5, -0.8) * 1.1)
        near, roof = self.foot[0], self.roof[0]
        for edge, surface in ((0.0, frame), (0.08, glass)):
            left, right, inset = self.left + edge, self.right - edge, self.inset
            low, high = self.shape.waist + edge / 2, self.shape.height - edge
            pane = ((left, low, near), (left + inset, high, roof), (right - inset, high, roof), (right, low, near))
            self.canvas.polygon(pane, surface)

    def _lights(self) -> None:
        lamp, left, right = self._surface(_REAR_LIGHT if self.rear else _FRONT_LIGHT), self.left, self.right
        height, middle = (self.shape.waist - 0.26, self.shape.waist - 0.1), (left + right) / 2
        self._plate((left + 0.04, left + 0.34), height, lamp)
        self._plate((right - 0.34, right - 0.04), height, lamp)
        self._plate((middle - 0.26, middle + 0.26), (0.45, 0.57), self._surface(_PLATE))

    def _plate(self, x: tuple[float, float], y: tuple[float, float], surface: int) -> None:
        """An upright rectangle at the end that the camera sees."""
        z = self.near
        self.canvas.polygon(((x[0], y[0], z), (x[0], y[1], z), (x[1], y[1], z), (x[1], y[0], z)), surface)
