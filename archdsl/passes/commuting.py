"""Which neighbours can change places: what acts on channels, at each position alike, and what acts on positions.

A 1x1 convolution mixes channels, a resize or a mean positions, each channel alike: both are linear, so they commute. A
shift commutes where the weights of positions sum to one. What only picks positions (nearest, a crop) commutes with any
function of one position.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from archdsl.ir.graph import Graph, MapType, Node, Ref
from archdsl.ir.ops.fused import ACTIVATIONS
from archdsl.passes.affine import affine_of, is_affine
from archdsl.passes.costs import Costs
from archdsl.passes.edit import Edit, made, why_not_alone
from archdsl.passes.infra import PassResult, Rule, Weights
from archdsl.passes.judged import Candidate, judged

RESAMPLING = ("resize", "guided_upsample")

_MEANS = ("avg_pool", "global_pool", "adaptive_pool")
_OF_ONE_POSITION = (*ACTIVATIONS, "elu", "prelu", "softmax", "log_softmax", "max", "scalar")


def is_pointwise(node: Node) -> bool:
    """Whether a node is a dense 1x1 convolution at every position."""
    return node.op == "conv" and node["groups"] == 1 and _reads_one_position(node)


def _reads_one_position(conv: Node) -> bool:
    return (conv["kernel"], conv["stride"], conv["padding"]) == ((1, 1), (1, 1), (0, 0))


def acts_on_channels(graph: Graph, node: Node) -> bool:
    """Whether a node does the same at each position, reading nothing else of a map."""
    if node.op in ("conv", "depthwise"):
        return _reads_one_position(node)
    if node.op in ("mul", "add"):
        return _combines_with_channels(graph, node)
    return is_affine(node) or node.op == "mean" or node.op in _OF_ONE_POSITION


def _combines_with_channels(graph: Graph, node: Node) -> bool:
    """Whether a product or sum has the size of one operand, and the other is one value per channel."""
    return sorted(graph.type_of(ref).shape == node.types[0].shape for ref in node.inputs) == [False, True] and any(
        graph.type_of(ref).shape == (node.types[0].channels, 1, 1) for ref in node.inputs
    )


def carried(graph: Graph, node: Node) -> Ref:
    """The operand that a node acts on: of a product or sum the one that has its size."""
    if node.op in ("mul", "add"):
        return next(ref for ref in node.inputs if graph.type_of(ref).shape == node.types[0].shape)
    return node.inputs[0]


def acts_on_positions(node: Node) -> bool:
    """Whether a node gives weighted sums of positions, of each channel alike."""
    return node.op in (*RESAMPLING, "crop") or (node.op in _MEANS and dict(node.settings).get("kind", "avg") == "avg")


def why_not_swapped(graph: Graph, weights: Weights, channels: Node, positions: Node) -> str:
    """Why a node that acts on channels and one that acts on positions do not commute; empty when they do."""
    linear = channels.op in ("conv", "depthwise", "mul", "add", "mean") or is_affine(channels)
    if not linear and not _picks(positions):
        return f"{positions.name} mixes positions, and {channels.op} is not linear"
    if not _sums_to_one(positions) and _shifts(graph, weights, channels):
        return f"{positions.name} counts zeros beyond the map, which a shift would reach"
    return ""


def _picks(node: Node) -> bool:
    """Whether each result is one of the values read."""
    if node.op == "guided_upsample":
        return node["mode"] == "nearest" and node["padding"] == "border"
    return node.op == "crop" or (node.op == "resize" and node["mode"] == "nearest")


def _sums_to_one(node: Node) -> bool:
    if node.op == "guided_upsample":
        return node["padding"] != "zeros"
    return node.op != "avg_pool" or node["padding"] == (0, 0) or not node["count_pad"]


def _shifts(graph: Graph, weights: Weights, node: Node) -> bool:
    if node.op in ("conv", "depthwise"):
        return bool(node["bias"])
    return node.op == "add" or (is_affine(node) and bool(affine_of(graph, node, weights)[1].any()))


def swapped(graph: Graph, weights: Weights, first: Node, second: Node) -> PassResult:
    """Two nodes in the other order, where the second alone reads the first; the last has the name of the second.

    Other operands stay with their nodes.
    """
    edit, x = Edit.of(graph, weights), carried(graph, first)
    inner = _reading(edit, second, first.refs[0], x, graph.type_of(x), edit.fresh(f"{second.name}.first"))
    outer = _reading(edit, first, x, inner.refs[0], inner.types[0], second.name)
    edit.put(first)
    edit.put(second, inner, outer)
    return edit.finish()


def _reading(edit: Edit, node: Node, old: Ref, new: Ref, of: MapType, name: str) -> Node:
    """A node that reads another value in the place of one."""
    inputs = [new if ref == old else ref for ref in node.inputs]
    types = [of if ref == old else edit.graph.type_of(ref) for ref in node.inputs]
    return made(name, node.op, inputs, types, dict(node.settings), weights=node.weights, origin=node.origin)


def exchange(pairs: Callable[[Graph], Iterable[tuple[Node, Node]]]) -> Rule:
    """The rule that exchanges pairs of neighbours, of which the second reads the first, where that is less work.

    `pairs` looks for them; one of the two acts on channels, the other on positions. It is the first of these that is
    said to move.
    """

    def candidates(graph: Graph, weights: Weights, costs: Costs) -> Iterator[Candidate]:
        for first, second in pairs(graph):
            channels, positions = (second, first) if acts_on_positions(first) else (first, second)
            refusal = why_not_swapped(graph, weights, channels, positions)
            refusal = refusal or why_not_alone(graph, first.refs[0], second)
            instead = f"{'below' if channels is second else 'after'} {positions.name}"
            yield Candidate((channels.name,), refusal, instead, partial(swapped, graph, weights, first, second))

    return judged(candidates)
