"""What mixes or scales channels at each position moves below an upsampling, where there are fewer positions.

A 1x1 convolution acts on channels and a resize on positions: both are linear, so they commute. The weights of a
bilinear, bicubic or nearest resize sum to one, so that a bias commutes too; with zero-padded sampling they do not.
ReLU does not commute.
"""

from __future__ import annotations

from dataclasses import replace

from archdsl.ir.graph import Graph, Node
from archdsl.passes.affine import affine_of, is_affine
from archdsl.passes.costs import Costs
from archdsl.passes.edit import Edit, why_not_alone
from archdsl.passes.infra import Declined, Pass, PassResult, Weights, register, until_stable

RESAMPLING = ("resize", "guided_upsample")


def _rule(graph: Graph, weights: Weights, costs: Costs) -> PassResult:
    result, declined = PassResult(graph, dict(weights)), list[Declined]()
    for name in [node.name for node in graph.nodes]:
        node = result.graph.by_name.get(name)
        if node is None or not node.inputs or not _mixes_channels(node):
            continue
        resize = result.graph.by_name[node.inputs[0].node]
        if resize.op not in RESAMPLING:
            continue
        if reason := _refusal(result.graph, result.weights, node, resize):
            declined.append(Declined(name, reason))
            continue
        last = _swapped(result, node, resize)
        if (gain := costs.gain(result.graph, last.graph)) > 0:
            result = PassResult(last.graph, last.weights, (*result.fired, name))
        else:
            declined.append(Declined(name, f"below {resize.name} it would take {-gain * 1e6:.3g} µs more"))
    return PassResult(result.graph, result.weights, result.fired, tuple(declined))


def _mixes_channels(node: Node) -> bool:
    """Whether a node is linear, up to a bias, and acts at each position by itself."""
    if is_affine(node):
        return True
    flat = node.op == "conv" and node["kernel"] == (1, 1) and node["padding"] == (0, 0)
    return flat and node["stride"] == (1, 1)


def _refusal(graph: Graph, weights: Weights, node: Node, resize: Node) -> str:
    """Why the two cannot change places, whatever it would cost; empty when they can."""
    zeros = resize.op == "guided_upsample" and resize["padding"] == "zeros"
    if zeros and _shifts(graph, weights, node):
        return f"{resize.name} samples zeros beyond the map, which its bias would reach"
    return why_not_alone(graph, resize.refs[0], node)


def _shifts(graph: Graph, weights: Weights, node: Node) -> bool:
    if node.op == "conv":
        return bool(node["bias"])
    return bool(affine_of(graph, node, weights)[1].any())


def _swapped(result: PassResult, node: Node, resize: Node) -> PassResult:
    """The node reads what the resize read, and the resize the node; it gives the value, and has the name, of that."""
    edit = Edit.of(result.graph, result.weights)
    coarse, channels = result.graph.type_of(resize.inputs[0]), node.types[0].channels
    moved = replace(
        node,
        name=edit.fresh(f"{node.name}.coarse"),
        inputs=(resize.inputs[0],),
        types=(replace(coarse, channels=channels),),
    )
    above = replace(
        resize,
        name=node.name,
        inputs=(moved.refs[0], *resize.inputs[1:]),
        types=(replace(resize.types[0], channels=channels),),
    )
    edit.put(resize, moved)
    edit.put(node, above)
    return edit.finish()


below_upsample = register(
    Pass(
        "below_upsample",
        needs="nothing",
        rewrites="f(resize(x)) to resize(f(x)) for 1x1 convolutions and normalisations, where that is less work",
        promises="equal outputs up to rounding",
        rule=until_stable(_rule),
    )
)
