"""Convolutions: dense, grouped, depthwise, transposed, deformable."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from archdsl.lower.registry import Applied, lowers, whole

Pair = tuple[int, int]


@lowers("conv")
def conv(call: Applied) -> Tensor:
    return _convolve(call, call["groups"])


@lowers("depthwise")
def depthwise(call: Applied) -> Tensor:
    return _convolve(call, call.types[0].channels // call["multiplier"])


def _convolve(call: Applied, groups: int) -> Tensor:
    x, weight, dilation = call.x, call.weights["weight"], call["dilation"]
    if call.training and groups > 1 and max(dilation) > 1:
        return with_right_gradient(x, weight, call.bias, call["stride"], call["padding"], dilation, groups)
    return F.conv2d(x, weight, call.bias, call["stride"], call["padding"], dilation, groups)


@whole
def with_right_gradient(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Tensor:
    """A dilated grouped convolution, whose weight gets its true gradient on the CPU in bfloat16 too.

    In torch 2.13 that gradient reads uninitialised memory where the map or the weight is bfloat16 in channels_last.
    Only there it is worked out on contiguous copies, so that maps stay in channels_last, which other ops are fast in.
    """
    if x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        x, weight = x.to(dtype), weight.to(dtype)
    if x.device.type != "cpu" or x.dtype != torch.bfloat16:
        return F.conv2d(x, weight, bias, stride, padding, dilation, groups)
    result: Tensor = _Convolution.apply(x, weight, stride, padding, dilation, groups)  # type: ignore[no-untyped-call]
    return result if bias is None else result + bias.to(result.dtype).view(1, -1, 1, 1)


class _Convolution(torch.autograd.Function):
    """Takes a map and a weight of one type, and the settings of a convolution without bias."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.settings = (None, stride, padding, dilation, False, (0, 0), groups)
        return F.conv2d(x, weight, None, stride, padding, dilation, groups)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wants_x, wants_weight, *_ = ctx.needs_input_grad
        of_x, of_weight = None, None
        if wants_x:
            of_x = _backward(grad, x, weight, *ctx.settings, (True, False, False))[0]
        if wants_weight:
            plain = (_laid_plainly(t) for t in (grad, x, weight))
            of_weight = _backward(*plain, *ctx.settings, (False, True, False))[1]
        return of_x, of_weight, None, None, None, None


_backward = torch.ops.aten.convolution_backward


def for_right_gradient(x: Tensor) -> Tensor:
    """The same values, laid out so that torch computes the gradient that `with_right_gradient` is about."""
    narrow = x.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu")
    return _laid_plainly(x) if narrow and x.device.type == "cpu" else x


def _laid_plainly(x: Tensor) -> Tensor:
    # not contiguous(): it leaves a weight of one channel per group in channels_last strides
    return x.clone(memory_format=torch.contiguous_format)


@lowers("conv_transpose")
def conv_transpose(call: Applied) -> Tensor:
    return F.conv_transpose2d(
        call.x,
        call.weights["weight"],
        call.bias,
        call["stride"],
        call["padding"],
        call["output_padding"],
        call["groups"],
        call["dilation"],
    )


@lowers("deform_conv")
def deform_conv(call: Applied) -> Tensor:
    mask = call.inputs[2] if len(call.inputs) == 3 else None
    return deformable_conv2d(
        call.x,
        call.inputs[1],
        mask,
        call.weights["weight"],
        call.bias,
        call["stride"],
        call["padding"],
        call["dilation"],
        call["groups"],
    )


@whole
def deformable_conv2d(
    x: Tensor,
    offsets: Tensor,
    mask: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> Tensor:
    """Deformable convolution, version 2 (Zhu et al., CVPR 2019), with the channel order of torchvision's DeformConv2d.

    `x` is [N, C, H, W]; `offsets` [N, G·taps·2, h, w] in input pixels, (dy, dx) interleaved per tap; `mask`
    [N, G·taps, h, w] or None; G offset groups. Values between pixels are bilinear, and zero outside the map.
    """
    taps = weight.shape[2] * weight.shape[3]
    height, width = offsets.shape[-2:]
    offset_groups = offsets.shape[1] // (2 * taps)
    # [N·G, taps, h, w] per coordinate; the taps are stacked along rows so that one call samples them all
    moved = offsets.reshape(-1, taps, 2, height, width)
    rows = moved[:, :, 0] + _tap_positions(x, weight.shape[2:], height, stride, padding, dilation, axis=0)
    columns = moved[:, :, 1] + _tap_positions(x, weight.shape[2:], width, stride, padding, dilation, axis=1)
    maps = x.reshape(-1, x.shape[1] // offset_groups, *x.shape[2:])
    sampled = sample_at(maps, rows.flatten(1, 2), columns.flatten(1, 2), padding="zeros")
    sampled = sampled.reshape(*sampled.shape[:2], taps, height, width)
    if mask is not None:
        sampled = sampled * mask.reshape(-1, 1, taps, height, width)
    stacked = sampled.reshape(x.shape[0], x.shape[1], taps, height * width)
    flat = F.conv2d(stacked, weight.reshape(*weight.shape[:2], taps, 1), bias, groups=groups)
    return flat.reshape(x.shape[0], weight.shape[0], height, width)


def _tap_positions(
    x: Tensor,
    kernel: torch.Size,
    extent: int,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    axis: int,
) -> Tensor:
    """Where the taps stand without offsets, in input pixels along an axis, to broadcast over [taps, h, w]."""
    taps = torch.arange(kernel[axis], device=x.device) * dilation[axis]
    per_tap = taps.repeat_interleave(kernel[1]) if axis == 0 else taps.repeat(kernel[0])
    start = torch.arange(extent, device=x.device) * stride[axis] - padding[axis]
    along = start.view(1, -1, 1) if axis == 0 else start.view(1, 1, -1)
    return per_tap.view(-1, 1, 1) + along


def sample_at(x: Tensor, rows: Tensor, columns: Tensor, *, mode: str = "bilinear", padding: str) -> Tensor:
    """Values of `x` [N, C, H, W] at fractional pixel positions [N, h, w]: [N, C, h, w], in the dtype of `x`.

    Position 0 is the centre of the first pixel. `padding` is "zeros" or "border". Sampling is never done in a type
    narrower than float32, which could not hold the positions.
    """
    exact = torch.promote_types(x.dtype, torch.float32)
    rows, columns = rows.to(exact), columns.to(exact)
    grid = torch.stack(((2 * columns + 1) / x.shape[-1] - 1, (2 * rows + 1) / x.shape[-2] - 1), dim=-1)
    return F.grid_sample(x.to(exact), grid, mode=mode, padding_mode=padding, align_corners=False).to(x.dtype)
