"""The graph: frozen data, no torch, no callables. Nodes in topological order, each naming the values it reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Literal, NamedTuple

from archdsl.diagnostics import Frame, Span
from archdsl.ir.dims import Size, Solutions, value_at

Setting = int | float | bool | str | None | Fraction | tuple["Setting", ...] | Size


class Ref(NamedTuple):
    """One result of a node: its name and the number of the result."""

    node: str
    port: int = 0

    def __str__(self) -> str:
        return self.node if self.port == 0 else f"{self.node}:{self.port}"


@dataclass(frozen=True, slots=True)
class MapType:
    """A feature map [channels, height, width], or the indices that a max pool returns beside one."""

    channels: int
    height: Size
    width: Size
    kind: Literal["map", "indices"] = "map"

    @property
    def shape(self) -> tuple[int, Size, Size]:
        return self.channels, self.height, self.width

    def at(self, values: Mapping[str, int]) -> MapType:
        """The same with its symbols given values."""
        return MapType(self.channels, value_at(self.height, values), value_at(self.width, values), self.kind)

    def __str__(self) -> str:
        return f"[{self.channels}, {self.height}, {self.width}]"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a node was written, and the block calls that led there, outermost first."""

    span: Span
    frames: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """One op applied once.

    `weights` is the path of its weights in a state dict; two nodes with the same path share them. `settings` holds
    every setting of the op, defaults included, in the order the op declares them.
    """

    name: str
    op: str
    inputs: tuple[Ref, ...]
    settings: tuple[tuple[str, Setting], ...]
    types: tuple[MapType, ...]
    weights: str = ""
    origin: Origin | None = field(default=None, compare=False)
    refs: tuple[Ref, ...] = field(init=False, compare=False, repr=False)
    """Its results: asked for by everything that walks a graph, many times over."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "refs", tuple([Ref(self.name, port) for port in range(len(self.types))]))

    def __getitem__(self, setting: str) -> Setting:
        for name, value in self.settings:
            if name == setting:
                return value
        raise KeyError(setting)


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """What nodes have in common that differ in name and place only: equal ones of a graph are one object."""

    op: str
    settings: tuple[tuple[str, Setting], ...]
    inputs: tuple[MapType, ...]
    types: tuple[MapType, ...]


@dataclass(frozen=True, slots=True)
class Output:
    name: str
    value: Ref
    aux: bool = False


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How an image becomes the input: channel order, and (value · scale - mean) / std per channel."""

    order: Literal["rgb", "bgr"] = "rgb"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    scale: float = 1 / 255


@dataclass(frozen=True)
class Graph:
    """A network: nodes (inputs are nodes of op `input`), outputs, and the names its text gave to values.

    `names` maps each name bound in the network's body to the value it meant last. `size_rules` says per symbol of the
    input's size what it may be.
    """

    name: str
    nodes: tuple[Node, ...]
    outputs: tuple[Output, ...]
    names: tuple[tuple[str, Ref], ...] = ()
    preprocessing: tuple[tuple[str, Preprocessing], ...] = ()
    size_rules: tuple[tuple[str, Solutions], ...] = ()

    @cached_property
    def by_name(self) -> Mapping[str, Node]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def inputs(self) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.op == "input")

    @cached_property
    def kinds(self) -> tuple[Kind, ...]:
        """The kind of every node: rules that look at no more than that need be asked once for each."""
        known: dict[tuple[object, ...], Kind] = {}
        by_value: dict[tuple[object, ...], Kind] = {}
        found = []
        for node in self.nodes:
            inputs = self.input_types(node)
            key = (node.op, id(node.settings), id(node.types), *map(id, inputs))
            kind = known.get(key)
            if kind is None:
                parts = (node.op, node.settings, inputs, node.types)
                kind = known[key] = by_value.setdefault(parts, Kind(*parts))
            found.append(kind)
        return tuple(found)

    def kind_of(self, node: Node) -> Kind:
        """The kind of one node."""
        return self._kind_by_name[node.name]

    @cached_property
    def _kind_by_name(self) -> Mapping[str, Kind]:
        return {node.name: kind for node, kind in zip(self.nodes, self.kinds, strict=True)}

    @cached_property
    def users(self) -> Mapping[Ref, tuple[Node, ...]]:
        """The nodes that read each value, in order."""
        found: dict[Ref, list[Node]] = {}
        for node in self.nodes:
            for ref in dict.fromkeys(node.inputs):
                found.setdefault(ref, []).append(node)
        return {ref: tuple(nodes) for ref, nodes in found.items()}

    def type_of(self, ref: Ref) -> MapType:
        return self.by_name[ref.node].types[ref.port]

    def input_types(self, node: Node) -> tuple[MapType, ...]:
        by_name = self.by_name
        return tuple([by_name[name].types[port] for name, port in node.inputs])

    def reaching(self, *refs: Ref) -> set[str]:
        """The names of the nodes that the given values are computed from, their own nodes included."""
        wanted = {ref.node for ref in refs}
        for node in reversed(self.nodes):
            if node.name in wanted:
                wanted.update(ref.node for ref in node.inputs)
        return wanted

    @cached_property
    def _needed(self) -> tuple[Node, ...]:
        needed = self.reaching(*(out.value for out in self.outputs if not out.aux))
        if len(needed) == len(self.nodes):
            return self.nodes
        return tuple(node for node in self.nodes if node.name in needed or node.op == "input")

    def for_inference(self) -> Iterator[Node]:
        """The nodes that the outputs need; those of auxiliary outputs alone are left out."""
        return iter(self._needed)
