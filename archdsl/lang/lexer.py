"""Text to tokens: one regular expression made of Lark's terminals, in the order in which Lark would try them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from archdsl.lang.tables import Lexicon


class Token(str):
    """A piece of text on one line, and which terminal it is. `start` and `end` are offsets, the others count from 1."""

    __slots__ = ("column", "end", "line", "start", "type")

    type: str
    start: int
    end: int
    line: int
    column: int

    def __new__(cls, kind: str, text: str, start: int, end: int, line: int = 1, column: int = 1) -> Token:
        token = super().__new__(cls, text)
        token.type = kind
        token.start, token.end = start, end
        token.line, token.column = line, column
        return token


@cache
def _scanner(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def lex(text: str, lexicon: Lexicon) -> Iterator[Token]:
    """The tokens of a text that `scan` has cleaned. Raises ValueError at a character that no terminal begins with."""
    keywords, ignored = lexicon.keywords, lexicon.ignored
    line, line_start, expected = 1, 0, 0
    for match in _scanner(lexicon.pattern).finditer(text):
        start, end = match.span()
        if start != expected:
            break
        expected = end
        kind, piece = match.lastgroup or "", match[0]
        if kind in ignored:
            breaks = piece.count("\n")
            if breaks:
                line += breaks
                line_start = start + piece.rindex("\n") + 1
            continue
        yield Token(keywords.get(piece, kind), piece, start, end, line, start - line_start + 1)
    if expected != len(text):
        raise ValueError(f"no token begins at offset {expected}")
