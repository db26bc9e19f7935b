"""Nodes that no output needs are left out. Every pass clears what it makes dead; this one does nothing else."""

from __future__ import annotations

from archdsl.ir.graph import Graph
from archdsl.passes.costs import Costs
from archdsl.passes.edit import needed_weights, without_dead
from archdsl.passes.infra import Pass, PassResult, Weights, register


def _rule(graph: Graph, weights: Weights, costs: Costs) -> PassResult:
    result = without_dead(graph)
    dropped = tuple(node.name for node in graph.nodes if node.name not in result.by_name)
    return PassResult(result, needed_weights(result, weights), dropped)


dead_code = register(
    Pass(
        "dead_code",
        needs="nothing",
        rewrites="drops nodes that no output needs",
        promises="every output is the same; inputs stay, needed or not",
        rule=_rule,
    )
)
