"""Batch normalisation after a convolution becomes part of its weight and bias.

At inference y = γ · (conv(x) - mean) / √(var + eps) + β is a convolution with weight w · γ/√(var + eps) per output
channel and bias β + (b - mean) · γ/√(var + eps). Holds for dense, grouped, depthwise, transposed and deformable ones.
"""

from __future__ import annotations

from dataclasses import replace

from archdsl.ir.graph import Graph, Node, Ref
from archdsl.passes.affine import affine_of, after, is_affine
from archdsl.passes.costs import Costs
from archdsl.passes.edit import needed_weights, redirect, replace_nodes, why_not_alone, with_settings
from archdsl.passes.infra import Declined, Pass, PassResult, Rule, Weights, register

_CONVOLUTIONS = ("conv", "depthwise", "conv_transpose", "deform_conv")


def folding(op: str) -> Rule:
    """The rule that folds the nodes of an affine op into the convolutions before them."""

    def rule(graph: Graph, weights: Weights, costs: Costs) -> PassResult:
        norms = [node for node in graph.nodes if node.op == op and is_affine(node)]
        refused = {norm.name: reason for norm in norms if (reason := _refusal(graph, norm))}
        pairs = {norm.inputs[0].node: norm for norm in norms if norm.name not in refused}
        refused |= _shared_otherwise(graph, pairs)
        pairs = {conv: norm for conv, norm in pairs.items() if norm.name not in refused}
        result = _without_norms(graph, pairs)
        folded = dict(weights)
        for path, (conv, norm) in {
            graph.by_name[conv].weights: (graph.by_name[conv], norm) for conv, norm in pairs.items()
        }.items():
            new = after(conv, *affine_of(graph, norm, weights), weights)
            folded |= {f"{path}.{name}": tensor for name, tensor in new.items()}
        declined = tuple(Declined(name, reason) for name, reason in refused.items())
        return PassResult(result, needed_weights(result, folded), tuple(n.name for n in pairs.values()), declined)

    return rule


def _refusal(graph: Graph, norm: Node) -> str:
    """Why a normalisation cannot join what it reads, looking at these two alone; empty when it can."""
    read = norm.inputs[0]
    conv = graph.by_name[read.node]
    if conv.op not in _CONVOLUTIONS:
        return f"it reads {conv.name}, which is {conv.op} and no convolution"
    return why_not_alone(graph, read, norm)


def _shared_otherwise(graph: Graph, pairs: dict[str, Node]) -> dict[str, str]:
    """Normalisations whose convolution shares its weights with one that is normalised otherwise, or not."""
    sharing: dict[str, list[str]] = {}
    for node in graph.nodes:
        sharing.setdefault(node.weights, []).append(node.name)
    refused = {}
    for conv, norm in pairs.items():
        for twin in sharing[graph.by_name[conv].weights]:
            other = pairs.get(twin)
            if other is None or (other.weights, other.settings) != (norm.weights, norm.settings):
                refused[norm.name] = f"{conv} shares its weights with {twin}, which is not normalised alike"
    return refused


def _without_norms(graph: Graph, pairs: dict[str, Node]) -> Graph:
    # a name of the value before its normalisation would come to mean the one after it
    unnamed = replace(graph, names=tuple((name, ref) for name, ref in graph.names if ref.node not in pairs))
    joined = redirect(unnamed, {Ref(norm.name): Ref(conv) for conv, norm in pairs.items()})
    with_bias = {conv: with_settings(joined.by_name[conv], bias=True) for conv in pairs}
    return replace_nodes(joined, with_bias, {norm.name for norm in pairs.values()})


fold_batch_norm = register(
    Pass(
        "fold_batch_norm",
        needs="a graph for inference",
        rewrites="bn(conv(x)) to conv(x) with a bias, where nothing else reads conv(x) and sharers of weights agree",
        promises="equal outputs up to rounding; no value changes its shape",
        rule=folding("bn"),
    )
)
