"""What rewrites make of several ops, in plain torch: no map is written that a later step alone would read."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.lower.registry import Applied, lowers, whole

_IN_PLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": lambda x: F.relu(x, inplace=True),
    "relu6": lambda x: F.relu6(x, inplace=True),
    "sigmoid": torch.sigmoid_,
    "hsigmoid": lambda x: F.hardsigmoid(x, inplace=True),
    "hswish": lambda x: F.hardswish(x, inplace=True),
    "silu": lambda x: F.silu(x, inplace=True),
    "gelu": F.gelu,
    "tanh": torch.tanh_,
}


@lowers("fused_conv")
def fused_conv(call: Applied) -> Tensor:
    """For inference: the epilogue overwrites the convolution's result, which nothing else holds."""
    x, weight = call.x, call.weights["weight"]
    if call["gate"]:
        x, weight = gated(x, call.inputs[1], weight, call["groups"])
    y = F.conv2d(x, weight, call.bias, call["stride"], call["padding"], call["dilation"], call["groups"])
    y = _activated(y, call["act"])
    if call["residual"]:
        y = y.add_(call.inputs[-1])
    return _activated(y, call["then"])


def _activated(x: Tensor, act: str | None) -> Tensor:
    return x if act is None else _IN_PLACE[act](x)


@whole
def gated(x: Tensor, gate: Tensor, weight: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """A map and a weight whose convolution is that of `x` [N, C, H, W] times `gate` [N, C, 1, 1].

    For one image it is the weight that is scaled, where that has fewer numbers than the map.
    """
    if x.shape[0] > 1 or weight.numel() >= x.numel():
        return x * gate, weight
    if groups == 1:
        return x, weight * gate
    # output channels lie group after group, and each reads its own group's inputs
    per_output = gate.view(groups, 1, -1).expand(groups, weight.shape[0] // groups, -1)
    return x, weight * per_output.reshape(*weight.shape[:2], 1, 1)


@lowers("placed_concat")
def placed_concat(call: Applied) -> Tensor:
    """Torch's convolutions write into no memory that is given to them, so this is a concatenation like any other."""
    return torch.cat(call.inputs, dim=1)


@lowers("constant")
def constant(call: Applied) -> Tensor:
    return repeated(call.weights["value"], call.x)


@whole
def repeated(value: Tensor, like: Tensor) -> Tensor:
    """A map [C, h, w] once for each image of `like`: [N, C, h, w]."""
    return value.unsqueeze(0).expand(like.shape[0], -1, -1, -1)
