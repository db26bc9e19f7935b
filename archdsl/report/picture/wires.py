"""The ways of the wires: out of a box to the right, up or down between columns, along a row, and into a box.

Wires that lead to one box share their last stretch, and so do those of one value their first. All others keep apart:
each gap between columns has a place of its own for every group that changes rows there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations

from archdsl.report.picture.geometry import Geometry
from archdsl.report.picture.layout import Layout, Net, Row

Point = tuple[float, float]
_TRIED = 5
"""All orders of so many groups in a gap are tried; more keep the order in which they come."""


@dataclass(frozen=True)
class Way:
    """The corners of a wire from one box to another."""

    net: Net
    target: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class _Hop:
    """A change of rows in a gap. `key` says with whom the place is shared."""

    net: Net
    target: str | None
    start: Row
    end: Row


class Router:
    """Finds all ways for one layout."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.order = {row: i for i, row in enumerate(sorted(self._all_rows()))}
        self.boxes = {(layout.rows[name], layout.columns[name]): name for name in layout.rows}
        self.runs = {
            (net.row, column): net
            for net in layout.nets
            if net.row is not None
            for column in range(layout.columns[net.source] + 1, max(layout.columns[t] for t in net.targets))
        }
        self.dropped = self._drops()

    def _all_rows(self) -> set[Row]:
        return {*self.layout.rows.values(), *(net.row for net in self.layout.nets if net.row is not None)}

    # ------------------------------------------------------------ from above and below

    def _drops(self) -> set[tuple[Net, str]]:
        """Wires that enter a sign from above or below, where the way there is free."""
        found = self._uprights()
        upright = set(found)
        for net in self.layout.nets:
            for target in net.targets:
                stretch = None if (net, target) in upright else self._drop(net, target)
                if stretch is not None and not _overlaps(stretch, target, found):
                    found[net, target] = stretch
                    self.runs[self._row_before(net, target), stretch[0]] = net
        return set(found) - upright

    def _uprights(self) -> dict[tuple[Net, str], tuple[int, int, int]]:
        """The columns and rows (first, last) that upright wires take."""
        rows, columns = self.layout.rows, self.layout.columns
        found = {}
        for net in self.layout.nets:
            for target in (t for t in net.targets if (net.source, t) in self.layout.uprights):
                low, high = sorted((self.order[rows[net.source]], self.order[rows[target]]))
                found[net, target] = (columns[target], low, high)
        return found

    def _drop(self, net: Net, target: str) -> tuple[int, int, int] | None:
        """The column and the rows (first, last) that a way straight into a sign would take; None where it cannot."""
        column, end = self.layout.columns[target], self.layout.rows[target]
        start = self._row_before(net, target)
        if self.layout.diagram.by_name[target].role not in ("sign", "resize") or start == end:
            return None
        low, high = sorted((self.order[start], self.order[end]))
        if (start, column) in self.runs or (start, column) in self.boxes:
            return None
        between = [row for row, i in self.order.items() if low < i < high]
        return None if any((row, column) in self.boxes for row in between) else (column, low, high)

    def _row_before(self, net: Net, target: str) -> Row:
        """The row in which a wire comes up to its target."""
        adjacent = self.layout.columns[target] == self.layout.columns[net.source] + 1
        return self.layout.rows[net.source] if adjacent or net.row is None else net.row

    # ------------------------------------------------------------ gaps

    def _hops(self) -> dict[int, list[_Hop]]:
        """The changes of rows, by the column that they stand before."""
        columns, rows = self.layout.columns, self.layout.rows
        hops: dict[int, list[_Hop]] = {}
        for net in self.layout.nets:
            first = columns[net.source] + 1
            if net.row is not None and net.row != rows[net.source]:
                hops.setdefault(first, []).append(_Hop(net, None, rows[net.source], net.row))
            for target in net.targets:
                start = self._row_before(net, target)
                turns = (net, target) not in self.dropped and (net.source, target) not in self.layout.uprights
                if turns and start != rows[target]:
                    hops.setdefault(columns[target], []).append(_Hop(net, target, start, rows[target]))
        return hops

    @cached_property
    def places(self) -> Mapping[tuple[int, Net, str | None], int]:
        """For each change of rows (column, net, target), its place in the gap."""
        found: dict[tuple[int, Net, str | None], int] = {}
        for column, hops in self._hops().items():
            for place, group in enumerate(self._sorted(_grouped(hops))):
                found.update(((column, hop.net, hop.target), place) for hop in group)
        return found

    @property
    def slots(self) -> Mapping[int, int]:
        """How many places each gap needs."""
        most: dict[int, int] = {}
        for (column, _, _), place in self.places.items():
            most[column] = max(most.get(column, 0), place + 1)
        return most

    def _sorted(self, groups: list[list[_Hop]]) -> Iterable[list[_Hop]]:
        """The groups in the order with the fewest crossings."""
        if not 1 < len(groups) <= _TRIED:
            return groups
        return min(permutations(groups), key=self._crossings)

    def _crossings(self, groups: tuple[list[_Hop], ...]) -> int:
        total = 0
        for i, left in enumerate(groups):
            for right in groups[i + 1 :]:
                total += sum(self._meets(hop.end, right) for hop in left)
                total += sum(self._meets(hop.start, left) for hop in right)
        return total

    def _meets(self, row: Row, group: list[_Hop]) -> bool:
        ends = [self.order[r] for hop in group for r in (hop.start, hop.end)]
        return min(ends) <= self.order[row] <= max(ends)

    # ------------------------------------------------------------ points

    def ways(self, geometry: Geometry) -> list[Way]:
        """The corners of all wires, in pixels."""
        return [
            Way(net, target, tuple(_straightened(self._points(geometry, net, target))))
            for net in self.layout.nets
            for target in net.targets
        ]

    def _points(self, g: Geometry, net: Net, target: str) -> list[Point]:
        rows, columns = self.layout.rows, self.layout.columns
        if (net.source, target) in self.layout.uprights:
            return _upright(g, net.source, target)
        y = g.y(rows[net.source])
        points = [(g.sides(net.source)[1], y)]
        before = self._row_before(net, target)
        if before != rows[net.source]:
            first = columns[net.source] + 1
            x = g.slot(first, self.places[first, net, None])
            points += [(x, y), (x, g.y(before))]
        y, end = g.y(before), g.y(rows[target])
        if (net, target) in self.dropped:
            half = g.drawn[target].height / 2
            return [*points, (g.x(target), y), (g.x(target), end - half if y < end else end + half)]
        if before != rows[target]:
            x = g.slot(columns[target], self.places[columns[target], net, target])
            points += [(x, y), (x, end)]
        return [*points, (g.sides(target)[0], end)]


