"""Leaves out what exists for training: auxiliary outputs, dropout, and all that nothing else needs."""

from __future__ import annotations

from dataclasses import replace

from archdsl.ir.graph import Graph, Ref
from archdsl.ir.op import OPS
from archdsl.passes.costs import Costs
from archdsl.passes.edit import needed_weights, redirect, replace_nodes, without_dead
from archdsl.passes.infra import Pass, PassResult, Weights, register


def _rule(graph: Graph, weights: Weights, costs: Costs) -> PassResult:
    idle = {node.name: node for node in graph.nodes if OPS[node.op].training_only}
    kept = replace(graph, outputs=tuple(out for out in graph.outputs if not out.aux))
    kept = redirect(kept, {Ref(name): node.inputs[0] for name, node in idle.items()})
    result = without_dead(replace_nodes(kept, {}, idle))
    dropped = tuple(node.name for node in graph.nodes if node.name not in result.by_name)
    return PassResult(result, needed_weights(result, weights), dropped)


inference_only = register(
    Pass(
        "inference_only",
        needs="nothing",
        rewrites="drops auxiliary outputs, ops that do nothing at inference, and nodes that no output needs",
        promises="outputs other than auxiliary ones are the same at inference; inputs stay, needed or not",
        rule=_rule,
    )
)
