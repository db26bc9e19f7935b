"""A bench as a picture: a bar per contender, grouped by case, with its p5–p95 range."""

from __future__ import annotations

from html import escape
from itertools import groupby

from archdsl.runtime.bench.markdown import case_of
from archdsl.runtime.bench.result import Report, Row

_LEFT, _WIDTH, _BAR, _STEP, _HEAD, _PAD = 230, 520, 14, 22, 34, 16
_OURS, _PEER = "#d9480f", "#868e96"


def svg(report: Report) -> str:
    """The plot. Each case has its own scale, from zero; rows without a time are left out."""
    groups = [(case, _timed(list(rows))) for case, rows in groupby(report.rows, key=case_of)]
    parts, y = [], float(_PAD)
    for case, rows in groups:
        if rows:
            parts.append(f'<text class="head" x="{_PAD}" y="{y + 16:.0f}">{escape(case)}: ms, less is better</text>')
            longest = max(row.p95_ms or 0.0 for row in rows)
            parts += [_bar(row, y + _HEAD + i * _STEP, longest) for i, row in enumerate(rows)]
            y += _HEAD + len(rows) * _STEP + _PAD
    width = _LEFT + _WIDTH + 90
    style = "text{font:13px sans-serif;fill:#212529}.head{font-weight:bold}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y:.0f}" viewBox="0 0 {width} {y:.0f}">'
        f"<style>{style}</style>"
        f'<rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
    )


def _timed(rows: list[Row]) -> list[Row]:
    return sorted((row for row in rows if row.median_ms is not None), key=lambda row: row.median_ms or 0.0)


def _bar(row: Row, y: float, longest: float) -> str:
    assert row.median_ms is not None and row.p5_ms is not None and row.p95_ms is not None
    scale = _WIDTH / longest
    name = f"{row.engine} ({row.detail})" if row.detail else row.engine
    middle = y + _BAR / 2
    end = _LEFT + row.median_ms * scale
    low, high = (_LEFT + value * scale for value in (row.p5_ms, row.p95_ms))
    colour = _OURS if row.engine == "archdsl" else _PEER
    return (
        f'<text x="{_LEFT - 8}" y="{middle + 4:.1f}" text-anchor="end">{escape(name)}</text>'
        f'<rect x="{_LEFT}" y="{y:.1f}" width="{end - _LEFT:.1f}" height="{_BAR}" fill="{colour}"/>'
        f'<path d="M{low:.1f} {middle:.1f}H{high:.1f}" stroke="#212529" stroke-width="1.5"/>'
        f'<text x="{max(end, high) + 6:.1f}" y="{middle + 4:.1f}">{row.median_ms:.3g}</text>'
    )
