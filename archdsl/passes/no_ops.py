"""Ops that give back what they read are left out, and a sum of two is an addition."""

from __future__ import annotations

from collections.abc import Callable

from archdsl.ir.dims import same
from archdsl.ir.graph import Graph, Node, Ref
from archdsl.passes.costs import Costs
from archdsl.passes.edit import Edit, made
from archdsl.passes.infra import Pass, PassResult, Weights, register, until_stable

_NEVER_NEGATIVE = ("relu", "relu6", "sigmoid", "hsigmoid", "softmax")


def _sweep(graph: Graph, weights: Weights, costs: Costs) -> PassResult:
    edit = Edit.of(graph, weights)
    for node in graph.nodes:
        if node.op == "sum" and len(node.inputs) == 2:
            edit.put(node, made(node.name, "add", node.inputs, graph.input_types(node), origin=node.origin))
            edit.fired.append(node.name)
        elif (given := _gives_back(graph, node)) is not None:
            edit.read_instead(node.refs[0], given)
            edit.fired.append(node.name)
    return edit.finish()


def _gives_back(graph: Graph, node: Node) -> Ref | None:
    """The value that a node's one result equals, of those that are there already."""
    if node.op == "concat":
        return _put_together(graph, node)
    if node.op == "relu" and graph.by_name[node.inputs[0].node].op in _NEVER_NEGATIVE:
        return node.inputs[0]
    idle = _IDLE.get(node.op)
    return node.inputs[0] if idle is not None and len(node.types) == 1 and idle(graph, node) else None


def _put_together(graph: Graph, node: Node) -> Ref | None:
    """What was split, where a concatenation puts all parts together in order; the operand where there is one."""
    if len(node.inputs) == 1:
        return node.inputs[0]
    split = graph.by_name[node.inputs[0].node]
    return split.inputs[0] if split.op == "split" and node.inputs == split.refs else None


def _same_size(graph: Graph, node: Node) -> bool:
    read, result = graph.type_of(node.inputs[0]), node.types[0]
    return same(read.height, result.height) and same(read.width, result.width)


def _neutral(graph: Graph, node: Node) -> bool:
    return (node["operator"], node["value"]) in (("+", 0.0), ("-", 0.0), ("*", 1.0), ("/", 1.0))


def _one_tap(graph: Graph, node: Node) -> bool:
    return (node["kernel"], node["stride"], node["padding"]) == ((1, 1), (1, 1), (0, 0))


_IDLE: dict[str, Callable[[Graph, Node], bool]] = {
    "identity": lambda graph, node: True,
    "sum": lambda graph, node: len(node.inputs) == 1,
    "split": lambda graph, node: True,  # of one part: others have several results
    "resize": _same_size,
    "crop": _same_size,
    "pad": _same_size,
    "scalar": _neutral,
    "max_pool": _one_tap,
    "avg_pool": _one_tap,
    "channel_shuffle": lambda graph, node: node["groups"] in (1, node.types[0].channels),
    "pixel_shuffle": lambda graph, node: node["factor"] == 1,
    "pixel_unshuffle": lambda graph, node: node["factor"] == 1,
}

no_ops = register(
    Pass(
        "no_ops",
        needs="nothing",
        rewrites="drops ops whose result is what they read, at any input size, and concatenations that undo a split",
        promises="equal outputs",
        rule=until_stable(_sweep),
    )
)
