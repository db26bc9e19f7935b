"""The rows of a network as a table for the terminal: with rich where there is one, plain text elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from archdsl.diagnostics.columns import safe
from archdsl.diagnostics.columns import width as char_width
from archdsl.report.numbers import data, milliseconds, percent, shape, short
from archdsl.report.rows import NetworkRows, Row

if TYPE_CHECKING:
    from rich.table import Table

    from archdsl.runtime.bench.measured import Measured

WIDTH = 100
_WIDEST = 160
_LEAST_TEXT = 24
_ROOMY = 36
"""Columns stand two blanks apart as long as that leaves so much for the text."""


@dataclass(frozen=True, slots=True)
class _Column:
    """One column: its head, what it says of a row and of the whole, and whether it stands on the left."""

    head: str
    cell: Callable[[Row], str]
    total: str = ""
    left: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table: its cells, and whether it tells of a part."""

    cells: tuple[str, ...]
    part: bool = False
    warns: bool = False
    """Whether a dilation in it is over its bound."""


@dataclass(frozen=True)
class TableText:
    """A table as text: heads, lines, totals, the notes below it, and how many blanks stand between columns."""

    heads: tuple[str, ...]
    left: tuple[bool, ...]
    lines: tuple[Line, ...]
    totals: tuple[str, ...]
    notes: tuple[str, ...]
    gap: int


def table_text(table: NetworkRows, width: int = WIDTH) -> TableText:
    """The cells of the table, the text of the lines cut so that it fits `width` columns."""
    columns = tuple(_columns(table))
    lines = tuple(_lines(table, columns))
    cells = [[c.head, c.total, *(line.cells[i] for line in lines)] for i, c in enumerate(columns) if i != _TEXT]
    room = width - sum(max(map(display_width, column)) for column in cells)
    gap = 2 if room - 2 * len(cells) >= _ROOMY else 1
    room = max(_LEAST_TEXT, room - gap * len(cells))
    return TableText(
        tuple(c.head for c in columns),
        tuple(c.left for c in columns),
        tuple(_cut(line, room) for line in lines),
        tuple(c.total for c in columns),
        tuple(_notes(table)),
        gap,
    )


def plain(table: NetworkRows, width: int = WIDTH) -> str:
    """The table as plain text, without a line end at its end."""
    text = table_text(table, width)
    rows = [text.heads, *(line.cells for line in text.lines), text.totals]
    widths = [max(display_width(row[i]) for row in rows) for i in range(len(text.heads))]
    rule = "-" * (sum(widths) + text.gap * (len(widths) - 1))
    laid = [_laid(row, widths, text) for row in rows]
    return "\n".join([laid[0], rule, *laid[1:-1], rule, laid[-1], "", *text.notes])


def rich_table(table: NetworkRows, width: int = WIDTH) -> Table:
    """The table for a rich console; the notes are its caption."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    text = table_text(table, width)
    result = Table(
        box=box.SIMPLE,
        show_edge=False,
        show_footer=True,
        padding=(0, text.gap - 1, 0, 0),
        pad_edge=False,
        caption="\n".join(text.notes),
        caption_style="dim",
        caption_justify="left",
    )
    for head, total, left in zip(text.heads, text.totals, text.left, strict=True):
        justify = "left" if left else "right"
        result.add_column(head, total, justify=justify, no_wrap=True, overflow="ellipsis")  # type: ignore[arg-type]
    for line in text.lines:
        cells = zip(line.cells, text.heads, strict=True)
        result.add_row(*(Text(cell, style=_style(line, head)) for cell, head in cells))
    return result


def write_table(table: NetworkRows, to: TextIO) -> None:
    """Writes the table: in colour to a terminal, unless NO_COLOR is set; as plain text to anything else."""
    if not to.isatty() or os.environ.get("NO_COLOR"):
        to.write(plain(table) + "\n")
        return
    from rich.console import Console

    console = Console(file=to)
    console.print(rich_table(table, min(_WIDEST, console.width)))


def display_width(text: str) -> int:
    """Columns that a text takes on a terminal."""
    return sum(map(char_width, text))


def shortened(text: str, room: int) -> str:
    """The text in at most `room` columns, with `…` where something was cut off."""
    if display_width(text) <= room:
        return text
    kept = ""
    for char in text:
        if display_width(kept + char) > room - 1:
            break
        kept += char
    return kept.rstrip() + "…"


# ----------------------------------------------------------------- cells


_TEXT = 1
"""The column of the lines' text, the only one that is cut."""


