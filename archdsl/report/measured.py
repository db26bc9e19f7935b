"""Measured times, brought to the rows of a network's text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archdsl.report.rows import Row
    from archdsl.runtime.bench.measured import Measured


def timed_rows(rows: Iterable[Row], measured: Measured) -> tuple[Row, ...]:
    """The rows with the seconds measured. What was fused into a step counts where the step's node stands."""
    lines = measured.by_line()
    return tuple(
        replace(
            row,
            took=lines.get(row.line, 0.0) if row.line else measured.under(row.label, 0),
            parts=tuple(_timed_part(part, row.line, measured) for part in row.parts),
        )
        for row in rows
    )


def _timed_part(part: Row, line: int, measured: Measured) -> Row:
    parts = tuple(_timed_part(one, line, measured) for one in part.parts)
    took = sum(one.took or 0.0 for one in parts) if parts else measured.under(part.label, line)
    return replace(part, took=took, parts=parts)
