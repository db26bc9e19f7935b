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
      | (?P<quoted>'[^'\n]*'|‘[^’\n]*’|“[^”\n]*”)
      | (?P<bad>(?:(?!!=)[^A-Za-z0-9_ \t\f\r\n{}()\[\]:,=<>+\-*/%."\#])+)""",
    re.VERBOSE,
)
BROKEN = "\0"
MAX_STRAYS = 40

_MEANT = {
    "×": "*",
    "÷": "/",
    "−": "-",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "→": "->",
    "&&": "and",
    "||": "or",
    "!": "not",
}
_QUOTES = frozenset("'‘’“”")


@dataclass(frozen=True)
class Scan:
    """The text's comments, what was wrong, and the text with bad characters blanked out (offsets unchanged).

    Each blank begins with the one character that the grammar reserves for what could not be read.
    """

    clean: str
    comments: tuple[Comment, ...]
    diagnostics: tuple[Diagnostic, ...]


def _bad_characters(source: Source, match: re.Match[str]) -> Diagnostic:
    text = match[0]
    shown = text if text.isprintable() else text.encode("unicode_escape").decode()
    if len(shown) > 24:
        shown = shown[:24] + "…"
    quoted = match.lastgroup == "quoted" or text in _QUOTES
    mend = "strings are written in double quotes" if quoted else ""
    if text in _MEANT:
        mend = f"write `{_MEANT[text]}`"
    elif text == ";":
        mend = "a statement ends where the next one begins; leave it out"
    elif text[0].isalpha():
        mend = "names are made of the letters A to Z, digits and `_`"
    span = Span(source, match.start(), match.end())
    return Diagnostic("E0103", f"`{shown}` is no part of the language", span, help=mend)


def _open_string(source: Source, match: re.Match[str]) -> Diagnostic:
    span = Span(source, match.start(), max(match.end(), match.start() + 1))
    return Diagnostic("E0104", "this string has no closing quote", span, help='end it with `"` on the same line')


def scan(source: Source) -> Scan:
    """Finds comments and stray characters in one pass."""
    comments: list[Comment] = []
    found: list[Diagnostic] = []
    blanks: list[tuple[int, int]] = []
    for match in _PIECES.finditer(source.text):
        if match.lastgroup == "comment":
            comments.append(_comment(source, match))
        elif match.lastgroup != "string":
            blanks.append(match.span())
            if len(found) < MAX_STRAYS:
                describe = _open_string if match.lastgroup == "open" else _bad_characters
                found.append(describe(source, match))
    return Scan("".join(_blanked(source.text, blanks)), tuple(comments), tuple(found))


def _comment(source: Source, match: re.Match[str]) -> Comment:
    before = source.text.rfind("\n", 0, match.start()) + 1
    own_line = not source.text[before : match.start()].strip()
    text = match[0].rstrip()
    return Comment(Span(source, match.start(), match.start() + len(text)), text, own_line)


def _blanked(text: str, blanks: list[tuple[int, int]]) -> Iterator[str]:
    position = 0
    for start, end in blanks:
        yield text[position:start]
        yield BROKEN + " " * (end - start - 1)
        position = end
    yield text[position:]


def doc_comment(comments: tuple[Comment, ...]) -> dict[int, str]:
    """The `##` text that ends just above each line: its paragraphs, without the marks."""
    runs: dict[int, list[str]] = {}
    for comment in comments:
        if comment.own_line and comment.text.startswith("##"):
            line = comment.span.line
            run = runs[line + 1] = runs.pop(line, [])
            run.append(comment.text[2:].strip())
    return {line: "\n".join(lines).strip() for line, lines in runs.items()}
