"""What is done to each value of a concatenation is done to its operands, where it can join what computes them.

RegSeg's D block normalises and rectifies the concatenation of its dilated branches: inside the branches both are free.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from archdsl.ir.graph import Graph, Node, Ref
from archdsl.ir.ops.fused import ACTIVATIONS
from archdsl.passes.affine import is_affine
from archdsl.passes.costs import CONVOLUTIONS, Costs
from archdsl.passes.edit import Edit, lone_reader, made, why_not_alone
from archdsl.passes.infra import Pass, PassResult, Weights, register, until_stable


def _sweep(graph: Graph, weights: Weights, costs: Costs) -> PassResult:
    edit = Edit.of(graph, weights)
    for node in graph.nodes:
        if len(node.inputs) == 1 and graph.by_name[node.inputs[0].node].op == "concat" and _each_alone(node):
            _try(edit, node, graph.by_name[node.inputs[0].node], costs)
    return edit.finish()


def _each_alone(node: Node) -> bool:
    """Whether a node treats each value by itself, the same at every position."""
    return is_affine(node) or node.op in (*ACTIVATIONS, "elu", "prelu", "scalar")


def _try(edit: Edit, node: Node, concat: Node, costs: Costs) -> None:
    graph = edit.graph
    if reason := why_not_alone(graph, concat.refs[0], node):
        edit.decline(node, reason)
        return
    joined = [ref for ref in concat.inputs if _joins(graph, ref, concat)]
    apart = [ref for ref in concat.inputs if ref not in joined]
    if not joined or _more_work(graph, node, concat, apart, costs):
        edit.decline(node, f"too few operands of {concat.name} are convolutions that it could join")
    elif edit.free(node, concat):
        _push(edit, node, concat)


def _joins(graph: Graph, ref: Ref, reader: Node) -> bool:
    """Whether a value is a convolution's, or a scale and shift of one, for one reader alone."""
    node = graph.by_name[ref.node]
    if lone_reader(graph, ref) is not reader:
        return False
    return node.op in CONVOLUTIONS or (is_affine(node) and _joins(graph, node.inputs[0], node))


def _more_work(graph: Graph, node: Node, concat: Node, apart: list[Ref], costs: Costs) -> bool:
    """Whether single steps on the operands that join nothing take longer than one on the concatenation."""
    steps = len(apart) * costs.hardware.launch_overhead_s
    channels = sum(graph.type_of(ref).channels for ref in apart)
    whole = costs.seconds(graph, [node])
    return steps + whole * channels / node.types[0].channels >= whole


def _push(edit: Edit, node: Node, concat: Node) -> None:
    graph, parts, start = edit.graph, list[Node](), 0
    for number, ref in enumerate(concat.inputs):
        name = edit.fresh(f"{node.name}.{number}")
        of = graph.type_of(ref)
        path = _sliced(edit, node, name, start, start + of.channels)
        settings = dict(node.settings)
        parts.append(made(name, node.op, [ref], [of], settings, weights=path, origin=node.origin))
        start += of.channels
    refs = tuple(part.refs[0] for part in parts)
    edit.put(concat)
    edit.put(node, *parts, replace(concat, inputs=refs))
    edit.rename_away(concat)
    edit.read_instead(node.refs[0], concat.refs[0])
    edit.fired.append(node.name)


def _sliced(edit: Edit, node: Node, path: str, start: int, end: int) -> str:
    """The path of a node's weights for some of its channels; its own where all channels have one weight."""
    if not node.weights or (node.op == "prelu" and node["shared"]):
        return node.weights
    found: dict[str, Tensor] = {}
    for key, tensor in edit.weights.items():
        owner, _, name = key.rpartition(".")
        if owner == node.weights:
            found[f"{path}.{name}"] = tensor[start:end]
    edit.weights |= found
    return path


through_concat = register(
    Pass(
        "through_concat",
        needs="normalisations that a convolution after them can take gone",
        rewrites="f(concat(a, b)) to concat(f(a), f(b)) for normalisations and activations, where it costs no more",
        promises="equal outputs",
        rule=until_stable(_sweep),
    )
)
