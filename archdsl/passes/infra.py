"""The contract of a pass, and what passes share: redirecting reads and dropping what nothing needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from torch import Tensor

from archdsl.ir.graph import Graph, Node, Ref
from archdsl.ir.state import layout

Weights = Mapping[str, Tensor]


class Declined(NamedTuple):
    """A place where a pass looked and left things as they were, and why."""

    place: str
    reason: str


@dataclass(frozen=True)
class PassResult:
    """The graph and the weights after a pass; `fired` names the nodes it rewrote."""

    graph: Graph
    weights: dict[str, Tensor]
    fired: tuple[str, ...] = ()
    declined: tuple[Declined, ...] = ()


@dataclass(frozen=True)
class Pass:
    """A rewrite with a name.

    `needs` says what must hold before, `rewrites` what it looks for and puts in its place, `promises` what holds after.
    Given weights are never changed in place.
    """

    name: str
    needs: str
    rewrites: str
    promises: str
    rule: Callable[[Graph, Weights], PassResult]

    def __call__(self, graph: Graph, weights: Weights) -> PassResult:
        return self.rule(graph, weights)


PASSES: dict[str, Pass] = {}


def register(rewrite: Pass) -> Pass:
    """Makes a pass known by its name. Raises ValueError when the name is taken."""
    if rewrite.name in PASSES:
        raise ValueError(f"there is a pass {rewrite.name} already")
    PASSES[rewrite.name] = rewrite
    return rewrite


def run_passes(graph: Graph, weights: Weights, passes: Iterable[Pass]) -> tuple[PassResult, dict[str, PassResult]]:
    """Passes one after the other: the last graph and weights, and the result of each pass by its name."""
    last, each = PassResult(graph, dict(weights)), {}
    for rewrite in passes:
        last = each[rewrite.name] = rewrite(last.graph, last.weights)
    return last, each


def redirect(graph: Graph, instead: Mapping[Ref, Ref]) -> Graph:
    """Every read of a key of `instead`, by nodes, outputs and names, becomes a read of its value."""

    def final(ref: Ref) -> Ref:
        while ref in instead:
            ref = instead[ref]
        return ref

    return replace(
        graph,
        nodes=tuple(replace(node, inputs=tuple(map(final, node.inputs))) for node in graph.nodes),
        outputs=tuple(replace(out, value=final(out.value)) for out in graph.outputs),
        names=tuple((name, final(ref)) for name, ref in graph.names),
    )


def replace_nodes(graph: Graph, changed: Mapping[str, Node], dropped: Collection[str] = ()) -> Graph:
    """The graph with some nodes changed, by name, and others gone; names of values that are gone go too."""
    return replace(
        graph,
        nodes=tuple(changed.get(node.name, node) for node in graph.nodes if node.name not in dropped),
        names=tuple((name, ref) for name, ref in graph.names if ref.node not in dropped),
    )


def needed_weights(graph: Graph, weights: Weights) -> dict[str, Tensor]:
    """The weights that nodes of the graph read."""
    return {key: weights[key] for key in layout(graph)}
