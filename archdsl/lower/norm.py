"""Normalisation over batch statistics or channel groups."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from archdsl.lower.registry import Applied, lowers


@lowers("bn")
def bn(call: Applied) -> Tensor:
    """In training, moves the running statistics it is given in place by `momentum`, as torch does."""
    w = call.weights
    return F.batch_norm(
        call.x,
        w["running_mean"],
        w["running_var"],
        w.get("weight"),
        w.get("bias"),
        training=call.training,
        momentum=call["momentum"],
        eps=call["eps"],
    )


@lowers("group_norm")
def group_norm(call: Applied) -> Tensor:
    return F.group_norm(call.x, call["groups"], call.weights["weight"], call.bias, call["eps"])
