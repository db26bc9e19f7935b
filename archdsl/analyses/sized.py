"""A graph at one input size: every map's extent a number, and how many bytes it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from archdsl.ir.graph import Graph, MapType, Node
from archdsl.ir.op import OPS, OpCall
from archdsl.ir.settings import at_size

DTYPE_BYTES: Mapping[str, int] = {
    "float64": 8,
    "float32": 4,
    "tf32": 4,
    "bfloat16": 2,
    "float16": 2,
    "int8": 1,
}
"""Bytes of one element; tf32 is float32 in memory, multiplied with fewer bits."""

_INDEX_BYTES = 8
"""Indices of a max pool are 64-bit integers whatever the dtype of the maps."""


@dataclass(frozen=True, slots=True)
class SizedNode:
    """A node with the types of its operands and results as numbers."""

    node: Node
    call: OpCall
    results: tuple[MapType, ...]

    @property
    def operands_read(self) -> tuple[int, ...]:
        """The operands whose values count; a `like` operand gives its size alone."""
        declared = [name.strip("[]*") for name in OPS[self.node.op].inputs]
        return tuple(i for i in range(len(self.node.inputs)) if declared[min(i, len(declared) - 1)] != "like")


def sized(graph: Graph, values: Mapping[str, int]) -> Iterator[SizedNode]:
    """The nodes that the outputs need, in order, at an input size. Raises KeyError for a symbol without a value."""
    types: dict[str, tuple[MapType, ...]] = {}
    for node in graph.for_inference():
        types[node.name] = tuple(of.at(values) for of in node.types)
        operands = tuple(types[ref.node][ref.port] for ref in node.inputs)
        call = OpCall(at_size(dict(node.settings), values), operands)
        yield SizedNode(node, call, types[node.name])


def elements(of: MapType) -> int:
    """Numbers in a map of known size."""
    assert isinstance(of.height, int) and isinstance(of.width, int)
    return of.channels * of.height * of.width


def bytes_of(count: int, dtype: str) -> int:
    """Bytes of `count` elements. Raises ValueError for an unknown dtype."""
    if dtype not in DTYPE_BYTES:
        raise ValueError(f"the dtype {dtype} is not known: it is one of {', '.join(DTYPE_BYTES)}")
    return count * DTYPE_BYTES[dtype]


def element_bytes(of: MapType, dtype: str) -> int:
    """Bytes of one element of a value. Raises ValueError for an unknown dtype."""
    return _INDEX_BYTES if of.kind == "indices" else bytes_of(1, dtype)
