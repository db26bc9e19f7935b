"""Convolutions of one map that slide alike become one, whose result is split: the map is read once.

Where each is followed by an activation of its own, one for all is possible only if it is the same.
"""

from __future__ import annotations

from typing import Any

import torch

from archdsl.ir.graph import Graph, Node, Ref
from archdsl.ir.ops.fused import ACTIVATIONS
from archdsl.passes.costs import Costs
from archdsl.passes.edit import Edit, is_output, lone_reader, made
from archdsl.passes.infra import Declined, Pass, PassResult, Weights, register, until_stable

_SLIDES = ("kernel", "stride", "padding", "dilation")


def _sweep(graph: Graph, weights: Weights, costs: Costs) -> PassResult:
    declined: list[Declined] = []
    for group in _groups(graph):
        last = _merged(graph, weights, group)
        # parts of a map in channels_last do not lie together, and most kernels copy them first
        copied = sum(costs.copy(graph, conv.refs[0]) for conv in group)
        if (gain := costs.gain(graph, last.graph) - copied) > 0:
            return PassResult(last.graph, last.weights, tuple(conv.name for conv in group))
        others = " and ".join(conv.name for conv in group[1:])
        declined.append(Declined(group[0].name, f"as one with {others} it would take {-gain * 1e6:.3g} µs more"))
    return PassResult(graph, dict(weights), (), tuple(declined))


def _groups(graph: Graph) -> list[list[Node]]:
    """Dense convolutions of one value that slide alike and are activated alike, two or more."""
    found: dict[Any, list[Node]] = {}
    for node in graph.nodes:
        if node.op == "conv" and node["groups"] == 1:
            end = _activation(graph, node)
            key = node.inputs, tuple(node[name] for name in _SLIDES), end.op if end else None
            found.setdefault(key, []).append(node)
    return [group for group in found.values() if len(group) > 1]


def _activation(graph: Graph, conv: Node) -> Node | None:
    reader = lone_reader(graph, conv.refs[0])
    return reader if reader is not None and reader.op in ACTIVATIONS and not is_output(graph, conv.refs[0]) else None


def _merged(graph: Graph, weights: Weights, group: list[Node]) -> PassResult:
    edit, first = Edit.of(graph, weights), group[0]
    bias, name = any(conv["bias"] for conv in group), edit.fresh(f"{first.name}.all")
    out = [conv.types[0].channels for conv in group]
    settings = {key: first[key] for key in _SLIDES} | {"out": sum(out), "bias": bias}
    types = graph.input_types(first)
    nodes = [made(name, "conv", first.inputs, types, settings, origin=first.origin)]
    edit.weights[f"{name}.weight"] = torch.cat([edit.weights[f"{conv.weights}.weight"] for conv in group])
    if bias:
        edit.weights[f"{name}.bias"] = torch.cat([_bias(edit, conv) for conv in group])
    ends = [_activation(graph, conv) or conv for conv in group]
    if ends[0] is not first:
        act = made(edit.fresh(f"{name}.{ends[0].op}"), ends[0].op, nodes[0].refs, nodes[0].types, origin=first.origin)
        nodes.append(act)
    parts = made(edit.fresh(f"{name}.split"), "split", nodes[-1].refs, nodes[-1].types, {"parts": out})
    edit.put(first, *nodes, parts)
    for number, end in enumerate(ends):
        edit.read_instead(end.refs[0], Ref(parts.name, number))
    return edit.finish()


def _bias(edit: Edit, conv: Node) -> torch.Tensor:
    weight = edit.weights[f"{conv.weights}.weight"]
    return edit.weights[f"{conv.weights}.bias"] if conv["bias"] else weight.new_zeros(weight.shape[0])


parallel_convs = register(
    Pass(
        "parallel_convs",
        needs="normalisations folded",
        rewrites="dense convolutions of one value with the same window to one and a split, where that is less work",
        promises="equal outputs up to rounding",
        rule=until_stable(_sweep),
    )
)
