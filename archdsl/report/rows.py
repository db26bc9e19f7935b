"""A network as rows: one per line of its own text, and one for each part that a line applies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING

from archdsl.analyses.bound import Bounds, bounds
from archdsl.analyses.cost import CostReport, cost
from archdsl.analyses.floor import Floor, Limit, NodeFloor, floor
from archdsl.analyses.hardware import Hardware
from archdsl.analyses.reach import ReachResult, reach_both
from archdsl.checking import FACTS_SIZE, nearest_size
from archdsl.diagnostics import Source
from archdsl.elaborate.network import Elaboration
from archdsl.ir.graph import Graph, MapType, Node, Ref
from archdsl.lang import tree as t
from archdsl.report.measured import timed_rows
from archdsl.report.units import Unit, units

if TYPE_CHECKING:
    from archdsl.runtime.bench.measured import Measured


@dataclass(frozen=True, slots=True)
class View:
    """A field of view in input pixels, rows and columns, with the marks of the value that has it."""

    y: int
    x: int
    context: bool
    nominal: bool


@dataclass(frozen=True, slots=True)
class Headroom:
    """The least room that dilation bounds leave: None without several taps; `unknown` after one was broken."""

    least: int | None = None
    unknown: bool = False


@dataclass(frozen=True)
class Row:
    """A line of the network's text, or one part of it.

    `line` is 0 where there is no text, and `names` are the values that the line binds. `text` is the line, or what the
    part is, and `label` the path of a part. `view` and `type` are those of the value that comes out last. Equal parts
    that follow one another are one part, with the numbers added up and the single ones as its own `parts`.
    `seconds` is the floor on a machine, `took` what was measured. `training_only` marks what only auxiliary outputs
    need, which costs nothing at inference.
    """

    line: int
    text: str
    names: tuple[str, ...]
    label: str
    nodes: tuple[str, ...]
    type: MapType
    view: View
    headroom: Headroom
    params: int = 0
    macs: int = 0
    moved: int = 0
    seconds: float | None = None
    limit: Limit = "nothing"
    training_only: bool = False
    parts: tuple[Row, ...] = ()
    took: float | None = None


@dataclass(frozen=True)
class NetworkRows:
    """The rows of a network at an input size, with what they add up to."""

    graph: Graph
    source: Source | None
    values: Mapping[str, int]
    sized: bool
    """Whether the input's size was asked for, and not only assumed for the costs."""
    rows: tuple[Row, ...]
    cost: CostReport
    floor: Floor | None = None
    budget: float | None = None
    """Seconds that the network may take."""
    measured: Measured | None = None

    @cached_property
    def seconds(self) -> float | None:
        """The sum of all rows' floors: every node on its own."""
        return None if self.floor is None else self.floor.op_by_op

    def share(self, row: Row) -> float | None:
        """The part of the budget that a row's floor takes, or of the whole floor where no budget is given."""
        whole = self.budget or self.seconds
        return None if row.seconds is None or not whole else row.seconds / whole


def network_rows(
    network: Elaboration,
    *,
    values: Mapping[str, int] | None = None,
    hardware: Hardware | None = None,
    dtype: str = "float32",
    budget: float | None = None,
    measured: Measured | None = None,
) -> NetworkRows:
    """The rows of an elaborated network.

    `values` is the input's size, {"H": 1024, "W": 2048}; without one, costs are those at the allowed size next to that
    of a Cityscapes image, and fields of view that hang on the size are nominal.
    With `hardware` each row has its floor in time, held against a `budget` in seconds; with `measured` what it took.
    Raises ValueError where the network has no graph, or the hardware no rate for the dtype.
    """
    graph = network.graph
    if graph is None:
        raise ValueError(f"{network.name} has errors and no graph")
    at = values or nearest_size(graph, FACTS_SIZE)
    least = None if hardware is None else floor(graph, at, hardware, dtype)
    inputs = _input_lines(network)
    pieces = [piece for unit in units(graph) for piece in _by_line(unit)]
    facts = _Facts(graph, pieces, values, cost(graph, at, dtype), least)
    rows = tuple(_lines(facts, pieces, inputs))
    rows = rows if measured is None else timed_rows(rows, measured)
    source = None if network.definition is None else network.definition.file.source
    return NetworkRows(graph, source, at, values is not None, rows, facts.cost, facts.floor, budget, measured)


def _input_lines(network: Elaboration) -> dict[str, t.Input]:
    """Inputs stand in the text without leaving a trace in the graph's nodes."""
    statements = () if network.definition is None else network.definition.tree.body.statements
    return {s.name.text: s for s in statements if isinstance(s, t.Input)}


class _Facts:
    """What the analyses say of a network, asked for part by part."""

    def __init__(
        self,
        graph: Graph,
        pieces: Iterable[Unit],
        values: Mapping[str, int] | None,
        cost: CostReport,
        floor: Floor | None,
    ) -> None:
        self.graph, self.cost, self.floor = graph, cost, floor
        self._reach = reach_both(graph, values=values, wanted=[piece.result for piece in pieces])
        self._bounds = bounds(graph, values)
        self._floors = {} if floor is None else {row.name: row for row in floor.rows}

    def row(self, line: int, text: str, label: str, nodes: Iterable[Node], result: Ref) -> Row:
        """A row without names and parts."""
        names = tuple(node.name for node in nodes)
        costs = [self.cost.by_name[name] for name in names if name in self.cost.by_name]
        floors = [self._floors[name] for name in names if name in self._floors]
        return Row(
            line,
            text,
            (),
            label,
            names,
            self.graph.type_of(result),
            _view(self._reach, result),
            _headroom(self._bounds, names),
            sum(c.params for c in costs),
            sum(c.macs for c in costs),
            sum(c.moved for c in costs),
            None if self.floor is None else sum(f.seconds for f in floors),
            _limit(floors),
            training_only=not costs,
        )


