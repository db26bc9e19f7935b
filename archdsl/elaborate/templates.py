"""Blocks expanded once and copied: the same block, arguments and types of inputs give the same nodes.

Half of a network is repetition, and a variant repeats the network it varies. A copy takes a fifth of an expansion.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
    positives: tuple[Size, ...]
    results: tuple[tuple[Ref, MapType], ...]
    single: bool

    def copies(
        self, paths: Paths, inputs: Sequence[MapValue], frames: tuple[Frame, ...]
    ) -> Iterator[tuple[Node, Shapes]]:
        """The nodes under other paths, on other inputs, called from elsewhere."""
        moved = self._moved(paths, inputs)
        for node, shapes in self.nodes:
            assert node.origin is not None
            yield (
                Node(
                    paths[0] + node.name[len(self.paths[0]) :],
                    node.op,
                    tuple(moved[ref] for ref in node.inputs),
                    node.settings,
                    node.types,
                    paths[1] + node.weights[len(self.paths[1]) :] if node.weights else "",
                    Origin(node.origin.span, frames + node.origin.frames[self.depth :]),
                ),
                shapes,
            )

    def values(self, paths: Paths, inputs: Sequence[MapValue]) -> list[MapValue]:
        """The results of a copy."""
        moved = self._moved(paths, inputs)
        return [MapValue(moved[ref], of) for ref, of in self.results]

    def _moved(self, paths: Paths, inputs: Sequence[MapValue]) -> dict[Ref, Ref]:
        moved = dict(zip(self.inputs, (value.ref for value in inputs), strict=True))
        for node, _ in self.nodes:
            name = paths[0] + node.name[len(self.paths[0]) :]
            moved.update((ref, Ref(name, ref.port)) for ref in node.refs)
        return moved


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
