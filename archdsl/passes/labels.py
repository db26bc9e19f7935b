"""Classes instead of scores: every output becomes the number of its largest channel."""

from __future__ import annotations

from dataclasses import replace

from archdsl.ir.graph import Graph, MapType, Node, Output, Ref
from archdsl.passes.costs import Costs
from archdsl.passes.infra import Pass, PassResult, Weights, register


def _rule(graph: Graph, weights: Weights, costs: Costs) -> PassResult:
    nodes, outputs, fired = list(graph.nodes), [], []
    for out in graph.outputs:
        if graph.by_name[out.value.node].op == "argmax":
            outputs.append(out)
            continue
        of = graph.type_of(out.value)
        name = _free(graph, f"{out.name}.argmax")
        nodes.append(Node(name, "argmax", (out.value,), (), (MapType(1, of.height, of.width),)))
        outputs.append(Output(out.name, Ref(name), out.aux))
        fired.append(name)
    return PassResult(replace(graph, nodes=tuple(nodes), outputs=tuple(outputs)), dict(weights), tuple(fired))


def _free(graph: Graph, name: str) -> str:
    while name in graph.by_name:
        name += "'"
    return name


def as_scores(graph: Graph) -> Graph:
    """The graph with the scores in place of every output that is their classes: what labels are held against."""
    outputs = tuple(replace(out, value=_scores(graph, out.value)) for out in graph.outputs)
    return replace(graph, outputs=outputs)


def _scores(graph: Graph, ref: Ref) -> Ref:
    node = graph.by_name[ref.node]
    return node.inputs[0] if node.op == "argmax" else ref


labels = register(
    Pass(
        "labels",
        needs="labels to be asked for",
        rewrites="every output to the number of its largest channel, the lowest where several are equal",
        promises="outputs that are classes already stay as they are",
        rule=_rule,
    )
)
