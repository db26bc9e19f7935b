"""A sum of two 1x1 convolutions becomes one 1x1 convolution over a concatenation, where that is less work.

It is where their results are wider than what they read, or where they read parts of one map side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from archdsl.ir.graph import Graph, Node
from archdsl.passes.commuting import is_pointwise
from archdsl.passes.costs import Costs
from archdsl.passes.edit import Edit, made, why_not_alone
from archdsl.passes.infra import Pass, PassResult, Weights, register
from archdsl.passes.judged import Candidate, judged
from archdsl.passes.no_ops import no_ops


def _candidates(graph: Graph, weights: Weights, costs: Costs) -> Iterator[Candidate]:
    def gain(last: PassResult) -> float:
        return costs.gain(graph, no_ops(last.graph, last.weights, costs).graph)

    for node in graph.nodes:
        if node.op == "add" and all(is_pointwise(graph.by_name[ref.node]) for ref in node.inputs):
            convs = [graph.by_name[ref.node] for ref in node.inputs]
            rewrite = partial(_joined, graph, weights, node, convs)
            yield Candidate((node.name,), _refusal(graph, node, convs), "over a concatenation", rewrite, gain)


def _refusal(graph: Graph, node: Node, convs: list[Node]) -> str:
    first, second = (graph.type_of(conv.inputs[0]) for conv in convs)
    if convs[0].name == convs[1].name or (first.height, first.width) != (second.height, second.width):
        return "its operands are one convolution, or of different sizes"
    return next((reason for conv in convs if (reason := why_not_alone(graph, conv.refs[0], node))), "")


def _joined(graph: Graph, weights: Weights, node: Node, convs: list[Node]) -> PassResult:
    edit = Edit.of(graph, weights)
    inputs = [conv.inputs[0] for conv in convs]
    types = [graph.type_of(ref) for ref in inputs]
    concat = made(edit.fresh(f"{node.name}.concat"), "concat", inputs, types, origin=node.origin)
    biases = [edit.weights[f"{conv.weights}.bias"] for conv in convs if conv["bias"]]
    settings = {"out": convs[0]["out"], "bias": bool(biases)}
    path = edit.own_path(node)
    conv = made(node.name, "conv", concat.refs, concat.types, settings, weights=path, origin=node.origin)
    parts = [edit.weights[f"{part.weights}.weight"] for part in convs]
    edit.weights[f"{path}.weight"] = torch.cat(parts, dim=1)
    if biases:
        edit.weights[f"{path}.bias"] = _total(biases)
    edit.put(node, concat, conv)
    return edit.finish()


def _total(tensors: list[Tensor]) -> Tensor:
    return torch.stack([tensor.double() for tensor in tensors]).sum(0).to(tensors[0].dtype)


join_pointwise = register(
    Pass(
        "join_pointwise",
        needs="nothing",
        rewrites="conv1x1(a) + conv1x1(b) to conv1x1(concat(a, b)), where that is less work",
        promises="equal outputs up to rounding",
        rule=judged(_candidates),
    )
)
