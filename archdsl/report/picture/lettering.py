"""How wide text is in a picture whose font is not known, and how it is made to fit."""

from __future__ import annotations

import re
import unicodedata

_NARROW = frozenset("iljtfrI.,:;'|!()[]·1 ")
_WIDE = frozenset("mwMW@%—…")


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """An upper estimate of a text's width in pixels, for the wider of the common sans-serif fonts."""
    return sum(map(_em, text)) * size * (1.08 if bold else 1.0)


def _em(char: str) -> float:
    if unicodedata.combining(char):
        return 0.0
    if unicodedata.east_asian_width(char) in "WF":
        return 1.05
    if char in _NARROW:
        return 0.65 if char == "1" else 0.42
    return 1.0 if char in _WIDE else 0.72 if char.isupper() else 0.65


def fitted(text: str, size: float, room: float, *, bold: bool = False) -> str:
    """The text, cut and ended with `…` where it is wider than `room`."""
    if text_width(text, size, bold=bold) <= room:
        return text
    kept = text
    while kept and text_width(kept + "…", size, bold=bold) > room:
        kept = kept[:-1]
    return kept.rstrip() + "…"


def wrapped(name: str, size: float, room: float, *, bold: bool = False) -> tuple[str, ...]:
    """A name on at most two lines, broken where its words meet: `Conv` and `BnAct`, `conv_` and `transpose`."""
    if text_width(name, size, bold=bold) <= room:
        return (name,)
    breaks = [m.start() for m in re.finditer(r"(?<=[a-z0-9])(?=[A-Z])|(?<=_)", name)]
    fits = [i for i in breaks if text_width(name[:i], size, bold=bold) <= room]
    if not fits:
        return (fitted(name, size, room, bold=bold),)
    at = min(fits, key=lambda i: abs(2 * i - len(name)))
    return name[:at], fitted(name[at:], size, room, bold=bold)
