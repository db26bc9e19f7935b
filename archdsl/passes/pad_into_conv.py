"""Zeros added around a map become the padding of the convolutions that read it."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from archdsl.ir.graph import Graph, Node
from archdsl.passes.costs import Costs
from archdsl.passes.edit import Edit, is_output, with_settings
from archdsl.passes.infra import Pass, PassResult, Weights, register, until_stable


def _sweep(graph: Graph, weights: Weights, costs: Costs) -> PassResult:
    edit = Edit.of(graph, weights)
    for node in graph.nodes:
        readers = graph.users.get(node.refs[0], ())
        if node.op != "pad":
            continue
        if reason := _refusal(graph, node, readers):
            edit.decline(node, reason)
        elif readers and edit.free(node, *readers):
            for conv in readers:
                edit.put(conv, _padded(node, conv))
            edit.take(node)
            edit.fired.append(node.name)
    return edit.finish()


def _refusal(graph: Graph, node: Node, readers: tuple[Node, ...]) -> str:
    left, right, top, bottom = cast(tuple[int, ...], node["amounts"])
    others = [reader for reader in readers if reader.op not in ("conv", "depthwise")]
    if node["mode"] != "zero":
        return f"it adds no zeros: its mode is {node['mode']}"
    if left != right or top != bottom:
        return "a convolution pads both sides alike, and this does not"
    if is_output(graph, node.refs[0]):
        return "its value is an output"
    return f"it is read by {others[0].name}, which is {others[0].op} and pads with no zeros" if others else ""


def _padded(node: Node, conv: Node) -> Node:
    left, _, top, _ = cast(tuple[int, ...], node["amounts"])
    vertical, horizontal = cast(tuple[int, int], conv["padding"])
    return replace(with_settings(conv, padding=(vertical + top, horizontal + left)), inputs=node.inputs)


pad_into_conv = register(
    Pass(
        "pad_into_conv",
        needs="nothing",
        rewrites="conv(pad(x)) to a convolution with that padding, where all that reads pad(x) are convolutions",
        promises="bit for bit the same values are multiplied",
        rule=until_stable(_sweep),
    )
)
