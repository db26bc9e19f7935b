"""Diagnostics for the terminal: the message, the line it is about, the calls that led there, a mend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from archdsl.diagnostics.columns import Shown, safe, window
from archdsl.diagnostics.model import Diagnostic, Frame, Severity, Span

_COLORS = {Severity.ERROR: "1;31", Severity.WARNING: "1;33", Severity.NOTE: "1;36"}
_BOLD = "1"
_FRAMEWORK = "1;34"
_FRAMES_SHOWN = 6


def render(diagnostic: Diagnostic, *, color: bool) -> str:
    """One diagnostic as text without a line end; with ANSI colours where `color` is true."""
    return "\n".join(_View(diagnostic, color).rows())


def render_all(diagnostics: Iterable[Diagnostic], *, color: bool, cap: int = 20) -> str:
    """All diagnostics in order, at most `cap` of each severity, and a last line that counts them all."""
    total: Counter[Severity] = Counter()
    parts = []
    for diagnostic in diagnostics:
        total[diagnostic.severity] += 1
        if total[diagnostic.severity] <= cap:
            parts.append(render(diagnostic, color=color))
    hidden = [(kind, total[kind] - cap) for kind in Severity if total[kind] > cap]
    parts += [f"… and {_counted(number, f'more {kind}')}" for kind, number in hidden]
    if total:
        parts.append(", ".join(_counted(total[kind], kind) for kind in Severity if total[kind]))
    return "\n\n".join(parts)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@dataclass(frozen=True, slots=True)
class _Mark:
    """An underline within one line: `start` and `end` count its code points from 0."""

    line: int
    start: int
    end: int
    words: str
    primary: bool


def _marks(span: Span, words: str, primary: bool) -> Iterator[_Mark]:
    """The underlines of a span: one, or one on its first and one on its last line."""
    source = span.source
    line, column = source.position(span.start)
    stretch = span.text
    if "\n" in stretch:
        stretch = stretch.rstrip()
    last, end = source.position(span.start + len(stretch))
    words = " ".join(safe(words).split("\n"))
    if last == line:
        yield _Mark(line, column - 1, end - 1, words, primary)
        return
    first_text, last_text = source.line_text(line), source.line_text(last)
    yield _Mark(line, column - 1, len(first_text.rstrip()), f"goes on to line {last}", primary)
    yield _Mark(last, len(last_text) - len(last_text.lstrip()), end - 1, words, primary)


class _View:
    """One diagnostic, being laid out."""

    def __init__(self, diagnostic: Diagnostic, color: bool) -> None:
        self.diagnostic = diagnostic
        self.color = color
        spans = [label.span for label in diagnostic.labels]
        spans += [diagnostic.span] if diagnostic.span else []
        self.gutter = max([2, *(len(str(span.end_line)) for span in spans)])

    def rows(self) -> Iterator[str]:
        yield self._head()
        places = list(self._places())
        rest = [*self._trace(), *self._remarks()]
        yield from places
        if places and rest:
            yield self._row()
        yield from rest

    def _paint(self, style: str, text: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self.color and text else text

    def _row(self, number: str = "", text: str = "") -> str:
        bar = self._paint(_FRAMEWORK, f"{number:>{self.gutter}} |")
        return f"{bar} {text}" if text else bar

    def _arrow(self, span: Span) -> str:
        # a file that was not read has no lines to point at
        where = f"{safe(span.path)}:{span.line}:{span.column}" if span.source.text else safe(span.path)
        return f"{' ' * self.gutter}{self._paint(_FRAMEWORK, '-->')} {where}"

    def _head(self) -> str:
        d = self.diagnostic
        kind = self._paint(_COLORS[d.severity], f"{d.severity}[{d.code}]")
        return kind + self._paint(_BOLD, f": {safe(d.message)}")

    def _places(self) -> Iterator[str]:
        """The primary place with the labels in the same text, then each label that stands in another text."""
        d = self.diagnostic
        here = d.span.source if d.span else None
        elsewhere = [label for label in d.labels if label.span.source is not here]
        if d.span:
            marks = list(_marks(d.span, d.label, True))
            for label in d.labels:
                if label.span.source is here:
                    marks += _marks(label.span, label.text, False)
            yield from self._place(d.span, marks)
        for index, label in enumerate(elsewhere):
            if d.span or index:
                yield self._row()
            yield from self._place(label.span, list(_marks(label.span, label.text, False)))

    def _place(self, span: Span, marks: list[_Mark]) -> Iterator[str]:
        yield self._arrow(span)
        if not span.source.text:
            return
        yield self._row()

        def view(mark: _Mark) -> tuple[int, int, int]:
            return mark.line, *window(span.source.line_text(mark.line), mark.start)

        previous = 0
        for (line, low, high), group in groupby(sorted(marks, key=view), key=view):
            if previous and line > previous + 1:
                yield self._paint(_FRAMEWORK, "...")
            shown = Shown(span.source.line_text(line), low, high)
            yield self._row(str(line), shown.text)
            yield from (self._row(text=self._underline(mark, shown)) for mark in group)
            previous = line

    def _underline(self, mark: _Mark, shown: Shown) -> str:
        first, width = shown.extent(mark.start, mark.end)
        strokes = ("^" if mark.primary else "-") * width
        style = _COLORS[self.diagnostic.severity] if mark.primary else _FRAMEWORK
        return " " * first + self._paint(style, f"{strokes} {mark.words}".rstrip())

    def _trace(self) -> Iterator[str]:
        frames = self.diagnostic.trace
        if len(frames) <= _FRAMES_SHOWN:
            yield from self._frames(frames)
            return
        half = _FRAMES_SHOWN // 2
        yield from self._frames(frames[:half])
        yield f"{' ' * self.gutter}… {_counted(len(frames) - 2 * half, 'more call')} …"
        yield from self._frames(frames[-half:])

    def _frames(self, frames: tuple[Frame, ...]) -> Iterator[str]:
        for frame in frames:
            yield f"{' ' * self.gutter}raised in block {safe(frame.block)}, here"
            yield self._arrow(frame.span)

    def _remarks(self) -> Iterator[str]:
        if self.diagnostic.help:
            yield self._remark("help", self.diagnostic.help)
        for note in self.diagnostic.notes:
            yield self._remark("note", note)

    def _remark(self, kind: str, text: str) -> str:
        sign = self._paint(_FRAMEWORK, "=")
        indent = " " * (self.gutter + 1)
        follow = "\n" + indent + " " * len(f"= {kind}: ")
        return f"{indent}{sign} {self._paint(_BOLD, f'{kind}:')} {safe(text).replace(chr(10), follow)}"
