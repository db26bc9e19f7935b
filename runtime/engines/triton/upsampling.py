"""Upsampling by offsets, and the last resize with argmax."""

from __future__ import annotations

from archdsl.runtime.engines.triton.work import Joined, Work, setting
from archdsl.runtime.kernels.triton.guided_upsample import guided_upsample
from archdsl.runtime.kernels.triton.resize_argmax import resize_argmax
from torch import Tensor

from archdsl.ir.graph import Node
from archdsl.lower.labels import label_type
from archdsl.lower.registry import Applied


def labelled(work: Work, node: Node) -> Joined | None:
    """A bilinear resize to the size of another map, and argmax."""
    if len(node.inputs) != 2 or setting(node, "mode") != "bilinear" or setting(node, "antialias"):
        return None
    corners = bool(setting(node, "align_corners"))

    def launch(call: Applied) -> Tensor:
        height, width = call.inputs[1].shape[-2:]
        return resize_argmax(call.x, (height, width), corners, label_type(call.x)).unsqueeze(1)

    return Joined(node.inputs, node.types, launch)


def guided(work: Work, node: Node) -> Joined | None:
    """A bilinear guided upsampling to the size of its offsets."""
    if setting(node, "mode") != "bilinear" or setting(node, "scale") is not None:
        return None
    padding, corners = setting(node, "padding"), bool(setting(node, "align_corners"))

    def launch(call: Applied) -> Tensor:
        return guided_upsample(call.x, call.inputs[1], setting(node, "units"), padding, corners)

    return Joined(node.inputs, node.types, launch)
