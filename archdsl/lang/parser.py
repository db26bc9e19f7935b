"""Text to syntax tree, with recovery: one run reads every statement it can and says what is wrong with the others.

Lark's LALR table does the reading; `reader` drives it, and `build` turns Lark's tree into ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from lark import Lark, Token, Tree

from archdsl.diagnostics import Diagnostic, Source, Span
from archdsl.lang import tree as t
from archdsl.lang.automaton import Tables
from archdsl.lang.build import TreeBuilder
from archdsl.lang.lines import CLOSE, CLOSING
from archdsl.lang.reader import Reader
from archdsl.lang.scan import doc_comment, scan
from archdsl.lang.tables import grammar_parser

MAX_CHARACTERS = 192 * 1024
MAX_TOKENS = 60_000
MAX_DEPTH = 100

_MAX_TREE_DEPTH = 2 * MAX_DEPTH


@dataclass(frozen=True)
class Parse:
    """The tree, as far as the text could be read, and what could not be."""

    file: t.File
    diagnostics: tuple[Diagnostic, ...]


@cache
def _grammar() -> Lark:
    return grammar_parser()


@cache
def _tables() -> Tables:
    return Tables(_grammar())


def parse(source: Source) -> Parse:
    """Reads a text. Never raises on account of it: what is wrong is in `diagnostics`, in the text's order."""
    if len(source.text) > MAX_CHARACTERS:
        return _refused(source, _too_large(source, "characters", MAX_CHARACTERS))
    scanned = scan(source)
    tokens = list(islice(_grammar().lex(scanned.clean), MAX_TOKENS + 1))
    if len(tokens) > MAX_TOKENS:
        return _refused(source, _too_large(source, "words and signs", MAX_TOKENS))
    reader = Reader(source, tokens, _tables())
    deep = _too_deep(source, tokens)
    tree = None if deep else reader.read()
    deep = deep or _tree_too_deep(source, tree)
    if deep or tree is None:
        return _refused(source, deep)
    builder = _FileBuilder(source, _docs(source, scanned.comments, tokens), reader)
    version, entries = builder.file(tree)
    found = sorted([*scanned.diagnostics, *reader.diagnostics], key=lambda d: d.span.start if d.span else 0)
    return Parse(t.File(source, version, entries, scanned.comments), tuple(found))


def _too_large(source: Source, unit: str, limit: int) -> Diagnostic:
    message = f"the file has more than {limit:,} {unit}, and no more are read"
    return Diagnostic("E0901", message, Span(source, 0, 0), help="split it, and import the parts with `use`")


def _refused(source: Source, diagnostic: Diagnostic | None) -> Parse:
    return Parse(t.File(source, None, (), ()), (diagnostic,) if diagnostic else ())


def _too_deep(source: Source, tokens: list[Token]) -> Diagnostic | None:
    depth = 0
    for token in tokens:
        if token.type in CLOSING:
            depth += 1
            if depth > MAX_DEPTH:
                return _depth_error(source, token.start_pos or 0, token.end_pos or 0)
        elif token.type in CLOSE:
            depth = max(depth - 1, 0)
    return None


def _tree_too_deep(source: Source, tree: Tree[Any] | None) -> Diagnostic | None:
    """Nesting that needs no brackets: `- - - x`, `not not x`, `a if b else c if d else …`.

    What walks the tree recurses, a few calls for each level.
    """
    stack: list[tuple[Tree[Any], int]] = [(tree, 0)] if tree else []
    while stack:
        node, depth = stack.pop()
        if depth > _MAX_TREE_DEPTH:
            return _depth_error(source, node.meta.start_pos, node.meta.end_pos)
        stack += [(child, depth + 1) for child in node.children if isinstance(child, Tree)]
    return None


def _depth_error(source: Source, start: int, end: int) -> Diagnostic:
    return Diagnostic(
        "E0105",
        "this is nested too deep to read",
        Span(source, start, end),
        help=f"at most {MAX_DEPTH} brackets may be open at once; give the inner parts names of their own",
    )


def _docs(source: Source, comments: tuple[t.Comment, ...], tokens: Iterable[Token]) -> dict[int, str]:
    """The `##` comments by the line they document, where a block or network begins that line."""
    docs = doc_comment(comments, source)
    first: dict[int | None, str] = {}
    for token in tokens:
        first.setdefault(token.line, token.type)
    return {line: text for line, text in docs.items() if first.get(line) in ("BLOCK", "NETWORK")}


class _FileBuilder(TreeBuilder):
    """The tree builder, with what recovery left out put in its place.

    It builds from the leaves up, because Lark's tree is deeper than Python likes to recurse.
    """

    def __init__(self, source: Source, docs: dict[int, str], reader: Reader) -> None:
        # of two blocks on one line, the comment above belongs to the first
        super().__init__(source, lambda line: docs.pop(line, ""))
        self._reader = reader
        self._built: dict[int, Any] = {}

    def file(self, tree: Tree[Any]) -> tuple[t.Number | None, tuple[t.Entry, ...]]:
        version, *entries = tree.children
        return self.maybe(version), tuple(self._entry(entry) for entry in entries)

    def build(self, tree: Tree[Any]) -> Any:
        built = self._built.pop(id(tree), None)
        return super().build(tree) if built is None else built

    def _entry(self, node: Tree[Any]) -> t.Entry:
        if node.data == "broken":
            return t.BrokenEntry(self.span(node), self._names(node))
        for part in node.iter_subtrees():
            if part is not node and f"_{part.data}" in self._rules:
                self._built[id(part)] = self.build(part)
        entry: t.Entry = self.build(node)
        if isinstance(entry, t.Block) and entry.span.start in self._reader.headless:
            return t.BrokenEntry(entry.span, (entry.name.text,))
        return entry

    def r_broken(self, node: Tree[Any]) -> t.Broken:
        return t.Broken(self.span(node), self._names(node))

    def _names(self, node: Tree[Any]) -> tuple[str, ...]:
        return self._reader.broken[int(node.children[0])]