def _upright(g: Geometry, source: str, target: str) -> list[Point]:
    """From the top or bottom of a box to that of another in its column."""
    rows, down = g.layout.rows, g.layout.rows[source] < g.layout.rows[target]
    start, end = g.y(rows[source]), g.y(rows[target])
    ways = (g.drawn[source].height / 2, -g.drawn[target].height / 2)
    return [
        (g.x(source), start + (ways[0] if down else -ways[0])),
        (g.x(target), end + (ways[1] if down else -ways[1])),
    ]


def _overlaps(
    stretch: tuple[int, int, int], target: str, found: Mapping[tuple[Net, str], tuple[int, int, int]]
) -> bool:
    column, low, high = stretch
    return any(
        other != target and at == column and first < high and low < last
        for (_, other), (at, first, last) in found.items()
    )


def _grouped(hops: list[_Hop]) -> list[list[_Hop]]:
    """Hops that share a place: those of one value; and those to one box, where their values lead nowhere else here."""
    leads: dict[Net, set[str | None]] = {}
    for hop in hops:
        leads.setdefault(hop.net, set()).add(hop.target)
    groups: dict[object, list[_Hop]] = {}
    for hop in hops:
        alone = len(leads[hop.net]) == 1 and hop.target is not None
        groups.setdefault(hop.target if alone else hop.net, []).append(hop)
    return list(groups.values())


def _straightened(points: list[Point]) -> Iterable[Point]:
    """Without the points at which nothing turns."""
    for i, point in enumerate(points):
        if 0 < i < len(points) - 1:
            (ax, ay), (bx, by) = points[i - 1], points[i + 1]
            if ax == point[0] == bx or ay == point[1] == by:
                continue
        yield point
