"""Pooling by windows, over the whole map, and back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.lower.registry import Applied, lowers, whole

_ROW = 1 << 32
"""An index of a pool is row · 2³² + column: unlike torch's flat index, it means the same in a map of any width."""


@lowers("max_pool")
def max_pool(call: Applied) -> Tensor | tuple[Tensor, Tensor]:
    pool = _max_pool_with_indices if call["indices"] else F.max_pool2d
    result: Tensor | tuple[Tensor, Tensor] = pool(
        call.x, call["kernel"], call["stride"], call["padding"], call["dilation"], call["ceil"]
    )
    return result


@whole
def _max_pool_with_indices(
    x: Tensor,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    ceil: bool,
) -> tuple[Tensor, Tensor]:
    """The maximum of each window and where the first of equal ones stood."""
    values, flat = F.max_pool2d(x, kernel, stride, padding, dilation, ceil, return_indices=True)
    width = x.shape[-1]
    return values, flat.div(width, rounding_mode="floor") * _ROW + flat.remainder(width)


@lowers("unpool")
def unpool(call: Applied) -> Tensor:
    x, indices = call.inputs[:2]
    if len(call.inputs) == 3:
        return max_unpool(x, indices, call.inputs[2].shape[-2:])
    (kernel_y, kernel_x), (stride_y, stride_x) = call["kernel"], call["stride"]
    height = (x.shape[-2] - 1) * stride_y + kernel_y
    return max_unpool(x, indices, (height, (x.shape[-1] - 1) * stride_x + kernel_x))


@whole
def max_unpool(x: Tensor, indices: Tensor, size: Sequence[int]) -> Tensor:
    """Values [N, C, h, w] back at their places in a map of `size`; the last in row-major order wins a contested cell.

    torch's own max_unpool2d leaves open which of several values a cell keeps. A place outside `size` is dropped.
    """
    height, width = size
    rows, columns = indices.div(_ROW, rounding_mode="floor"), indices.remainder(_ROW)
    # places outside go to one more cell, which is cut off at the end
    cells = torch.where((rows < height) & (columns < width), rows * width + columns, height * width).flatten(2)
    order = torch.arange(cells.shape[-1], device=x.device).expand_as(cells)
    writer = cells.new_full((*cells.shape[:2], height * width + 1), -1).scatter_reduce(2, cells, order, "amax")
    kept = x.flatten(2).gather(2, writer.clamp(min=0))
    result = torch.where(writer >= 0, kept, kept.new_zeros(()))
    return result[..., :-1].reshape(*x.shape[:2], height, width)


@lowers("avg_pool")
def avg_pool(call: Applied) -> Tensor:
    return F.avg_pool2d(
        call.x,
        call["kernel"],
        call["stride"],
        call["padding"],
        ceil_mode=call["ceil"],
        count_include_pad=call["count_pad"],
    )


@lowers("global_pool")
def global_pool(call: Applied) -> Tensor:
    return _adaptive(call["kind"], call.x, (1, 1))


@lowers("adaptive_pool")
def adaptive_pool(call: Applied) -> Tensor:
    return _adaptive(call["kind"], call.x, call["size"])


def _adaptive(kind: str, x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.adaptive_avg_pool2d(x, size) if kind == "avg" else F.adaptive_max_pool2d(x, size)
