"""The last resize and the argmax over its channels become one op, which never writes the resized scores.

The classes are those of resize-then-argmax. The argmax is never taken before the resize: that is another network.
"""

from __future__ import annotations

from archdsl.ir.graph import Graph, Node
from archdsl.passes.costs import Costs
from archdsl.passes.edit import Edit, made, why_not_alone
from archdsl.passes.infra import Pass, PassResult, Weights, register

_FUSED = {"resize": "resize_argmax", "guided_upsample": "guided_argmax"}


def _rule(graph: Graph, weights: Weights, costs: Costs) -> PassResult:
    edit = Edit.of(graph, weights)
    for node in graph.nodes:
        if node.op != "argmax":
            continue
        upsample = graph.by_name[node.inputs[0].node]
        if reason := _refusal(graph, upsample, node):
            edit.decline(node, reason)
            continue
        types, settings = graph.input_types(upsample), dict(upsample.settings)
        edit.put(node, made(node.name, _FUSED[upsample.op], upsample.inputs, types, settings, origin=upsample.origin))
        edit.fired.append(node.name)
    return edit.finish()


def _refusal(graph: Graph, upsample: Node, argmax: Node) -> str:
    if upsample.op not in _FUSED:
        return f"it reads {upsample.name}, which is {upsample.op} and no resize"
    if upsample.op == "resize" and (upsample["mode"] != "bilinear" or upsample["antialias"]):
        return f"{upsample.name} is no plain bilinear resize"
    return why_not_alone(graph, upsample.refs[0], argmax)


argmax_of_upsample = register(
    Pass(
        "argmax_of_upsample",
        needs="nothing",
        rewrites="argmax(resize(x)) and argmax(guided_upsample(x, offsets)) to one op, where nothing else reads it",
        promises="the same classes wherever the two largest scores are further apart than rounding",
        rule=_rule,
    )
)
