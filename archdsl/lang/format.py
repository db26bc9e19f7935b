"""The one layout of a spec that `archdsl fmt` writes: the same tree and the same comments, other blanks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile

from archdsl.diagnostics import ArchError, Source
from archdsl.lang import tree as t
from archdsl.lang.expression_layout import CONTINUED, NESTED, SIMPLE, ExpressionLayout
from archdsl.lang.layout import BLANK, HARD, SPACE, Doc, concat, fill, indent, remark, render, text
from archdsl.lang.parser import parse

_BLANK_LINE = re.compile(r"\n[ \t\r\f]*\n")


def format_source(source: Source) -> str:
    """The text of a spec in its canonical layout.

    The result has the same syntax tree and every comment, and formatting it again changes nothing. Raises ArchError
    where the text has errors.
    """
    parsed = parse(source)
    if parsed.diagnostics:
        raise ArchError(parsed.diagnostics)
    laid_out = render(_FileLayout(parsed.file).file()).strip("\n")
    return laid_out + "\n" if laid_out else ""


class _FileLayout(ExpressionLayout):
    """The layout of statements and of what stands at top level."""

    def __init__(self, file: t.File) -> None:
        super().__init__(file.comments)
        self._file = file
        self._text = file.source.text
        self._layouts |= {
            t.Use: self._use,
            t.Imported: self._imported,
            t.Block: self._block,
            t.Alias: self._alias,
            t.Definition: self._definition,
            t.Param: self._param,
            t.NamedType: self._named_type,
            t.TupleType: self._tuple_type,
            t.Body: self._body,
            t.Assign: self._assign,
            t.Input: self._input,
            t.Output: self._output,
            t.Shared: self._shared,
            t.Assert: self._assert,
            t.For: self._for,
            t.When: self._when,
        }

    # ----------------------------------------------------- lines and blanks

    def _break(self, start: int, end: int) -> Doc:
        """A line end, and the one empty line that the author left between two places, if any."""
        return BLANK if _BLANK_LINE.search(self._text, start, end) else HARD

    def _breaks(self, start: int, comments: Sequence[t.Comment], end: int) -> list[Doc]:
        """The line end before each of the comments after `start`, and before what begins at `end`."""
        starts = [start, *(comment.span.end for comment in comments)]
        ends = [*(comment.span.start for comment in comments), end]
        return [self._break(a, b) for a, b in zip(starts, ends, strict=True)]

    def _between(self, breaks: list[Doc], comments: Sequence[t.Comment]) -> list[Doc]:
        """The comments, the first on the line of what stands before where it was, and the line ends around them."""
        pieces: list[Doc] = []
        for i, comment in enumerate(comments):
            trails = i == 0 and not comment.own_line
            pieces += [remark(comment.text, False)] if trails else [breaks[i], remark(comment.text, True)]
        return [*pieces, breaks[-1]]

    # ----------------------------------------------------------- top level

    def file(self) -> Doc:
        """The whole file, perhaps with empty lines at its ends."""
        pieces: list[Doc] = []
        before: t.Number | t.Entry | None = None
        version = self._file.version
        for entry in [*([version] if version else []), *self._file.entries]:
            pieces += self._between_entries(before, entry)
            pieces.append(text(f"arch {entry.span.text}") if entry is version else self.layout(entry))
            before = entry
        comments = self.remarks.before(len(self._text))
        breaks = self._breaks(before.span.end if before else 0, comments, len(self._text))
        return concat(*pieces, *self._between(breaks, comments))

    def _between_entries(self, before: t.Number | t.Entry | None, entry: t.Number | t.Entry) -> list[Doc]:
        comments = self.remarks.before(entry.span.start)
        if before is None:
            return self._between(self._breaks(0, comments, entry.span.start), comments)
        end = before.span.end
        breaks = self._breaks(end, comments, entry.span.start)
        own = list(takewhile(lambda c: not c.own_line or c.span.start < end, comments))
        # a comment that moved out of the entry before must not become documentation of this one
        moved = len(own) > 1 or any(comment.own_line for comment in own)
        if (moved or not _alike(before, entry)) and BLANK not in breaks[len(own) :]:
            breaks[len(own)] = BLANK
        return self._between(breaks, comments)

    def _use(self, node: t.Use) -> Doc:
        lead = text(" ")
        if self.remarks.waiting(node.names[0].span.start):
            lead = self.gap(HARD, node.names[0].span.start)
        return concat(text(f"use {'.'.join(node.module)}:"), indent(CONTINUED, lead, self._row(node.names)))

    def _row(self, nodes: Sequence[t.Node]) -> Doc:
        """Items without brackets, with commas between them, that go on to further lines where they must."""
        pieces = [self.layout(nodes[0])]
        for node in nodes[1:]:
            pieces[-1] = concat(pieces[-1], text(","))
            pieces += [self.gap(SPACE, node.span.start), self.layout(node)]
        return pieces[0] if len(pieces) == 1 else fill(pieces)

    def _imported(self, node: t.Imported) -> Doc:
        return text(f"{node.name.text} as {node.alias.text}" if node.alias else node.name.text)

    def _block(self, node: t.Block) -> Doc:
        pieces = [text(f"{'network' if node.is_network else 'block'} {node.name.text}")]
        if node.params:
            pieces.append(self.bracketed("(", node.params, ")", node.body.span.start))
        return concat(*pieces, text(" "), self.layout(node.body))

    def _alias(self, node: t.Alias) -> Doc:
        return concat(text(f"network {node.name.text} ="), self.value(node.value))

    def _definition(self, node: t.Definition) -> Doc:
        return concat(text(f"{node.name.text} ="), self.value(node.value))

    def _param(self, node: t.Param) -> Doc:
        pieces = [text(node.name.text)]
        if node.type:
            pieces += [text(": "), self.layout(node.type)]
        if node.default:
            pieces += [text(" ="), self.value(node.default)]
        return concat(*pieces)

    def _named_type(self, node: t.NamedType) -> Doc:
        pieces = [text(node.name)]
        if node.arguments:
            end = self.closer("]", node.arguments[-1])
            pieces.append(self.bracketed("[", node.arguments, "]", end, comma=text("")))
        if node.domain:
            pieces += [text(" in "), self.layout(node.domain)]
        return concat(*pieces)

    def _tuple_type(self, node: t.TupleType) -> Doc:
        return self.bracketed("(", node.items, ")", node.span.end - 1)

    # ---------------------------------------------------------- statements

    def _body(self, node: t.Body) -> Doc:
        pieces: list[Doc] = []
        at = node.span.start + 1
        for statement in node.statements:
            comments = self.remarks.before(statement.span.start)
            pieces += self._between(self._breaks(at, comments, statement.span.start), comments)
            pieces.append(self.layout(statement))
            at = statement.span.end
        end = node.span.end - 1
        comments = self.remarks.before(end)
        pieces += self._between(self._breaks(at, comments, end), comments)[:-1]
        if not pieces:
            return text("{}")
        pieces[0] = HARD if pieces[0] is BLANK else pieces[0]
        return concat(text("{"), indent(NESTED, *pieces), HARD, text("}"))

    def _assign(self, node: t.Assign) -> Doc:
        return concat(text(f"{_names(node.targets)} ="), self.value(node.value))

    def _input(self, node: t.Input) -> Doc:
        pieces = [text(f"in {node.name.text}" + (f": {node.kind.text}" if node.kind else ""))]
        if node.dims is not None:
            end = self.closer("]", node.dims[-1])
            pieces += [text(" "), self.bracketed("[", node.dims, "]", end, filled=True)]
        if node.preprocessing:
            pieces += [text(" ="), self.value(node.preprocessing)]
        return concat(*pieces)

    def _output(self, node: t.Output) -> Doc:
        keyword = "aux out" if node.aux else "out"
        if node.name:
            return concat(text(f"{keyword} {node.name.text} ="), self.value(node.values[0]))
        row = self._row(node.values)
        return concat(text(f"{keyword} "), row if len(node.values) == 1 else indent(CONTINUED, row))

    def _shared(self, node: t.Shared) -> Doc:
        return concat(text(f"shared {node.name.text} ="), self.value(node.value))

    def _assert(self, node: t.Assert) -> Doc:
        return concat(text("assert "), self.layout(node.condition))

    def _for(self, node: t.For) -> Doc:
        iterable = self.layout(node.iterable, SIMPLE)
        return concat(text(f"for {_names(node.targets)} in "), iterable, text(" "), self.layout(node.body))

    def _when(self, node: t.When) -> Doc:
        condition = self.layout(node.condition, SIMPLE)
        pieces = [text("when "), condition, text(" "), self.layout(node.body)]
        if node.otherwise:
            pieces += [self._before_else(node.otherwise.span.start), text("else ")]
            pieces.append(self.layout(node.otherwise))
        return concat(*pieces)

    def _before_else(self, offset: int) -> Doc:
        comments = self.remarks.before(offset)
        breaks: list[Doc] = [HARD] * (len(comments) + 1)
        return concat(*self._between(breaks, comments)) if comments else text(" ")


def _names(idents: Sequence[t.Ident]) -> str:
    return ", ".join(ident.text for ident in idents)


def _alike(before: t.Node, after: t.Node) -> bool:
    """Whether two entries may stand on neighbouring lines."""
    return any(isinstance(before, kind) and isinstance(after, kind) for kind in (t.Use, t.Definition | t.Alias))
