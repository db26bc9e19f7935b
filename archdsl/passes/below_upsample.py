"""What acts on channels moves below an upsampling, where there are fewer positions.

The weights of a bilinear, bicubic or nearest resize sum to one, so that a 1x1 convolution moves with its bias; with
zero-padded sampling they do not. ReLU commutes with nearest alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.ir.graph import Graph, Node
from archdsl.passes.commuting import RESAMPLING, acts_on_channels, carried, exchange
from archdsl.passes.infra import Pass, register


def _above(graph: Graph) -> Iterator[tuple[Node, Node]]:
    """Upsamplings, and what reads them."""
    for node in graph.nodes:
        if node.inputs and acts_on_channels(graph, node):
            read = graph.by_name[carried(graph, node).node]
            if read.op in RESAMPLING:
                yield read, node


below_upsample = register(
    Pass(
        "below_upsample",
        needs="nothing",
        rewrites="f(resize(x)) to resize(f(x)) for 1x1 convolutions and what else commutes, where that is less work",
        promises="equal outputs up to rounding",
        rule=exchange(_above),
    )
)
