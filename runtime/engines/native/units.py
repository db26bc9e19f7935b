"""What the engine runs, before sizes of buffers are known: nodes with their neighbours fused in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archdsl.runtime.engines.native.descriptors import Activation

from archdsl.ir.graph import Graph, MapType, Node, Ref
from archdsl.ir.settings import at_size


@dataclass(frozen=True)
class Slice:
    """A node that does something to each channel, from one of its channels on: what is normalised, or `prelu`."""

    node: Node
    first: int


@dataclass(eq=False)
class Unit:
    """A node, and what joined it.

    It computes `last(first(op(inputs)) + second)`, with normalisations `norms` before `first`, and `slopes` where one
    of both is `prelu`; `factor` multiplies the input channels of a convolution. With `labels` the result is the class
    of each pixel. `op` names the op without what joined it. A unit that is not `native` runs as torch calls.
    """

    node: Node
    op: str
    settings: Mapping[str, Any]
    inputs: list[Ref]
    outputs: list[Ref]
    native: bool
    first: Activation = Activation.NONE
    second: Ref | None = None
    last: Activation = Activation.NONE
    factor: Ref | None = None
    norms: list[Slice] = field(default_factory=list)
    slopes: Slice | None = None
    labels: bool = False

    @property
    def output(self) -> Ref:
        return self.outputs[0]

    @property
    def reads(self) -> list[Ref]:
        return [*self.inputs, *(ref for ref in (self.second, self.factor) if ref is not None)]


@dataclass(frozen=True)
class Sized:
    """A graph with its symbols given values: the type of each value in numbers, and the batch."""

    graph: Graph
    batch: int
    sizes: Mapping[str, int]
    types: Mapping[Ref, MapType]
    half: bool

    @classmethod
    def of(cls, graph: Graph, batch: int, sizes: Mapping[str, int], half: bool) -> Sized:
        types = {ref: graph.type_of(ref).at(sizes) for node in graph.nodes for ref in node.refs}
        return cls(graph, batch, sizes, types, half)

    def shape(self, ref: Ref) -> tuple[int, int, int]:
        """Channels, height, width."""
        kind = self.types[ref]
        assert isinstance(kind.height, int) and isinstance(kind.width, int)
        return kind.channels, kind.height, kind.width

    def settings(self, node: Node) -> dict[str, Any]:
        return at_size(dict(node.settings), self.sizes)
