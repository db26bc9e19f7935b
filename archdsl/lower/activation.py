"""Functions of one value at a time, and over channels at one position."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.lower.registry import Applied, lowers


@lowers("relu")
def relu(call: Applied) -> Tensor:
    return F.relu(call.x)


@lowers("relu6")
def relu6(call: Applied) -> Tensor:
    return F.relu6(call.x)


@lowers("sigmoid")
def sigmoid(call: Applied) -> Tensor:
    return torch.sigmoid(call.x)


@lowers("hsigmoid")
def hsigmoid(call: Applied) -> Tensor:
    return F.hardsigmoid(call.x)


@lowers("hswish")
def hswish(call: Applied) -> Tensor:
    return F.hardswish(call.x)


@lowers("silu")
def silu(call: Applied) -> Tensor:
    return F.silu(call.x)


@lowers("gelu")
def gelu(call: Applied) -> Tensor:
    return F.gelu(call.x)


@lowers("tanh")
def tanh(call: Applied) -> Tensor:
    return torch.tanh(call.x)


@lowers("identity")
def identity(call: Applied) -> Tensor:
    return call.x


@lowers("elu")
def elu(call: Applied) -> Tensor:
    return F.elu(call.x, call["alpha"])


@lowers("prelu")
def prelu(call: Applied) -> Tensor:
    return F.prelu(call.x, call.weights["weight"])


@lowers("softmax")
def softmax(call: Applied) -> Tensor:
    return F.softmax(call.x, dim=1)


@lowers("log_softmax")
def log_softmax(call: Applied) -> Tensor:
    return F.log_softmax(call.x, dim=1)


@lowers("dropout")
def dropout(call: Applied) -> Tensor:
    return F.dropout(call.x, call["p"], call.training)


@lowers("dropout2d")
def dropout2d(call: Applied) -> Tensor:
    return F.dropout2d(call.x, call["p"], call.training)
