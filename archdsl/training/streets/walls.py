"""The regular patterns on upright surfaces: windows on house fronts, gaps in fences."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from archdsl.training.streets.canvas import PANES, Camera, Canvas, Wall
from archdsl.training.streets.texture import Floats

_BOARD = (2.5, 3.1)
"""Lower and upper edge of a shop's board, metres above the ground; the shop's windows end below it."""
_FRAME = 0.1
"""Metres of frame around an opening."""
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int32]


def open_walls(canvas: Canvas, ids: Indices) -> None:
    """Gives the openings of all walls, their frames and shop boards surfaces of their own: ids [H,W], in place."""
    walls = list(canvas.walls.values())
    rows = np.full(len(canvas.labels), -1, np.int32)
    rows[list(canvas.walls)] = np.arange(len(walls), dtype=np.int32)
    row_of = rows[ids].reshape(-1)
    pixels = np.flatnonzero(row_of >= 0)
    if pixels.size:
        row = row_of[pixels]
        along, up = _place(canvas.camera, walls, row, pixels, ids.shape[1])
        flat = ids.reshape(-1)
        flat[pixels] = _surfaces(walls, row, flat[pixels], along, up)


def _place(
    camera: Camera, walls: list[Wall], row: Indices, pixels: npt.NDArray[np.intp], width: int
) -> tuple[Floats, Floats]:
    """Where on its wall each pixel looks: metres from the start of the wall, and above the ground."""
    v, u = np.divmod(pixels.astype(np.int32), np.int32(width))
    slope = (u.astype(np.float32) + np.float32(0.5 - camera.column)) / np.float32(camera.focal)
    ends = np.array([(*w.start, w.end[0] - w.start[0], w.end[1] - w.start[1]) for w in walls], np.float32)
    x0, z0, dx, dz = ends.T[:, row]
    share = (slope * z0 - x0) / (dx - slope * dz)
    z = z0 + share * dz
    sight = (np.float32(camera.horizon - 0.5) - v.astype(np.float32)) / np.float32(camera.focal)
    length = np.sqrt(ends[:, 2] ** 2 + ends[:, 3] ** 2)[row]
    return share * length, np.float32(camera.height) + sight * z


def _surfaces(walls: list[Wall], row: Indices, wall: Indices, along: Floats, up: Floats) -> Indices:
    """The surface that each pixel sees, given its wall and its place on it."""
    numbers = np.array([_numbers(w) for w in walls], np.float32)
    pitch, storey, half, middle, reach, top, shop = numbers.T[:, row]
    bays, floors = along / pitch, up / storey
    bay, floor = np.floor(bays), np.floor(floors)
    in_shop = (shop > 0) & (up < _BOARD[1])
    # Metres from the middle of the opening, less its half width: negative inside.
    beside = np.abs(bays - bay - np.float32(0.5)) * pitch - np.where(in_shop, np.float32(0.44) * pitch, half)
    above = np.where(in_shop, np.abs(up - 1.4) - 0.95, np.abs(floors - floor - middle) * storey - reach)
    outside = np.maximum(beside, above)
    outside[up > top] = 1
    # Which of the shades a pane has is a hash of where it is, the same however large the picture.
    pane = (bay * 7 + floor * 5 + bay * floor * 3).astype(np.int32) % PANES
    glass, trim, board = np.array([(w.glass, w.trim, w.board or 0) for w in walls], np.int32).T[:, row]
    seen = np.where(outside < 0, glass + pane, np.where(outside < _FRAME, trim, wall))
    return np.where(in_shop & (up > _BOARD[0]), board, seen)


def _numbers(wall: Wall) -> tuple[float, ...]:
    o = wall.openings
    middle, reach = (o.lintel + o.sill) / 2, (o.lintel - o.sill) / 2 * o.storey
    return o.pitch, o.storey, o.width / 2 * o.pitch, middle, reach, wall.top, float(wall.board is not None)
