"""Normalisation over batch statistics or channel groups."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.nn.modules._functions import SyncBatchNorm

from archdsl.lower.registry import Applied, lowers

_together: list[dist.ProcessGroup] = []
"""The group whose processes share batch statistics, last, where there is one."""


@contextmanager
def synchronised(group: dist.ProcessGroup) -> Iterator[None]:
    """Within it, batch norms that train on CUDA take their statistics over all processes of a group."""
    _together.append(group)
    try:
        yield
    finally:
        _together.pop()


@lowers("bn")
def bn(call: Applied) -> Tensor:
    """In training, moves the running statistics it is given in place by `momentum`, as torch does."""
    w = call.weights
    if _together and call.training and call.x.is_cuda:
        return _synchronised(call, _together[-1])
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


def _synchronised(call: Applied, group: dist.ProcessGroup) -> Tensor:
    w, world = call.weights, dist.get_world_size(group)
    result: Tensor = SyncBatchNorm.apply(  # type: ignore[no-untyped-call]
        call.x,
        w.get("weight"),
        w.get("bias"),
        w["running_mean"],
        w["running_var"],
        call["eps"],
        call["momentum"],
        group,
        world,
    )
    return result


@lowers("group_norm")
def group_norm(call: Applied) -> Tensor:
    return F.group_norm(call.x, call["groups"], call.weights["weight"], call.bias, call["eps"])
