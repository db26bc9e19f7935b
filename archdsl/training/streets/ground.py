"""Colours and labels of the ground: what each pixel below the horizon sees, by its place on the ground plane."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from archdsl.training.streets.canvas import Camera
from archdsl.training.streets.classes import Class
from archdsl.training.streets.light import Light
from archdsl.training.streets.street import Line, Street
from archdsl.training.streets.texture import Floats

_KERB = 0.16
"""Width of a kerb stone in metres."""
_KERB_COLOUR = (168, 164, 158)
_PAVEMENT, _ROAD, _EDGE = 0, 1, 2


class Ground:
    """The ground below the horizon of an H x W picture, rows from `top` on."""

    def __init__(self, camera: Camera, street: Street, height: int, width: int) -> None:
        self.street = street
        self.top = min(max(int(camera.horizon) + 1, 0), height)
        rows = np.arange(self.top, height, dtype=np.float32)[:, None] + np.float32(0.5 - camera.horizon)
        columns = np.arange(width, dtype=np.float32)[None, :] + np.float32(0.5 - camera.column)
        self.z = np.float32(camera.height * camera.focal) / rows
        self.footprint = self.z / np.float32(camera.focal)
        """Metres on the ground across one pixel, [h,1]."""
        self.depth_footprint = self.z * self.footprint / np.float32(camera.height)
        """Metres on the ground along one pixel, [h,1]."""
        self.x = columns * self.footprint - np.float32(camera.bend) * self.z * self.z
        self.zone = self._zone()

    def labels(self) -> npt.NDArray[np.uint8]:
        """[h,W]"""
        return np.where(self.zone == _ROAD, np.uint8(Class.ROAD), np.uint8(Class.PAVEMENT))

    def colours(self, light: Light, shadows: npt.NDArray[np.uint8], textures: tuple[Floats, Floats]) -> Floats:
        """RGB [3,h,W] under the light, with shadows [h,W] from 0 to 255 taken off."""
        relief = self._relief(*textures)
        paint = self._markings()
        bright = np.float32(light.on(0, 1, 0)) * (1 - shadows * np.float32(1 / 255))
        haze = np.float32(light.sight) / (light.sight + self.z * self.z / np.float32(light.sight))
        out = np.empty((3, *self.x.shape), np.float32)
        stones = np.array([self.street.pavement.colour, self.street.road.colour, _KERB_COLOUR], np.float32)
        for channel in range(3):
            plane = stones[:, channel][self.zone] * relief
            for coverage, line in paint:
                plane += coverage * (line[channel] - plane)
            plane *= bright
            far = np.float32(light.horizon[channel])
            out[channel] = far + (plane - far) * haze
        return out

    def _zone(self) -> npt.NDArray[np.uint8]:
        left, right = self.street.kerbs
        on_road = (self.x > left) & (self.x < right)
        beside = (self.x > left - _KERB) & (self.x < right + _KERB)
        for junction in self.street.junctions:
            outside = self.x * junction.side > 0
            on_road |= outside & ((self.z > junction.near) & (self.z < junction.far))
            beside |= outside & ((self.z > junction.near - _KERB) & (self.z < junction.far + _KERB))
        return np.where(on_road, np.uint8(_ROAD), np.where(beside, np.uint8(_EDGE), np.uint8(_PAVEMENT)))

    def _by_zone(self, pavement: float, road: float, kerb: float) -> Floats:
        return np.array((pavement, road, kerb), np.float32)[self.zone]

    def _relief(self, fine: Floats, patches: Floats) -> Floats:
        """Brightness [h,W] of the paving relative to its colour: grain, patches and joints, fading with distance."""
        p, r = self.street.pavement, self.street.road
        rows, columns = self._texels(38.0), self._texels_across(38.0)
        relief = fine[rows, columns] * (self._by_zone(p.grain, r.grain, 0.05) * self._fade(0.03))
        rows, columns = self._texels(9.0), self._texels_across(9.0)
        relief += patches[rows, columns] * self._by_zone(p.patches, r.patches, 0.04)
        relief -= self._joints()
        relief += 1
        return relief

    def _texels(self, per_metre: float) -> npt.NDArray[np.intp]:
        return (self.z * np.float32(per_metre)).astype(np.intp) & 127

    def _texels_across(self, per_metre: float) -> npt.NDArray[np.intp]:
        return (self.x * np.float32(per_metre)).astype(np.intp) & 127

    def _fade(self, metres: float) -> Floats:
        """How much of a detail of that size is left where a pixel covers more than it, [h,1]."""
        return np.minimum(np.float32(1), np.float32(metres) / self.footprint)

    def _joints(self) -> Floats | np.float32:
        p, r = self.street.pavement, self.street.road
        if p.joint == r.joint == 0:
            return np.float32(0)
        rows = self.z / self._by_zone(p.tile_z, r.tile_z, 1.0)
        course = np.floor(rows)
        columns = self.x / self._by_zone(p.tile_x, r.tile_x, 50.0) + course * np.float32(0.5)
        seam = (rows - course < 0.1) | (columns - np.floor(columns) < 0.08)
        near = np.clip(np.float32(1.4) - self.depth_footprint * np.float32(5), 0, 1)
        return seam * self._by_zone(p.joint, r.joint, 0.15) * near

    def _markings(self) -> list[tuple[Floats, tuple[float, float, float]]]:
        """For each road marking, how much of every pixel it covers and its colour."""
        on_road = self.zone == _ROAD
        found = [(self._stripe(line) * on_road, line.colour) for line in self.street.lines]
        if self.street.crossing is not None:
            near, far = self.street.crossing
            bars = (self.x % np.float32(1.0) < 0.5) & (self.z > near) & (self.z < far) & on_road
            found.append((bars * np.float32(0.9), (226, 226, 222)))
        return found

    def _stripe(self, line: Line) -> Floats:
        reach = (np.float32(line.width / 2) - np.abs(self.x - np.float32(line.x))) / self.footprint
        cover = np.clip(reach + np.float32(0.5), 0, np.minimum(np.float32(0.9), line.width / self.footprint))
        if line.gap == 0:
            return cover
        period = np.float32(line.dash + line.gap)
        return cover * (self.z % period < np.float32(line.dash))
