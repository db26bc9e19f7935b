"""Blocks expanded once and copied: the same block, arguments and types of inputs give the same nodes.

Half of a network is repetition, and a variant repeats the network it varies. A copy takes a fifth of an expansion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from archdsl.diagnostics import Frame
from archdsl.elaborate.values import BlockModule, Literal, MapValue, OpModule, Searched
from archdsl.ir.dims import Dim, Size
from archdsl.ir.graph import MapType, Node, Origin, Ref

Paths = tuple[str, str]
Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Template:
    """What an expansion added: its nodes with the shapes of their weights, the sizes it needs equal, its results."""

    paths: Paths
    depth: int
    """How many frames led to the expansion; those after them belong to the nodes themselves."""
    inputs: tuple[Ref, ...]
    nodes: tuple[tuple[Node, Shapes], ...]
    equalities: tuple[tuple[Size, Size], ...]
    results: tuple[tuple[Ref, MapType], ...]
    single: bool

    _origins: list[tuple[tuple[Frame, ...], list[Origin]]] = field(default_factory=list, compare=False)

    def copies(
        self, paths: Paths, inputs: Sequence[MapValue], frames: tuple[Frame, ...]
    ) -> tuple[list[Node], list[MapValue]]:
        """The nodes under other paths, on other inputs, called from elsewhere, and the results of the copy."""
        moved = dict(zip(self.inputs, (value.ref for value in inputs), strict=True))
        start, weights_start = map(len, self.paths)
        alike = paths[0] == paths[1]
        made = []
        for (node, _), origin in zip(self.nodes, self._origins_from(frames), strict=True):
            name, weights = paths[0] + node.name[start:], node.weights
            if weights:
                weights = name if alike and weights == node.name else paths[1] + weights[weights_start:]
            operands = tuple([moved[ref] for ref in node.inputs])
            copy = Node(name, node.op, operands, node.settings, node.types, weights, origin)
            moved.update(zip(node.refs, copy.refs, strict=True))
            made.append(copy)
        return made, [MapValue(moved[ref], of) for ref, of in self.results]

    def _origins_from(self, frames: tuple[Frame, ...]) -> list[Origin]:
        """The places of the nodes; those of a block repeated at one place are the same for every copy."""
        if not self._origins or self._origins[0][0] is not frames:
            origins = [node.origin for node, _ in self.nodes if node.origin is not None]
            self._origins[:] = [(frames, [Origin(o.span, frames + o.frames[self.depth :]) for o in origins])]
        return self._origins[0][1]


def copyable(paths: Paths, inputs: Sequence[MapValue], nodes: Sequence[Node], *, searching: bool) -> bool:
    """Whether nodes depend on nothing but the paths, the inputs, and one another.

    What search may choose is left out: a choice belongs to the place where it was evaluated. `searching` says whether
    there is any.
    """
    known = {value.ref.node for value in inputs}
    for node in nodes:
        inside = node.name.startswith(f"{paths[0]}.") and (not node.weights or node.weights.startswith(f"{paths[1]}."))
        if not inside or any(ref.node not in known for ref in node.inputs) or (searching and _chosen(node.settings)):
            return False
        known.add(node.name)
    return True


def _chosen(value: Any) -> bool:
    return isinstance(value, Searched) or (isinstance(value, tuple) and any(_chosen(v) for v in value))


class _Unlike(Exception):
    """An argument that ties an expansion to the place of its call."""


def key_of(module: BlockModule, inputs: Sequence[MapValue]) -> Any:
    """What an expansion depends on, places of literals included; None where it is more than can be compared."""
    refs = [value.ref for value in inputs]
    try:
        arguments = tuple((name, _identity(value)) for name, value in module.arguments)
    except _Unlike:
        return None
    same = tuple(refs.index(ref) for ref in refs)
    return module.block.file.source.path, module.block.name, arguments, tuple(v.type for v in inputs), same


def _identity(value: Any) -> Any:
    if isinstance(value, Searched):
        raise _Unlike
    if isinstance(value, Literal):
        return int(value), value.span.start, value.span.path
    if value is None or isinstance(value, bool | int | float | str | Dim):
        return type(value).__name__, value
    if isinstance(value, list | tuple):
        return tuple(_identity(item) for item in value)
    if isinstance(value, OpModule) and not value.maps:
        return value.op, tuple((name, _identity(item)) for name, item in value.settings)
    if isinstance(value, BlockModule):
        block = value.block
        return block.file.source.path, block.name, tuple((n, _identity(v)) for n, v in value.arguments)
    raise _Unlike
