"""The scale of squeeze-and-excite becomes a second operand of the convolution that reads the scaled map.

conv(x · gate) with one gate per channel [C, 1, 1] is a convolution whose input channels are scaled, whatever its
padding: zeros stay zeros. An engine scales channels as it reads them, or the weight instead, and no scaled map exists.
"""

from __future__ import annotations

from dataclasses import replace

from archdsl.ir.graph import Graph, Node, Ref
from archdsl.passes.costs import Costs
from archdsl.passes.edit import Edit, why_not_alone, with_settings
from archdsl.passes.epilogues import as_fused
from archdsl.passes.infra import Pass, PassResult, Weights, register


def _rule(graph: Graph, weights: Weights, costs: Costs) -> PassResult:
    edit = Edit.of(graph, weights)
    for node in graph.nodes:
        if node.op == "mul" and (operands := _gated(graph, node)):
            _gate(edit, node, *operands)
    return edit.finish()


def _gated(graph: Graph, node: Node) -> tuple[Ref, Ref] | None:
    """Map and gate of a product, where one factor is a map and the other one value per channel."""
    for x, gate in (node.inputs, node.inputs[::-1]):
        of = graph.type_of(x)
        if of.shape == node.types[0].shape and graph.type_of(gate).shape == (of.channels, 1, 1) and x != gate:
            return x, gate
    return None


def _gate(edit: Edit, product: Node, x: Ref, gate: Ref) -> None:
    graph, result = edit.graph, product.refs[0]
    users = graph.users.get(result, ())
    reader = users[0] if users else None
    if reader is None or reader.op not in ("conv", "depthwise", "fused_conv") or reader.inputs[0] != result:
        edit.decline(product, f"it is read by {reader.name}, no convolution" if reader else "it is an output")
    elif reason := why_not_alone(graph, result, reader):
        edit.decline(product, reason)
    elif reader.inputs.count(result) > 1 or (reader.op == "fused_conv" and reader["gate"]):
        edit.decline(product, f"{reader.name} reads it twice, or has a gate already")
    elif edit.free(product, reader):
        conv = with_settings(as_fused(graph, reader), gate=True)
        edit.put(reader, replace(conv, inputs=(x, gate, *conv.inputs[1:])))
        edit.take(product)
        edit.fired.append(product.name)


gates = register(
    Pass(
        "gates",
        needs="nothing",
        rewrites="conv(x · gate) to one fused_conv, where the gate is one value per channel and nothing else reads it",
        promises="equal outputs up to rounding",
        rule=_rule,
    )
)
