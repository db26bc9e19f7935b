"""From surfaces to a picture: colours, textures, the sky, and what the camera adds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from archdsl.training.streets.canvas import Canvas
from archdsl.training.streets.ground import Ground
from archdsl.training.streets.light import Light
from archdsl.training.streets.street import Street
from archdsl.training.streets.texture import Floats, clumps, grain, tile
from archdsl.training.streets.walls import open_walls

_LENS = ImageFilter.BoxBlur(0.35)
_LEAFY = 0.15
"""Surfaces with wider noise than this are foliage."""
Bytes = npt.NDArray[np.uint8]


def render(canvas: Canvas, street: Street, generator: np.random.Generator) -> tuple[Bytes, Bytes]:
    """Image [H,W,3] and labels [H,W] of what was drawn."""
    ids = np.array(canvas.ids)
    height, width = ids.shape
    open_walls(canvas, ids)
    _ruffle(canvas, ids, generator)
    ground = Ground(canvas.camera, street, height, width)
    fine, wide = grain(generator, height, width), clumps(generator, height, width, (height // 6 + 2, width // 6 + 2))
    planes = _surfaces(canvas, ids, fine, wide)
    _lay(planes[:, ground.top :], ids[ground.top :] == Canvas.GROUND, _ground(canvas, ground, generator))
    bottom = _sky_rows(ids)
    sky = _sky(canvas.light, canvas.camera.horizon, bottom, width, generator)
    _lay(planes[:, :bottom], ids[:bottom] == Canvas.SKY, sky)
    return _photograph(planes, canvas.light, fine), _labels(canvas, ids, ground)


def _lay(planes: Floats, where: npt.NDArray[np.bool_], patch: Floats) -> None:
    np.copyto(planes, patch, where=where)


def _ruffle(canvas: Canvas, ids: npt.NDArray[np.int32], generator: np.random.Generator) -> None:
    """Swaps pixels of foliage with foliage close by, which turns blobs into leaves; no label changes, in place."""
    height, width = ids.shape
    leafy = (np.array(canvas.grains, np.float32)[:, 1] > _LEAFY)[ids]
    pixels = np.flatnonzero(leafy)
    reach = max(2, height // 40)
    steps = np.frombuffer(generator.bytes(2 * pixels.size), np.int8).reshape(2, -1).astype(np.intp) * reach >> 7
    other = np.clip(pixels + steps[0] * width + steps[1], 0, height * width - 1)
    flat, leafy = ids.reshape(-1), leafy.reshape(-1)
    flat[pixels] = flat[np.where(leafy[other], other, pixels)]


def _surfaces(canvas: Canvas, ids: npt.NDArray[np.int32], fine: Floats, wide: Floats) -> Floats:
    colours = np.array(canvas.colours, np.float32).T
    amplitudes = np.array(canvas.grains, np.float32).T
    relief = amplitudes[0][ids] * fine
    relief += amplitudes[1][ids] * wide
    relief += 1
    planes = np.empty((3, *ids.shape), np.float32)
    for channel in range(3):
        np.multiply(colours[channel][ids], relief, out=planes[channel])
    return planes


def _ground(canvas: Canvas, ground: Ground, generator: np.random.Generator) -> Floats:
    shadows = np.asarray(canvas.shadows)[ground.top :]
    return ground.colours(canvas.light, shadows, tile(generator))


def _sky_rows(ids: npt.NDArray[np.int32]) -> int:
    """Rows from the top down to the last that shows any sky."""
    rows = np.flatnonzero((ids == Canvas.SKY).any(axis=1))
    return int(rows[-1]) + 1 if rows.size else 0


def _sky(light: Light, horizon: float, height: int, width: int, generator: np.random.Generator) -> Floats:
    """RGB [3,height,width]: a gradient down to the horizon with clouds that thin out towards it."""
    down = np.clip(np.arange(height, dtype=np.float32) / np.float32(max(horizon, 1)), 0, 1)[:, None]
    cover = _clouds(light, height, width, generator) * np.minimum(1, (np.float32(1.1) - down) * 2)
    out = np.empty((3, height, width), np.float32)
    for channel in range(3):
        zenith, low, cloud = light.zenith[channel], light.horizon[channel], light.cloud[channel]
        plane = np.float32(zenith) + np.float32(low - zenith) * down * (2 - down)
        out[channel] = plane + cover * (np.float32(cloud) - plane)
    return out


def _clouds(light: Light, height: int, width: int, generator: np.random.Generator) -> Floats:
    if height == 0:
        return np.zeros((0, width), np.float32)
    billows = clumps(generator, height, width, (4, 6)) + clumps(generator, height, width, (9, 14)) * np.float32(0.5)
    billows += clumps(generator, height, width, (20, 36)) * np.float32(0.25)
    return np.clip(billows * np.float32(1.2) + np.float32(2 * light.cloudiness - 1), 0, np.float32(0.95))


def _photograph(planes: Floats, light: Light, fine: Floats) -> Bytes:
    """The camera's part: the colour of the light, a lens that is not quite sharp, sensor noise."""
    out = np.empty((*fine.shape, 3), np.uint8)
    noise = np.roll(fine, (7, 13), axis=(0, 1)) * np.float32(7)
    for channel in range(3):
        plane = planes[channel] * np.float32(light.cast[channel])
        plane += noise
        out[..., channel] = np.clip(plane, 0, 255, out=plane)
    return np.array(Image.fromarray(out).filter(_LENS))


def _labels(canvas: Canvas, ids: npt.NDArray[np.int32], ground: Ground) -> Bytes:
    labels = np.array(canvas.labels, np.uint8)[ids]
    np.copyto(labels[ground.top :], ground.labels(), where=ids[ground.top :] == Canvas.GROUND)
    return labels
