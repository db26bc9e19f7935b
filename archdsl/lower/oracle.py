"""The oracle: a graph run op by op in eager PyTorch. Never optimised; everything that compiles is compared with it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import Tensor

from archdsl.ir.graph import Graph, Node, Ref
from archdsl.ir.state import specs_of
from archdsl.lower.interpret import Inputs, bind_sizes, execute, feeds_of, live_nodes, shape_of


def run(
    graph: Graph,
    weights: Mapping[str, Tensor],
    inputs: Inputs,
    *,
    training: bool = False,
    keep: Collection[str] = (),
) -> dict[str, Tensor]:
    """The outputs of a network by name, and the values asked for in `keep` besides.

    `weights` maps state keys to tensors (`archdsl.lower.weights.layout`); inputs are [N, C, H, W], of the dtype of the
    weights. `keep` takes names of the network's body, and of nodes (`node`, or `node:1` for a second result). Auxiliary
    outputs are there in training only. Batch statistics are used in training, but running statistics stay as they are.
    Raises ValueError for inputs the network does not take, KeyError for a missing weight or an unknown name.
    """
    feeds = feeds_of(graph, inputs)
    sizes = bind_sizes(graph, {name: shape_of(tensor) for name, tensor in feeds.items()})
    wanted = {out.name: out.value for out in graph.outputs if training or not out.aux}
    wanted |= {name: resolve(graph, name) for name in keep}
    values = execute(
        live_nodes(graph, wanted.values()),
        feeds,
        lambda node: _state(graph, node, weights, training),
        sizes,
        training=training,
        keep=set(wanted.values()),
    )
    return {name: values[ref] for name, ref in wanted.items()}


def resolve(graph: Graph, name: str) -> Ref:
    """The value that a name means: one bound in the network's body, or a node's. Raises KeyError."""
    bound = dict(graph.names)
    if name in bound:
        return bound[name]
    node, _, port = name.partition(":")
    if node not in graph.by_name:
        raise KeyError(name)
    return Ref(node, int(port or 0))


def _state(graph: Graph, node: Node, weights: Mapping[str, Tensor], training: bool) -> dict[str, Tensor]:
    found = {spec.name: (spec, weights[f"{node.weights}.{spec.name}"]) for spec in specs_of(graph, node)}
    return {name: tensor.clone() if training and spec.buffer else tensor for name, (spec, tensor) in found.items()}
