"""Strictly increasing functions before an argmax are dropped: they change no order.

Only those that are the same for every class: a slope per channel orders anew, and ReLU makes classes equal.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from archdsl.ir.graph import Graph, Node
from archdsl.passes.costs import Costs
from archdsl.passes.edit import Edit
from archdsl.passes.infra import Pass, PassResult, Weights, register, until_stable

_INCREASING = ("sigmoid", "tanh", "softmax", "log_softmax")
_FLAT = ("relu", "relu6", "hsigmoid", "hswish", "silu", "gelu")


def _sweep(graph: Graph, weights: Weights, costs: Costs) -> PassResult:
    edit = Edit.of(graph, weights)
    for node in graph.nodes:
        if node.op != "argmax":
            continue
        before = graph.by_name[node.inputs[0].node]
        if reason := _refusal(before, weights):
            edit.decline(node, reason)
        else:
            edit.put(node, replace(node, inputs=before.inputs))
            edit.fired.append(before.name)
    return edit.finish()


def _refusal(node: Node, weights: Weights) -> str:
    """Why a function before an argmax cannot be left out; empty when it can."""
    if node.op in _INCREASING or _grows(node) or _one_slope(node, weights):
        return ""
    if node.op in _FLAT:
        return f"{node.name} is {node.op}, which gives equal values for different ones, or falls"
    if node.op == "prelu" and not node["shared"]:
        return f"{node.name} has a slope of its own for each class"
    return f"{node.name} is {node.op}, no strictly increasing function"


def _grows(node: Node) -> bool:
    if node.op == "elu":
        return cast(float, node["alpha"]) > 0
    if node.op != "scalar":
        return False
    return node["operator"] in ("+", "-") or (node["operator"] in ("*", "/") and cast(float, node["value"]) > 0)


def _one_slope(node: Node, weights: Weights) -> bool:
    return node.op == "prelu" and bool(node["shared"]) and float(weights[f"{node.weights}.weight"]) > 0


monotone_argmax = register(
    Pass(
        "monotone_argmax",
        needs="nothing",
        rewrites="argmax(f(x)) to argmax(x) for strictly increasing f, the same for all classes",
        promises="the same classes; where f rounds different scores to equal ones, those of the scores",
        rule=until_stable(_sweep),
    )
)
