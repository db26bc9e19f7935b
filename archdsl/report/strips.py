"""What one position of a value reads along each axis, as strips: for the terminal, and for the pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil

from archdsl.analyses.once import Analyses
from archdsl.analyses.planar import PlanarReach, planar
from archdsl.analyses.positions import Positions
from archdsl.analyses.reach import ReachResult, reach_both
from archdsl.analyses.walk import Axis
from archdsl.ir.graph import Graph, Ref

_AXES: Mapping[Axis, str] = {"y": "rows", "x": "columns"}
_READ, _PARTLY, _UNREAD = "█", "▒", "░"
WIDTH = 100


@dataclass(frozen=True)
class Strip:
    """The input rows or columns that position `at` of a value reads, with the marks of the value."""

    name: str
    axis: Axis
    at: int
    read: Positions
    context: bool
    nominal: bool

    @property
    def unread(self) -> int:
        """Positions inside the field of view that are not read."""
        return self.read.holes.bit_count()

    @property
    def what(self) -> str:
        """The axis in words."""
        return _AXES[self.axis]

    @property
    def remarks(self) -> str:
        """Holes and marks in words."""
        holes = len(self.read.gaps())
        said = [f"{_counted(holes, 'hole')}, {self.unread} unread" if holes else "no holes"]
        said += ["context left out"] if self.context else []
        said += ["nominal"] if self.nominal else []
        return ", ".join(said)

    def cells(self, most: int) -> list[float]:
        """The strip in at most `most` cells of equal width, the last perhaps narrower: the unread share of each."""
        step = max(1, ceil(self.read.extent / most))
        return list(shares(self.read.holes, self.read.extent, step))


def strips(
    graph: Graph, value: Ref | str, *, values: Mapping[str, int] | None = None, near: tuple[int, int] = (0, 0)
) -> tuple[Strip, Strip]:
    """The strips of a value for rows and for columns: of the position near `near` (row, column) that
    misses most, and of those the one that reads widest.

    A value is given by its name in the network's body, or by reference; KeyError for an unknown name.
    """
    wanted = () if isinstance(value, str) else (value,)
    results = reach_both(graph, values=values, wanted=wanted)
    rows, columns = (_strip(result, value, at) for result, at in zip(results, near, strict=True))
    return rows, columns


def all_strips(
    graph: Graph, *, values: Mapping[str, int] | None = None, near: Mapping[str, tuple[int, int]] | None = None
) -> dict[str, tuple[Strip, Strip]]:
    """The strips of every named value of a network's body, in its order; `near` gives positions by name."""
    down, across = reach_both(graph, values=values)
    places = near or {}
    return {
        name: (_strip(down, name, places.get(name, (0, 0))[0]), _strip(across, name, places.get(name, (0, 0))[1]))
        for name, _ in graph.names
    }


def _strip(result: ReachResult, value: Ref | str, near: int) -> Strip:
    footprint = result.footprint(value)
    reads = {at: footprint.column(at) for at in footprint.columns_from(near)}
    at = max(reads, key=lambda column: (reads[column].holes.bit_count(), reads[column].extent))
    return Strip(str(value), result.axis, at, reads[at], footprint.context, footprint.nominal)


def last_of(read: Positions) -> int:
    """The last position of a set."""
    return read.first + read.extent - 1


def shares(bits: int, extent: int, step: int) -> Iterator[float]:
    """Of `extent` bits in groups of `step`, the share that is set in each."""
    mask = (1 << step) - 1
    for start in range(0, extent, step):
        yield ((bits >> start) & mask).bit_count() / min(step, extent - start)


# ----------------------------------------------------------------- terminal


def plane_line(plane: PlanarReach) -> str:
    """How much of the rectangle around what is read stays unread, and whether either axis would have shown it."""
    size = f"{plane.rows.extent}×{plane.columns.extent}"
    if not plane.unread:
        return f"in the plane: every pixel of the {size} is read"
    alone = ", though no axis has a hole" if plane.only_in_plane else ""
    return f"in the plane: {_counted(plane.unread, 'pixel')} of the {size} stay unread{alone}"


def plane_remarks(graph: Graph, values: Mapping[str, int] | None = None) -> Iterator[str]:
    """A line for each named value of which pixels stay unread in the plane though no axis alone has a hole.

    There is none where no op leaves a hole that other paths would have to fill.
    """
    if not Analyses(graph, values).gaps:
        return
    for name, ref in graph.names:
        plane = planar(graph, ref, values=values)
        if plane.only_in_plane:
            yield f"{name} {plane_line(plane)} (--reach {name})"


def strip_lines(found: Iterable[Strip], width: int = WIDTH) -> list[str]:
    """One line of block characters per strip, as wide as its field of view compared with the widest.

    Solid where every position is read, hatched where some are not, light where none is. The numbers are those of the
    first and the last position read.
    """
    strips_ = list(found)
    heads = [f"{s.name} {s.what}" for s in strips_]
    ends = [(f"{s.read.first}", f"{last_of(s.read)}  {s.remarks}") for s in strips_]
    left = max(map(len, heads), default=0)
    first = max((len(a) for a, _ in ends), default=0)
    room = max(10, width - left - first - 3 - max((len(b) for _, b in ends), default=0))
    widest = max((s.read.extent for s in strips_), default=1) or 1
    return [
        f"{head:<{left}}  {a:>{first}} {_blocks(s, max(1, round(room * s.read.extent / widest)))} {b}"
        for s, head, (a, b) in zip(strips_, heads, ends, strict=True)
    ]


def _blocks(strip: Strip, room: int) -> str:
    if not strip.read.extent:
        return ""
    return "".join(_READ if share == 0 else _UNREAD if share == 1 else _PARTLY for share in strip.cells(room))


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
