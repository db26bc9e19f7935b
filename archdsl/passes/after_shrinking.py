"""What acts on channels moves after a mean, a crop or a resize to fewer positions.

A 1x1 convolution before an average pool of 2x2, as DenseNet's transitions have it, is four times the work of one after.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.ir.graph import Graph, Node
from archdsl.passes.commuting import acts_on_channels, acts_on_positions, exchange
from archdsl.passes.infra import Pass, register


def _before(graph: Graph) -> Iterator[tuple[Node, Node]]:
    """What acts on channels, and the means, crops and resizes that read it."""
    for node in graph.nodes:
        if acts_on_positions(node):
            read = graph.by_name[node.inputs[0].node]
            if read.inputs and acts_on_channels(graph, read):
                yield read, node


after_shrinking = register(
    Pass(
        "after_shrinking",
        needs="normalisations folded: one that is left alone after a pooling can join nothing",
        rewrites="g(f(x)) to f(g(x)), f a 1x1 convolution or the like, g a mean, crop or resize, where it is less work",
        promises="equal outputs up to rounding",
        rule=exchange(_before),
    )
)
