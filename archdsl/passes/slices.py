"""A convolution over a concatenation, seen as a sum of convolutions: each operand has its slice of the weight."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from archdsl.ir.graph import Graph, Node, Ref
from archdsl.passes.edit import Edit, made


def concat_of(graph: Graph, node: Node) -> Node | None:
    """The concatenation that a dense convolution reads; None for any other node."""
    if node.op != "conv" or node["groups"] != 1:
        return None
    concat = graph.by_name[node.inputs[0].node]
    return concat if concat.op == "concat" else None


def slice_of(graph: Graph, concat: Node, weight: Tensor, numbers: Sequence[int]) -> Tensor:
    """The weight for some operands of a concatenation, put together in that order."""
    widths = [graph.type_of(ref).channels for ref in concat.inputs]
    parts = torch.split(weight, widths, dim=1)
    return torch.cat([parts[i] for i in numbers], dim=1)


def over_some(
    edit: Edit, conv: Node, concat: Node, numbers: Sequence[int], name: str, *, bias: bool
) -> tuple[list[Node], Ref]:
    """Nodes for the part of a convolution that reads some operands of a concatenation, and their result.

    The new weight is put into the edit's weights; `bias` says whether this part adds the convolution's.
    """
    graph, nodes = edit.graph, list[Node]()
    refs = [concat.inputs[i] for i in numbers]
    x, of = refs[0], graph.type_of(refs[0])
    if len(refs) > 1:
        types = [graph.type_of(ref) for ref in refs]
        nodes.append(made(edit.fresh(f"{name}.concat"), "concat", refs, types, origin=concat.origin))
        x, of = nodes[0].refs[0], nodes[0].types[0]
    path = edit.fresh(name)
    settings = dict(conv.settings) | {"bias": bias}
    part = made(path, "conv", [x], [of], settings, weights=path, origin=conv.origin)
    edit.weights[f"{path}.weight"] = slice_of(graph, concat, edit.weights[f"{conv.weights}.weight"], numbers)
    if bias:
        edit.weights[f"{path}.bias"] = edit.weights[f"{conv.weights}.bias"]
    return [*nodes, part], part.refs[0]
