"""Words and values of the text form of a graph, taken from a line one by one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any, NamedTuple, NoReturn, TypeVar

from archdsl.diagnostics import ArchError, Diagnostic, Source, Span
from archdsl.ir.dims import Size, ceil_div, floor_div, symbol
from archdsl.ir.text import PLAIN_NAME

_T = TypeVar("_T")

_TOKEN = re.compile(
    rf"""(?P<blank>[ \t\r]+|\#.*)
    |(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<pair>\d+x\d+)
    |(?P<float>\d+(?:\.\d+(?:[eE][+-]?\d+)?|[eE][+-]?\d+))
    |(?P<int>\d+)
    |(?P<name>{PLAIN_NAME})
    |(?P<mark>[][(),:=@!/·⌊⌋⌈⌉+-])""",
    re.VERBOSE,
)
_MAX_DIGITS = 1024
_WORDS: Mapping[str, Any] = {"none": None, "true": True, "false": False, "inf": float("inf"), "nan": float("nan")}


class Token(NamedTuple):
    kind: str
    text: str
    span: Span


def tokens_of(source: Source, start: int, end: int) -> Iterator[Token]:
    """The tokens between two offsets, comments left out. Raises ArchError E0821 for a character without a meaning."""
    while start < end:
        match = _TOKEN.match(source.text, start, end)
        if match is None:
            raise text_error(f"`{source.text[start]}` means nothing here", Span(source, start, start + 1))
        span = Span(source, *match.span())
        if match.lastgroup != "blank":
            yield Token(str(match.lastgroup), match.group(), span)
        start = match.end()


def text_error(message: str, span: Span, help: str = "") -> ArchError:
    """The error E0821 at a place in the text."""
    return ArchError([Diagnostic("E0821", message, span, help=help)])


class TokenLine:
    """The tokens of a line, taken from the left."""

    def __init__(self, tokens: list[Token], end: Span) -> None:
        self.tokens, self.at = tokens, 0
        self._end = Token("end", "the end of the line", end)

    @property
    def next(self) -> Token:
        return self.tokens[self.at] if self.at < len(self.tokens) else self._end

    def sees(self, *texts: str) -> bool:
        return self.next.text in texts and self.next.kind in ("mark", "name")

    def take(self) -> Token:
        token = self.next
        self.at += 1
        return token

    def accept(self, text: str) -> bool:
        found = self.sees(text)
        self.at += found
        return found

    def expect(self, text: str) -> Token:
        return self.take() if self.sees(text) else self.fail(f"`{text}`")

    def fail(self, wanted: str) -> NoReturn:
        shown = self.next.text if self.next.kind == "end" else f"`{self.next.text}`"
        raise text_error(f"{wanted} is expected, not {shown}", self.next.span)

    def many(self, read: Callable[[], _T], close: str) -> list[_T]:
        """Items between commas up to a closing mark; a comma may stand after the last."""
        items: list[_T] = []
        while not self.sees(close):
            items.append(read())
            if not self.accept(","):
                break
        self.expect(close)
        return items

    # ------------------------------------------------------------ values

    def name(self) -> str:
        if self.next.kind == "string":
            return str(self.string())
        return self.take().text if self.next.kind == "name" else self.fail("a name")

    def integer(self) -> int:
        return int(self._short().text) if self.next.kind == "int" else self.fail("an integer")

    def _short(self) -> Token:
        """The next token, unless it has more digits than any number of a graph."""
        if len(self.next.text) > _MAX_DIGITS:
            raise text_error("the number is too long", self.next.span)
        return self.take()

    def string(self) -> str:
        token = self.take()
        try:
            return str(json.loads(token.text))
        except ValueError:
            raise text_error("this text has an escape that means nothing", token.span) from None

    def value(self) -> Any:
        """A setting's value."""
        kind, text = self.next.kind, self.next.text
        if kind == "string":
            return self.string()
        if kind == "pair":
            return tuple(map(int, self._short().text.split("x")))
        if self.accept("("):
            return tuple(self.many(self.value, ")"))
        if kind == "name" and text in _WORDS:
            return _WORDS[self.take().text]
        return self._number()

    def _number(self) -> Any:
        start = self.at
        sign = -1 if self.accept("-") else 1
        if self.next.kind == "float" or self.sees("inf"):
            return sign * float(self.take().text)
        if self.next.kind == "int":
            numerator = self.integer()
            if self.accept("/"):
                return Fraction(sign * numerator, self._divisor())
        self.at = start
        return self.size()

    def size(self) -> Size:
        """A size: sums of numbers, symbols, and quotients rounded down ⌊…⌋ or up ⌈…⌉."""
        total: Size = 0
        negative = self.accept("-")
        while True:
            term = self._term()
            total = total - term if negative else total + term
            if not self.sees("+", "-"):
                return total
            negative = self.take().text == "-"

    def _term(self) -> Size:
        if self.next.kind != "int":
            return self._atom()
        factor = self.integer()
        return factor * self._atom() if self.accept("·") else factor

    def _atom(self) -> Size:
        for left, right, divide in (("⌊", "⌋", floor_div), ("⌈", "⌉", ceil_div)):
            if self.accept(left):
                inner = self._numerator()
                self.expect("/")
                divisor = self._divisor()
                self.expect(right)
                return divide(inner, divisor)
        return symbol(self.take().text) if self.next.kind == "name" else self.fail("a value")

    def _numerator(self) -> Size:
        if not self.accept("("):
            return self.size()
        inner = self.size()
        self.expect(")")
        return inner

    def _divisor(self) -> int:
        token = self.next
        value = self.integer()
        if value == 0:
            raise text_error("nothing can be divided by 0", token.span)
        return value
