"""What a rewrite that is not always a gain asks: how long nodes take, by a model of the machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from archdsl.analyses.cost import NodeCost, cost_of
from archdsl.analyses.floor import least_seconds
from archdsl.analyses.hardware import Hardware
from archdsl.analyses.memory import is_free
from archdsl.analyses.sized import bytes_of, elements
from archdsl.ir.dims import Solutions
from archdsl.ir.graph import Graph, Node
from archdsl.ir.ops.fused import ACTIVATIONS

TYPICAL = Hardware(
    "two cores of a server",
    {"float32": 2e11, "bfloat16": 8e11, "float16": 2e11},
    bandwidth=2e10,
    launch_overhead_s=5e-6,
)
"""Orders of magnitude for a rewrite to be judged by where nothing was measured."""

CONVOLUTIONS = ("conv", "depthwise", "conv_transpose", "fused_conv")


@dataclass(frozen=True)
class Costs:
    """The machine, the precision and the input size by which rewrites are judged.

    `dilated` is how many times as long a dilated convolution takes as a dense one of as many multiply-adds; 1 where
    the machine has kernels that make no difference, or nothing was measured.
    """

    hardware: Hardware = TYPICAL
    dtype: str = "float32"
    size: tuple[int, int] = (512, 1024)
    dilated: float = 1.0

    def values(self, graph: Graph) -> dict[str, int]:
        """A value for each symbol of a graph's input sizes, near the size and allowed."""
        found: dict[str, int] = {}
        for node in graph.inputs:
            for wanted, extent in zip(self.size, node.types[0].shape[1:], strict=True):
                for name in () if isinstance(extent, int) else extent.symbols:
                    rule = dict(graph.size_rules).get(name, Solutions())
                    found.setdefault(name, rule.nearest(wanted) or wanted)
        return found

    def seconds(self, graph: Graph, nodes: Iterable[Node]) -> float:
        """The least time that some nodes of a graph take one after the other.

        An activation or sum that can be the end of the convolution it reads costs no more than what else it reads.
        """
        values = self.values(graph)
        return sum(self._node(graph, node, values) for node in nodes)

    def _node(self, graph: Graph, node: Node, values: Mapping[str, int]) -> float:
        if is_free(node):
            return 0.0
        row = cost_of(graph, node, values, self.dtype)
        moved = row.moved
        if self._ends_convolution(graph, node):
            # its operand is still at hand, and the convolution writes its result instead
            ridden = bytes_of(elements(node.types[0].at(values)), self.dtype)
            moved = max(0, moved - 2 * ridden)
            if not moved:
                return 0.0
        return self._least(row, moved, self._slower(node))

    def _least(self, row: NodeCost, moved: int, slower: float) -> float:
        return least_seconds(int(row.macs * slower), moved, self.hardware, self.dtype)[0]

    def _slower(self, node: Node) -> float:
        dilation = dict(node.settings).get("dilation", (1, 1))
        return self.dilated if isinstance(dilation, tuple) and dilation != (1, 1) else 1.0

    @staticmethod
    def _ends_convolution(graph: Graph, node: Node) -> bool:
        return node.op in (*ACTIVATIONS, "add") and any(
            graph.by_name[ref.node].op in CONVOLUTIONS
            and graph.users[ref] == (node,)
            and graph.type_of(ref) == node.types[0]
            for ref in node.inputs
        )
