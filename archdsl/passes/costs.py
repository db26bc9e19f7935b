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
from archdsl.ir.graph import Graph, Node, Ref
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
    free_concat: bool = False
    """Whether concatenations are taken to be written in place, and to cost nothing."""

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
        if is_free(node) or (node.op == "concat" and self.free_concat) or _scales_convolution(graph, node):
            return 0.0
        row = cost_of(graph, node, values, self.dtype)
        moved = row.moved
        if _ends_convolution(graph, node):
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

    def copy(self, graph: Graph, ref: Ref) -> float:
        """The least time to copy a value."""
        return 2 * bytes_of(elements(graph.type_of(ref).at(self.values(graph))), self.dtype) / self.hardware.bandwidth

    def gain(self, before: Graph, after: Graph) -> float:
        """How many seconds a rewritten graph saves; negative where it costs more. Looks at what changed alone."""
        changed = {n.name for n in before.nodes if after.by_name.get(n.name) != n}
        changed |= {n.name for n in after.nodes if before.by_name.get(n.name) != n}
        # what a node costs depends on what it reads and on what reads it
        near = _with_neighbours(before, changed) | _with_neighbours(after, changed)
        first, second = (self.seconds(g, [n for n in g.nodes if n.name in near]) for g in (before, after))
        return first - second


def _with_neighbours(graph: Graph, names: set[str]) -> set[str]:
    found = set(names)
    for node in graph.nodes:
        read = {ref.node for ref in node.inputs}
        if node.name in names:
            found |= read
        elif read & names:
            found.add(node.name)
    return found


def _ends_convolution(graph: Graph, node: Node) -> bool:
    """Whether an activation or sum can be the epilogue of a convolution that it reads."""
    return node.op in (*ACTIVATIONS, "add") and any(
        graph.by_name[ref.node].op in CONVOLUTIONS
        and graph.users[ref] == (node,)
        and graph.type_of(ref) == node.types[0]
        for ref in node.inputs
    )


def _scales_convolution(graph: Graph, node: Node) -> bool:
    """Whether a product with one value per channel can be left to the one convolution that reads it."""
    users = graph.users.get(node.refs[0], ())
    gated = any(graph.type_of(ref).shape == (node.types[0].channels, 1, 1) for ref in node.inputs)
    return node.op == "mul" and gated and len(users) == 1 and users[0].op in ("conv", "depthwise", "fused_conv")
