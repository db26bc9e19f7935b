"""A small document printer: groups of pieces that stand on one line where they fit, and are broken where not.

Each document knows the width of its flat form and of its beginning up to its first possible line break, worked out
when it is made; so the printer decides each group by looking at what follows until the next break, and nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH = 110

_NEVER = 1_000_000
"""The flat width of what cannot be flat; sums of it stay above every real width."""


@dataclass(frozen=True, slots=True)
class Doc:
    """A piece of the output. `flat` is its width on one line, `head` that up to the first place it can break."""

    flat: int
    head: int
    breaks: bool


@dataclass(frozen=True, slots=True)
class Text(Doc):
    text: str


@dataclass(frozen=True, slots=True)
class Line(Doc):
    """A line break, or `flat` blanks where its group is flat."""

    blank: bool = False
    """An empty line as well."""


@dataclass(frozen=True, slots=True)
class Remark(Doc):
    """A comment: at the end of the line as it is then, or on a line of its own. Nothing follows it on its line."""

    text: str
    own_line: bool


@dataclass(frozen=True, slots=True)
class Broken(Doc):
    """A text that stands only where the group around it is broken: the comma after a last item."""

    text: str


@dataclass(frozen=True, slots=True)
class Concat(Doc):
    parts: tuple[Doc, ...]


@dataclass(frozen=True, slots=True)
class Indent(Doc):
    body: Doc
    by: int


@dataclass(frozen=True, slots=True)
class Group(Doc):
    body: Doc


@dataclass(frozen=True, slots=True)
class Fill(Doc):
    """Pieces and separators in turn; each separator breaks only where the next piece does not fit."""

    parts: tuple[Doc, ...]


SOFT = Line(0, 0, True)
SPACE = Line(1, 0, True)
HARD = Line(_NEVER, 0, True)
BLANK = Line(_NEVER, 0, True, blank=True)
EMPTY = Concat(0, 0, False, ())


def text(value: str) -> Doc:
    return Text(len(value), len(value), False, value)


def remark(value: str, own_line: bool) -> Doc:
    return Remark(_NEVER, 0, True, value, own_line)


def if_broken(value: str) -> Doc:
    return Broken(0, len(value), False, value)


def _measure(parts: Iterable[Doc]) -> tuple[int, int, bool]:
    flat = head = 0
    breaks = False
    for part in parts:
        flat = min(flat + part.flat, _NEVER)
        if not breaks:
            head += part.head
            breaks = part.breaks
    return flat, head, breaks


def concat(*parts: Doc) -> Doc:
    return Concat(*_measure(parts), parts)


def fill(parts: Sequence[Doc]) -> Doc:
    return Fill(*_measure(parts), tuple(parts))


def indent(by: int, *parts: Doc) -> Doc:
    body = concat(*parts)
    return Indent(body.flat, body.head, body.breaks, body, by)


def group(*parts: Doc) -> Doc:
    body = concat(*parts)
    return Group(body.flat, body.head, body.breaks, body)


def render(doc: Doc, width: int = WIDTH) -> str:
    """The document as text, without blanks at line ends; lines are longer than `width` only where nothing can break."""
    return _Printer(width).render(doc)


@dataclass(slots=True)
class _Pending:
    """A document still to be printed, at its indentation; `part` is how far a `Fill` has come."""

    doc: Doc
    indent: int
    flat: bool
    part: int = 0


class _Printer:
    def __init__(self, width: int) -> None:
        self._width = width
        self._lines: list[str] = []
        self._line = ""
        self._ended = False
        self._stack: list[_Pending] = []

    def render(self, doc: Doc) -> str:
        self._stack.append(_Pending(doc, 0, False))
        while self._stack:
            self._print(self._stack.pop())
        self._lines.append(self._line)
        return "\n".join(self._lines)

    def _print(self, item: _Pending) -> None:
        match item.doc:
            case Text(text=value):
                self._write(value, item.indent)
            case Broken(text=value):
                self._write("" if item.flat else value, item.indent)
            case Concat(parts=parts):
                self._stack += [_Pending(part, item.indent, item.flat) for part in reversed(parts)]
            case Indent(body=body, by=by):
                self._stack.append(_Pending(body, item.indent + by, item.flat))
            case Group(body=body):
                flat = item.flat or self._fits(item.doc, item.indent)
                self._stack.append(_Pending(body, item.indent, flat))
            case Line():
                self._break(item.doc, item.flat)
            case Remark():
                self._remark(item.doc, item.indent)
            case Fill():
                self._fill(item.doc, item)

    def _write(self, value: str, indent: int) -> None:
        if not value:
            return
        if self._ended:
            self._new_line()
        self._line = (self._line or " " * indent) + value

    def _break(self, line: Line, flat: bool) -> None:
        if flat and not self._ended:
            self._line += " " * line.flat
            return
        self._new_line()
        if line.blank:
            self._new_line()

    def _new_line(self) -> None:
        self._lines.append(self._line.rstrip(" "))
        self._line = ""
        self._ended = False

    def _remark(self, note: Remark, indent: int) -> None:
        if self._line and (note.own_line or self._ended):
            self._new_line()
        self._line = f"{self._line.rstrip(' ')}  {note.text}" if self._line else " " * indent + note.text
        self._ended = True

    def _room(self, indent: int) -> int:
        return self._width - (len(self._line) if self._line and not self._ended else indent)

    def _fits(self, doc: Doc, indent: int) -> bool:
        """Whether a group fits flat on the line, together with what follows it up to the next break."""
        room = self._room(indent) - doc.flat
        for item in reversed(self._stack):
            # a fill that has begun goes on with a separator, where the line can break
            if room < 0 or item.part:
                break
            room -= item.doc.flat if item.flat else item.doc.head
            if item.doc.breaks and not item.flat:
                break
        return room >= 0

    def _fill(self, doc: Fill, item: _Pending) -> None:
        if item.flat:
            self._stack += [_Pending(part, item.indent, True) for part in reversed(doc.parts)]
            return
        part = item.part
        piece = doc.parts[part]
        needed = piece.flat
        if part + 1 < len(doc.parts):
            self._stack.append(_Pending(doc, item.indent, False, part + 1))
            needed += doc.parts[part + 1].flat if part % 2 else 0
        # one column is kept for the comma after the last piece
        flat = needed < self._room(item.indent)
        self._stack.append(_Pending(piece, item.indent, flat))
