"""Depthwise convolutions of several rates, concatenated and merged by a 1x1: DWRSeg's semantic residualisation."""

from __future__ import annotations

import torch
from archdsl.runtime.engines.triton.work import Joined, Work, centred_rate, is_plain, is_pointwise, setting
from archdsl.runtime.kernels.triton.multi_rate_depthwise import multi_rate_depthwise
from torch import Tensor

from archdsl.ir.graph import Node
from archdsl.lower.registry import Applied


def merged(work: Work, node: Node) -> Joined | None:
    """A 1x1 whose operand is a concatenation of depthwise 3x3s that read parts of one map."""
    operand = work.maker(node.inputs[0])
    added = bool(setting(node, "residual"))
    if (
        not is_pointwise(node)
        or operand.op not in ("concat", "placed_concat")
        or not work.only_for(node.inputs[0], node)
    ):
        return None
    if any(setting(node, name) for name in ("gate", "act", "then")):
        return None
    if added and work.graph.type_of(node.inputs[-1]).shape != node.types[0].shape:
        return None
    branches = [work.maker(ref) for ref in operand.inputs]
    if not all(_is_branch(work, branch, operand) for branch in branches):
        return None
    source = work.common_source([branch.inputs[0] for branch in branches])
    if source is None:
        return None
    x, begins, split = source
    reads, rates = [], []
    for branch, begin in zip(branches, begins, strict=True):
        multiplier = setting(branch, "multiplier")
        reads += [begin + channel // multiplier for channel in range(branch.types[0].channels)]
        rates += [centred_rate(branch) or 1] * branch.types[0].channels
    taps = torch.cat([work.weight(branch).reshape(-1, 9) for branch in branches]).contiguous()
    offsets = torch.cat([work.bias(branch, branch.types[0].channels) for branch in branches])
    merge = work.weight(node).flatten(1).contiguous()
    fixed = taps, offsets, work.integers(reads), work.integers(rates), merge, work.bias(node, merge.shape[0])

    def launch(call: Applied) -> Tensor:
        return multi_rate_depthwise(call.x, *fixed, call.inputs[1] if added else None)

    covers = frozenset({operand.name, *(branch.name for branch in branches)}) | split
    return Joined((x, *node.inputs[1:]), node.types, launch, covers)


def _is_branch(work: Work, node: Node, reader: Node) -> bool:
    if node.op != "depthwise" or not work.only_for(node.refs[0], reader) or not is_plain(node):
        return False
    threes = setting(node, "kernel") == (3, 3) and setting(node, "stride") == (1, 1)
    return threes and centred_rate(node) is not None
