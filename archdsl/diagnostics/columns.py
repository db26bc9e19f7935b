"""Where a character stands on the screen: tabs, wide and combining characters, and windows on long lines."""

from __future__ import annotations

import unicodedata

TAB = 4
LONGEST = 160
"""A line with more code points than this is shown only around its span."""

_SHOWN = 140
_BEFORE = 40
_UNSAFE = {"Cs", "Zl", "Zp"}
_REORDERING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def glyph(char: str) -> str:
    """A stand-in for a character that would move the cursor, reorder the text or start an escape sequence."""
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    if unicodedata.category(char) == "Cc":
        return "␡" if code == 0x7F else "\ufffd"
    if unicodedata.category(char) in _UNSAFE or unicodedata.bidirectional(char) in _REORDERING:
        return "\ufffd"
    return char


def safe(text: str) -> str:
    """The text as a terminal may be given it: line ends kept, other control characters made visible."""
    if text.isprintable():
        return text
    return "".join(char if char == "\n" else glyph(char) for char in text)


def width(char: str) -> int:
    """How many columns a character takes: 0 for combining ones, 2 for wide East Asian ones, otherwise 1."""
    if char.isascii():
        return 1
    # a soft hyphen is a format character that terminals do draw
    if unicodedata.category(char) in {"Mn", "Me", "Cf"} and char != "\u00ad":
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def window(line: str, start: int) -> tuple[int, int]:
    """The stretch of a line to show for a span that starts at `start`: all of it, unless it is very long."""
    if len(line) <= LONGEST:
        return 0, len(line)
    low = max(0, min(start - _BEFORE, len(line) - _SHOWN))
    return low, low + _SHOWN


class Shown:
    """A stretch of a line as it appears on the screen, with `…` where something was left out."""

    def __init__(self, line: str, low: int, high: int) -> None:
        self._low = low
        glyphs = ["…"] if low else []
        self._stops = [len(glyphs)]
        for char in line[low:high]:
            column = self._stops[-1]
            glyphs.append(" " * (TAB - column % TAB) if char == "\t" else glyph(char))
            self._stops.append(column + sum(map(width, glyphs[-1])))
        self.text = "".join(glyphs).rstrip() + ("…" if high < len(line) else "")

    def extent(self, start: int, end: int) -> tuple[int, int]:
        """First column (from 0) and width of a stretch of the line's code points; never narrower than 1."""
        first, last = self._column(start), self._column(end)
        return first, max(1, last - first)

    def _column(self, index: int) -> int:
        return self._stops[min(max(index - self._low, 0), len(self._stops) - 1)]
