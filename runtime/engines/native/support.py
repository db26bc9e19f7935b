"""Which nodes the kernels can run; the others run as torch calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from archdsl.runtime.engines.native.descriptors import ACTIVATIONS
from archdsl.runtime.engines.native.units import Sized

from archdsl.ir.graph import Node

MAX_TAPS = 1024
MAX_LABELS = 256
WIDEST_STEP = 1.75
"""16 neighbouring results of a planar resize must come from 32 neighbouring pixels."""

LABELS = ("argmax", "resize_argmax", "guided_argmax")

Settings = Mapping[str, Any]


def supported(sized: Sized, node: Node) -> bool:
    """Whether kernels compute a node at these sizes."""
    if any(kind.kind != "map" for kind in node.types) or any(sized.types[ref].kind != "map" for ref in node.inputs):
        return False
    if any(sized.graph.by_name[ref.node].op in LABELS for ref in node.inputs):
        return False
    rule = _RULES.get(node.op)
    return rule is not None and rule(sized, node, sized.settings(node))


def _always(sized: Sized, node: Node, settings: Settings) -> bool:
    return True


def _conv(sized: Sized, node: Node, settings: Settings) -> bool:
    groups = settings["groups"]
    read, made = (sized.shape(ref)[0] // groups for ref in (node.inputs[0], node.refs[0]))
    # pairs of channels that the kernels multiply at once must not straddle groups
    even = not sized.half or read % 2 == made % 2 == 0
    return settings["kernel"][0] * settings["kernel"][1] <= MAX_TAPS and (groups == 1 or read == 1 or even)


def _fused_conv(sized: Sized, node: Node, settings: Settings) -> bool:
    known = all(settings[name] is None or settings[name] in ACTIVATIONS for name in ("act", "then"))
    depthwise = settings["groups"] == sized.shape(node.inputs[0])[0]
    return known and _conv(sized, node, settings) and not (settings["gate"] and depthwise)


def _merge(sized: Sized, node: Node, settings: Settings) -> bool:
    return broadcast_order(sized, node) is not None


def broadcast_order(sized: Sized, node: Node) -> tuple[int, int] | None:
    """Which operand of a sum or product has the result's shape, and which may be repeated; None when neither has."""
    result = sized.shape(node.refs[0])
    shapes = [sized.shape(ref) for ref in node.inputs]
    if node.op == "div" and sized.half and result[0] % 2:
        return None  # the channel that pads an odd number would become 0 / 0
    if shapes[0] == result:
        return 0, 1
    return (1, 0) if shapes[1] == result and node.op in ("add", "mul") else None


def _scalar(sized: Sized, node: Node, settings: Settings) -> bool:
    return settings["operator"] != "r/"


def _max_pool(sized: Sized, node: Node, settings: Settings) -> bool:
    return not settings["indices"]


def _mean(sized: Sized, node: Node, settings: Settings) -> bool:
    return bool(settings["kind"] == "avg")


def _resize(sized: Sized, node: Node, settings: Settings) -> bool:
    return settings["mode"] in ("bilinear", "nearest") and not settings["antialias"]


def _resize_labels(sized: Sized, node: Node, settings: Settings) -> bool:
    (classes, _, before), after = sized.shape(node.inputs[0]), sized.shape(node.refs[0])[2]
    return _resize(sized, node, settings) and before <= after * WIDEST_STEP and _labels(sized, node, classes)


def _guided_labels(sized: Sized, node: Node, settings: Settings) -> bool:
    return _guided(sized, node, settings) and _labels(sized, node, sized.shape(node.inputs[0])[0])


def _labels(sized: Sized, node: Node, classes: int) -> bool:
    """Whether classes can be written in a byte, for the caller alone."""
    return classes <= MAX_LABELS and not sized.graph.users.get(node.refs[0])


def _guided(sized: Sized, node: Node, settings: Settings) -> bool:
    few = sized.shape(node.inputs[0])[0] <= MAX_LABELS
    return settings["mode"] == "bilinear" and settings["padding"] == "border" and few


def _elu(sized: Sized, node: Node, settings: Settings) -> bool:
    return bool(settings["alpha"] == 1)


_RULES: dict[str, Callable[[Sized, Node, Settings], bool]] = {
    "conv": _conv,
    "scalar": _scalar,
    "max_pool": _max_pool,
    "global_pool": _mean,
    "resize": _resize,
    "guided_upsample": _guided,
    "fused_conv": _fused_conv,
    "resize_argmax": _resize_labels,
    "guided_argmax": _guided_labels,
    **dict.fromkeys(("add", "sub", "mul", "div"), _merge),
    **dict.fromkeys(
        ("depthwise", "bn", "avg_pool", "sum", "concat", "placed_concat", "split", "crop", *ACTIVATIONS), _always
    ),
    "elu": _elu,
}
SHAPE_ONLY = {"resize": 1, "resize_argmax": 1, "crop": 1, "guided_upsample": 2, "guided_argmax": 2}
"""How many operands of an op have values that are read; those after it give a size alone."""
