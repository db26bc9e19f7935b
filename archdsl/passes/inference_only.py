"""Leaves out what exists for training: auxiliary outputs, dropout, and all that nothing else needs."""

from __future__ import annotations

from dataclasses import replace

from archdsl.ir.graph import Graph, Ref
from archdsl.ir.op import OPS
from archdsl.passes.infra import Pass, PassResult, Weights, needed_weights, redirect, register, replace_nodes


def _rule(graph: Graph, weights: Weights) -> PassResult:
    idle = [node for node in graph.nodes if OPS[node.op].training_only]
    kept = replace(graph, outputs=tuple(out for out in graph.outputs if not out.aux))
    kept = redirect(kept, {Ref(node.name): node.inputs[0] for node in idle})
    live = {node.name for node in kept.for_inference()}
    dropped = [node.name for node in graph.nodes if node.name not in live]
    result = replace_nodes(kept, {}, set(dropped))
    return PassResult(result, needed_weights(result, weights), tuple(dropped))


inference_only = register(
    Pass(
        "inference_only",
        needs="nothing",
        rewrites="drops auxiliary outputs, ops that do nothing at inference, and nodes that no output needs",
        promises="outputs other than auxiliary ones are the same at inference; inputs stay, needed or not",
        rule=_rule,
    )
)
