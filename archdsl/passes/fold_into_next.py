"""A scale and shift per channel becomes part of the convolutions that read it.

conv(s · x + t) has the weight w · s per input channel and the bias b + Σ w · t; exact where no padding is read, since
padding is not shifted, and for any padding where t is zero. DWR's normalisation before its merging 1x1 is one.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from archdsl.ir.graph import Graph, Node
from archdsl.passes.affine import INPUT_SCALED, affine_of, before, is_affine
from archdsl.passes.costs import Costs
from archdsl.passes.edit import Edit, is_output, with_settings
from archdsl.passes.infra import Pass, PassResult, Weights, register, until_stable


def _sweep(graph: Graph, weights: Weights, costs: Costs) -> PassResult:
    edit = Edit.of(graph, weights)
    for node in graph.nodes:
        if is_affine(node):
            _fold(edit, node)
    return edit.finish()


def _fold(edit: Edit, node: Node) -> None:
    graph = edit.graph
    readers = graph.users.get(node.refs[0], ())
    scale, shift = affine_of(graph, node, edit.weights)
    if is_output(graph, node.refs[0]):
        edit.decline(node, "its value is an output")
    elif refused := [reason for reader in readers if (reason := _refusal(node, reader, shift))]:
        edit.decline(node, refused[0])
    elif readers and edit.free(node, *readers):
        for conv in readers:
            _into(edit, node, conv, scale, shift)
        edit.take(node)
        edit.fired.append(node.name)


def _refusal(node: Node, reader: Node, shift: Tensor) -> str:
    if reader.op not in INPUT_SCALED:
        return f"it is read by {reader.name}, which is {reader.op} and no plain convolution"
    if reader["padding"] != (0, 0) and shift.any():
        return f"{reader.name} reads padding, which is not shifted"
    return ""


def _into(edit: Edit, node: Node, conv: Node, scale: Tensor, shift: Tensor) -> None:
    path, new = edit.own_path(conv), before(conv, scale, shift, edit.weights)
    edit.weights |= {f"{path}.{name}": tensor for name, tensor in new.items()}
    edit.put(conv, replace(with_settings(conv, bias="bias" in new), inputs=node.inputs, weights=path))


fold_into_next = register(
    Pass(
        "fold_into_next",
        needs="normalisations that can go into the convolution before them gone",
        rewrites="conv(affine(x)) to conv(x), where all that reads affine(x) are such convolutions",
        promises="equal outputs up to rounding",
        rule=until_stable(_sweep),
    )
)
