"""Ops that bring several maps together, and their parts apart."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor

from archdsl.lower.registry import Applied, lowers


@lowers("concat")
def concat(call: Applied) -> Tensor:
    return torch.cat(call.inputs, dim=1)


@lowers("add")
def add(call: Applied) -> Tensor:
    return call.inputs[0] + call.inputs[1]


@lowers("sub")
def sub(call: Applied) -> Tensor:
    return call.inputs[0] - call.inputs[1]


@lowers("mul")
def mul(call: Applied) -> Tensor:
    return call.inputs[0] * call.inputs[1]


@lowers("div")
def div(call: Applied) -> Tensor:
    return call.inputs[0] / call.inputs[1]


@lowers("sum")
def sum_maps(call: Applied) -> Tensor:
    return reduce(torch.add, call.inputs)


_SCALAR = {
    "+": lambda x, value: x + value,
    "-": lambda x, value: x - value,
    "*": lambda x, value: x * value,
    "/": lambda x, value: x / value,
    "r-": lambda x, value: value - x,
    "r/": lambda x, value: value / x,
}


@lowers("scalar")
@lowers("size_scalar")
def scalar(call: Applied) -> Tensor:
    return _SCALAR[call["operator"]](call.x, call["value"])


@lowers("split")
def split(call: Applied) -> Tensor | tuple[Tensor, ...]:
    return call.x if len(call.types) == 1 else torch.split(call.x, call["parts"], dim=1)


@lowers("mean")
def mean(call: Applied) -> Tensor:
    return torch.mean(call.x, dim=1, keepdim=True)


@lowers("max")
def maximum(call: Applied) -> Tensor:
    return torch.amax(call.x, dim=1, keepdim=True)


@lowers("argmax")
def argmax(call: Applied) -> Tensor:
    """int64 [N, 1, H, W]; the lowest channel where several are equal."""
    return torch.argmax(call.x, dim=1, keepdim=True)
