"""The classes of an upsampling, a block of result rows at a time: its scores at full size never exist."""

from __future__ import annotations

import torch
from torch import Tensor

from archdsl.lower.convolution import sample_at
from archdsl.lower.registry import Applied, lowers, whole
from archdsl.lower.resampling import Extent, Ratios, guidance_of, guided_positions, ratios_of, resized


@lowers("resize_argmax")
def resize_argmax(call: Applied) -> Tensor:
    """uint8 (int16 above 256 classes) [N, 1, H, W]; the lowest channel where several are equal."""
    size = call.inputs[1].shape[-2:] if len(call.inputs) == 2 else call["size"]
    scale = None if call["scale"] is None else ratios_of(call["scale"])
    return labels_of_resized(call.x, size, scale, call["mode"], call["align_corners"], call["antialias"])


_BLOCK_BYTES = 1 << 21
"""Resized scores are made a block of rows at a time, of about this size: it stays in a cache."""


@whole
def labels_of_resized(
    x: Tensor, size: Extent | None, scale: Ratios | None, mode: str, align_corners: bool, antialias: bool
) -> Tensor:
    """The class of each pixel, [N, 1, H, W], of scores `x` [N, C, h, w] after a resize as `interpolate` does it.

    Bilinear without antialias goes a block of result rows at a time, so that the resized scores never exist at once;
    other modes resize whole. Nothing is rounded to a type narrower than float32 on the way.
    """
    narrow = label_type(x)
    if mode != "bilinear" or antialias:
        return resized(x, size, scale, mode, align_corners, antialias).argmax(1, keepdim=True).to(narrow)
    height, width = _result_size(x, size, scale)
    labels = x.new_empty((x.shape[0], 1, height, width), dtype=narrow)
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    above, below, share = _rows(x, height, scale, align_corners)
    step = _block_rows(x, width)
    for start in range(0, height, step):
        rows = slice(start, start + step)
        lines = torch.lerp(x[:, :, above[rows]], x[:, :, below[rows]], share[rows].view(-1, 1))
        labels[:, 0, rows] = _largest(_widened(lines.contiguous(), width, scale, align_corners), narrow)
    return labels


def _largest(scores: Tensor, dtype: torch.dtype) -> Tensor:
    """The lowest channel with the largest value, [N, h, w], of scores [N, C, h, w].

    On a CPU a class at a time: `argmax` over an axis that is no row of memory takes several times as long.
    """
    if scores.device.type != "cpu":
        return scores.argmax(1)
    best = scores[:, 0].clone(memory_format=torch.contiguous_format)
    labels = torch.zeros_like(best, dtype=dtype)
    for number in range(1, scores.shape[1]):
        labels.masked_fill_(scores[:, number] > best, number)
        torch.maximum(best, scores[:, number], out=best)
    return labels


def label_type(scores: Tensor) -> torch.dtype:
    """What labels are stored in: uint8, or int16 above 256 classes."""
    return torch.uint8 if scores.shape[1] <= 256 else torch.int16


def _block_rows(scores: Tensor, width: int) -> int:
    """How many result rows of some scores, `width` wide, make a block."""
    return max(1, _BLOCK_BYTES // (scores.shape[0] * scores.shape[1] * width * scores.element_size()))


def _result_size(x: Tensor, size: Extent | None, scale: Ratios | None) -> tuple[int, int]:
    if scale is None:
        assert size is not None
        return int(size[0]), int(size[1])
    height, width = (extent * n // d for extent, (n, d) in zip(x.shape[-2:], scale, strict=True))
    return height, width


def _rows(x: Tensor, height: int, scale: Ratios | None, align_corners: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Per result row, the rows of `x` above and below it and the share of the one below, by the rule of PyTorch."""
    extent = x.shape[2]
    index = torch.arange(height, device=x.device, dtype=torch.float64)
    if align_corners:
        position = index * ((extent - 1) / (height - 1) if height > 1 else 0.0)
    else:
        step = extent / height if scale is None else scale[0][1] / scale[0][0]
        position = ((index + 0.5) * step - 0.5).clamp(min=0)
    above = position.floor().long().clamp(max=extent - 1)
    return above, (above + 1).clamp(max=extent - 1), (position - above).to(x.dtype)


def _widened(lines: Tensor, width: int, scale: Ratios | None, align_corners: bool) -> Tensor:
    """Rows of scores resized along their width alone."""
    factor = None if scale is None else scale[1][0] / scale[1][1]
    # factor 1 along the height reads each row as it is
    result: Tensor = torch.ops.aten.upsample_bilinear2d.default(
        lines, [lines.shape[2], width], align_corners, None if factor is None else 1.0, factor
    )
    return result


@lowers("guided_argmax")
def guided_argmax(call: Applied) -> Tensor:
    """uint8 (int16 above 256 classes) [N, 1, H, W]; the lowest channel where several are equal."""
    return labels_of_guided(call.x, call.inputs[1], *guidance_of(call))


@whole
def labels_of_guided(
    coarse: Tensor,
    offsets: Tensor,
    scale: Ratios | None,
    units: str,
    mode: str,
    padding: str,
    align_corners: bool,
) -> Tensor:
    """The class of each pixel, [N, 1, H, W], after a guided upsampling, sampled a block of result rows at a time."""
    coarse = coarse.to(torch.promote_types(coarse.dtype, torch.float32))
    rows, columns = guided_positions(coarse, offsets, scale, units, mode, align_corners)
    labels = coarse.new_empty((coarse.shape[0], 1, *offsets.shape[2:]), dtype=label_type(coarse))
    step = _block_rows(coarse, offsets.shape[3])
    for start in range(0, offsets.shape[2], step):
        block = slice(start, start + step)
        scores = sample_at(coarse, rows[:, block], columns[:, block], mode=mode, padding=padding)
        labels[:, 0, block] = _largest(scores, labels.dtype)
    return labels
