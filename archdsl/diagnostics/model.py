"""The one error model: where a thing stands in a text, and what is wrong with it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property


class Source:
    """A text and the path it came from. Spans point into it; identity is what distinguishes two sources."""

    def __init__(self, path: str, text: str, *, library: bool = False) -> None:
        self.path = path
        self.text = text
        self.library = library
        """True for the standard library: an error there is shown where the user's text called it."""

    @cached_property
    def line_starts(self) -> list[int]:
        starts = [0]
        starts += [i + 1 for i, ch in enumerate(self.text) if ch == "\n"]
        return starts

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both counted from 1, columns in code points."""
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line_text(self, line: int) -> str:
        """The text of a line (from 1), without its line end."""
        start = self.line_starts[line - 1]
        end = self.line_starts[line] - 1 if line < len(self.line_starts) else len(self.text)
        return self.text[start:end].rstrip("\r")

    def __repr__(self) -> str:
        return f"Source({self.path!r})"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a source: offsets in code points, the end exclusive."""

    source: Source
    start: int
    end: int

    @classmethod
    def of_file(cls, path: str) -> Span:
        """A file as a whole: it has a path, and no line to show."""
        return cls(Source(path, ""), 0, 0)

    @property
    def path(self) -> str:
        return self.source.path

    @property
    def line(self) -> int:
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        return self.source.position(self.start)[1]

    @property
    def end_line(self) -> int:
        return self.source.position(self.end)[0]

    @property
    def end_column(self) -> int:
        return self.source.position(self.end)[1]

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        """From the start of this span to the end of another in the same source."""
        return Span(self.source, self.start, other.end)


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Label:
    """A second place that belongs to a diagnostic, with a few words about it."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Frame:
    """One step of the block call chain: in the body of `block`, at `span`.

    Frames run from the user's text inwards; the primary span of a diagnostic is the call (or statement) in the
    user's own text, and each frame after it is one block deeper.
    """

    block: str
    span: Span


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing to tell the user.

    `message` is one short sentence without a full stop; `label` the words beside the underline; `labels` other places
    that matter (both sides of a disagreement); `trace` the block call chain; `help` a mend, where one is known.
    """

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    labels: tuple[Label, ...] = ()
    trace: tuple[Frame, ...] = ()
    help: str = ""
    severity: Severity = Severity.ERROR
    notes: tuple[str, ...] = ()
    """Further lines, each shown as `= note: …`."""


class ArchError(Exception):
    """The spec, its data or its weights are at fault. Carries every diagnostic, warnings included."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        from archdsl.diagnostics.text import render_all

        return "\n" + render_all(self.diagnostics, color=False)


class InternalError(Exception):
    """A fault of archdsl, not of the user's. The command line asks for a report and exits with 70."""


@dataclass(slots=True)
class Diagnostics:
    """Collects diagnostics; says one mistake once."""

    items: list[Diagnostic] = field(default_factory=list)
    _seen: set[tuple[str, str, int, int]] = field(default_factory=set)

    def add(self, diagnostic: Diagnostic) -> bool:
        """Adds it unless the same code already stands at the same place. Returns whether it was new."""
        span = diagnostic.span
        if span is not None:
            key = (diagnostic.code, span.source.path, span.start, span.end)
            if key in self._seen:
                return False
            self._seen.add(key)
        self.items.append(diagnostic)
        return True

    @property
    def failed(self) -> bool:
        return any(d.severity is Severity.ERROR for d in self.items)
