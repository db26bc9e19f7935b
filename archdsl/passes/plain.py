"""Fused ops taken apart again: for engines that fuse by themselves, and for exports that know plain ops only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from archdsl.ir.graph import Graph, Node, Ref
from archdsl.ir.op import OPS
from archdsl.passes.costs import Costs
from archdsl.passes.edit import Edit, made
from archdsl.passes.infra import Pass, PassResult, Weights, register


def _rule(graph: Graph, weights: Weights, costs: Costs) -> PassResult:
    edit = Edit.of(graph, weights)
    for node in graph.nodes:
        if (apart := _APART.get(node.op)) is not None:
            edit.put(node, *apart(edit, node))
            edit.fired.append(node.name)
    return edit.finish()


def _own_settings(node: Node, op: str) -> dict[str, Any]:
    known = {spec.name for spec in OPS[op].settings}
    return {name: value for name, value in node.settings if name in known}


def _convolution(edit: Edit, node: Node) -> list[Node]:
    """Product with the gate, convolution, activation, sum, activation; the last of them has the name of the whole."""
    operands = list(node.inputs)
    x, gate = operands.pop(0), operands.pop(0) if node["gate"] else None
    residual = operands.pop() if node["residual"] else None
    steps: list[tuple[str, list[Ref], Mapping[str, Any]]] = []
    if gate is not None:
        steps.append(("mul", [x, gate], {}))
    steps.append(("conv", [x], _own_settings(node, "conv")))
    if node["act"] is not None:
        steps.append((str(node["act"]), [], {}))
    if residual is not None:
        steps.append(("add", [residual], {}))
    if node["then"] is not None:
        steps.append((str(node["then"]), [], {}))
    return _chain(edit, node, steps)


def _chain(edit: Edit, node: Node, steps: list[tuple[str, list[Ref], Mapping[str, Any]]]) -> list[Node]:
    """Nodes for steps of which each reads the one before it, and other operands after that."""
    types = {ref: edit.graph.type_of(ref) for ref in node.inputs}
    made_so_far: list[Node] = []
    for number, (op, others, settings) in enumerate(steps, 1):
        last = number == len(steps)
        name = node.name if last else edit.fresh(f"{node.name}.{op}")
        inputs = _operands(op, made_so_far, others)
        step = made(
            name, op, inputs, [types[ref] for ref in inputs], settings, weights=node.weights, origin=node.origin
        )
        types[step.refs[0]] = step.types[0]
        made_so_far.append(step)
    return made_so_far


def _operands(op: str, before: list[Node], others: list[Ref]) -> list[Ref]:
    if not before:
        return others
    result = before[-1].refs[0]
    # a convolution reads the gated map in place of its own operand
    return [result] if op == "conv" else [result, *others]


def _classes_after(op: str) -> Callable[[Edit, Node], list[Node]]:
    def apart(edit: Edit, node: Node) -> list[Node]:
        types, name = edit.graph.input_types(node), edit.fresh(f"{node.name}.{op}")
        upsample = made(name, op, node.inputs, types, _own_settings(node, op), origin=node.origin)
        return [upsample, made(node.name, "argmax", upsample.refs, upsample.types, origin=node.origin)]

    return apart


def _concatenation(edit: Edit, node: Node) -> list[Node]:
    return [made(node.name, "concat", node.inputs, edit.graph.input_types(node), origin=node.origin)]


_APART: dict[str, Callable[[Edit, Node], list[Node]]] = {
    "fused_conv": _convolution,
    "resize_argmax": _classes_after("resize"),
    "guided_argmax": _classes_after("guided_upsample"),
    "placed_concat": _concatenation,
}

plain = register(
    Pass(
        "plain",
        needs="nothing",
        rewrites="fused convolutions, fused argmax and placed concatenations to the ops they consist of",
        promises="equal outputs; every op but `constant` is one that a text can have",
        rule=_rule,
    )
)
