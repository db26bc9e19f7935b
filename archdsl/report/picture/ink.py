"""SVG as text: elements with escaped content, the colours of both backgrounds, and paths with round corners."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from xml.sax.saxutils import escape, quoteattr

from archdsl.diagnostics.columns import safe

FONT = "-apple-system, 'Segoe UI', Inter, Roboto, 'Helvetica Neue', 'DejaVu Sans', Arial, sans-serif"

_LIGHT = {
    "card": "#ffffff",
    "edge": "#d8dee6",
    "ink": "#1c2733",
    "soft": "#5b6876",
    "band": "#f4f6f9",
    "wire": "#7b8794",
    "accent": "#0b6bcb",
    "plain": "#eef1f5 #8a96a3",
    "conv": "#dcebfd #3b82d6",
    "dilated": "#d5f3e3 #1f9d66",
    "context": "#eadffb #8457d1",
    "resample": "#fdeccb #d0902a",
    "ends": "#ffffff #5b6876",
    "read": "#3b82d6",
    "hole": "#e5484d",
    "frame": "#eef1f5 #b6c0cb",
    "outline": "#1c2733",
}
_DARK = {
    "card": "#12171e",
    "edge": "#2b3541",
    "ink": "#e4eaf1",
    "soft": "#93a1b0",
    "band": "#181f28",
    "wire": "#75838f",
    "accent": "#6cb2ff",
    "plain": "#252e39 #6c7a89",
    "conv": "#17304f #4a93e6",
    "dilated": "#123a2a #36b37e",
    "context": "#2e2148 #a27ff0",
    "resample": "#41300f #e0a846",
    "ends": "#12171e #93a1b0",
    "read": "#4a93e6",
    "hole": "#ff6369",
    "frame": "#222b36 #46525f",
    "outline": "#e4eaf1",
}


def element(name: str, content: str = "", **attributes: object) -> str:
    """An element; `content` is markup already. An underscore in an attribute's name stands for a hyphen."""
    said = "".join(f" {key.strip('_').replace('_', '-')}={_quoted(value)}" for key, value in attributes.items())
    return f"<{name}{said}>{content}</{name}>" if content else f"<{name}{said}/>"


def text(content: str, x: float, y: float, size: float, class_: str, anchor: str = "start") -> str:
    """A line of text whose baseline is at y."""
    extra = {} if anchor == "start" else {"text_anchor": anchor}
    return element("text", clean(content), x=x, y=y, font_size=size, class_=class_, **extra)


def titled(content: str, title: str) -> str:
    """Markup with words that a pointer over it brings up."""
    return element("g", f"<title>{clean(title)}</title>{content}")


def rectangle(x: float, y: float, width: float, height: float, radius: float, class_: str) -> str:
    """A rectangle with round corners."""
    return element("rect", x=x, y=y, width=width, height=height, rx=radius, class_=class_)


def document(content: Sequence[str], width: float, height: float, label: str) -> str:
    """A whole picture on a card of its own, readable on light and on dark pages."""
    card = rectangle(0.5, 0.5, width - 1, height - 1, 10, "card")
    body = "\n".join([f"<style>{_style()}</style>", card, *content])
    size = {"width": number(width), "height": number(height), "viewBox": f"0 0 {number(width)} {number(height)}"}
    said = "".join(f' {key}="{value}"' for key, value in size.items())
    namespace = 'xmlns="http://www.w3.org/2000/svg"'
    return f'<svg {namespace} class="archdsl"{said} role="img" aria-label={_quoted(label)}>\n{body}\n</svg>\n'


def polyline(points: Sequence[tuple[float, float]], radius: float = 7.0) -> str:
    """Path data along points whose segments are upright or level, with round corners."""
    (x, y), *rest = points
    parts = [f"M{number(x)} {number(y)}"]
    for (bx, by), (cx, cy) in pairwise(rest):
        r = min(radius, _length(x, y, bx, by) / 2, _length(bx, by, cx, cy) / 2)
        into, out = _towards(bx, by, x, y, r), _towards(bx, by, cx, cy, r)
        parts.append(
            f"L{number(into[0])} {number(into[1])}Q{number(bx)} {number(by)} {number(out[0])} {number(out[1])}"
        )
        x, y = bx, by
    parts.append(f"L{number(rest[-1][0])} {number(rest[-1][1])}")
    return "".join(parts)


def number(value: float) -> str:
    """A coordinate to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def clean(content: str) -> str:
    """Text as XML may hold it."""
    return escape(safe(content).replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd"))


def _quoted(value: object) -> str:
    return quoteattr(number(value) if isinstance(value, float) else safe(str(value)).replace("\n", " "))


def _length(ax: float, ay: float, bx: float, by: float) -> float:
    return abs(ax - bx) + abs(ay - by)


def _towards(x: float, y: float, to_x: float, to_y: float, by: float) -> tuple[float, float]:
    length = _length(x, y, to_x, to_y) or 1.0
    return x + (to_x - x) * by / length, y + (to_y - y) * by / length


def _style() -> str:
    shared = (
        f".archdsl text{{font-family:{FONT}}}.archdsl .bold{{font-weight:650}}"
        ".archdsl .wire{fill:none;stroke-width:1.6}"
        ".archdsl .aux{stroke-dasharray:4 3}.archdsl .area{fill-opacity:.35}"
        ".archdsl .shade1{fill-opacity:.4}.archdsl .shade2{fill-opacity:.6}"
        ".archdsl .shade3{fill-opacity:.8}"
    )
    return f"{shared}{_colours(_LIGHT)}@media (prefers-color-scheme: dark){{{_colours(_DARK)}}}"


def _colours(palette: dict[str, str]) -> str:
    return "".join(_rule(name, value) for name, value in palette.items())


def _rule(name: str, value: str) -> str:
    if name == "card":
        return f".archdsl .card{{fill:{value}}}"
    if name == "edge":
        return f".archdsl .card{{stroke:{value}}}"
    if name == "outline":
        return f".archdsl .outline{{fill:none;stroke-width:1.5;stroke:{value}}}"
    if name == "wire":
        return f".archdsl .wire{{stroke:{value}}}.archdsl .arrow{{fill:{value}}}"
    fill, _, stroke = value.partition(" ")
    line = f".archdsl .wire.{name}-line{{stroke:{fill}}}" if name in ("accent", "soft", "hole") else ""
    return f".archdsl .{name}{{fill:{fill}" + (f";stroke:{stroke}}}" if stroke else "}") + line
