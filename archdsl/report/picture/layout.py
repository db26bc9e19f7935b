"""Where the boxes of a picture stand: columns from left to right by who reads whom, lanes by resolution.

Each lane is one or more rows. A box, or the long part of a wire, has its stretch of a row to itself, so that no wire
ever crosses a box: wires change rows only between columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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


@dataclass(frozen=True)
class Layout:
    """Columns and rows of boxes by name, the nets with their rows, and the lanes from the top."""

    diagram: Diagram
    columns: Mapping[str, int]
    rows: Mapping[str, Row]
    nets: tuple[Net, ...]
    lanes: tuple[Fraction, ...]

    @property
    def width(self) -> int:
        """How many columns there are."""
        return max(self.columns.values(), default=-1) + 1


def arrange(diagram: Diagram) -> Layout:
    """A place for every box and every long wire."""
    columns = _columns(diagram)
    lanes = tuple(sorted({box.lane for box in diagram.boxes}, reverse=True))
    floor = _Floor(columns)
    reads = _reads(diagram)
    rows = {b.name: floor.place(b, lanes.index(b.lane), reads[b.name]) for b in _by_column(diagram, columns)}
    nets = _nets(diagram)
    spans = {net.value: _span(net, columns) for net in nets}
    running = {
        net.value: floor.lay(net, spans[net.value])
        for net in sorted(nets, key=lambda n: (len(spans[n.value]), columns[n.source]))
        if spans[net.value]
    }
    routed = tuple(Net(n.value, n.source, n.targets, running.get(n.value)) for n in nets)
    return Layout(diagram, columns, rows, routed, lanes)


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


def _columns(diagram: Diagram) -> dict[str, int]:
    """The longest way from an input, for each box; short branches moved up to what they lead to."""
    before = _reads(diagram)
    columns: dict[str, int] = {}
    for box in diagram.boxes:
        columns[box.name] = 1 + max((columns[name] for name in before[box.name]), default=-1)
    latest: dict[str, int] = {}
    for box in reversed(diagram.boxes):
        at = latest.setdefault(box.name, columns[box.name])
        latest.update((name, min(latest.get(name, at), at - 1)) for name in before[box.name])
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


def _by_column(diagram: Diagram, columns: Mapping[str, int]) -> list[Box]:
    return sorted(diagram.boxes, key=lambda box: columns[box.name])


# ----------------------------------------------------------------- rows


class _Floor:
    """Which stretches of which rows are taken."""

    def __init__(self, columns: Mapping[str, int]) -> None:
        self.columns = columns
        self.taken: set[tuple[Row, int]] = set()
        self.rows: dict[str, Row] = {}

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
