"""What stands in a text besides tokens: comments, and characters that belong to no token."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from archdsl.diagnostics import Diagnostic, Source, Span
from archdsl.lang.tree import Comment

_PIECES = re.compile(
    r"""(?P<string>"(?:[^"\\\n]|\\.)*")
      | (?P<comment>\#[^\n]*)
      | (?P<open>"[^\n]*?(?=[)\],}\s]*(?:\n|\Z)))
      | (?P<quoted>'[^'\n]*')
      | (?P<bad>(?:(?!!=)[^A-Za-z0-9_ \t\f\r\n{}()\[\]:,=<>+\-*/%."\#])+)""",
    re.VERBOSE,
)
_MEANT = {
    "×": "*",
    "÷": "/",
    "−": "-",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "→": "->",
    "'": '"',
    "“": '"',
    "”": '"',
}


@dataclass(frozen=True)
class Scan:
    """The text with bad characters blanked out (offsets unchanged), its comments, and what was wrong."""

    clean: str
    comments: tuple[Comment, ...]
    diagnostics: tuple[Diagnostic, ...]


def _bad_characters(source: Source, match: re.Match[str]) -> Diagnostic:
    text = match[0]
    shown = text if text.isprintable() else text.encode("unicode_escape").decode()
    if len(shown) > 24:
        shown = shown[:24] + "…"
    meant = _MEANT.get(text)
    mend = "strings are written in double quotes" if text == "'" else f"write `{meant}`" if meant else ""
    span = Span(source, match.start(), match.end())
    return Diagnostic("E0103", f"`{shown}` is no part of the language", span, help=mend)


def _open_string(source: Source, match: re.Match[str]) -> Diagnostic:
    span = Span(source, match.start(), max(match.end(), match.start() + 1))
    return Diagnostic(
        "E0104", "this string has no closing quote", span, help='end it with `"` on the same line'
    )


def scan(source: Source) -> Scan:
    """Finds comments and stray characters in one pass."""
    comments: list[Comment] = []
    found: list[Diagnostic] = []
    blanks: list[tuple[int, int]] = []
    for match in _PIECES.finditer(source.text):
        if match.lastgroup == "comment":
            before = source.text.rfind("\n", 0, match.start()) + 1
            own_line = not source.text[before : match.start()].strip()
            comments.append(Comment(Span(source, match.start(), match.end()), match[0].rstrip(), own_line))
        elif match.lastgroup in ("bad", "open"):
            describe = _bad_characters if match.lastgroup == "bad" else _open_string
            found.append(describe(source, match))
            blanks.append((match.start(), match.end()))
    return Scan("".join(_blanked(source.text, blanks)), tuple(comments), tuple(found))


def _blanked(text: str, blanks: list[tuple[int, int]]) -> Iterator[str]:
    position = 0
    for start, end in blanks:
        yield text[position:start]
        yield " " * (end - start)
        position = end
    yield text[position:]


def doc_comment(comments: tuple[Comment, ...], source: Source) -> dict[int, str]:
    """The `##` text that ends just above each line: its paragraphs, without the marks."""
    docs: dict[int, str] = {}
    lines: list[str] = []
    expected = -1
    for comment in comments:
        line = comment.span.line
        if not (comment.own_line and comment.text.startswith("##")):
            continue
        if line != expected:
            lines = []
        lines.append(comment.text[2:].strip())
        expected = line + 1
        docs[expected] = "\n".join(lines).strip()
    return docs
