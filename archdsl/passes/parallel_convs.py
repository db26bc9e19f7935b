"""Convolutions of one map that slide alike become one, whose result is split: the map is read once.

Where each is followed by an activation of its own, one for all is possible only if it is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

from archdsl.ir.graph import Graph, Node, Ref
from archdsl.ir.ops.fused import ACTIVATIONS
from archdsl.passes.costs import Costs
from archdsl.passes.edit import Edit, is_output, lone_reader, made
from archdsl.passes.infra import Pass, PassResult, Weights, register
from archdsl.passes.judged import Candidate, judged

_SLIDES = ("kernel", "stride", "padding", "dilation")


def _candidates(graph: Graph, weights: Weights, costs: Costs) -> Iterator[Candidate]:
    for group in _groups(graph):
        first, *others = (conv.name for conv in group)
        instead, rewrite = f"as one with {' and '.join(others)}", partial(_merged, graph, weights, group)
        yield Candidate((first, *others), "", instead, rewrite, partial(_gain, graph, group, costs))


def _gain(graph: Graph, group: list[Node], costs: Costs, last: PassResult) -> float:
    # parts of a map in channels_last do not lie together, and most kernels copy them first
    return costs.gain(graph, last.graph) - sum(costs.copy(graph, conv.refs[0]) for conv in group)


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
        rule=judged(_candidates),
    )
)
