"""The parts of a network that its reader thinks in: a block applied once, an element of a chain, a lone op."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from archdsl.ir.access import TransposedWindow, Window
from archdsl.ir.graph import Graph, MapType, Node, Ref
from archdsl.ir.op import OPS, call_of


@dataclass(frozen=True)
class Unit:
    """Nodes that share the path `name`.

    `depth` counts the block calls around them, the network's own body included, and `kind` is the block or op that they
    are, in the words of the text.
    """

    graph: Graph = field(repr=False, compare=False)
    name: str
    nodes: tuple[Node, ...]
    depth: int = 1

    @cached_property
    def kind(self) -> str:
        """The block or op that the unit is."""
        if self.block is not None:
            return self.block
        if len(self.nodes) == 1:
            return self.nodes[0].op
        return self.name.rpartition(".")[2].rstrip("0123456789") or self.name

    @cached_property
    def is_block(self) -> bool:
        """Whether this is a block of the text rather than an op."""
        return len(self.nodes) > 1 or self.block is not None

    @cached_property
    def block(self) -> str | None:
        """The block whose one call the nodes come from; None where they come from several, or from none."""
        if all(_is_indexed(self.name, node.name) for node in self.nodes):
            return None  # a shared chain: its elements are calls of their own at one place
        calls = {_call(node, self.depth) for node in self.nodes}
        call = calls.pop() if len(calls) == 1 else None
        return None if call is None else call[0]

    @cached_property
    def reads(self) -> tuple[Ref, ...]:
        """The values that the unit reads from outside for what they hold, not for their size alone."""
        own = {node.name for node in self.nodes}
        return tuple(dict.fromkeys(r for node in self.nodes for r in contents_read(node) if r.node not in own))

    @cached_property
    def results(self) -> tuple[Ref, ...]:
        """The values that others read, or that are outputs; the last node's where nobody does."""
        own = {node.name for node in self.nodes}
        outputs = {out.value for out in self.graph.outputs}
        found = [
            ref
            for node in self.nodes
            for ref in node.refs
            if ref in outputs or any(user.name not in own for user in self.graph.users.get(ref, ()))
        ]
        return tuple(found) or self.nodes[-1].refs[:1]

    @property
    def result(self) -> Ref:
        """The last of the results, which stands for the unit."""
        return self.results[-1]

    @cached_property
    def type(self) -> MapType:
        """The type of the result."""
        return self.graph.type_of(self.result)

    @cached_property
    def rates(self) -> tuple[int, ...]:
        """The different rates of the ops with several taps, in the order of the text."""
        return tuple(dict.fromkeys(rate for node in self.nodes for rate in _rates(self.graph, node)))

    @cached_property
    def signature(self) -> Any:
        """What two units have in common that do the same work on maps of the same size."""
        return self.kind, _structure(self)


def contents_read(node: Node) -> tuple[Ref, ...]:
    """The operands of a node whose values count; a `like` operand gives its size alone."""
    declared = [name.strip("[]*") for name in OPS[node.op].inputs]
    return tuple(r for i, r in enumerate(node.inputs) if declared[min(i, len(declared) - 1)] != "like")


def units(graph: Graph, nodes: Iterable[Node] | None = None) -> tuple[Unit, ...]:
    """The units of a network's own body, in the graph's order; of some of its nodes where those are given."""
    groups: dict[str, list[Node]] = {}
    for node in graph.nodes if nodes is None else nodes:
        groups.setdefault(_outermost(node.name), []).append(node)
    return tuple(Unit(graph, name, tuple(group)) for name, group in groups.items())


def expand(unit: Unit) -> tuple[Unit, ...]:
    """The units inside a unit; the unit itself where there is nothing inside."""
    if len(unit.nodes) == 1:
        return (unit,)
    depth = unit.depth + (unit.block is not None)
    groups: dict[str, list[Node]] = {}
    for node in unit.nodes:
        groups.setdefault(_next_name(unit.name, node.name), []).append(node)
    return tuple(Unit(unit.graph, name, tuple(group), depth) for name, group in groups.items())


def _outermost(name: str) -> str:
    """The binding and what it applies: `s16.3` of `s16.3.conv1`."""
    return ".".join(name.split(".")[:2])


def _next_name(prefix: str, name: str) -> str:
    """One step further into a path, with the index where the step is into a list."""
    parts = name[len(prefix) + 1 :].split(".")
    taken = 2 if len(parts) > 1 and parts[1].isdecimal() else 1
    return f"{prefix}." + ".".join(parts[:taken])


def _is_indexed(prefix: str, name: str) -> bool:
    return name[len(prefix) + 1 :].split(".")[0].isdecimal()


def _call(node: Node, depth: int) -> tuple[str, str, int, int] | None:
    frames = () if node.origin is None else node.origin.frames
    if len(frames) <= depth:
        return None
    caller = frames[depth - 1].span
    return frames[depth].block, caller.path, caller.start, caller.end


def _rates(graph: Graph, node: Node) -> tuple[int, ...]:
    if not node.inputs or not _has_rate(node):
        return ()
    call = call_of(node.settings, graph.input_types(node))
    reads = [OPS[node.op].access(call, axis)[0] for axis in (0, 1)]
    windows = [r for r in reads if isinstance(r, Window | TransposedWindow) and r.kernel > 1]
    return tuple(dict.fromkeys(w.dilation for w in windows))


def _has_rate(node: Node) -> bool:
    return any(name == "dilation" for name, _ in node.settings)


def _structure(unit: Unit) -> tuple[Any, ...]:
    order: Mapping[str, int] = {node.name: i for i, node in enumerate(unit.nodes)}
    return tuple(
        (
            node.op,
            node.settings,
            node.types,
            tuple((order.get(ref.node, -1), ref.port) for ref in node.inputs),
        )
        for node in unit.nodes
    )
