"""What changed from one network to another: structure block by block, parameters, MACs, fields of view."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from archdsl.analyses.once import Analyses
from archdsl.ir.diff import BlockDiff, GraphDiff, NodeChange, SettingChange, diff
from archdsl.ir.dims import Solutions
from archdsl.ir.graph import Graph, MapType, Node
from archdsl.ir.text import show_value

_USUAL_SIZE = {"H": 1024, "W": 2048}
"""A Cityscapes image."""

_AXES = {"H": "height", "W": "width"}


@dataclass(frozen=True, slots=True)
class Change:
    """A number before and after; None where a side has none."""

    old: Any
    new: Any

    @property
    def differs(self) -> bool:
        return bool(self.old != self.new)


@dataclass(frozen=True)
class Comparison:
    """Two networks side by side, at an input size that both take; `macs` has no numbers where there is no such size.

    `field_of_view` is (rows, columns) in input pixels per name of either network's body.
    """

    names: Change
    size: Mapping[str, int] | None
    structure: GraphDiff
    params: Change
    params_train: Change
    macs: Change
    size_rules: Mapping[str, Change]
    field_of_view: Mapping[str, Change]

    @property
    def same(self) -> bool:
        """Whether the networks differ in nothing but names."""
        rules = any(rule.differs for rule in self.size_rules.values())
        return self.structure.empty and not rules


def compare(a: Graph, b: Graph, values: Mapping[str, int] | None = None) -> Comparison:
    """What changed from `a` to `b`, MACs at an input size: by default the allowed one nearest to 1024x2048."""
    size = dict(values) if values else _common_size(a, b)
    before, after, structure = Analyses(a, values), Analyses(b, values), diff(a, b)
    return Comparison(
        Change(a.name, b.name),
        size,
        structure,
        Change(before.params, after.params),
        Change(before.params_train, after.params_train),
        Change(before.macs(size), after.macs(size)) if size else Change(None, None),
        {axis: Change(_rule(a, axis), _rule(b, axis)) for axis in _AXES},
        _fields_of_view(before, after, dict(structure.renamed_values)),
    )


def _rule(graph: Graph, axis: str) -> Solutions:
    return dict(graph.size_rules).get(axis, Solutions())


def _common_size(a: Graph, b: Graph) -> dict[str, int] | None:
    nearest = {axis: (_rule(a, axis) & _rule(b, axis)).nearest(n) for axis, n in _USUAL_SIZE.items()}
    size = {axis: n for axis, n in nearest.items() if n is not None}
    return size if len(size) == len(nearest) else None


def _fields_of_view(a: Analyses, b: Analyses, renamed: Mapping[str, str]) -> dict[str, Change]:
    before = {renamed.get(name, name): view for name, view in _views(a)}
    after = dict(_views(b))
    return {name: Change(before.get(name), after.get(name)) for name in dict.fromkeys((*before, *after))}


def _views(of: Analyses) -> Iterator[tuple[str, tuple[int, int]]]:
    return ((name, of.field_of_view(ref)) for name, ref in of.graph.names)


# ----------------------------------------------------------------- as text


def to_lines(comparison: Comparison) -> list[str]:
    """The comparison for people, a line a fact: `+` is new, `-` gone, `~` changed."""
    names = f"{comparison.names.old} → {comparison.names.new}"
    if comparison.same:
        return [f"{names}: the same network", *_renaming_lines(comparison.structure)]
    numbers, values = _number_lines(comparison), _value_lines(comparison)
    return [names, *numbers, *values, *_structure_lines(comparison.structure), *_renaming_lines(comparison.structure)]


def _renaming_lines(structure: GraphDiff) -> Iterator[str]:
    yield from (f"{old} is called {new} now" for old, new in structure.renamed_values)
    if structure.renamed:
        examples = ", ".join(f"{old} → {new}" for old, new in structure.renamed[:2])
        more = ", …" if len(structure.renamed) > 2 else ""
        yield f"nodes renamed: {len(structure.renamed)} ({examples}{more})"


def _number_lines(comparison: Comparison) -> Iterator[str]:
    yield _counted("parameters", comparison.params)
    if comparison.params_train != comparison.params:
        yield _counted("parameters in training", comparison.params_train)
    if comparison.size:
        yield _counted(f"MACs at {comparison.size['H']}x{comparison.size['W']}", comparison.macs)
    for axis, rule in comparison.size_rules.items():
        if rule.differs:
            yield f"{_AXES[axis]} of the input: {rule.old} → {rule.new}"


def _counted(what: str, change: Change) -> str:
    if not change.differs:
        return f"{what}: {change.old:,}, unchanged"
    return f"{what}: {change.old:,} → {change.new:,} ({change.new - change.old:+,})"


def _value_lines(comparison: Comparison) -> Iterator[str]:
    for name, change in comparison.field_of_view.items():
        if change.differs:
            yield f"field of view of {name}: {_extent(change.old)} → {_extent(change.new)}"
    for value in comparison.structure.values:
        if value.old != value.new:
            yield f"shape of {value.name}: {_shape(value.old)} → {_shape(value.new)}"
        elif value.moved:
            yield f"{value.name} is the result of another node"


def _extent(pair: tuple[int, int] | None) -> str:
    if pair is None:
        return "none"
    return f"{pair[0]:,}" if pair[0] == pair[1] else f"{pair[0]:,} in rows and {pair[1]:,} in columns"


def _shape(of: MapType | None) -> str:
    return "none" if of is None else str(of)


def _structure_lines(structure: GraphDiff) -> Iterator[str]:
    for name in structure.outputs:
        yield f"~ output {name}"
    for name in structure.prepared:
        yield f"~ preprocessing of {name}"
    alike: dict[tuple[str, ...], list[str]] = {}
    for block in structure.blocks:
        alike.setdefault(tuple(_block_lines(block)), []).append(block.block or "the network's body")
    for lines, blocks in alike.items():
        yield f"in {', '.join(blocks)}:"
        yield from lines


def _block_lines(block: BlockDiff) -> Iterator[str]:
    yield from (f"  - {_node(node)}" for node in block.removed)
    yield from (f"  + {_node(node)}" for node in block.added)
    yield from (f"  ~ {_last(change.new.name)} {', '.join(_reasons(change))}" for change in block.changed)


def _node(node: Node) -> str:
    return f"{_last(node.name)} {node.op} {', '.join(map(str, node.types))}"


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _reasons(change: NodeChange) -> Iterator[str]:
    if change.op:
        yield f"{change.old.op} → {change.new.op}"
    yield from (f"{s.name} {show_value(s.old)} → {show_value(s.new)}{_where(s)}" for s in change.settings)
    if change.wiring:
        yield f"reads {', '.join(map(str, change.new.inputs))} instead of {', '.join(map(str, change.old.inputs))}"
    if change.weights:
        yield "shares its weights with other nodes than before"


def _where(change: SettingChange) -> str:
    span = change.new_span or change.old_span
    return "" if span is None else f" ({span.path}:{span.line})"


# ----------------------------------------------------------------- as data


def to_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON data: every pair is `[before, after]`, null where a side has none."""
    structure = comparison.structure
    return {
        "version": 1,
        "networks": _pair(comparison.names),
        "same": comparison.same,
        "input": None if comparison.size is None else f"{comparison.size['H']}x{comparison.size['W']}",
        "params": _pair(comparison.params),
        "params_train": _pair(comparison.params_train),
        "macs": _pair(comparison.macs),
        "size_rule": {axis: [str(rule.old), str(rule.new)] for axis, rule in comparison.size_rules.items()},
        "field_of_view": {name: _pair(change) for name, change in comparison.field_of_view.items()},
        "shapes": {value.name: [_shape(value.old), _shape(value.new)] for value in structure.values},
        "outputs": list(structure.outputs),
        "preprocessing": list(structure.prepared),
        "renamed": [list(pair) for pair in structure.renamed],
        "renamed_values": [list(pair) for pair in structure.renamed_values],
        "blocks": [_block_data(block) for block in structure.blocks],
    }


def _pair(change: Change) -> list[Any]:
    return [list(side) if isinstance(side, tuple) else side for side in (change.old, change.new)]


def _block_data(block: BlockDiff) -> dict[str, Any]:
    return {
        "block": block.block,
        "added": [node.name for node in block.added],
        "removed": [node.name for node in block.removed],
        "changed": [_change_data(change) for change in block.changed],
    }


def _change_data(change: NodeChange) -> dict[str, Any]:
    return {
        "node": [change.old.name, change.new.name],
        "op": [change.old.op, change.new.op],
        "settings": {s.name: _setting_data(s) for s in change.settings},
        "wiring": change.wiring,
        "weights": change.weights,
    }


def _setting_data(change: SettingChange) -> dict[str, Any]:
    places = [
        None if span is None else {"path": span.path, "line": span.line, "column": span.column}
        for span in (change.old_span, change.new_span)
    ]
    return {"values": [show_value(change.old), show_value(change.new)], "places": places}