def _columns(table: NetworkRows) -> Iterator[_Column]:
    values = table.values if table.sized or table.floor is not None else None
    yield _Column("line", lambda row: str(row.line or "-"))
    yield _Column("text", lambda row: safe(row.text).replace("\n", " "), "total", left=True)
    yield _Column("shape", lambda row: shape(row.type, values).replace(" ", ""))
    yield _Column("view", _view)
    yield _Column("room", _headroom)
    yield _Column("params", lambda row: short(row.params), short(table.cost.params))
    yield _Column("MACs", lambda row: short(row.macs), short(table.cost.macs))
    yield _Column("moved", lambda row: data(row.moved), data(table.cost.moved))
    if (measured := table.measured) is not None:
        yield _Column("took", lambda row: milliseconds(row.took or 0.0), milliseconds(measured.total))
        yield _Column("of it", lambda row: percent((row.took or 0.0) / measured.total))
    if table.floor is not None:
        yield _Column("ms", lambda row: milliseconds(row.seconds or 0.0), milliseconds(table.floor.op_by_op))
        yield _Column("share", lambda row: _share(table, row), _total_share(table))
        yield _Column("bound", lambda row: "-" if row.limit == "nothing" else row.limit)


def _view(row: Row) -> str:
    """One number where both axes agree; `~` for a nominal one, `*` where context is left out."""
    y, x = row.view.y, row.view.x
    marks = ("~" if row.view.nominal else "") + ("*" if row.view.context else "")
    return (str(y) if y == x else f"{y}×{x}") + marks


def _headroom(row: Row) -> str:
    if row.headroom.least is not None and row.headroom.least < 0:
        return str(row.headroom.least)
    if row.headroom.unknown:
        return "?"
    return "-" if row.headroom.least is None else str(row.headroom.least)


def _share(table: NetworkRows, row: Row) -> str:
    share = table.share(row)
    return percent(share) if share else "-"


def _total_share(table: NetworkRows) -> str:
    if not table.budget or table.seconds is None:
        return ""
    return percent(table.seconds / table.budget)


def _lines(table: NetworkRows, columns: Sequence[_Column]) -> Iterator[Line]:
    for row in table.rows:
        yield _line(row, columns, row.text)
        for part in row.parts:
            count = f" ×{len(part.parts)}" if part.parts else ""
            yield _line(part, columns, f"  {_short_label(part)}  {part.text}{count}", part=True)


def _short_label(part: Row) -> str:
    """`s16.7…12` of `s16.7 … s16.12`, which alone would fill the column."""
    if not part.parts:
        return part.label
    return f"{part.parts[0].label}…{part.parts[-1].label.rpartition('.')[2]}"


def _line(row: Row, columns: Sequence[_Column], text: str, part: bool = False) -> Line:
    cells = [c.cell(row) for c in columns]
    cells[_TEXT] = safe(text).replace("\n", " ")
    if part:
        cells[0] = ""
    if row.training_only:
        cells[-1] = "aux"
    return Line(tuple(cells), part, warns=row.headroom.least is not None and row.headroom.least < 0)


def _cut(line: Line, room: int) -> Line:
    cells = list(line.cells)
    cells[_TEXT] = shortened(cells[_TEXT], room)
    return Line(tuple(cells), line.part, line.warns)


def _notes(table: NetworkRows) -> Iterator[str]:
    size = "×".join(str(table.values[name]) for name in ("H", "W") if name in table.values)
    peak = data(table.cost.peak.bytes)
    yield f"MACs and bytes moved at {size}, {table.cost.dtype}, one image; {peak} of maps at most"
    yield "view: field of view in input pixels; room: least ⌊k/s⌋ - rate, ? after a dilation over its bound"
    rows = [piece for row in table.rows for piece in (row, *row.parts)]
    if any(row.view.context for row in rows):
        yield "* paths through global pooling and the like see everything, and are left out"
    if any(row.view.nominal for row in rows):
        yield "~ nominal: the exact field of view depends on the size of the input (--input)"
    if table.measured is not None:
        yield from _measured_notes(table.measured)
    if table.floor is not None:
        yield from _floor_notes(table)


def _measured_notes(measured: Measured) -> Iterator[str]:
    yield f"took: ms on this machine, engine {measured.engine} in {measured.dtype}, step by step"
    yield f"    a call takes {milliseconds(measured.call)} ms; what is fused into a step counts at the line of its node"


def _floor_notes(table: NetworkRows) -> Iterator[str]:
    assert table.floor is not None
    against = f"; budget {milliseconds(table.budget)} ms" if table.budget else ""
    yield f"ms: the least time on {table.floor.hardware} in {table.floor.dtype}, node by node{against}"
    yield f"    with every map kept on the chip {milliseconds(table.floor.fused)} ms ({table.floor.fused_limit} bound)"


# ----------------------------------------------------------------- layout


def _laid(cells: Sequence[str], widths: Sequence[int], text: TableText) -> str:
    padded = []
    for cell, width, on_left in zip(cells, widths, text.left, strict=True):
        blanks = " " * (width - display_width(cell))
        padded.append(cell + blanks if on_left else blanks + cell)
    return (" " * text.gap).join(padded).rstrip()


def _style(line: Line, head: str) -> str:
    if line.warns and head == "room":
        return "yellow"
    return "dim" if line.part else "cyan" if head == "line" else ""
