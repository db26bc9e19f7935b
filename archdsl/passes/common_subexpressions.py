"""What is computed twice from the same values with the same weights is computed once."""

from __future__ import annotations

from typing import Any

from archdsl.ir.graph import Graph, Node, Ref
from archdsl.passes.costs import Costs
from archdsl.passes.edit import Edit
from archdsl.passes.infra import Pass, PassResult, Weights, register


def _rule(graph: Graph, weights: Weights, costs: Costs) -> PassResult:
    edit, first, same = Edit.of(graph, weights), dict[Any, Node](), dict[Ref, Ref]()
    for node in graph.nodes:
        if node.op == "input":
            continue
        inputs = tuple(same.get(ref, ref) for ref in node.inputs)
        kept = first.setdefault((node.op, inputs, node.settings, node.weights), node)
        if kept is not node:
            same.update(zip(node.refs, kept.refs, strict=True))
            edit.fired.append(node.name)
    for ref, other in same.items():
        edit.read_instead(ref, other)
    return edit.finish()


common_subexpressions = register(
    Pass(
        "common_subexpressions",
        needs="a graph for inference: two dropouts are not one",
        rewrites="nodes of one op with equal settings, operands and weights to the first of them",
        promises="bit for bit the same outputs",
        rule=_rule,
    )
)
