"""The curves of a training as one picture: loss, learning rate and scores over the steps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

Point = tuple[float, float]
_WIDTH, _HEIGHT, _LEFT, _GAP = 640, 150, 56, 34
_LINES = 4
"""Intervals between the horizontal lines of a panel."""
_COLOURS = ("#1f6fb2", "#c2571a", "#3a8f4d")
_PANELS = (("loss", ("loss",)), ("learning rate", ("lr",)), ("scores", ("miou", "pixel_accuracy", "boundary_f1")))


@dataclass(frozen=True)
class Panel:
    """Curves over one axis."""

    title: str
    curves: Mapping[str, Sequence[Point]]

    @property
    def top(self) -> float:
        """Where the axis ends: 1 for scores, else a round number above everything."""
        highest = max((y for points in self.curves.values() for _, y in points), default=1.0)
        return 1.0 if self.title == "scores" else rounded_up(highest)


def rounded_up(value: float) -> float:
    """The least of 1, 2, 2.5, 5 and 10 times a power of ten that is not below a value; 1 for none above 0."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if value <= m * power * (1 + 1e-9))


def curves(records: Iterable[Mapping[str, Any]]) -> str:
    """An SVG of the lines of `metrics.jsonl`."""
    records = list(records)
    panels = [Panel(title, {name: _points(records, name) for name in names}) for title, names in _PANELS]
    steps = max((float(record["step"]) for record in records), default=1.0) or 1.0
    drawn = [_drawn(panel, steps, 22 + i * (_HEIGHT + _GAP)) for i, panel in enumerate(panels)]
    height = 22 + len(panels) * (_HEIGHT + _GAP)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 20}" height="{height}" '
        f'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join(drawn)
        + "\n</svg>\n"
    )


def _points(records: Iterable[Mapping[str, Any]], name: str) -> list[Point]:
    return [(float(r["step"]), float(r[name])) for r in records if r.get(name) is not None]


def _drawn(panel: Panel, steps: float, y: int) -> str:
    parts = [f'<text x="{_LEFT}" y="{y - 6}" font-weight="bold">{escape(panel.title)}</text>']
    for i in range(_LINES + 1):
        at = y + _HEIGHT * (1 - i / _LINES)
        parts.append(f'<path d="M{_LEFT} {at:.1f}h{_WIDTH}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{panel.top * i / _LINES:.3g}</text>')
    for number, (name, points) in enumerate(panel.curves.items()):
        path = " ".join(
            f"{_LEFT + _WIDTH * x / steps:.1f},{y + _HEIGHT * (1 - min(v / panel.top, 1)):.1f}" for x, v in points
        )
        colour = _COLOURS[number]
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        if len(panel.curves) > 1:
            label = name.replace("_", " ").replace("miou", "mIoU").replace("f1", "F1")
            parts.append(f'<text x="{_LEFT + 120 + 130 * number}" y="{y - 6}" fill="{colour}">{label}</text>')
    parts.append(f'<text x="{_LEFT + _WIDTH}" y="{y + _HEIGHT + 14}" text-anchor="end">step {steps:.0f}</text>')
    return "\n".join(parts)
