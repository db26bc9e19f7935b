"""1x1 convolution with squeeze-and-excite's scale in its prologue, and the residual sum and ReLU in its epilogue."""

from __future__ import annotations

import torch.nn.functional as F
import triton
import triton.language as tl
from archdsl.runtime.kernels.triton.launch import channels_last, empty_map, tuned
from torch import Tensor


def reference(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    scale: Tensor | None = None,
    residual: Tensor | None = None,
    relu: bool = True,
) -> Tensor:
    """`relu(conv(x · scale) + residual)`.

    `x` [N, C, H, W], `weight` [K, C], `bias` [K], `scale` [N, C], `residual` [N, K, H, W]. Returns [N, K, H, W].
    """
    scaled = x if scale is None else x * scale[:, :, None, None].to(x.dtype)
    y = F.conv2d(scaled, weight[:, :, None, None], bias)
    y = y if residual is None else y + residual
    return y.relu() if relu else y


@tuned(
    [
        {"PIXELS": 64, "OUT": 64, "IN": 32, "num_warps": 4, "num_stages": 3},
        {"PIXELS": 128, "OUT": 64, "IN": 32, "num_warps": 4, "num_stages": 4},
        {"PIXELS": 128, "OUT": 128, "IN": 64, "num_warps": 8, "num_stages": 3},
        {"PIXELS": 64, "OUT": 128, "IN": 64, "num_warps": 4, "num_stages": 3},
    ],
    key=["pixels", "channels", "out_channels"],
)
@triton.jit
def _scaled_pointwise(
    x, weight, bias, scale, residual, y,
    pixels, channels, out_channels,
    SCALED: tl.constexpr, ADDED: tl.constexpr, RELU: tl.constexpr,
    PIXELS: tl.constexpr, OUT: tl.constexpr, IN: tl.constexpr,
):  # fmt: skip
    image = tl.program_id(2)
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    out = tl.program_id(1) * OUT + tl.arange(0, OUT)
    inside, made = pixel < pixels, out < out_channels
    x += image.to(tl.int64) * pixels * channels
    at = pixel[:, None] * out_channels + out[None, :]
    mask = inside[:, None] & made[None, :]

    total = tl.zeros((PIXELS, OUT), dtype=tl.float32)
    for start in range(0, channels, IN):
        channel = start + tl.arange(0, IN)
        read = channel < channels
        piece = tl.load(
            x + pixel[:, None] * channels + channel[None, :], mask=inside[:, None] & read[None, :], other=0.0
        )
        if SCALED:
            gate = tl.load(scale + image * channels + channel, mask=read, other=0.0)
            piece = (piece.to(tl.float32) * gate[None, :].to(tl.float32)).to(x.dtype.element_ty)
        part = tl.load(
            weight + out[None, :] * channels + channel[:, None], mask=read[:, None] & made[None, :], other=0.0
        )
        total = tl.dot(piece, part, total, input_precision="ieee")

    total += tl.load(bias + out, mask=made, other=0.0)[None, :].to(tl.float32)
    result = image.to(tl.int64) * pixels * out_channels + at
    if ADDED:
        total += tl.load(residual + result, mask=mask, other=0.0).to(tl.float32)
    if RELU:
        total = tl.maximum(total, 0.0)
    tl.store(y + result, total.to(y.dtype.element_ty), mask=mask)


def scaled_pointwise(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    scale: Tensor | None = None,
    residual: Tensor | None = None,
    relu: bool = True,
) -> Tensor:
    """As `reference`; the weight is contiguous and in the dtype of `x`."""
    images, channels, height, width = x.shape
    outputs = weight.shape[0]
    y = empty_map(x, outputs, height, width)

    def grid(meta: dict[str, int]) -> tuple[int, int, int]:
        return triton.cdiv(height * width, meta["PIXELS"]), triton.cdiv(outputs, meta["OUT"]), images

    _scaled_pointwise[grid](
        channels_last(x), weight, bias,
        bias if scale is None else scale, y if residual is None else channels_last(residual), y,
        height * width, channels, outputs,
        SCALED=scale is not None, ADDED=residual is not None, RELU=relu,
    )  # fmt: skip
    return y
