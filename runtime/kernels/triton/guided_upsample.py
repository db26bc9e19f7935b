"""Guided upsampling (GUN, Mazzini 2018): bilinear samples of a coarse map where learned offsets point."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from archdsl.runtime.kernels.triton.launch import channels_last, empty_map, tuned
from torch import Tensor

from archdsl.lower.resampling import source_step
from archdsl.lower.resampling import upsample_guided as reference

__all__ = ["guided_upsample", "reference"]


@tuned(
    [{"PIXELS": 64, "num_warps": 4}, {"PIXELS": 128, "num_warps": 4}, {"PIXELS": 32, "num_warps": 2}],
    key=["out_height", "out_width", "channels"],
)
@triton.jit
def _guided_upsample(
    coarse, offsets, y,
    height, width, out_height, out_width, channels,
    step_rows, step_columns, unit_rows, unit_columns,
    CORNERS: tl.constexpr, BORDER: tl.constexpr, CHANNELS: tl.constexpr, PIXELS: tl.constexpr,
):  # fmt: skip
    image = tl.program_id(2)
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    size = out_height * out_width
    inside = pixel < size
    offsets += image.to(tl.int64) * 2 * size
    over = tl.load(offsets + pixel, mask=inside, other=0.0).to(tl.float32)
    down = tl.load(offsets + size + pixel, mask=inside, other=0.0).to(tl.float32)
    row, column = pixel // out_width, pixel % out_width
    if CORNERS:
        v = row * step_rows + down * unit_rows
        u = column * step_columns + over * unit_columns
    else:
        v = (row + 0.5) * step_rows - 0.5 + down * unit_rows
        u = (column + 0.5) * step_columns - 0.5 + over * unit_columns
    if BORDER:
        v = tl.minimum(tl.maximum(v, 0.0), height - 1.0)
        u = tl.minimum(tl.maximum(u, 0.0), width - 1.0)
    # beyond one pixel outside nothing is read, and the integers below stay small for any offset
    v = tl.minimum(tl.maximum(v, -2.0), height + 1.0)
    u = tl.minimum(tl.maximum(u, -2.0), width + 1.0)
    above, left = tl.floor(v), tl.floor(u)
    part_down, part_over = v - above, u - left
    top, west = above.to(tl.int32), left.to(tl.int32)

    coarse += image.to(tl.int64) * height * width * channels
    made = channel < channels
    total = tl.zeros((PIXELS, CHANNELS), dtype=tl.float32)
    for corner in tl.static_range(4):
        i = top + corner // 2
        j = west + corner % 2
        weight_down = part_down if corner // 2 == 1 else 1.0 - part_down
        weight_over = part_over if corner % 2 == 1 else 1.0 - part_over
        seen = inside & (i >= 0) & (i < height) & (j >= 0) & (j < width)
        at = (i * width + j) * channels
        value = tl.load(coarse + at[:, None] + channel[None, :], mask=seen[:, None] & made[None, :], other=0.0)
        total += value.to(tl.float32) * (weight_down * weight_over)[:, None]
    place = image.to(tl.int64) * size * channels + pixel[:, None] * channels + channel[None, :]
    tl.store(y + place, total.to(y.dtype.element_ty), mask=inside[:, None] & made[None, :])


def guided_upsample(
    coarse: Tensor, offsets: Tensor, units: str = "output", padding: str = "border", align_corners: bool = False
) -> Tensor:
    """As `reference` (`upsample_guided` of `archdsl.lower.resampling`) in mode "bilinear", scaled as the sizes say.

    `coarse` [N, C, h, w], `offsets` [N, 2, H, W] as (dx, dy). Returns [N, C, H, W] in the dtype of `coarse`.
    """
    images, channels, height, width = coarse.shape
    size = offsets.shape[2], offsets.shape[3]
    steps = [source_step(old, new, None, align_corners) for old, new in zip((height, width), size, strict=True)]
    scales = [_unit(units, old, step, align_corners) for old, step in zip((height, width), steps, strict=True)]
    y = empty_map(coarse, channels, *size)
    wide = min(64, triton.next_power_of_2(channels))

    def grid(meta: dict[str, int]) -> tuple[int, int, int]:
        return triton.cdiv(size[0] * size[1], meta["PIXELS"]), triton.cdiv(channels, wide), images

    _guided_upsample[grid](
        channels_last(coarse), offsets.contiguous(memory_format=torch.contiguous_format), y,
        height, width, *size, channels, *steps, *scales,
        CORNERS=align_corners, BORDER=padding == "border", CHANNELS=wide,
    )  # fmt: skip
    return y


def _unit(units: str, size: int, step: float, align_corners: bool) -> float:
    """Pixels of the coarse map per unit of the offsets, along one axis."""
    return {"output": step, "input": 1.0, "normalized": (size - 1 if align_corners else size) / 2}[units]
