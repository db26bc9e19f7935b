"""Grouped convolutions side by side, each with its rate, and the global pooling after them: one launch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from archdsl.runtime.engines.triton.work import Joined, Work, centred_rate, is_plain, setting
from archdsl.runtime.kernels.triton.multi_rate_conv import fits, multi_rate_conv, pack
from torch import Tensor

from archdsl.ir.graph import MapType, Node, Ref
from archdsl.lower.registry import Applied

_CONVOLUTIONS = ("conv", "fused_conv")


def concatenated(work: Work, node: Node) -> Joined | None:
    """A concatenation of grouped convolutions that read parts of one map."""
    branches = [work.maker(ref) for ref in node.inputs]
    if any(branch.op not in _CONVOLUTIONS or not work.only_for(branch.refs[0], node) for branch in branches):
        return None
    if len({branch.name for branch in branches}) < len(branches):
        return None
    source = work.common_source([branch.inputs[0] for branch in branches])
    if source is None or not source[2]:
        return None
    x, begins, split = source
    widths = [work.graph.type_of(branch.inputs[0]).channels for branch in branches]
    if begins != [sum(widths[:i]) for i in range(len(widths))] or sum(widths) != work.graph.type_of(x).channels:
        return None
    return _joined(work, node, branches, x, frozenset(branch.name for branch in branches) | split)


def alone(work: Work, node: Node) -> Joined | None:
    """A grouped convolution on its own."""
    return _joined(work, node, [node], node.inputs[0], frozenset())


def _joined(work: Work, node: Node, branches: Sequence[Node], x: Ref, covers: frozenset[str]) -> Joined | None:
    shapes = {_shape(work, branch) for branch in branches}
    rates = [centred_rate(branch) for branch in branches]
    if len(shapes) > 1 or None in shapes or None in rates:
        return None
    stride, _, _, _, act = shapes.pop()  # type: ignore[misc]
    channels = node.types[0].channels
    packed = torch.cat([pack(work.weight(branch), setting(branch, "groups")) for branch in branches])
    bias = torch.cat([work.bias(branch, branch.types[0].channels) for branch in branches])
    per_group = [rate for rate, branch in zip(rates, branches, strict=True) for _ in range(setting(branch, "groups"))]
    groups = work.integers([rate for rate in per_group if rate is not None])

    def launch(call: Applied) -> tuple[Tensor, ...]:
        y, mean = multi_rate_conv(call.x, packed, bias, groups, stride, act == "relu")
        return y, mean.to(y.dtype)[:, :, None, None]

    pools = [user for user in work.graph.users.get(node.refs[0], ()) if user.op == "global_pool"]
    return Joined(
        (x,),
        (node.types[0], MapType(channels, 1, 1)),
        launch,
        covers | {pool.name for pool in pools},
        {pool.refs[0]: Ref(node.name, 1) for pool in pools},
    )


def _shape(work: Work, node: Node) -> tuple[int, int, int, int, str | None] | None:
    """Stride, kernel, channels per group in and out, and activation: what the branches of one launch share."""
    groups, (stride, across) = setting(node, "groups"), setting(node, "stride")
    width, made = work.graph.type_of(node.inputs[0]).channels // groups, node.types[0].channels // groups
    size, act = setting(node, "kernel")[0], setting(node, "act")
    known = groups > 1 and stride == across and act in (None, "relu") and is_plain(node) and size > 1
    return (stride, size, width, made, act) if known and fits(width, made, size) else None
