"""The state of a network: which tensors its nodes have, and under which keys. No values, so no torch."""

from __future__ import annotations

from collections.abc import Iterable

from archdsl.diagnostics import InternalError
from archdsl.ir.graph import Graph, Kind, Node
from archdsl.ir.op import OPS, WeightSpec, call_of


def specs_of(graph: Graph, node: Node) -> tuple[WeightSpec, ...]:
    """The tensors of a node's state, under their short names."""
    if not node.weights:
        return ()
    return OPS[node.op].weights(call_of(node.settings, graph.input_types(node)))


def specs_of_kind(kind: Kind) -> tuple[WeightSpec, ...]:
    """The tensors of the state of a node of a kind that has weights."""
    return OPS[kind.op].weights(call_of(kind.settings, kind.inputs))


def layout(graph: Graph, nodes: Iterable[Node] | None = None) -> dict[str, WeightSpec]:
    """Every key of the state, `<path of the node's weights>.<short name>`, in node order; shared weights appear once.

    Batch normalisation has no `num_batches_tracked`: with a stated momentum nothing reads it. Raises InternalError when
    nodes share a path but not the shapes.
    """
    found: dict[str, WeightSpec] = {}
    for node in graph.nodes if nodes is None else nodes:
        for spec in specs_of(graph, node):
            known = found.setdefault(f"{node.weights}.{spec.name}", spec)
            if known != spec:
                raise InternalError(f"the nodes that share {node.weights}.{spec.name} do not agree on its shape or use")
    return found
