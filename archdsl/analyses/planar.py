"""The exact set of input pixels that one position of a value reads: the union, over all paths, of rows times columns.

On each axis alone a hole can be filled by a branch that reads other rows, and still be there in the plane. The set is
found on the way back from the position to the image, where it is small until the last strides, as bands of equal rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from archdsl.analyses.channels import Segments, demanded, overlaid, whole
from archdsl.analyses.footprint import taps_at
from archdsl.analyses.positions import EMPTY, Positions, of_bits, union
from archdsl.analyses.walk import accesses, is_placed
from archdsl.ir.access import POINTWISE, Access, Context, Resample, TransposedWindow, Window
from archdsl.ir.graph import Graph, Node, Ref


class Band(NamedTuple):
    """Input rows first..last, of which the same columns are read."""

    first: int
    last: int
    columns: Positions


Plane = tuple[Band, ...]
"""Bands from top to bottom; no two share a row, and neighbours differ."""


@dataclass(frozen=True)
class PlanarReach:
    """The input pixels that position `at` (row, column) of a value reads.

    `nominal` says that a ratio of sizes on the way was taken as that of the strides.
    """

    at: tuple[int, int]
    bands: Plane
    nominal: bool

    @property
    def rows(self) -> Positions:
        """The input rows of which something is read."""
        return union(Positions(band.first, band.last - band.first + 1, 0) for band in self.bands)

    @property
    def columns(self) -> Positions:
        """The input columns of which something is read."""
        return union(band.columns for band in self.bands)

    @property
    def pixels(self) -> int:
        """How many input pixels are read."""
        return sum((b.last - b.first + 1) * (b.columns.extent - b.columns.holes.bit_count()) for b in self.bands)

    @property
    def unread(self) -> int:
        """How many pixels of the smallest rectangle around all that is read are not."""
        return self.rows.extent * self.columns.extent - self.pixels

    @property
    def only_in_plane(self) -> bool:
        """Whether pixels stay unread although neither the rows nor the columns, each taken alone, have holes."""
        return self.unread > 0 and not self.rows.holes and not self.columns.holes


def planar(
    graph: Graph, ref: Ref, at: tuple[int, int] = (0, 0), values: Mapping[str, int] | None = None
) -> PlanarReach:
    """What position `at` (row, column) of a value reads of the image, on an unbounded image.

    `values` is the input's size, as for `reach`. Paths that are context on either axis are left out.
    """
    start = (Band(at[0], at[0], Positions(at[1], 1, 0)),)
    asked: dict[Ref, Segments[Plane]] = {ref: ((graph.type_of(ref).channels, start),)}
    reads = dict(
        zip(
            (n.name for n in graph.nodes),
            zip(accesses(graph, "y", values), accesses(graph, "x", values), strict=True),
            strict=True,
        )
    )
    nominal = False
    for node in reversed(graph.nodes):
        if node.inputs and not asked.keys().isdisjoint(node.refs):
            down, across = reads[node.name]
            nominal = nominal or any(getattr(access, "nominal", False) for access in down + across)
            _ask(graph, node, down, across, asked)
    seen = [whole(asked[ref], joined) for node in graph.inputs for ref in node.refs if ref in asked]
    return PlanarReach(at, joined(seen), nominal)


def _ask(
    graph: Graph, node: Node, down: tuple[Access, ...], across: tuple[Access, ...], asked: dict[Ref, Segments[Plane]]
) -> None:
    """Hands what is asked of a node's results on to its operands."""
    results = [asked.pop(r, ((of.channels, ()),)) for r, of in zip(node.refs, node.types, strict=True)]
    widths = [of.channels for of in graph.input_types(node)]
    wanted = demanded(node, results, widths, joined)
    for operand, width, segments, y, x in zip(node.inputs, widths, wanted, down, across, strict=True):
        if is_placed(y) and is_placed(x):
            moved = tuple((end, _moved(plane, y, x)) for end, plane in segments)
            asked[operand] = overlaid(width, (moved, asked[operand]), joined) if operand in asked else moved


def _moved(plane: Plane, y: Access, x: Access) -> Plane:
    """What is read of the operand where `plane` is asked of the result."""
    if y == x == POINTWISE:
        return plane
    by_columns: dict[Positions, list[Positions]] = {}
    for band in plane:
        by_columns.setdefault(band.columns, []).append(Positions(band.first, band.last - band.first + 1, 0))
    return _banded((_pulled(union(rows), y), _pulled(columns, x)) for columns, rows in by_columns.items())


def joined(planes: Iterable[Plane]) -> Plane:
    """The union."""
    distinct = [plane for plane in dict.fromkeys(planes) if plane]
    if len(distinct) < 2:
        return distinct[0] if distinct else ()
    return _banded(
        (Positions(band.first, band.last - band.first + 1, 0), band.columns) for plane in distinct for band in plane
    )


def _banded(products: Iterable[tuple[Positions, Positions]]) -> Plane:
    """The union of products rows x columns as bands, found by sweeping down over the rows where one begins or ends."""
    changes: dict[int, list[tuple[Positions, int]]] = {}
    for rows, columns in products:
        for first, last in rows.ranges() if columns.extent else ():
            changes.setdefault(first, []).append((columns, 1))
            changes.setdefault(last + 1, []).append((columns, -1))
    return tuple(_equal_merged(_swept(changes)))


def _swept(changes: Mapping[int, list[tuple[Positions, int]]]) -> Iterator[Band]:
    active: Counter[Positions] = Counter()
    above = 0
    for row in sorted(changes):
        if active:
            yield Band(above, row - 1, union(active))
        for columns, change in changes[row]:
            active[columns] += change
            if not active[columns]:
                del active[columns]
        above = row


def _equal_merged(bands: Iterable[Band]) -> Iterator[Band]:
    open_band: Band | None = None
    for band in bands:
        if open_band and open_band.last + 1 == band.first and open_band.columns == band.columns:
            open_band = Band(open_band.first, band.last, band.columns)
            continue
        if open_band:
            yield open_band
        open_band = band
    if open_band:
        yield open_band


@lru_cache(maxsize=1024)
def _pulled(asked: Positions, access: Access) -> Positions:
    """The positions of the operand that the `asked` positions of the result read."""
    match access:
        case Window(kernel, stride, dilation, padding):
            return asked.stretched(stride).shifted(-padding).repeated(kernel, dilation)
        case Context(besides) if besides is not None:
            return _pulled(asked, besides)
        case TransposedWindow() | Resample():
            return _gathered(
                i for first, last in asked.ranges() for j in range(first, last + 1) for i in _read_at(access, j)
            )
    return EMPTY


def _read_at(access: TransposedWindow | Resample, j: int) -> list[int]:
    if isinstance(access, Resample):
        return taps_at(access, j)
    reached = (j + access.padding - access.dilation * m for m in range(access.kernel))
    return [r // access.stride for r in reached if r % access.stride == 0]


def _gathered(positions: Iterable[int]) -> Positions:
    members = set(positions)
    first = min(members, default=0)
    bits = 0
    for position in members:
        bits |= 1 << (position - first)
    return of_bits(bits, first)
