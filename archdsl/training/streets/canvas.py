"""A camera in a street, and the canvas it draws on: every pixel names the surface that is seen there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from archdsl.training.streets.classes import Class
from archdsl.training.streets.light import Colour, Light

Point = tuple[float, float, float]
"""Metres in street coordinates: right of the camera, above the ground, along the road away from the camera."""
Spot = tuple[float, float]
"""A place on the ground, (x, z) in metres."""
NEAR = 0.9
"""Metres before the camera at which things are cut off."""

OCTAGON = ((1.0, 0.0), (0.7, 0.7), (0.0, 1.0), (-0.7, 0.7), (-1.0, 0.0), (-0.7, -0.7), (0.0, -1.0), (0.7, -0.7))
"""Stands in for the unit circle where a circle is seen at a slant."""
_DIFFUSE = 0.2
"""Share of direct light below which nothing casts a shadow."""
PANES = 3
"""How many shades the openings of a wall have."""


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera above a road that bends: the road's own x = 0 lies at x = bend · z² in the world."""

    focal: float
    """Pixels."""
    column: float
    """Pixel column of the vanishing point."""
    horizon: float
    """Pixel row of the horizon."""
    height: float
    """Metres above the ground."""
    bend: float
    """Per metre."""

    def pixel(self, point: Point) -> tuple[float, float]:
        """Column and row at which a point of the street is seen."""
        x, y, z = point
        if z < NEAR:
            z = NEAR
        scale = self.focal / z
        return (
            self.column + (x + self.bend * z * z) * scale - 0.5,
            self.horizon + (self.height - y) * scale - 0.5,
        )


@dataclass(frozen=True, slots=True)
class Openings:
    """A regular pattern on an upright surface: windows, or the gaps of a fence."""

    pitch: float
    """Metres from one opening to the next, along the wall."""
    storey: float
    """Metres from one row of openings to the next."""
    width: float
    """Of an opening, as a share of the pitch."""
    sill: float
    """Lower end of an opening, as a share of the storey."""
    lintel: float


@dataclass(frozen=True, slots=True)
class Wall:
    """An upright surface with openings: a house front, an end wall, a fence."""

    start: tuple[float, float]
    """World (x, z) in metres of one end of its foot."""
    end: tuple[float, float]
    top: float
    """Metres above the ground, from which on there are no openings."""
    openings: Openings
    glass: int
    """The first of the `PANES` surfaces that are seen through openings."""
    trim: int
    board: int | None
    """Surface above the shop windows on the ground floor, where there are any."""


class Canvas:
    """Collects surfaces in drawing order, the farthest first.

    `ids` holds for each pixel the number of the surface on top; colours, labels and textures are looked up by that
    number once everything is drawn, so that a surface costs one pass of the rasteriser.
    """

    SKY, GROUND = 0, 1

    def __init__(self, camera: Camera, light: Light, height: int, width: int) -> None:
        self.camera = camera
        self.light = light
        self.ids = Image.new("I", (width, height), self.SKY)
        self.shadows = Image.new("L", (width, height), 0)
        self.pen = ImageDraw.Draw(self.ids)
        self.shadow_pen = ImageDraw.Draw(self.shadows)
        self.colours: list[Colour] = []
        self.labels: list[Class] = []
        self.grains: list[tuple[float, float]] = []
        self.walls: dict[int, Wall] = {}
        self.surface((0, 0, 0), Class.SKY, 0)
        self.surface((0, 0, 0), Class.ROAD, 0)
        self.pen.rectangle((0, round(camera.horizon), width, height), fill=self.GROUND)

    def surface(
        self,
        colour: Colour,
        label: Class,
        distance: float,
        brightness: float = 1.0,
        grain: float = 0.03,
        clumps: float = 0.0,
    ) -> int:
        """Registers a surface and returns its number.

        `grain` and `clumps` are the amplitudes, as shares of the colour, of noise by the pixel and of wider noise.
        """
        red, green, blue = colour
        self.colours.append(self.light.haze((red * brightness, green * brightness, blue * brightness), distance))
        self.labels.append(label)
        self.grains.append((grain, clumps))
        return len(self.labels) - 1

    def polygon(self, points: Iterable[Point], surface: int) -> None:
        self.pen.polygon([self.camera.pixel(p) for p in points], fill=surface)

    def ellipse(self, centre: Point, across: float, up: float, surface: int) -> None:
        """An ellipse that faces the camera, with half axes in metres."""
        column, row = self.camera.pixel(centre)
        scale = self.camera.focal / max(centre[2], NEAR)
        a, b = across * scale, up * scale
        self.pen.ellipse((column - a, row - b, column + a, row + b), fill=surface)

    def ring(self, centre: Point, across: float, up: float, thickness: float, surface: int) -> None:
        """The outline of such an ellipse; thickness in metres."""
        column, row = self.camera.pixel(centre)
        scale = self.camera.focal / max(centre[2], NEAR)
        a, b = across * scale, up * scale
        width = max(1, round(thickness * scale))
        self.pen.ellipse((column - a, row - b, column + a, row + b), outline=surface, width=width)

    def wall(self, wall: Wall, points: Sequence[Point], surface: int) -> None:
        self.walls[surface] = wall
        self.polygon(points, surface)

    def shade(self, points: Iterable[Point], contact: bool = False) -> None:
        """Darkens the ground within a polygon; nothing that stands on the ground.

        A contact shadow lies right under a thing, where hardly any light from the sky comes either.
        """
        if not contact and self.light.direct < _DIFFUSE:
            return
        strength = 150 if contact else round(200 * self.light.direct)
        self.shadow_pen.polygon([self.camera.pixel(p) for p in points], fill=strength)

    def shade_wall(self, start: Spot, end: Spot, height: float) -> None:
        """The same for the shadow of an upright rectangle."""
        (x0, z0), (x1, z1) = start, end
        right, away = self.light.shadow(height)
        self.shade(((x0, 0, z0), (x1, 0, z1), (x1 + right, 0, z1 + away), (x0 + right, 0, z0 + away)))

    def shade_disc(self, centre: Spot, radius: float) -> None:
        """The same for a disc on the ground."""
        x, z = centre
        self.shade((x + radius * a, 0, z + radius * b) for a, b in OCTAGON)

    def pixels(self, metres: float, distance: float) -> float:
        """How many pixels a length has at a distance."""
        return metres * self.camera.focal / max(distance, NEAR)

    def sees(self, x: float, z: float, reach: float) -> bool:
        """Whether something within `reach` metres to either side of (x, z) can be in the picture."""
        column, _ = self.camera.pixel((x, 0, z))
        margin = self.pixels(reach, z)
        return -margin < column < self.ids.width + margin
