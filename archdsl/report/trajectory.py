"""How a search went, drawn from its JSON record: a panel per rate, and a page around them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any

from archdsl.report.picture import ink

_PANEL = (300.0, 128.0)
_ACROSS = 3
_MARGIN = 22.0
_HEAD = 84.0
_AXIS = 22.0
_FAINTEST = 0.02
"""Shares below this are not drawn."""

Record = Mapping[str, Any]


def trajectory_svg(record: Record) -> str:
    """The rates of a search over its steps: how sure it was of each candidate, what it would have decided, the answer.

    `record` is what `search --json` writes.
    """
    rates = record["rates"]
    across = min(_ACROSS, len(rates))
    down = -(-len(rates) // across)
    width = 2 * _MARGIN + across * _PANEL[0] + (across - 1) * _MARGIN
    content = [*_heading(record)]
    for index in range(len(rates)):
        x = _MARGIN + (index % across) * (_PANEL[0] + _MARGIN)
        y = _HEAD + (index // across) * (_PANEL[1] + 2 * _MARGIN)
        content += _Panel(record, index, x, y).parts()
    height = _HEAD + down * (_PANEL[1] + 2 * _MARGIN)
    return ink.document(content, max(width, 640.0), height, f"the rates of {record['network']} over the search")


def _heading(record: Record) -> Iterator[str]:
    title = f"{record['network']}: {record['method']}, {record['steps']} steps on {record['data']}"
    yield ink.text(title, _MARGIN, 32, 17, "ink bold")
    yield ink.text("shade: how sure the search was of each rate", _MARGIN, 54, 12, "soft")
    x = _MARGIN + 300
    for class_, what, dashes in (("accent", "the likeliest", ""), ("soft", "start", "4 3"), ("hole", "bound", "")):
        yield _line([(x, 50), (x + 22, 50)], class_, dashes)
        yield ink.text(what, x + 28, 54, 12, "soft")
        x += 118
    yield ink.element("circle", cx=x + 5, cy=50, r=4, class_="dilated")
    yield ink.text("found", x + 16, 54, 12, "soft")


class _Panel:
    """One rate: steps to the right, candidates upwards."""

    def __init__(self, record: Record, index: int, x: float, y: float) -> None:
        self.rate: Record = record["rates"][index]
        trace = record["trajectory"]
        self.x, self.y = x, y + 18
        self.width, self.height = _PANEL[0] - _AXIS, _PANEL[1] - 18
        self.steps: Sequence[int] = trace["steps"]
        self.shares: Sequence[Sequence[float]] = [shares[index] for shares in trace["shares"]]
        self.decided: Sequence[int] = [rates[index] for rates in trace["rates"]]
        self.candidates: Sequence[int] = self.rate["candidates"]
        self.end = max(record["steps"], 1)

    def parts(self) -> Iterator[str]:
        """The marks of the panel, from the back to the front."""
        rate = self.rate
        bound = "" if rate["bound"] is None else f", bound {rate['bound']}"
        yield ink.text(f"{rate['where']}, line {rate['line']}", self.x, self.y - 7, 12, "ink bold")
        said = f"{rate['start']} → {rate['found']}{bound}"
        yield ink.text(said, self.x + self.width, self.y - 7, 12, "soft", "end")
        yield ink.rectangle(self.x, self.y, self.width, self.height, 3, "band")
        yield from self._cells()
        for number in (self.candidates[0], self.candidates[-1]):
            yield ink.text(str(number), self.x - 4, self._at(number) + 4, 10, "soft", "end")
        if rate["start"] in self.candidates:
            yield _line([(self.x, self._at(rate["start"])), (self._right, self._at(rate["start"]))], "soft", "4 3")
        if rate["bound"] is not None and rate["bound"] < self.candidates[-1]:
            edge = self._at(rate["bound"]) - self._tall / 2
            yield _line([(self.x, edge), (self._right, edge)], "hole")
        if self.steps:
            yield _line(list(self._path()), "accent")
        if rate["found"] in self.candidates:
            yield ink.element("circle", cx=self._right + 6, cy=self._at(rate["found"]), r=4, class_="dilated")
        yield ink.text("0", self.x, self.y + self.height + 13, 10, "soft")
        yield ink.text(str(self.end), self._right, self.y + self.height + 13, 10, "soft", "end")

    @property
    def _right(self) -> float:
        return self.x + self.width

    @property
    def _tall(self) -> float:
        return self.height / len(self.candidates)

    def _at(self, rate: int) -> float:
        """The middle of a rate's row; of one between candidates or beyond them, the nearest edge."""
        below = sum(candidate <= rate for candidate in self.candidates)
        return self.y + self.height - self._tall * (max(below, 1) - 0.5)

    def _across(self, step: int) -> float:
        return self.x + self.width * step / self.end

    def _cells(self) -> Iterator[str]:
        """A rectangle for each stretch of steps over which a candidate's share stays the same."""
        edges = (0, *self.steps)
        for row, candidate in enumerate(self.candidates):
            shades = [round(0.08 + 0.8 * shares[row], 2) if shares[row] >= _FAINTEST else 0.0 for shares in self.shares]
            for shade, stretch in groupby(range(len(shades)), key=shades.__getitem__):
                numbers = list(stretch)
                if not shade:
                    continue
                left, right = self._across(edges[numbers[0]]), self._across(edges[numbers[-1] + 1])
                yield ink.element(
                    "rect",
                    x=left,
                    y=self._at(candidate) - self._tall / 2,
                    width=right - left,
                    height=self._tall,
                    class_="read",
                    fill_opacity=shade,
                )

    def _path(self) -> Iterator[tuple[float, float]]:
        for (before, after), rate in zip(pairwise((0, *self.steps)), self.decided, strict=True):
            yield self._across(before), self._at(rate)
            yield self._across(after), self._at(rate)


def _line(points: Sequence[tuple[float, float]], class_: str, dashes: str = "") -> str:
    path = "M" + "L".join(f"{ink.number(x)} {ink.number(y)}" for x, y in points)
    extra = {"stroke_dasharray": dashes} if dashes else {}
    return ink.element("path", d=path, class_=f"wire {class_}-line", **extra)


def search_html(record: Record) -> str:
    """A page about a search that needs nothing else: pictures, rates, scores, remarks."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    loader = PackageLoader("archdsl.report")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.lstrip_blocks = True
    page = environment.get_template("search.html")
    return page.render(record=record, scores=list(_scores(record)), picture=Markup(trajectory_svg(record)))


def _scores(record: Record) -> Iterator[tuple[str, str]]:
    """What was scored on validation data, in words, and its mIoU."""
    for key, what in (
        ("relaxed", "the mixtures"),
        ("inherited", "the likeliest rates, with the weights of the search"),
        ("before", "the start, trained from scratch for a short time"),
        ("after", "the answer, trained likewise"),
    ):
        found = record[key]
        yield what, "not scored" if found is None else f"{found['miou']:.4f}"
