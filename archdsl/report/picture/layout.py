"""Where the boxes of a picture stand: columns from left to right by who reads whom, lanes by resolution.

Each lane is one or more rows. A box, or the long part of a wire, has its stretch of a row to itself, so that no wire
ever crosses a box: wires change rows only between columns, or straight up or down where nothing stands between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count

from archdsl.ir.graph import Ref
from archdsl.report.picture.boxes import Box, Diagram

_SHORT_BRANCH = 3
"""A branch of at most so many boxes stands beside what it leads to; a longer one beside where it comes from."""


@dataclass(frozen=True, order=True, slots=True)
class Row:
    """A row of the picture: the number of its lane from the top, and its place in the lane; 0 is the main row."""

    lane: int
    track: int


@dataclass(frozen=True)
class Net:
    """A value, the box it comes from, and the boxes that read it. `row` is where it runs past columns, if it does."""

    value: Ref
    source: str
    targets: tuple[str, ...]
    row: Row | None = None


Upright = tuple[str, str]
"""A wire straight up or down, by the names of the boxes at its ends: they stand in one column."""


@dataclass(frozen=True)
class Layout:
    """Columns and rows of boxes by name, the nets with their rows, the upright wires, and the lanes from the top."""

    diagram: Diagram
    columns: Mapping[str, int]
    rows: Mapping[str, Row]
    nets: tuple[Net, ...]
    uprights: frozenset[Upright]
    lanes: tuple[Fraction, ...]

    @property
    def width(self) -> int:
        """How many columns there are."""
        return max(self.columns.values(), default=-1) + 1


def arrange(diagram: Diagram) -> Layout:
    """A place for every box and every long wire.

    A wire to another lane is upright where nothing stands in its way; which are is found by trying all, and giving up
    those that are blocked.
    """
    by_name = diagram.by_name
    uprights = {(w.source, w.target) for w in diagram.wires if by_name[w.source].lane != by_name[w.target].lane}
    lanes = tuple(sorted({box.lane for box in diagram.boxes}, reverse=True))
    while True:
        columns = _columns(diagram, uprights)
        floor = _Floor(columns)
        floor.furnish(diagram, lanes)
        blocked = set(_blocked(floor, uprights))
        if not blocked:
            break
        uprights -= blocked
    kept = frozenset(w for w in uprights if columns[w[0]] == columns[w[1]])
    return Layout(diagram, columns, floor.rows, tuple(_laid(diagram, floor)), kept, lanes)


def _laid(diagram: Diagram, floor: _Floor) -> Iterator[Net]:
    """The nets, the shortest of the long ones laid first."""
    nets = _nets(diagram)
    spans = {net.value: _span(net, floor.columns) for net in nets}
    long = sorted((n for n in nets if spans[n.value]), key=lambda n: (len(spans[n.value]), floor.columns[n.source]))
    rows = {net.value: floor.lay(net, spans[net.value]) for net in long}
    return (Net(n.value, n.source, n.targets, rows.get(n.value)) for n in nets)


def _blocked(floor: _Floor, uprights: set[Upright]) -> Iterator[Upright]:
    """The upright wires that meet a box on their way, or end on the same side of a box as another."""
    ends: set[tuple[str, bool]] = set()
    inside: dict[int, list[Row]] = {}
    for name, column in floor.columns.items():
        inside.setdefault(column, []).append(floor.rows[name])
    for source, target in sorted(uprights):
        if floor.columns[source] != floor.columns[target]:
            continue
        start, end = floor.rows[source], floor.rows[target]
        side = (target, start < end)
        if side in ends or any(min(start, end) < row < max(start, end) for row in inside[floor.columns[source]]):
            yield source, target
        ends.add(side)


def _nets(diagram: Diagram) -> tuple[Net, ...]:
    found: dict[Ref, tuple[str, list[str]]] = {}
    for wire in diagram.wires:
        found.setdefault(wire.value, (wire.source, []))[1].append(wire.target)
    return tuple(Net(value, source, tuple(dict.fromkeys(targets))) for value, (source, targets) in found.items())


def _span(net: Net, columns: Mapping[str, int]) -> range:
    """The columns that a net runs past."""
    return range(columns[net.source] + 1, max(columns[target] for target in net.targets))


def _reads(diagram: Diagram) -> dict[str, list[str]]:
    """For each box, those that it reads."""
    reads: dict[str, list[str]] = {box.name: [] for box in diagram.boxes}
    for wire in diagram.wires:
        reads[wire.target].append(wire.source)
    return reads


# ----------------------------------------------------------------- columns


def _columns(diagram: Diagram, uprights: set[Upright]) -> dict[str, int]:
    """The longest way from an input, for each box; short branches moved up to what they lead to."""
    before = _reads(diagram)
    columns: dict[str, int] = {}
    for box in diagram.boxes:
        least = (columns[name] + ((name, box.name) not in uprights) for name in before[box.name])
        columns[box.name] = max(least, default=0)
    latest: dict[str, int] = {}
    for box in reversed(diagram.boxes):
        at = latest.setdefault(box.name, columns[box.name])
        for name in before[box.name]:
            latest[name] = min(latest.get(name, at), at - ((name, box.name) not in uprights))
    slack = {name: latest[name] - columns[name] for name in columns}
    for branch in _branches(diagram, slack):
        if len(branch) <= _SHORT_BRANCH:
            columns.update((name, latest[name]) for name in branch if before[name])
    return columns


def _branches(diagram: Diagram, slack: Mapping[str, int]) -> Iterable[set[str]]:
    """Boxes that may move together: connected, and with the same room to move."""
    branch = {name: {name} for name, room in slack.items() if room > 0}
    for wire in diagram.wires:
        a, b = branch.get(wire.source), branch.get(wire.target)
        if a is not None and b is not None and a is not b and slack[wire.source] == slack[wire.target]:
            a |= b
            branch.update(dict.fromkeys(b, a))
    return list({id(group): group for group in branch.values()}.values())


# ----------------------------------------------------------------- rows


class _Floor:
    """Which stretches of which rows are taken."""

    def __init__(self, columns: Mapping[str, int]) -> None:
        self.columns = columns
        self.taken: set[tuple[Row, int]] = set()
        self.rows: dict[str, Row] = {}

    def furnish(self, diagram: Diagram, lanes: Sequence[Fraction]) -> None:
        """Places every box."""
        reads = _reads(diagram)
        for box in sorted(diagram.boxes, key=lambda box: self.columns[box.name]):
            self.place(box, lanes.index(box.lane), reads[box.name])

    def place(self, box: Box, lane: int, reads: Iterable[str]) -> Row:
        """The row of what the box reads if that is in its lane; else the main row, or the nearest free one."""
        column = self.columns[box.name]
        wished = [self.rows[name].track for name in reads if self.rows[name].lane == lane]
        track = min(wished, key=abs, default=0)
        row = next(row for row in _rows_around(Row(lane, track)) if (row, column) not in self.taken)
        self.taken.add((row, column))
        self.rows[box.name] = row
        return row

    def lay(self, net: Net, span: range) -> Row:
        """A row for a long wire: that of the box it leaves, or the nearest free one of the lane."""
        start = self.rows[net.source]
        row = next(row for row in _rows_around(start) if self._is_free(net, row, span, changed=row != start))
        self.taken.update((row, column) for column in span)
        return row

    def _is_free(self, net: Net, row: Row, span: range, *, changed: bool) -> bool:
        """Whether a wire can run there; where it changes rows, without meeting what boxes beside it read or give."""
        if any((row, column) in self.taken for column in span):
            return False
        ends = {(row, span.start - 1), (row, span.stop)} if changed else set()
        own = {(self.rows[name], self.columns[name]) for name in net.targets}
        return not (ends - own) & self.taken


def _rows_around(start: Row) -> Iterator[Row]:
    """Rows of a lane, those near `start` first."""
    for step in count():
        yield from dict.fromkeys((Row(start.lane, start.track + step), Row(start.lane, start.track - step)))