def _view(reach: tuple[ReachResult, ReachResult], ref: Ref) -> View:
    y, x = (axis.footprint(ref) for axis in reach)
    return View(y.extent, x.extent, y.context or x.context, y.nominal or x.nominal)


def _headroom(found: Bounds, names: Iterable[str]) -> Headroom:
    facts = [fact for name in names for fact in found.facts.get(name, ()) if fact is not None]
    known = [fact.headroom for fact in facts if fact.headroom is not None]
    return Headroom(min(known, default=None), any(fact.headroom is None for fact in facts))


def _limit(floors: Iterable[NodeFloor]) -> Limit:
    """What most of the time goes to."""
    spent: Counter[Limit] = Counter()
    for row in floors:
        spent[row.limit] += row.seconds  # type: ignore[assignment]  # a Counter adds floats as well
    return max(spent, key=lambda limit: spent[limit], default="nothing")


# ----------------------------------------------------------------- lines


def _lines(facts: _Facts, pieces: Iterable[Unit], inputs: Mapping[str, t.Input]) -> Iterator[Row]:
    """One row per line, in the order of the text; parts without a text come in the graph's order, each its own row."""
    places: dict[tuple[int, str], list[Unit]] = {}
    for unit in pieces:
        line = _line(unit.nodes[0], inputs)
        places.setdefault((line, "" if line else unit.name), []).append(unit)
    for (line, _), group in sorted(places.items(), key=lambda item: item[0][0]):
        yield _line_row(facts, line, group, inputs)


def _by_line(unit: Unit) -> Iterator[Unit]:
    """A unit cut where its nodes stand on several lines, as the rounds of a loop may make it."""
    groups: dict[int, list[Node]] = {}
    for node in unit.nodes:
        groups.setdefault(_line(node, {}), []).append(node)
    for group in groups.values():
        yield replace(unit, nodes=tuple(group))


def _line(node: Node, inputs: Mapping[str, t.Input]) -> int:
    if node.name in inputs:
        return inputs[node.name].span.line
    if node.origin is None:
        return 0
    return (node.origin.frames[0].span if node.origin.frames else node.origin.span).line


def _line_row(facts: _Facts, line: int, group: list[Unit], inputs: Mapping[str, t.Input]) -> Row:
    last = group[-1]
    nodes = [node for unit in group for node in unit.nodes]
    row = facts.row(line, _text(last, line, inputs), last.name, nodes, last.result)
    parts = tuple(_parts(facts, line, group)) if _worth_parts(group) else ()
    return replace(row, names=_names(facts.graph, group), parts=parts)


def _text(unit: Unit, line: int, inputs: Mapping[str, t.Input]) -> str:
    node = unit.nodes[0]
    if not line:
        return describe(unit)
    source = inputs[node.name].span.source if node.name in inputs else _source(node)
    return source.line_text(line).strip()


def _source(node: Node) -> Source:
    assert node.origin is not None
    return (node.origin.frames[0].span if node.origin.frames else node.origin.span).source


def _names(graph: Graph, group: list[Unit]) -> tuple[str, ...]:
    """The bindings that the line's paths begin with, and other names of its last values."""
    own = {node.name for unit in group for node in unit.nodes}
    bound = [unit.name.split(".")[0] for unit in group]
    return tuple(dict.fromkeys([*bound, *(name for name, ref in graph.names if ref.node in own)]))


def _worth_parts(group: list[Unit]) -> bool:
    """A line of plain ops reads well on its own; one that applies blocks or a chain is told part by part."""
    chained = any(unit.name.rpartition(".")[2].isdecimal() for unit in group)
    return len(group) > 1 and (chained or any(unit.is_block for unit in group))


def _parts(facts: _Facts, line: int, group: list[Unit]) -> Iterator[Row]:
    for _, run in groupby(group, key=lambda unit: unit.signature):
        same = list(run)
        rows = [facts.row(line, describe(unit), unit.name, unit.nodes, unit.result) for unit in same]
        yield _folded(rows) if len(rows) > 1 else rows[0]


def _folded(rows: list[Row]) -> Row:
    """One row for equal parts that follow one another."""
    known = [row.headroom.least for row in rows if row.headroom.least is not None]
    headroom = Headroom(min(known, default=None), any(row.headroom.unknown for row in rows))
    return replace(
        rows[-1],
        label=f"{rows[0].label} … {rows[-1].label}",
        nodes=tuple(name for row in rows for name in row.nodes),
        headroom=headroom,
        params=sum(row.params for row in rows),
        macs=sum(row.macs for row in rows),
        moved=sum(row.moved for row in rows),
        seconds=None if rows[0].seconds is None else sum(row.seconds or 0.0 for row in rows),
        parts=tuple(rows),
    )


def describe(unit: Unit) -> str:
    """What a part is in a few words: `DBlock rates 1, 14`, `conv 3×3`."""
    words = [unit.kind]
    if len(unit.nodes) == 1:
        words += _kernel(unit.nodes[0])
    if unit.rates and max(unit.rates) > 1:
        words.append(("rates " if len(unit.rates) > 1 else "rate ") + ", ".join(map(str, unit.rates)))
    return " ".join(words)


def _kernel(node: Node) -> list[str]:
    for name, value in node.settings:
        if name == "kernel" and isinstance(value, tuple):
            return ["×".join(map(str, value))]
    return []
