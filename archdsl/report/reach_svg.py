"""Fields of view drawn: a strip per axis with its holes, and the plane of pixels read over the frame of the input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil

from archdsl.analyses.planar import PlanarReach, planar
from archdsl.analyses.positions import Positions
from archdsl.checking import FACTS_SIZE, nearest_size
from archdsl.ir.graph import Graph, Ref
from archdsl.report.picture import ink
from archdsl.report.picture.lettering import fitted, text_width
from archdsl.report.strips import Strip, last_of, shares, strips

_WIDTH = 720.0
_MARGIN = 22.0
_HEAD = 68.0
_BAR = 14.0
_STRIP = 46.0
_TALLEST = 420.0
_CELLS = 140
"""The plane is drawn in at most so many cells each way; a cell is as red as the share of it that is not read."""
_SHADES = 4
_TEXT = 12.0


def reach_svg(
    graph: Graph, value: str, *, values: Mapping[str, int] | None = None, at: tuple[int, int] | None = None
) -> str:
    """What one position of a named value reads of the input, as SVG.

    The position is the middle of the map, or `at` (row, column); along each axis the strip is that of the phase near it
    that misses most. `values` is the input's size. Raises KeyError for an unknown name.
    """
    ref = dict(graph.names)[value]
    size = values or nearest_size(graph, FACTS_SIZE)
    near = middle(graph, ref, size) if at is None else at
    pair = strips(graph, value, values=values, near=near)
    plane = planar(graph, ref, near, values)
    return Drawing(value, pair, plane, _frame(graph, size)).svg()


def strips_svg(pair: Sequence[Strip]) -> str:
    """The strips of one value alone, small enough to stand in a list."""
    name = pair[0].name
    content = [part for i, strip in enumerate(pair) for part in _strip(strip, 12.0, 8.0 + i * _STRIP, _WIDTH - 24)]
    return ink.document(content, _WIDTH, 8.0 + _STRIP * len(pair), f"what {name} reads")


def middle(graph: Graph, ref: Ref, size: Mapping[str, int]) -> tuple[int, int]:
    """The position in the middle of a map, at an input size."""
    of = graph.type_of(ref).at(size)
    assert isinstance(of.height, int) and isinstance(of.width, int)
    return of.height // 2, of.width // 2


def _frame(graph: Graph, size: Mapping[str, int]) -> tuple[int, int]:
    of = graph.inputs[0].types[0].at(size)
    assert isinstance(of.height, int) and isinstance(of.width, int)
    return of.height, of.width


# ----------------------------------------------------------------- strips


def _strip(strip: Strip, x: float, y: float, room: float) -> Iterator[str]:
    """A strip with its words above and its ends below."""
    extent = strip.read.extent
    said = f"{extent} {strip.what}: {strip.remarks}"
    yield ink.text(fitted(said, _TEXT, room), x, y + 10, _TEXT, "soft")
    top = y + 15
    yield ink.rectangle(x, top, room, _BAR, 3, "read" if extent else "frame")
    cells = strip.cells(int(room))
    step = max(1, ceil(extent / int(room))) if extent else 1
    for first, last, shade in _runs(cells):
        left, right = first * step / extent, min(1.0, (last + 1) * step / extent)
        # a hole narrower than a pixel of the picture is still to be seen
        width = max((right - left) * room, 1.2)
        yield ink.element("rect", x=x + left * room, y=top, width=width, height=_BAR, class_=f"hole shade{shade}")
    if extent:
        yield from _ends(strip.read, x, top + _BAR + 11, room)


def _ends(read: Positions, x: float, y: float, room: float) -> Iterator[str]:
    last = last_of(read)
    yield ink.text(str(read.first), x, y, 10.0, "soft")
    if text_width(f"{read.first}{last}", 10.0) + 12 < room:
        yield ink.text(str(last), x + room, y, 10.0, "soft", "end")


def _runs(cells: Sequence[float]) -> Iterator[tuple[int, int, int]]:
    """Runs (first, last, shade) of cells that miss about as much; cells that miss nothing are left out."""
    start, shade = 0, 0
    for i, share in enumerate([*cells, 0.0]):
        now = ceil(share * _SHADES)
        if now == shade:
            continue
        if shade:
            yield start, i - 1, shade
        start, shade = i, now


# ----------------------------------------------------------------- plane


@dataclass(frozen=True)
class Drawing:
    """The whole picture: strips, and the plane below them. `frame` is the input's height and width."""

    value: str
    pair: tuple[Strip, Strip]
    plane: PlanarReach
    frame: tuple[int, int]

    @cached_property
    def bounds(self) -> tuple[int, int, int, int]:
        """Top, left, bottom and right of frame and reach together, in input pixels; ends exclusive."""
        rows, columns = self.plane.rows, self.plane.columns
        if not rows.extent:
            return 0, 0, *self.frame
        return (
            min(0, rows.first),
            min(0, columns.first),
            max(self.frame[0], last_of(rows) + 1),
            max(self.frame[1], last_of(columns) + 1),
        )

    @cached_property
    def scale(self) -> float:
        """Picture pixels per input pixel."""
        top, left, bottom, right = self.bounds
        return min((_WIDTH - 2 * _MARGIN) / (right - left), _TALLEST / (bottom - top))

    def svg(self) -> str:
        """The picture."""
        top = _HEAD + 2 * _STRIP + 24
        height = top + (self.bounds[2] - self.bounds[0]) * self.scale + 40
        title = f"{self.value}: field of view {self.plane.rows.extent} × {self.plane.columns.extent}"
        content = [
            ink.text(fitted(title, 19.0, _WIDTH - 2 * _MARGIN, bold=True), _MARGIN, 34.0, 19.0, "ink bold"),
            ink.text(self._position(), _MARGIN, 54.0, _TEXT, "soft"),
        ]
        for i, strip in enumerate(self.pair):
            content += _strip(strip, _MARGIN, _HEAD + i * _STRIP, _WIDTH - 2 * _MARGIN)
        content += [ink.text(fitted(self._words(), _TEXT, _WIDTH - 2 * _MARGIN), _MARGIN, top - 8, _TEXT, "soft")]
        across = (self.bounds[3] - self.bounds[1]) * self.scale
        content += self._plane((_WIDTH - across) / 2, top)
        return ink.document(content, _WIDTH, height, title)

    def _position(self) -> str:
        row, column = self.plane.at
        return fitted(f"what the position in row {row}, column {column} reads", _TEXT, _WIDTH - 2 * _MARGIN)

    def _words(self) -> str:
        """What the plane shows that the strips cannot."""
        unread = self.plane.unread
        if not unread:
            return "in the plane: every pixel of that rectangle is read"
        only = ", and only the plane shows it" if self.plane.only_in_plane else ""
        return f"in the plane: {unread:,} pixels of that rectangle are not read{only}"

    def _plane(self, x: float, y: float) -> Iterator[str]:
        height, width = self.frame
        px, py = self._place(x, y, 0, 0)
        size = (width * self.scale, height * self.scale)
        yield ink.rectangle(px, py, *size, 0, "frame")
        rows, columns = self.plane.rows, self.plane.columns
        if rows.extent:
            rx, ry = self._place(x, y, rows.first, columns.first)
            yield ink.rectangle(rx, ry, columns.extent * self.scale, rows.extent * self.scale, 0, "read area")
            yield from self._unread(rx, ry)
        yield ink.rectangle(px, py, *size, 0, "outline")
        words = f"input {height} × {width}"
        if text_width(words, 10.5) + 12 < size[0] and size[1] > 22:
            yield ink.text(words, px + 6, py + 14, 10.5, "ink")

    def _place(self, x: float, y: float, row: int, column: int) -> tuple[float, float]:
        return x + (column - self.bounds[1]) * self.scale, y + (row - self.bounds[0]) * self.scale

    def _unread(self, x: float, y: float) -> Iterator[str]:
        """Cells with unread pixels, those of a shade as one path."""
        step = max(1, ceil(max(self.plane.rows.extent, self.plane.columns.extent) / _CELLS))
        side = max(step * self.scale, 0.1)
        paths: dict[int, list[str]] = {}
        for row, cells in enumerate(self.missing(step)):
            for first, last, shade in _runs(cells):
                corner = f"M{ink.number(x + first * side)} {ink.number(y + row * side)}"
                across, down = ink.number((last - first + 1) * side), ink.number(side)
                paths.setdefault(shade, []).append(f"{corner}h{across}v{down}h-{across}z")
        for shade in sorted(paths):
            yield ink.element("path", d="".join(paths[shade]), class_=f"hole shade{shade}")

    def missing(self, step: int) -> Iterator[list[float]]:
        """For rows of cells, the share of each cell that is not read."""
        rows, columns = self.plane.rows, self.plane.columns
        full = (1 << columns.extent) - 1
        totals = [[0.0] * ceil(columns.extent / step) for _ in range(ceil(rows.extent / step))]
        at = rows.first
        for first, last, read in [*self.plane.bands, (last_of(rows) + 1, last_of(rows), columns)]:
            self._add(totals, step, at, first - 1, full)
            self._add(totals, step, first, last, full ^ (read.members << (read.first - columns.first)))
            at = last + 1
        for i, total in enumerate(totals):
            height = min(step, rows.extent - i * step)
            yield [share / height for share in total]

    def _add(self, totals: list[list[float]], step: int, first: int, last: int, missing: int) -> None:
        """Adds input rows first..last, of which the set bits are not read."""
        if not missing or last < first:
            return
        across = list(shares(missing, self.plane.columns.extent, step))
        top, bottom = first - self.plane.rows.first, last - self.plane.rows.first
        for i in range(top // step, bottom // step + 1):
            height = min(bottom, (i + 1) * step - 1) - max(top, i * step) + 1
            totals[i] = [total + share * height for total, share in zip(totals[i], across, strict=True)]
