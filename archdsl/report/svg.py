"""The picture of a network: its parts from left to right, its resolutions from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from archdsl.analyses.cost import macs, parameters
from archdsl.analyses.fieldofview import FieldOfViewFacts
from archdsl.analyses.fieldofview import facts as field_of_view_facts
from archdsl.checking import FACTS_SIZE, nearest_size, size_text
from archdsl.ir.graph import Graph
from archdsl.report.numbers import fraction, short
from archdsl.report.picture import ink
from archdsl.report.picture.boxes import CONCAT, Colour, diagram
from archdsl.report.picture.geometry import LABEL, LABEL_STEP, LINE, LINE_STEP, SIGN, STACK, TAG, Drawn, Geometry
from archdsl.report.picture.layout import arrange
from archdsl.report.picture.lettering import fitted, text_width
from archdsl.report.picture.wires import Router, Way

_MARGIN = 22.0
_HEAD = 74.0
_LANE_LABEL = 40.0
_LEGEND = 34.0
_TITLE, _FACTS = 21.0, 13.0
_LEAST_WIDTH = 420.0
_ARROW = 7.0

_MEANING: Mapping[Colour, str] = {
    "conv": "convolution",
    "dilated": "dilated (r: rates)",
    "context": "sees everything",
    "resample": "resampling",
    "plain": "other",
}


@dataclass(frozen=True, slots=True)
class Lettering:
    """A text of the picture and the box that it takes up, for those who check that none overlap."""

    text: str
    left: float
    top: float
    right: float
    bottom: float


def network_svg(
    graph: Graph, *, values: Mapping[str, int] | None = None, title: str | None = None, facts: str | None = None
) -> str:
    """The picture of a network as SVG; `title` and `facts` replace its name and the line below it.

    `values` is the input's size at which the line of facts counts multiply-adds.
    """
    return Picture(graph, title or graph.name, fact_line(graph, values) if facts is None else facts).svg()


def fact_line(graph: Graph, values: Mapping[str, int] | None = None) -> str:
    """Parameters, multiply-adds and the widest field of view in one line."""
    at = dict(values) if values else nearest_size(graph, FACTS_SIZE)
    parts = [
        f"{_count(parameters(graph))} parameters",
        f"{_count(macs(graph, at))} MACs at {size_text(at).replace('x', ' × ')}",
    ]
    widest = widest_view(field_of_view_facts(graph, values))
    if widest is not None:
        name, (y, x) = widest
        parts.append(f"field of view {y} × {x} at {name}")
    return " · ".join(parts)


def widest_view(views: FieldOfViewFacts) -> tuple[str, tuple[int, int]] | None:
    """The named value that sees furthest, nominal ones only where there is no other, and its field of view."""
    exact = {n: v for n, v in views.field_of_view.items() if n not in views.nominal} or views.field_of_view
    return max(exact.items(), key=lambda item: item[1], default=None)


def _count(number: int) -> str:
    return short(number) if number else "no"


class Picture:
    """One network, laid out."""

    def __init__(self, graph: Graph, title: str, facts: str) -> None:
        self.graph, self.title, self.facts = graph, title, facts
        self.layout = arrange(diagram(graph))
        self.router = Router(self.layout)
        self.geometry = Geometry(self.layout, self.router.slots, _MARGIN + _LANE_LABEL + 12, _HEAD)

    @property
    def width(self) -> float:
        """In pixels, wide enough for boxes, words and legend."""
        words = max(text_width(self.facts, _FACTS), text_width(self.title, _TITLE, bold=True))
        content = max(self.geometry.right + 14, min(words, 900.0) + _MARGIN + 1, _LEAST_WIDTH, self._legend_width())
        return content + _MARGIN

    @property
    def height(self) -> float:
        """In pixels."""
        return self.geometry.bottom + _LEGEND + 10

    def svg(self) -> str:
        """The picture."""
        ways = self.router.ways(self.geometry)
        content = [
            *self._head(),
            *self._lanes(),
            *(_wire(way) for way in ways),
            *(_arrow(way) for way in ways),
            *(self._box(item) for item in self.geometry.drawn.values()),
            *self._legend(),
        ]
        return ink.document(content, self.width, self.height, f"{self.title}: {self.facts}")

    # ------------------------------------------------------------ around the boxes

    def _head(self) -> Iterator[str]:
        room = self.width - 2 * _MARGIN
        title = fitted(self.title, _TITLE, room, bold=True)
        yield ink.text(title, _MARGIN, 36.0, _TITLE, "ink bold")
        yield ink.text(fitted(self.facts, _FACTS, room), _MARGIN, 57.0, _FACTS, "soft")

    def _lanes(self) -> Iterator[str]:
        for i, lane in enumerate(self.layout.lanes):
            top, bottom = self.geometry.lane(i)
            if i % 2 == 0:
                yield ink.rectangle(_MARGIN - 10, top, self.width - 2 * _MARGIN + 20, bottom - top, 8, "band")
            label = fitted(fraction(lane), LABEL, _LANE_LABEL)
            yield ink.text(label, _MARGIN, (top + bottom) / 2 + 5, LABEL, "soft bold")

    @cached_property
    def _explained(self) -> list[tuple[str, str]]:
        """What the legend explains: the class of a colour or the letter of a sign, and what it means."""
        boxes = self.layout.diagram.boxes
        colours = {box.colour for box in boxes if box.role != "sign"}
        found: list[tuple[str, str]] = [(colour, words) for colour, words in _MEANING.items() if colour in colours]
        if any(box.role == "sign" and box.label == CONCAT for box in boxes):
            found.append((CONCAT, "concatenation"))
        return found

    def _legend_width(self) -> float:
        return _MARGIN + sum(text_width(words, LINE) + 38 for _, words in self._explained)

    def _legend(self) -> Iterator[str]:
        x, y = _MARGIN, self.geometry.bottom + 14
        for what, words in self._explained:
            if what == CONCAT:
                yield ink.element("circle", cx=x + 6, cy=y + 6, r=7, class_="plain")
                yield ink.text(CONCAT, x + 6, y + 10, LINE, "ink bold", "middle")
            else:
                yield ink.rectangle(x, y, 12, 12, 3, what)
            yield ink.text(words, x + 18, y + 10, LINE, "soft")
            x += text_width(words, LINE) + 38

    # ------------------------------------------------------------ boxes

    def _box(self, item: Drawn) -> str:
        name = item.box.name
        left, _ = self.geometry.sides(name)
        y = self.geometry.y(self.layout.rows[name])
        parts = [*_body(item, left, y), *_words(item, self.geometry.x(name), y)]
        if item.box.tags:
            parts.append(ink.text(self.geometry.tag(name), *self.geometry.tag_place(name), TAG, "accent bold"))
        return ink.titled("".join(parts), item.box.title or item.box.label)

    def letterings(self) -> list[Lettering]:
        """Every text on or above a box, with an upper estimate of where it stands."""
        return [entry for item in self.geometry.drawn.values() for entry in self._letterings(item)]

    def _letterings(self, item: Drawn) -> Iterator[Lettering]:
        name = item.box.name
        x, y = self.geometry.x(name), self.geometry.y(self.layout.rows[name])
        for words, size, middle, baseline, bold in _lines(item, x, y):
            half = text_width(words, size, bold=bold) / 2
            yield Lettering(words, middle - half, baseline - size * 0.95, middle + half, baseline + size * 0.24)
        if item.box.tags:
            tag, (left, base) = self.geometry.tag(name), self.geometry.tag_place(name)
            yield Lettering(tag, left, base - TAG, left + text_width(tag, TAG, bold=True), base + 2)


def _body(item: Drawn, left: float, y: float) -> Iterator[str]:
    box, top = item.box, y - item.height / 2
    class_ = box.colour + (" aux" if box.aux else "")
    if box.role == "sign":
        yield ink.element("circle", cx=left + SIGN, cy=y, r=SIGN, class_=class_)
        return
    for copy in range(min(box.count, 3) - 1, 0, -1):
        step = copy * STACK / 2
        yield ink.rectangle(left + step, top - step, item.width, item.height, 6, class_)
    radius = item.height / 2 if box.role in ("resize", "input", "output") else 6.0
    yield ink.rectangle(left, top, item.width, item.height, min(radius, 14.0), class_)


def _words(item: Drawn, x: float, y: float) -> Iterator[str]:
    for words, size, middle, baseline, bold in _lines(item, x, y):
        yield ink.text(words, middle, baseline, size, "ink bold" if bold else "soft", "middle")


def _lines(item: Drawn, x: float, y: float) -> Sequence[tuple[str, float, float, float, bool]]:
    """The lines of a box: text, size, middle, baseline, whether bold."""
    if item.box.role in ("sign", "resize"):
        size = LABEL if item.box.role == "sign" else LINE
        return [(item.label[0], size, x, y + size * 0.36, item.box.role == "sign")]
    at = y - (len(item.label) * LABEL_STEP + len(item.lines) * LINE_STEP) / 2
    found = []
    for words in item.label:
        found.append((words, LABEL, x, at + LABEL_STEP - 4, True))
        at += LABEL_STEP
    for words in item.lines:
        found.append((words, LINE, x, at + LINE_STEP - 3, False))
        at += LINE_STEP
    return found


def _wire(way: Way) -> str:
    (ax, ay), (bx, by) = way.points[-2:]
    # the line ends inside the arrow head, so that its blunt end does not show
    short = min(_ARROW - 2, abs(ax - bx) + abs(ay - by))
    end = (bx - short, by) if ay == by else (bx, by - short if by > ay else by + short)
    return ink.element("path", d=ink.polyline([*way.points[:-1], end]), class_="wire")


def _arrow(way: Way) -> str:
    (_, ay), (x, y) = way.points[-2:]
    half = _ARROW * 0.45
    if ay == y:
        corners = [(x, y), (x - _ARROW, y - half), (x - _ARROW, y + half)]
    else:
        back = y - _ARROW if y > ay else y + _ARROW
        corners = [(x, y), (x - half, back), (x + half, back)]
    outline = "L".join(f"{ink.number(a)} {ink.number(b)}" for a, b in corners)
    return ink.element("path", d=f"M{outline}Z", class_="arrow")
