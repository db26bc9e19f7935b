"""A 1x1 convolution of gated channels, with the residual sum and the ReLU after it."""

from __future__ import annotations

from archdsl.runtime.engines.triton.work import Joined, Work, is_pointwise, setting
from archdsl.runtime.kernels.triton.scaled_pointwise import scaled_pointwise
from torch import Tensor

from archdsl.ir.graph import Node
from archdsl.lower.registry import Applied


def gated(work: Work, node: Node) -> Joined | None:
    """Where the ReLU comes last, which is all that the kernel can do."""
    if not is_pointwise(node) or not setting(node, "gate"):
        return None
    act, then, added = setting(node, "act"), setting(node, "then"), setting(node, "residual")
    last = then if added else act
    if last not in (None, "relu") or (act is not None if added else then is not None):
        return None
    if added and work.graph.type_of(node.inputs[-1]).shape != node.types[0].shape:
        return None
    weight = work.weight(node).flatten(1).contiguous()
    bias = work.bias(node, weight.shape[0])

    def launch(call: Applied) -> Tensor:
        residual = call.inputs[2] if added else None
        return scaled_pointwise(call.x, weight, bias, call.inputs[1].flatten(1), residual, last == "relu")

    return Joined(node.inputs, node.types, launch)
