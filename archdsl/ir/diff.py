"""What changed between two graphs, node by node.

Nodes are matched by their path in the text first; what is left over, and does the same to the same values, counts as
renamed. A matched node changed when its op, a setting, what it reads, or whose weights it uses did.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from archdsl.diagnostics import Span
from archdsl.diagnostics.place import place
from archdsl.ir.graph import Graph, MapType, Node, Ref
from archdsl.ir.text import show_value


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A setting with its value before and after, None where the op had no such setting; spans where they are known."""

    name: str
    old: Any
    new: Any
    old_span: Span | None = None
    new_span: Span | None = None


@dataclass(frozen=True, slots=True)
class NodeChange:
    """One node on both sides; `wiring` when it reads other values, `weights` when it shares them with others now."""

    old: Node
    new: Node
    settings: tuple[SettingChange, ...] = ()
    wiring: bool = False
    weights: bool = False

    @property
    def op(self) -> bool:
        """Whether another op stands there now."""
        return self.old.op != self.new.op

    @property
    def changed(self) -> bool:
        return bool(self.op or self.settings or self.wiring or self.weights)


@dataclass(frozen=True, slots=True)
class BlockDiff:
    """The changes of the nodes of one block: those whose names agree up to the last dot."""

    block: str
    added: tuple[Node, ...]
    removed: tuple[Node, ...]
    changed: tuple[NodeChange, ...]


@dataclass(frozen=True, slots=True)
class ValueChange:
    """A name of the network's body: its type before and after, None where it has none; `moved` when it means another value."""

    name: str
    old: MapType | None
    new: MapType | None
    moved: bool


@dataclass(frozen=True)
class GraphDiff:
    """What differs from one graph to another; `renamed` holds names before and after of nodes that are otherwise matched."""

    added: tuple[Node, ...]
    removed: tuple[Node, ...]
    changed: tuple[NodeChange, ...]
    renamed: tuple[tuple[str, str], ...]
    values: tuple[ValueChange, ...]
    outputs: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether the graphs are the same but for names of nodes."""
        return not (self.added or self.removed or self.changed or self.values or self.outputs)

    @cached_property
    def blocks(self) -> tuple[BlockDiff, ...]:
        """The changes block by block, in the order of the graphs."""
        changed = {id(c.new): c for c in self.changed}
        names = dict.fromkeys(block_of(n.name) for n in (*self.removed, *self.added, *(c.new for c in self.changed)))
        return tuple(
            BlockDiff(
                name,
                tuple(n for n in self.added if block_of(n.name) == name),
                tuple(n for n in self.removed if block_of(n.name) == name),
                tuple(c for c in changed.values() if block_of(c.new.name) == name),
            )
            for name in sorted(names)
        )


def block_of(name: str) -> str:
    """The block that a node stands in: its name up to the last dot, empty for one of the network's own."""
    return name.rpartition(".")[0]


def diff(a: Graph, b: Graph) -> GraphDiff:
    """What changed from graph `a` to graph `b`."""
    matched = _Matching(a, b).matched
    back = {new: old for old, new in matched.items()}
    changes = (_change(a, b, node, b.by_name[matched[node.name]], matched) for node in a.nodes if node.name in matched)
    return GraphDiff(
        tuple(node for node in b.nodes if node.name not in back),
        tuple(node for node in a.nodes if node.name not in matched),
        tuple(change for change in changes if change.changed),
        tuple((old, new) for old, new in matched.items() if old != new),
        tuple(_values(a, b, matched)),
        tuple(_outputs(a, b, matched)),
    )


class _Matching:
    """Pairs of node names, from the first graph to the second."""

    def __init__(self, a: Graph, b: Graph) -> None:
        self.matched = {name: name for name in a.by_name if name in b.by_name}
        self._taken = set(self.matched.values())
        self._follow(a, b, with_settings=True)
        self._follow(a, b, with_settings=False)

    def _follow(self, a: Graph, b: Graph, *, with_settings: bool) -> None:
        """Matches nodes that do the same to matched values; in topological order, so that chains follow one another."""
        free: dict[Any, list[str]] = {}
        for node in b.nodes:
            if node.name not in self._taken:
                free.setdefault(_deed(node, node.inputs, with_settings), []).append(node.name)
        for node in a.nodes:
            candidates = free.get(_deed(node, _mapped(node.inputs, self.matched), with_settings), [])
            if node.name not in self.matched and candidates:
                self.matched[node.name] = candidates.pop(0)
                self._taken.add(self.matched[node.name])


def _mapped(refs: Iterable[Ref], matched: Mapping[str, str]) -> tuple[Ref | None, ...]:
    return tuple(Ref(matched[r.node], r.port) if r.node in matched else None for r in refs)


def _deed(node: Node, inputs: Iterable[Ref | None], with_settings: bool) -> Any:
    settings = tuple((n, show_value(v)) for n, v in node.settings) if with_settings else ()
    return node.op, settings, tuple(inputs)


# ----------------------------------------------------------------- what changed in a pair


def _change(a: Graph, b: Graph, old: Node, new: Node, matched: Mapping[str, str]) -> NodeChange:
    return NodeChange(
        old,
        new,
        tuple(_settings(old, new)),
        _mapped(old.inputs, matched) != new.inputs,
        {matched.get(name, "") for name in _sharers(a)[old.name]} != _sharers(b)[new.name],
    )


def _settings(old: Node, new: Node) -> Iterator[SettingChange]:
    before, after = dict(old.settings), dict(new.settings)
    for name in dict.fromkeys((*before, *after)):
        one, other = before.get(name), after.get(name)
        if show_value(one) != show_value(other):
            yield SettingChange(name, one, other, _span(old, one), _span(new, other))


def _span(node: Node, value: Any) -> Span | None:
    """Where a value was written, or else the node."""
    for item in value if isinstance(value, tuple) else (value,):
        if isinstance(span := getattr(item, "span", None), Span):
            return span
    if node.origin is None:
        return None
    return place(node.origin.frames).span if node.origin.frames else node.origin.span


def _sharers(graph: Graph) -> Mapping[str, frozenset[str]]:
    """Per node, the names of all nodes that use its weights."""
    users: dict[str, list[str]] = {}
    for node in graph.nodes:
        users.setdefault(node.weights or f" {node.name}", []).append(node.name)
    return {name: frozenset(names) for names in users.values() for name in names}


def _values(a: Graph, b: Graph, matched: Mapping[str, str]) -> Iterator[ValueChange]:
    before, after = dict(a.names), dict(b.names)
    for name in dict.fromkeys((*before, *after)):
        old = a.type_of(before[name]) if name in before else None
        new = b.type_of(after[name]) if name in after else None
        moved = name in before and name in after and _mapped([before[name]], matched) != (after[name],)
        if old != new or moved:
            yield ValueChange(name, old, new, moved)


def _outputs(a: Graph, b: Graph, matched: Mapping[str, str]) -> Iterator[str]:
    """The names of outputs that are new, gone, or another value."""
    before = {(out.name, out.aux): _mapped([out.value], matched)[0] for out in a.outputs}
    after = {(out.name, out.aux): out.value for out in b.outputs}
    keys = dict.fromkeys((*before, *after))
    yield from dict.fromkeys(name for name, aux in keys if before.get((name, aux)) != after.get((name, aux)))
