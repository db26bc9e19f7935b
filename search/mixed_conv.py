"""A convolution whose dilation rate is a mixture: the weighted sum of one kernel applied at several rates.

Written as one autograd function, because plain branches would keep every branch's output for the backward pass. None
is needed: the derivative for the weight p_k of a rate is the inner product of the kernel with branch k's kernel
gradient, and the kernel's gradient is the p-weighted sum of the same tensors. So what is kept does not grow with the
number of rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.lower.convolution import for_right_gradient

Pair = tuple[int, int]


def mixed_conv(
    x: Tensor,
    weight: Tensor,
    mixture: Tensor,
    rates: Sequence[int],
    *,
    stride: Pair = (1, 1),
    groups: int = 1,
) -> Tensor:
    """`Σ_k mixture[k] · conv(x, weight, dilation=rates[k])`, padded so that every rate gives the same size.

    `x` [N, C, H, W], `weight` [K, C/groups, h, w] with h and w odd, `mixture` [len(rates)]. Gradients reach all three.
    Returns [N, K, ⌈H/stride⌉, ⌈W/stride⌉].
    """
    if torch.is_autocast_enabled(x.device.type):
        narrow = torch.get_autocast_dtype(x.device.type)
        x, weight = x.to(narrow), weight.to(narrow)
    if groups > 1:
        x, weight = for_right_gradient(x), for_right_gradient(weight)
    if len(rates) == 1 and not mixture.requires_grad:
        return _branch(x, weight, rates[0], stride, groups) * mixture[0].to(x.dtype)
    result: Tensor = _MixedConv.apply(x, weight, mixture, tuple(rates), stride, groups)  # type: ignore[no-untyped-call]
    return result


def _padding(weight: Tensor, rate: int) -> Pair:
    return rate * (weight.shape[2] // 2), rate * (weight.shape[3] // 2)


def _branch(x: Tensor, weight: Tensor, rate: int, stride: Pair, groups: int) -> Tensor:
    return F.conv2d(x, weight, None, stride, _padding(weight, rate), (rate, rate), groups)


class _MixedConv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, mixture: Tensor, rates: tuple[int, ...], stride: Pair, groups: int
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mixture)
        ctx.how = rates, stride, groups
        # sums of many rates in no less than float32
        exact = torch.promote_types(x.dtype, torch.float32)
        shares = mixture.to(exact)
        total = _branch(x, weight, rates[0], stride, groups).to(exact).mul_(shares[0])
        for k in range(1, len(rates)):
            total.addcmul_(_branch(x, weight, rates[k], stride, groups).to(exact), shares[k])
        return total.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mixture = ctx.saved_tensors
        rates, stride, groups = ctx.how
        wants_x, wants_kernel = ctx.needs_input_grad[0], any(ctx.needs_input_grad[1:3])
        grad_x = torch.zeros_like(x) if wants_x else None
        exact = torch.promote_types(weight.dtype, torch.float32)
        grad_weight = torch.zeros_like(weight, dtype=exact)
        wants_mixture = ctx.needs_input_grad[2]
        grad_mixture = torch.zeros_like(mixture)
        for k, rate in enumerate(rates):
            from_x, from_weight = _backward(grad, x, weight, rate, stride, groups, wants_x, wants_kernel)
            if grad_x is not None and from_x is not None:
                grad_x.addcmul_(from_x, mixture[k].to(x.dtype))
            if from_weight is not None:
                wide = from_weight.to(exact)
                if wants_mixture:
                    grad_mixture[k] = torch.dot(wide.flatten(), weight.to(exact).flatten()).to(mixture.dtype)
                grad_weight.addcmul_(wide, mixture[k].to(exact))
        return grad_x, grad_weight.to(weight.dtype), grad_mixture, None, None, None


def _backward(
    grad: Tensor, x: Tensor, weight: Tensor, rate: int, stride: Pair, groups: int, wants_x: bool, wants_kernel: bool
) -> tuple[Tensor | None, Tensor | None]:
    from_x, from_weight, _ = torch.ops.aten.convolution_backward(
        grad,
        x,
        weight,
        None,
        stride,
        _padding(weight, rate),
        (rate, rate),
        False,
        (0, 0),
        groups,
        (wants_x, wants_kernel, False),
    )
    return from_x, from_weight
