"""From rows and columns to pixels: sizes of boxes by their text and channels, and the ways of the wires."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import log2

from archdsl.report.picture.boxes import Box
from archdsl.report.picture.layout import Layout, Row
from archdsl.report.picture.lettering import fitted, text_width, wrapped

LABEL, LINE, TAG = 13.0, 11.5, 11.0
"""Font sizes of what a box is, of the lines below, and of the names above."""
LABEL_STEP, LINE_STEP = 16.0, 14.0
SIGN = 10.0
"""Radius of the sign where maps meet."""
STACK = 6.0
"""How far a folded box's copies look out behind it."""

_ROOM = 80.0
_PADDING = 8.0
_NARROWEST = 44.0
_TAG_STRIP = 17.0
_ROW_MARGIN = 8.0
_WIRE_ROW = 14.0
_LANE_MARGIN = 9.0
_GAP = 18.0
_SLOT = 9.0
_LOW, _HIGH = 44.0, 104.0
_FEWEST, _MOST = 8, 1024


@dataclass(frozen=True)
class Drawn:
    """A box with its text as it is drawn, and its size."""

    box: Box
    label: tuple[str, ...]
    lines: tuple[str, ...]
    width: float
    height: float


def drawn(box: Box) -> Drawn:
    """A box sized for its text, and taller the more channels it has."""
    if box.role == "sign":
        return Drawn(box, (box.label,), (), 2 * SIGN, 2 * SIGN)
    if box.role == "resize":
        return Drawn(box, (box.label,), (), text_width(box.label, LINE) + 16, 22.0)
    label = list(wrapped(box.label, LABEL, _ROOM, bold=True))
    if box.count > 1:
        label = _counted(label, f"×{box.count}")
    lines = tuple(fitted(line, LINE, _ROOM) for line in box.lines)
    widths = [text_width(t, LABEL, bold=True) for t in label] + [text_width(t, LINE) for t in lines]
    height = len(label) * LABEL_STEP + len(lines) * LINE_STEP + 12
    width = max(max(widths) + 2 * _PADDING, _NARROWEST)
    return Drawn(box, tuple(label), lines, width, max(height, _tallness(box)))


def _counted(label: list[str], times: str) -> list[str]:
    together = f"{label[-1]} {times}"
    if text_width(together, LABEL, bold=True) <= _ROOM:
        return [*label[:-1], together]
    return [*label, times]


def _tallness(box: Box) -> float:
    if box.role != "block":
        return 0.0
    share = log2(max(box.channels, 1) / _FEWEST) / log2(_MOST / _FEWEST)
    return _LOW + (_HIGH - _LOW) * min(1.0, max(0.0, share))


@dataclass(frozen=True)
class Geometry:
    """Pixels for a layout. `left` and `top` are where the first column and the first lane begin.

    `slots` says how many wires change rows side by side in each gap; gap g lies before column g.
    """

    layout: Layout
    slots: Mapping[int, int]
    left: float
    top: float

    @cached_property
    def drawn(self) -> Mapping[str, Drawn]:
        """The boxes by name, sized."""
        return {box.name: drawn(box) for box in self.layout.diagram.boxes}

    @cached_property
    def _edges(self) -> tuple[tuple[float, float], ...]:
        """Left and right of each column."""
        widths = [0.0] * self.layout.width
        for name, column in self.layout.columns.items():
            extra = STACK if self.drawn[name].box.count > 1 else 0.0
            widths[column] = max(widths[column], self.drawn[name].width + 2 * extra, self._tag_width(name))
        edges, x = [], self.left
        for column, width in enumerate(widths):
            x += self.gap(column) if column else 0.0
            edges.append((x, x + width))
            x += width
        return tuple(edges)

    def _tag_width(self, name: str) -> float:
        box = self.drawn[name].box
        width = text_width(self.tag(name), TAG, bold=True) if box.tags else 0.0
        return 2 * (width + 5) if width and self._is_open_above(name) else width

    def tag_place(self, name: str) -> tuple[float, float]:
        """Where the names above a box begin: left end and baseline."""
        item = self.drawn[name]
        left = self.x(name) + 5 if self._is_open_above(name) else self.sides(name)[0] + 1
        lift = STACK if item.box.count > 1 else 0.0
        return left, self.y(self.layout.rows[name]) - item.height / 2 - lift - 5

    def tag(self, name: str) -> str:
        """The names above a box, as drawn."""
        room = _ROOM * 0.7 if self._is_open_above(name) else _ROOM + 2 * _PADDING
        return fitted(", ".join(self.drawn[name].box.tags), TAG, room, bold=True)

    def _is_open_above(self, name: str) -> bool:
        """Whether a wire may come or leave at the middle of the top, so that names stand beside it."""
        return self.drawn[name].box.role == "sign" or name in self._topped

    @cached_property
    def _topped(self) -> frozenset[str]:
        rows = self.layout.rows
        return frozenset(max(ends, key=lambda name: rows[name]) for ends in self.layout.uprights)

    def gap(self, column: int) -> float:
        """The width of the gap before a column."""
        return _GAP + _SLOT * max(0, self.slots.get(column, 0) - 1)

    def slot(self, column: int, slot: int) -> float:
        """The x of a place to change rows in the gap before a column; what is left of the gap is for arrow heads."""
        return self._edges[column][0] - self.gap(column) + 7 + _SLOT * slot

    @property
    def right(self) -> float:
        """Where the last column ends."""
        return self._edges[-1][1] if self._edges else self.left

    def x(self, name: str) -> float:
        """The middle of a box's column."""
        low, high = self._edges[self.layout.columns[name]]
        return (low + high) / 2

    def sides(self, name: str) -> tuple[float, float]:
        """Left and right of a box."""
        half = self.drawn[name].width / 2
        return self.x(name) - half, self.x(name) + half

    @cached_property
    def _rows(self) -> Mapping[Row, tuple[float, float, float]]:
        """Top, middle and bottom of each row."""
        above: dict[Row, float] = {}
        below: dict[Row, float] = {}
        for name, row in self.layout.rows.items():
            item = self.drawn[name]
            half = item.height / 2 + _ROW_MARGIN
            strip = _TAG_STRIP if item.box.tags else 0.0
            above[row] = max(above.get(row, 0.0), half + max(strip, STACK if item.box.count > 1 else 0.0))
            below[row] = max(below.get(row, 0.0), half)
        for net in self.layout.nets:
            if net.row is not None:
                above.setdefault(net.row, _WIRE_ROW / 2)
                below.setdefault(net.row, _WIRE_ROW / 2)
        return self._stacked(above, below)

    def _stacked(
        self, above: Mapping[Row, float], below: Mapping[Row, float]
    ) -> Mapping[Row, tuple[float, float, float]]:
        placed: dict[Row, tuple[float, float, float]] = {}
        y, lane = self.top, -1
        for row in sorted(above):
            if row.lane != lane:
                y += _LANE_MARGIN * (2 if lane >= 0 else 1)
                lane = row.lane
            placed[row] = (y, y + above[row], y + above[row] + below[row])
            y += above[row] + below[row]
        return placed

    def y(self, row: Row) -> float:
        """The middle of a row, where its wires run."""
        return self._rows[row][1]

    def lane(self, index: int) -> tuple[float, float]:
        """Top and bottom of a lane."""
        spans = [span for row, span in self._rows.items() if row.lane == index]
        return min(s[0] for s in spans) - _LANE_MARGIN, max(s[2] for s in spans) + _LANE_MARGIN

    @property
    def bottom(self) -> float:
        """Where the last lane ends."""
        return self.lane(len(self.layout.lanes) - 1)[1] if self._rows else self.top
