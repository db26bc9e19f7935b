"""Text to syntax tree, with recovery: one run reads every statement it can and says what is wrong with the others.

Lark's LALR table does the reading; `reader` drives it, and `build` turns Lark's tree into ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from math import inf
from typing import Any

from archdsl.diagnostics import Diagnostic, Source, Span
from archdsl.lang import tree as t
from archdsl.lang.automaton import ParseTree
from archdsl.lang.build import TreeBuilder, number
from archdsl.lang.lexer import Token, lex
from archdsl.lang.lines import CLOSE, CLOSING
from archdsl.lang.reader import MAX_ERRORS, Reader
from archdsl.lang.scan import Scan, doc_comment, scan
from archdsl.lang.tables import tables

MAX_BYTES = 256 * 1024
MAX_TOKENS = 100_000
MAX_DEPTH = 100
MAX_DIGITS = 64

_MAX_TREE_DEPTH = 2 * MAX_DEPTH


@dataclass(frozen=True)
class Parse:
    """The tree, as far as the text could be read, and what could not be."""

    file: t.File
    diagnostics: tuple[Diagnostic, ...]


def parse(source: Source) -> Parse:
    """Reads a text. Never raises on account of it: what is wrong is in `diagnostics`, in the text's order."""
    size = len(source.text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        return _refused(_too_large(source, f"{size:,} bytes", MAX_BYTES))
    scanned = scan(source)
    tokens = list(islice(lex(scanned.clean, tables().lexicon), MAX_TOKENS + 1))
    refusal = _too_many(source, tokens) or _too_deep(source, tokens)
    return _refused(refusal) if refusal else _read(source, scanned, tokens)


def _read(source: Source, scanned: Scan, tokens: list[Token]) -> Parse:
    huge = _refuse_huge_numbers(source, tokens)
    reader = Reader(source, tokens, tables())
    tree = reader.read()
    refusal = _tree_too_deep(source, tree)
    if refusal:
        return _refused(refusal)
    builder = _FileBuilder(source, _docs(scanned.comments, tokens), reader)
    version, entries = builder.file(tree)
    found = [*scanned.diagnostics, *huge, *reader.diagnostics]
    found.sort(key=lambda d: d.span.start if d.span else 0)
    return Parse(t.File(source, version, entries, scanned.comments), tuple(found))


def _refused(diagnostic: Diagnostic) -> Parse:
    assert diagnostic.span is not None
    return Parse(t.File(diagnostic.span.source, None, (), ()), (diagnostic,))


def _too_large(source: Source, size: str, limit: int) -> Diagnostic:
    message = f"the file has {size}, and {limit:,} is the most that is read"
    return Diagnostic("E0901", message, Span(source, 0, 0), help="split it, and import the parts with `use`")


def _too_many(source: Source, tokens: list[Token]) -> Diagnostic | None:
    many = len(tokens) > MAX_TOKENS
    return _too_large(source, "too many names, numbers and signs", MAX_TOKENS) if many else None


def _refuse_huge_numbers(source: Source, tokens: list[Token]) -> list[Diagnostic]:
    """Numbers that no network needs and Python will not read: the statements they stand in are left out."""
    found = []
    for token in tokens:
        if token.type == "NUMBER" and (len(token) > MAX_DIGITS or _overflows(token)):
            token.type = "BROKEN"
            span = Span(source, token.start, token.end)
            found.append(Diagnostic("E0901", "this number is too large to read", span))
    return found[:MAX_ERRORS]


def _overflows(literal: str) -> bool:
    return "e" in literal.lower() and number(literal) == inf


def _too_deep(source: Source, tokens: list[Token]) -> Diagnostic | None:
    depth = 0
    for token in tokens:
        if token.type in CLOSING:
            depth += 1
            if depth > MAX_DEPTH:
                return _depth_error(source, token.start, token.end)
        elif token.type in CLOSE:
            depth = max(depth - 1, 0)
    return None


def _tree_too_deep(source: Source, tree: ParseTree) -> Diagnostic | None:
    """Nesting that needs no brackets: `- - - x`, `not not x`, `a if b else c if d else …`.

    What walks the tree recurses, a few calls for each level.
    """
    stack: list[tuple[ParseTree, int]] = [(tree, 0)]
    while stack:
        node, depth = stack.pop()
        if depth > _MAX_TREE_DEPTH:
            return _depth_error(source, node.start, node.end)
        stack += [(child, depth + 1) for child in node.children if isinstance(child, ParseTree)]
    return None


def _depth_error(source: Source, start: int, end: int) -> Diagnostic:
    span = Span(source, start, end)
    help = "give the inner parts names of their own"
    return Diagnostic("E0105", "this is nested too deep to read", span, help=help)


def _docs(comments: tuple[t.Comment, ...], tokens: Iterable[Token]) -> dict[int, str]:
    """The `##` comments by the line they document, where a block or network begins that line."""
    docs = doc_comment(comments)
    first: dict[int | None, str] = {}
    for token in tokens:
        first.setdefault(token.line, token.type)
    return {line: text for line, text in docs.items() if first.get(line) in ("BLOCK", "NETWORK")}


class _FileBuilder(TreeBuilder):
    """The tree builder, with what recovery left out put in its place.

    It builds from the leaves up, because the parse tree is deeper than Python likes to recurse.
    """

    def __init__(self, source: Source, docs: dict[int, str], reader: Reader) -> None:
        # of two blocks on one line, the comment above belongs to the first
        super().__init__(source, lambda line: docs.pop(line, ""))
        self._reader = reader
        self._built: dict[int, Any] = {}

    def file(self, tree: ParseTree) -> tuple[t.Number | None, tuple[t.Entry, ...]]:
        version, *entries = tree.children
        return self.maybe(version), tuple(self._entry(entry) for entry in entries)

    def build(self, tree: ParseTree) -> Any:
        built = self._built.pop(id(tree), None)
        return super().build(tree) if built is None else built

    def _entry(self, node: ParseTree) -> t.Entry:
        if node.data == "broken":
            return t.BrokenEntry(self.span(node), self._names(node))
        for part in node.subtrees():
            if f"_{part.data}" in self._rules:
                self._built[id(part)] = self.build(part)
        entry: t.Entry = self.build(node)
        if isinstance(entry, t.Block) and entry.span.start in self._reader.headless:
            return t.BrokenEntry(entry.span, (entry.name.text,))
        return entry

    def r_broken(self, node: ParseTree) -> t.Broken:
        return t.Broken(self.span(node), self._names(node))

    def _names(self, node: ParseTree) -> tuple[str, ...]:
        return self._reader.broken[int(str(node.children[0]))]
