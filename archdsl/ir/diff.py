"""What changed between two graphs, node by node.

Nodes are matched by their path in the text first; what is left over, and does the same to the same values, counts as
renamed. A matched node changed when its op, a setting, what it reads, or whose weights it uses did.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from archdsl.diagnostics import Span
from archdsl.diagnostics.place import place
from archdsl.ir.graph import Graph, MapType, Node, Ref
from archdsl.ir.text import show_value

_T = TypeVar("_T")
_K = TypeVar("_K")


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
    """A name of the network's body: its type before and after, None where there is none.

    `moved` when it means the result of another node.
    """

    name: str
    old: MapType | None
    new: MapType | None
    moved: bool


@dataclass(frozen=True)
class GraphDiff:
    """What differs from one graph to another.

    `renamed` and `renamed_values` hold pairs of names, of nodes and of the body's values, that stand for the same;
    `outputs` and `prepared` the names of outputs and of inputs' preprocessing that are new, gone or different.
    """

    added: tuple[Node, ...]
    removed: tuple[Node, ...]
    changed: tuple[NodeChange, ...]
    renamed: tuple[tuple[str, str], ...]
    renamed_values: tuple[tuple[str, str], ...]
    values: tuple[ValueChange, ...]
    outputs: tuple[str, ...]
    prepared: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether the graphs differ in nothing but names."""
        return not (self.added or self.removed or self.changed or self.values or self.outputs or self.prepared)

    @cached_property
    def blocks(self) -> tuple[BlockDiff, ...]:
        """The changes block by block, by name."""
        added, removed = _grouped(self.added, _name), _grouped(self.removed, _name)
        changed = _grouped(self.changed, lambda change: change.new.name)
        return tuple(
            BlockDiff(name, tuple(added[name]), tuple(removed[name]), tuple(changed[name]))
            for name in sorted({*added, *removed, *changed}, key=_by_number)
        )


def _name(node: Node) -> str:
    return node.name


def _grouped(items: Iterable[_T], name: Callable[[_T], str]) -> defaultdict[str, list[_T]]:
    groups: defaultdict[str, list[_T]] = defaultdict(list)
    for item in items:
        groups[block_of(name(item))].append(item)
    return groups


def _by_number(name: str) -> list[tuple[int, str]]:
    """Orders `s16.2` before `s16.10`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in name.split(".")]


def block_of(name: str) -> str:
    """The block that a node stands in: its name up to the last dot, empty for one of the network's own."""
    return name.rpartition(".")[0]


def diff(a: Graph, b: Graph) -> GraphDiff:
    """What changed from graph `a` to graph `b`."""
    matched = _Matching(a, b).matched
    back = set(matched.values())
    renamed_values = dict(_renamed_values(a, b, matched))
    return GraphDiff(
        tuple(node for node in b.nodes if node.name not in back),
        tuple(node for node in a.nodes if node.name not in matched),
        tuple(change for change in _changes(a, b, matched) if change.changed),
        tuple((old, new) for old, new in matched.items() if old != new),
        tuple(renamed_values.items()),
        tuple(_values(a, b, matched, renamed_values)),
        tuple(_outputs(a, b, matched)),
        _differing({matched.get(n, n): how for n, how in a.preprocessing}, dict(b.preprocessing)),
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


def _changes(a: Graph, b: Graph, matched: Mapping[str, str]) -> Iterator[NodeChange]:
    before, after = _sharers(a), _sharers(b)
    for old in a.nodes:
        if old.name in matched:
            new = b.by_name[matched[old.name]]
            wiring = _mapped(old.inputs, matched) != new.inputs
            weights = {matched.get(name, "") for name in before[old.name]} != after[new.name]
            yield NodeChange(old, new, tuple(_settings(old, new)), wiring, weights)


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


def _renamed_values(a: Graph, b: Graph, matched: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Names of the first body that the second lacks, each with a new name for the same value."""
    before, after = dict(a.names), dict(b.names)
    fresh = {ref: name for name, ref in b.names if name not in before}
    for name, ref in a.names:
        (here,) = _mapped([ref], matched)
        if name not in after and here in fresh:
            yield name, fresh.pop(here)


def _values(a: Graph, b: Graph, matched: Mapping[str, str], renamed: Mapping[str, str]) -> Iterator[ValueChange]:
    before, after = {renamed.get(name, name): ref for name, ref in a.names}, dict(b.names)
    for name in dict.fromkeys((*before, *after)):
        old = a.type_of(before[name]) if name in before else None
        new = b.type_of(after[name]) if name in after else None
        moved = name in before and name in after and _mapped([before[name]], matched) != (after[name],)
        if old != new or moved:
            yield ValueChange(name, old, new, moved)


def _outputs(a: Graph, b: Graph, matched: Mapping[str, str]) -> Iterator[str]:
    """The names of outputs that are new, gone, or another value."""
    before = {(out.name, out.aux): _mapped([out.value], matched) for out in a.outputs}
    after = {(out.name, out.aux): (out.value,) for out in b.outputs}
    yield from dict.fromkeys(name for name, _ in _differing(before, after))


def _differing(before: Mapping[_K, object], after: Mapping[_K, object]) -> tuple[_K, ...]:
    """The keys that one side lacks, or that have another value there."""
    return tuple(
        key
        for key in dict.fromkeys((*before, *after))
        if key not in before or key not in after or before[key] != after[key]
    )
