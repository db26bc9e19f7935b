"""Numbers are worked out: chains of scalars become one, and maps that no input changes become constants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.ir.graph import Graph, Node
from archdsl.passes.costs import Costs
from archdsl.passes.edit import Edit, lone_reader, made, with_settings
from archdsl.passes.infra import Pass, PassResult, Weights, register, until_stable

MAX_ELEMENTS = 1 << 16
"""Constants are kept in the artifact: only small ones are worth it."""


def _sweep(graph: Graph, weights: Weights, costs: Costs) -> PassResult:
    edit = Edit.of(graph, weights)
    for node in graph.nodes:
        if (value := _value(graph, node, weights)) is not None and edit.free(node):
            _place(edit, node, value)
        elif (joined := _chain(graph, node)) is not None:
            before = graph.by_name[node.inputs[0].node]
            if edit.free(node, before):
                edit.put(before)
                edit.put(node, joined)
                edit.rename_away(before)
                edit.fired.append(node.name)
    return edit.finish()


def _value(graph: Graph, node: Node, weights: Weights) -> Tensor | None:
    """The value [C, h, w] of a node that no input changes, in float64; None for any other."""
    (of, *more) = node.types
    if more or not (isinstance(of.height, int) and isinstance(of.width, int)):
        return None
    if of.channels * of.height * of.width > MAX_ELEMENTS:
        return None
    if node.op == "scalar" and (node["operator"], node["value"]) == ("*", 0.0):
        return torch.zeros(of.channels, of.height, of.width, dtype=torch.float64)
    operands = [graph.by_name[ref.node] for ref in node.inputs]
    compute = _COMPUTE.get(node.op)
    if compute is None or not operands or any(operand.op != "constant" for operand in operands):
        return None
    return compute(node, [weights[f"{operand.weights}.value"].double() for operand in operands])


def _place(edit: Edit, node: Node, value: Tensor) -> None:
    like = edit.graph.inputs[0].refs[0]
    settings = dict(zip(("channels", "height", "width"), value.shape, strict=True))
    constant = made(node.name, "constant", [like], [edit.graph.type_of(like)], settings, origin=node.origin)
    dtype = next((tensor.dtype for tensor in edit.weights.values()), torch.float32)
    edit.weights[f"{node.name}.value"] = value.to(dtype)
    edit.put(node, constant)
    edit.fired.append(node.name)


_SCALAR: dict[str, Callable[[Tensor, float], Tensor]] = {
    "+": lambda x, number: x + number,
    "-": lambda x, number: x - number,
    "*": lambda x, number: x * number,
    "/": lambda x, number: x / number,
    "r-": lambda x, number: number - x,
    "r/": lambda x, number: number / x,
}


def _scalar(node: Node, operands: Sequence[Tensor]) -> Tensor:
    return _SCALAR[cast(str, node["operator"])](operands[0], cast(float, node["value"]))


def _padded(node: Node, operands: Sequence[Tensor]) -> Tensor:
    mode = {"zero": "constant"}.get(cast(str, node["mode"]), cast(str, node["mode"]))
    return F.pad(operands[0].unsqueeze(0), cast(tuple[int, ...], node["amounts"]), mode=mode)[0]


_COMPUTE: dict[str, Callable[[Node, Sequence[Tensor]], Tensor]] = {
    "scalar": _scalar,
    "pad": _padded,
    "concat": lambda node, operands: torch.cat(tuple(operands)),
    "add": lambda node, operands: operands[0] + operands[1],
    "sub": lambda node, operands: operands[0] - operands[1],
    "mul": lambda node, operands: operands[0] * operands[1],
    "mean": lambda node, operands: operands[0].mean(0, keepdim=True),
    "relu": lambda node, operands: operands[0].relu(),
    "sigmoid": lambda node, operands: operands[0].sigmoid(),
    "tanh": lambda node, operands: operands[0].tanh(),
}


def _chain(graph: Graph, node: Node) -> Node | None:
    """One scalar for two of a kind, one after the other."""
    before = graph.by_name[node.inputs[0].node] if node.op == "scalar" else node
    if before is node or before.op != "scalar" or lone_reader(graph, before.refs[0]) is not node:
        return None
    (first, a), (second, b) = ((n["operator"], cast(float, n["value"])) for n in (before, node))
    if {first, second} <= {"+", "-"}:
        kind, value = "+", (a if first == "+" else -a) + (b if second == "+" else -b)
    elif {first, second} <= {"*", "/"} and 0.0 not in (a, b):
        kind, value = "*", (a if first == "*" else 1 / a) * (b if second == "*" else 1 / b)
    else:
        return None
    changed = with_settings(node, operator=kind, value=value)
    return Node(node.name, node.op, before.inputs, changed.settings, node.types, "", node.origin)


constants = register(
    Pass(
        "constants",
        needs="nothing",
        rewrites="two sums or products with numbers to one, and small maps that no input changes to constants",
        promises="equal outputs up to rounding, for finite values: a product with zero is zero",
        rule=until_stable(_sweep),
    )
)
