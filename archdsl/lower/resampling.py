"""Resizing, by a fixed rule or by learned offsets. Coordinates follow PyTorch's `interpolate` with the same flags."""

from __future__ import annotations

from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.lower.convolution import sample_at
from archdsl.lower.registry import Applied, lowers, whole

Extent = tuple[int, int] | torch.Size
"""Height and width."""

Ratios = tuple[tuple[int, int], tuple[int, int]]
"""Result pixels per input pixel and axis, as exact (numerator, denominator) pairs, which torch.fx can print."""


@lowers("resize")
def resize(call: Applied) -> Tensor:
    size = call.inputs[1].shape[-2:] if len(call.inputs) == 2 else call["size"]
    scale = None if size is not None else ratios_of(call["scale"])
    return resized(call.x, size, scale, call["mode"], call["align_corners"], call["antialias"])


def resized(
    x: Tensor, size: Extent | None, scale: Ratios | None, mode: str, align_corners: bool, antialias: bool
) -> Tensor:
    """`interpolate` to a size or, where that is None, by a scale."""
    align = None if mode == "nearest" else align_corners
    if size is not None:
        return F.interpolate(x, size, mode=mode, align_corners=align, antialias=antialias)
    assert scale is not None
    if all(_is_binary(denominator) for _, denominator in scale):
        factors = [numerator / denominator for numerator, denominator in scale]
        return F.interpolate(x, scale_factor=factors, mode=mode, align_corners=align, antialias=antialias)
    return resize_by(x, scale, mode, bool(align), antialias)


def ratios_of(scale: tuple[Fraction, Fraction]) -> Ratios:
    return scale[0].as_integer_ratio(), scale[1].as_integer_ratio()


def _is_binary(denominator: int) -> bool:
    """Whether a scale with this denominator is a binary fraction, so that a product with it is not rounded."""
    return denominator & (denominator - 1) == 0


_RESIZES = {
    ("nearest", False): torch.ops.aten.upsample_nearest2d.default,
    ("bilinear", False): torch.ops.aten.upsample_bilinear2d.default,
    ("bicubic", False): torch.ops.aten.upsample_bicubic2d.default,
    ("bilinear", True): torch.ops.aten._upsample_bilinear2d_aa.default,
    ("bicubic", True): torch.ops.aten._upsample_bicubic2d_aa.default,
}


@whole
def resize_by(x: Tensor, scale: Ratios, mode: str, align_corners: bool, antialias: bool) -> Tensor:
    """`interpolate` by a scale whose float is rounded: the result's size is the exact ⌊size · scale⌋.

    `interpolate` multiplies in floating point and can lose a whole pixel: 49 · (1/49) is below 1.
    """
    flags = () if mode == "nearest" else (align_corners,)
    factors = [numerator / denominator for numerator, denominator in scale]
    resized: Tensor = _RESIZES[mode, antialias](x, _scaled_size(x, scale), *flags, *factors)
    return resized


def _scaled_size(x: Tensor, scale: Ratios) -> tuple[int, int]:
    height, width = (size * n // d for size, (n, d) in zip(x.shape[-2:], scale, strict=True))
    return height, width


@lowers("guided_upsample")
def guided_upsample(call: Applied) -> Tensor:
    return upsample_guided(call.x, call.inputs[1], *guidance_of(call))


def guidance_of(call: Applied) -> tuple[Ratios | None, str, str, str, bool]:
    """Scale, units, mode, padding and align_corners of a guided op, as `upsample_guided` takes them."""
    scale = None if call["scale"] is None else ratios_of(call["scale"])
    return scale, call["units"], call["mode"], call["padding"], call["align_corners"]


@whole
def upsample_guided(
    coarse: Tensor,
    offsets: Tensor,
    scale: Ratios | None,
    units: str,
    mode: str,
    padding: str,
    align_corners: bool,
) -> Tensor:
    """Samples `coarse` [N, C, h, w] at the positions a resize would read, moved by `offsets` [N, 2, H, W], (dx, dy).

    `units` of the offsets are pixels of the result ("output"), pixels of the coarse map ("input"), or "normalized":
    2 is the extent of the map, between its edges or, with `align_corners`, between the centres of its corner pixels.
    Zero offsets equal `resize` with the same flags, with zero padding only away from the edges. Gradients reach the
    offsets in mode "bilinear". After the guided upsampling module of GUN (Mazzini, BMVC 2018).
    """
    rows, columns = guided_positions(coarse, offsets, scale, units, mode, align_corners)
    return sample_at(coarse, rows, columns, mode=mode, padding=padding)


def guided_positions(
    coarse: Tensor, offsets: Tensor, scale: Ratios | None, units: str, mode: str, align_corners: bool
) -> tuple[Tensor, Tensor]:
    """Where a guided upsampling reads: rows and columns [N, H, W] in pixels of the coarse map, in float32 or wider."""
    wide = offsets.to(torch.promote_types(offsets.dtype, torch.float32))
    rows, columns = (
        _moved(wide[:, 1 - axis], coarse.shape[2 + axis], axis, scale, units, mode, align_corners) for axis in (0, 1)
    )
    return rows, columns


def _moved(
    offsets: Tensor, size: int, axis: int, scale: Ratios | None, units: str, mode: str, align_corners: bool
) -> Tensor:
    """Positions [N, H, W] along an axis, in pixels of the coarse map."""
    result = offsets.shape[1 + axis]
    step = source_step(size, result, None if scale is None else scale[axis], align_corners)
    unit = {"output": step, "input": 1.0, "normalized": (size - 1 if align_corners else size) / 2}[units]
    index = torch.arange(result, device=offsets.device, dtype=offsets.dtype)
    index = index.view(-1, 1) if axis == 0 else index
    regular = index * step if align_corners else (index + 0.5) * step - 0.5
    moved = regular + offsets * unit
    if mode == "bilinear":
        return moved
    nearest = (moved + 0.5).floor()
    if align_corners:
        return nearest
    # `nearest` of interpolate reads ⌊index · step⌋, which is not the closest pixel where the step is no 1/n
    return nearest + (index * step).floor() - (regular + 0.5).floor()


def source_step(size: int, result: int, scale: tuple[int, int] | None, align_corners: bool) -> float:
    """Pixels of the coarse map per pixel of the result, by the rule of `interpolate`."""
    if align_corners:
        return (size - 1) / (result - 1) if result > 1 else 0.0
    return size / result if scale is None else 1 / (scale[0] / scale[1])
