"""Grouped convolution with a dilation rate per group, in one launch: RegSeg's D block between its two 1x1s.

The epilogue adds the bias (with batch norm folded in), applies ReLU, and sums every channel over the map, which is what
squeeze-and-excite needs next; so the map is written once and not read again for the pooling.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from archdsl.runtime.kernels.triton.launch import channels_last, empty_map, tuned
from torch import Tensor

BLOCK = 64
"""Output pixels of one program: fixed, because the partial sums of the pooling have one row per program."""


def reference(
    x: Tensor, weight: Tensor, bias: Tensor, rates: list[int], stride: int = 1, relu: bool = True
) -> tuple[Tensor, Tensor]:
    """The map and its mean per channel, by one convolution per group.

    `x` [N, C, H, W]; `weight` [K, C/G, k, k], k odd; `bias` [K]; `rates`, one for each of the G groups. Padding keeps
    the size at stride 1. Returns [N, K, ⌈H/stride⌉, ⌈W/stride⌉] and [N, K].
    """
    groups = len(rates)
    pad = weight.shape[-1] // 2
    parts = zip(x.chunk(groups, 1), weight.chunk(groups), bias.chunk(groups), rates, strict=True)
    y = torch.cat([F.conv2d(p, w, b, stride, pad * rate, rate) for p, w, b, rate in parts], 1)
    y = y.relu() if relu else y
    return y, y.mean((2, 3))


def pack(weight: Tensor, groups: int) -> Tensor:
    """The weight [K, C/G, k, k] as the kernel reads it: [G, k·k, C/G, K/G]."""
    outputs, inputs, size, _ = weight.shape
    grouped = weight.reshape(groups, outputs // groups, inputs, size * size)
    return grouped.permute(0, 3, 2, 1).contiguous()


@tuned([{"num_warps": 4, "num_stages": 2}, {"num_warps": 2, "num_stages": 3}, {"num_warps": 8, "num_stages": 2}],
       key=["height", "width", "STRIDE", "GROUP_IN", "GROUP_OUT"])  # fmt: skip
@triton.jit
def _multi_rate_conv(
    x, weight, bias, rates, y, sums,
    height, width, out_height, out_width, groups,
    KERNEL: tl.constexpr, STRIDE: tl.constexpr, GROUP_IN: tl.constexpr, GROUP_OUT: tl.constexpr,
    RELU: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    block, group, image = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    pixel = block * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < out_height * out_width
    row, column = pixel // out_width, pixel % out_width
    into = tl.arange(0, GROUP_IN)
    out = tl.arange(0, GROUP_OUT)
    rate = tl.load(rates + group)
    x += image.to(tl.int64) * height * width * groups * GROUP_IN + group * GROUP_IN
    y += image.to(tl.int64) * out_height * out_width * groups * GROUP_OUT + group * GROUP_OUT
    weight += group * KERNEL * KERNEL * GROUP_IN * GROUP_OUT

    total = tl.zeros((BLOCK, GROUP_OUT), dtype=tl.float32)
    for tap in tl.static_range(KERNEL * KERNEL):
        from_row = row * STRIDE + (tap // KERNEL - KERNEL // 2) * rate
        from_column = column * STRIDE + (tap % KERNEL - KERNEL // 2) * rate
        seen = inside & (from_row >= 0) & (from_row < height) & (from_column >= 0) & (from_column < width)
        at = (from_row * width + from_column) * (groups * GROUP_IN)
        piece = tl.load(x + at[:, None] + into[None, :], mask=seen[:, None], other=0.0)
        taps = tl.load(weight + (tap * GROUP_IN + into[:, None]) * GROUP_OUT + out[None, :])
        total = tl.dot(piece, taps, total, input_precision="ieee")

    total += tl.load(bias + group * GROUP_OUT + out)[None, :].to(tl.float32)
    if RELU:
        total = tl.maximum(total, 0.0)
    result = total.to(y.dtype.element_ty)
    tl.store(y + pixel[:, None] * (groups * GROUP_OUT) + out[None, :], result, mask=inside[:, None])
    summed = tl.sum(tl.where(inside[:, None], total, 0.0), 0)
    row_of_sums = (image * tl.num_programs(0) + block) * (groups * GROUP_OUT) + group * GROUP_OUT
    tl.store(sums + row_of_sums + out, summed)


def multi_rate_conv(
    x: Tensor, packed: Tensor, bias: Tensor, rates: Tensor, stride: int = 1, relu: bool = True
) -> tuple[Tensor, Tensor]:
    """As `reference`, with `packed` from `pack` and `rates` an int32 tensor [G] on the device of `x`.

    Channels per group, in and out, have to be powers of two from 16 up (`fits`). The mean is float32.
    """
    groups, taps, group_in, group_out = packed.shape
    images, _, height, width = x.shape
    out_height, out_width = -(-height // stride), -(-width // stride)
    y = empty_map(x, groups * group_out, out_height, out_width)
    blocks = triton.cdiv(out_height * out_width, BLOCK)
    sums = torch.empty(images, blocks, groups * group_out, device=x.device, dtype=torch.float32)
    _multi_rate_conv[(blocks, groups, images)](
        channels_last(x), packed, bias, rates, y, sums,
        height, width, out_height, out_width, groups,
        KERNEL=round(taps**0.5), STRIDE=stride, GROUP_IN=group_in, GROUP_OUT=group_out, RELU=relu, BLOCK=BLOCK,
    )  # fmt: skip
    # partial sums are added in a fixed order: the same input always gives the same bits
    return y, sums.sum(1) / (out_height * out_width)


def fits(group_in: int, group_out: int, kernel: int) -> bool:
    """Whether the kernel takes groups of these widths and a kernel of this size."""
    powers = all(width >= 16 and width & (width - 1) == 0 for width in (group_in, group_out))
    return powers and kernel % 2 == 1
