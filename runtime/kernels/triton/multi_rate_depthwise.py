"""DWRSeg's semantic residualisation in one launch: depthwise convolutions of several rates, their concatenation, batch
norm, the merging 1x1 and the residual sum. The concatenated map is never written.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from archdsl.runtime.kernels.triton.launch import channels_last, empty_map, tuned
from torch import Tensor


def reference(
    x: Tensor, taps: Tensor, offsets: Tensor, source: list[int], rates: list[int], merge: Tensor, bias: Tensor,
    residual: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """`residual + merge(concat(depthwise…))`, a middle channel at a time.

    `x` [N, C, H, W]. Middle channel j reads channel `source[j]` at rate `rates[j]` with `taps[j]` [3, 3] and adds
    `offsets[j]` (batch norm, folded). `merge` [K, J], `bias` [K], `residual` [N, K, H, W]. Returns [N, K, H, W].
    """
    middle = [
        F.conv2d(x[:, [channel]], taps[j, None, None], offsets[j, None], padding=rate, dilation=rate)
        for j, (channel, rate) in enumerate(zip(source, rates, strict=True))
    ]
    y = F.conv2d(torch.cat(middle, 1), merge[:, :, None, None], bias)
    return y if residual is None else y + residual


@tuned(
    [
        {"PIXELS": 32, "OUT": 64, "IN": 16, "num_warps": 4, "num_stages": 2},
        {"PIXELS": 64, "OUT": 64, "IN": 32, "num_warps": 4, "num_stages": 2},
        {"PIXELS": 64, "OUT": 128, "IN": 32, "num_warps": 8, "num_stages": 2},
        {"PIXELS": 32, "OUT": 128, "IN": 32, "num_warps": 4, "num_stages": 3},
    ],
    key=["height", "width", "channels", "middle", "out_channels"],
)
@triton.jit
def _multi_rate_depthwise(
    x, taps, offsets, source, rates, merge, bias, residual, y,
    height, width, channels, middle, out_channels,
    ADDED: tl.constexpr, PIXELS: tl.constexpr, OUT: tl.constexpr, IN: tl.constexpr,
):  # fmt: skip
    image = tl.program_id(2)
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    out = tl.program_id(1) * OUT + tl.arange(0, OUT)
    inside, made = pixel < height * width, out < out_channels
    row, column = pixel // width, pixel % width
    x += image.to(tl.int64) * height * width * channels

    total = tl.zeros((PIXELS, OUT), dtype=tl.float32)
    for start in range(0, middle, IN):
        channel = start + tl.arange(0, IN)
        read = channel < middle
        origin = tl.load(source + channel, mask=read, other=0)
        rate = tl.load(rates + channel, mask=read, other=1)
        value = tl.zeros((PIXELS, IN), dtype=tl.float32)
        for tap in tl.static_range(9):
            from_row = row[:, None] + (tap // 3 - 1) * rate[None, :]
            from_column = column[:, None] + (tap % 3 - 1) * rate[None, :]
            seen = (from_row >= 0) & (from_row < height) & (from_column >= 0) & (from_column < width)
            seen = seen & inside[:, None] & read[None, :]
            piece = tl.load(x + (from_row * width + from_column) * channels + origin[None, :], mask=seen, other=0.0)
            weight = tl.load(taps + channel * 9 + tap, mask=read, other=0.0)
            value += piece.to(tl.float32) * weight[None, :].to(tl.float32)
        value += tl.load(offsets + channel, mask=read, other=0.0)[None, :].to(tl.float32)
        part = tl.load(merge + out[None, :] * middle + channel[:, None], mask=read[:, None] & made[None, :], other=0.0)
        total = tl.dot(value.to(x.dtype.element_ty), part, total, input_precision="ieee")

    total += tl.load(bias + out, mask=made, other=0.0)[None, :].to(tl.float32)
    at = image.to(tl.int64) * height * width * out_channels + pixel[:, None] * out_channels + out[None, :]
    mask = inside[:, None] & made[None, :]
    if ADDED:
        total += tl.load(residual + at, mask=mask, other=0.0).to(tl.float32)
    tl.store(y + at, total.to(y.dtype.element_ty), mask=mask)


def multi_rate_depthwise(
    x: Tensor, taps: Tensor, offsets: Tensor, source: Tensor, rates: Tensor, merge: Tensor, bias: Tensor,
    residual: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """As `reference`, with `source` and `rates` int32 tensors [J] on the device of `x`, and contiguous weights."""
    images, channels, height, width = x.shape
    outputs, middle = merge.shape
    y = empty_map(x, outputs, height, width)

    def grid(meta: dict[str, int]) -> tuple[int, int, int]:
        return triton.cdiv(height * width, meta["PIXELS"]), triton.cdiv(outputs, meta["OUT"]), images

    _multi_rate_depthwise[grid](
        channels_last(x), taps, offsets, source, rates, merge, bias,
        y if residual is None else channels_last(residual), y,
        height, width, channels, middle, outputs, ADDED=residual is not None,
    )  # fmt: skip
    return y
