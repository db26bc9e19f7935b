"""How expressions are laid out: brackets and operators where they break, parentheses where precedence needs them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from archdsl.lang import tree as t
from archdsl.lang.layout import (
    HARD,
    SOFT,
    SPACE,
    Doc,
    concat,
    fill,
    group,
    if_broken,
    indent,
    remark,
    text,
)

NESTED = 2
CONTINUED = 4

_SHORT = 24
"""Numbers, names and lists of them share lines up to this width, comma included; other items get a line each."""
_DATA = (t.Name, t.Number, t.String, t.Constant, t.Negative, t.ListExpr, t.TupleExpr)
_LONG_CALL = 90
"""A call wider than this would hardly fit on a line of its own either: its operator need not begin a new one."""

# the levels of the grammar, loosest first; what is not here is an atom
_PIPE, _OR, _AND, _NOT, _COMPARISON, _RANGE, _SUM, _PRODUCT, _UNARY, _POSTFIX = range(1, 11)
_LEVELS: dict[type[t.Node], int] = {
    t.Conditional: 0,
    t.Pipe: _PIPE,
    t.Not: _NOT,
    t.Comparison: _COMPARISON,
    t.RangeExpr: _RANGE,
    t.Negative: _UNARY,
}
SIMPLE = _OR
"""The level of what may stand before a body, and between `in` and `if`: anything but a pipe or a conditional."""


def _level(node: t.Node) -> int:
    if isinstance(node, t.Arithmetic):
        return _SUM if node.rest[0][0] in ("+", "-") else _PRODUCT
    if isinstance(node, t.Logic):
        return _OR if node.operator == "or" else _AND
    return _LEVELS.get(type(node), _POSTFIX)


class _Remarks:
    """The comments of a file, handed out in order as the layout reaches them."""

    def __init__(self, comments: Sequence[t.Comment]) -> None:
        self._comments = comments
        self._starts = [comment.span.start for comment in comments]
        self._next = 0

    def before(self, offset: int) -> Sequence[t.Comment]:
        """The comments that stand before an offset and were not handed out yet."""
        begin = self._next
        self._next = max(begin, bisect_left(self._starts, offset))
        return self._comments[begin : self._next]

    def waiting(self, offset: int) -> bool:
        """Whether `before` would hand out any."""
        return self._next < len(self._starts) and self._starts[self._next] < offset

    def skip(self, offset: int) -> int:
        """The end of the comment at an offset, or the offset itself outside of comments."""
        i = bisect_right(self._starts, offset) - 1
        return max(offset, self._comments[i].span.end) if i >= 0 else offset

    def between(self, start: int, end: int) -> bool:
        """Whether any comment stands in a stretch of the text."""
        return bisect_left(self._starts, start) < bisect_left(self._starts, end)


class ExpressionLayout:
    """The layout of expressions. One instance walks one file in the order of its text."""

    def __init__(self, comments: Sequence[t.Comment]) -> None:
        self.remarks = _Remarks(comments)
        self._layouts: dict[type[t.Node], Callable[[Any], Doc]] = {
            t.Name: self._spelled,
            t.Number: self._spelled,
            t.String: self._spelled,
            t.Constant: self._spelled,
            t.ListExpr: self._list,
            t.TupleExpr: self._tuple,
            t.Choices: self._choices,
            t.Comprehension: self._comprehension,
            t.Call: self._call,
            t.Argument: self._argument,
            t.Index: self._index,
            t.Slice: self._slice,
            t.Negative: self._negative,
            t.Not: self._not,
            t.Arithmetic: self._arithmetic,
            t.Comparison: self._comparison,
            t.Logic: self._logic,
            t.RangeExpr: self._range,
            t.Search: self._search,
            t.Conditional: self._conditional,
            t.Pipe: self._pipe,
            t.Stage: self._stage,
        }

    def layout(self, node: t.Node, level: int = 0) -> Doc:
        """A node, in parentheses where it binds looser than `level`, which is what its place asks for."""
        doc = self._layouts[type(node)](node)
        if _level(node) < level:
            return group(text("("), indent(NESTED, SOFT, doc), SOFT, text(")"))
        return doc

    # ------------------------------------------------------------ comments

    def gap(self, line: Doc, offset: int) -> Doc:
        """A place where the line can break, with the comments that stand before `offset`."""
        if not self.remarks.waiting(offset):
            return line
        comments = self.remarks.before(offset)
        trailing = 0 if comments[0].own_line else 1
        return concat(*self._notes(comments[:trailing]), line, *self._notes(comments[trailing:]))

    def closing(self, offset: int) -> list[Doc]:
        """The comments before a closing bracket at `offset`."""
        return self._notes(self.remarks.before(offset))

    def _notes(self, comments: Sequence[t.Comment]) -> list[Doc]:
        # a second comment of the same gap cannot share the line of the first
        return [remark(c.text, c.own_line or i > 0) for i, c in enumerate(comments)]

    def closer(self, bracket: str, last: t.Node) -> int:
        """Where the bracket stands that closes after the node `last`, when no node ends with it."""
        text = last.span.source.text
        at = text.index(bracket, last.span.end)
        while (end := self.remarks.skip(at)) > at:
            at = text.index(bracket, end)
        return at

    def value(self, node: t.Node) -> Doc:
        """What follows a `=`: on the same line, unless a comment stands between."""
        if self.remarks.waiting(node.span.start):
            return indent(CONTINUED, self.gap(HARD, node.span.start), self.layout(node))
        return concat(text(" "), self.layout(node))

    # ------------------------------------------------------------ brackets

    def bracketed(
        self,
        opening: str,
        nodes: Iterable[t.Node],
        closing: str,
        end: int,
        *,
        comma: Doc | None = None,
        filled: bool = False,
    ) -> Doc:
        """Items between brackets; `end` is where the closing one stands, `comma` what follows the last item."""
        pieces: list[Doc] = []
        for node in nodes:
            filled = filled and isinstance(node, _DATA)
            if pieces:
                pieces[-1] = concat(pieces[-1], text(","))
            pieces += [self.gap(SPACE if pieces else SOFT, node.span.start), self.layout(node)]
        notes = self.closing(end)
        if not pieces and not notes:
            return text(opening + closing)
        last = (comma or if_broken(",")) if pieces else text("")
        if filled and pieces and all(piece.flat <= _SHORT for piece in pieces[1::2]):
            pieces[1:] = [fill(pieces[1:])]
        return group(text(opening), indent(NESTED, *pieces, last, *notes), SOFT, text(closing))

    def _list(self, node: t.ListExpr) -> Doc:
        return self.bracketed("[", node.items, "]", node.span.end - 1, filled=True)

    def _tuple(self, node: t.TupleExpr) -> Doc:
        comma = text(",") if len(node.items) == 1 else None
        return self.bracketed("(", node.items, ")", node.span.end - 1, comma=comma, filled=True)

    def _choices(self, node: t.Choices) -> Doc:
        return self.bracketed("{", node.items, "}", node.span.end - 1, filled=True)

    def _comprehension(self, node: t.Comprehension) -> Doc:
        pieces = [self.gap(SOFT, node.element.span.start), self.layout(node.element)]
        for clause in node.clauses:
            names = ", ".join(target.text for target in clause.targets)
            pieces += [self.gap(SPACE, clause.span.start), text(f"for {names} in ")]
            pieces.append(self.layout(clause.iterable, SIMPLE))
            for condition in clause.conditions:
                pieces += [self.gap(SPACE, condition.span.start), text("if ")]
                pieces.append(self.layout(condition, SIMPLE))
        notes = self.closing(node.span.end - 1)
        return group(text("["), indent(NESTED, *pieces, *notes), SOFT, text("]"))

    def _call(self, node: t.Call) -> Doc:
        function = self.layout(node.function, _POSTFIX)
        end = node.span.end - 1
        if self._hugs(node):
            return concat(function, text("("), self.layout(node.arguments[0]), text(")"))
        return concat(function, self.bracketed("(", node.arguments, ")", end))

    def _hugs(self, node: t.Call) -> bool:
        """Whether the call's only argument is a list whose brackets can do for those of the call."""
        if len(node.arguments) != 1 or node.arguments[0].name:
            return False
        span = node.arguments[0].span
        return (
            _is_list(node.arguments[0].value)
            and not self.remarks.waiting(span.start)
            and not self.remarks.between(span.end, node.span.end)
        )

    def _argument(self, node: t.Argument) -> Doc:
        value = self.layout(node.value)
        return concat(text(f"{node.name.text}="), value) if node.name else value

    def _index(self, node: t.Index) -> Doc:
        value = self.layout(node.value, _POSTFIX)
        subscript = [self.gap(SOFT, node.subscript.span.start), self.layout(node.subscript)]
        notes = self.closing(node.span.end - 1)
        return concat(value, group(text("["), indent(NESTED, *subscript, *notes), SOFT, text("]")))

    def _slice(self, node: t.Slice) -> Doc:
        start = self.layout(node.start) if node.start else text("")
        return concat(start, text(":"), self.layout(node.stop) if node.stop else text(""))

    def _search(self, node: t.Search) -> Doc:
        start = self.layout(node.start)
        return concat(text("search("), start, text(" in "), self.layout(node.domain), text(")"))

    # ----------------------------------------------------------- operators

    def _spelled(self, node: t.Node) -> Doc:
        return text(node.span.text)

    def _negative(self, node: t.Negative) -> Doc:
        return concat(text("-"), self.layout(node.operand, _UNARY))

    def _not(self, node: t.Not) -> Doc:
        return concat(text("not "), self.layout(node.operand, _NOT))

    def _range(self, node: t.RangeExpr) -> Doc:
        first = self.layout(node.first, _SUM)
        return concat(first, text(".."), self.layout(node.last, _SUM))

    def _run(self, first: Doc, rest: Sequence[tuple[str, t.Node]], level: int) -> Doc:
        """An operand, and others that stand on the same line or on one each, behind their operators."""
        pieces: list[Doc] = []
        for operator, operand in rest:
            pieces += [self.gap(SPACE, operand.span.start), text(f"{operator} ")]
            pieces.append(self.layout(operand, level))
        if len(rest) == 1 and pieces[0] is SPACE and _stays(rest[0][1], pieces[2]):
            return concat(first, text(f" {rest[0][0]} "), pieces[2])
        return concat(first, group(indent(CONTINUED, *pieces)))

    def _arithmetic(self, node: t.Arithmetic) -> Doc:
        level = _level(node) + 1
        return self._run(self.layout(node.first, level), node.rest, level)

    def _comparison(self, node: t.Comparison) -> Doc:
        return self._run(self.layout(node.first, _RANGE), node.rest, _RANGE)

    def _logic(self, node: t.Logic) -> Doc:
        level = _level(node) + 1
        rest = [(node.operator, operand) for operand in node.operands[1:]]
        return self._run(self.layout(node.operands[0], level), rest, level)

    def _conditional(self, node: t.Conditional) -> Doc:
        first = self.layout(node.then, _PIPE)
        rest: list[tuple[str, t.Node]] = [("if", node.condition)]
        while isinstance(node.otherwise, t.Conditional):
            node = node.otherwise
            rest += [("else", node.then), ("if", node.condition)]
        return self._run(first, [*rest, ("else", node.otherwise)], _PIPE)

    def _pipe(self, node: t.Pipe) -> Doc:
        first = self.layout(node.value, _OR)
        return self._run(first, [("->", stage) for stage in node.stages], _OR)

    def _stage(self, node: t.Stage) -> Doc:
        module = self.layout(node.module, _OR)
        return concat(module, text(f" as {node.alias.text}")) if node.alias else module


def _is_list(node: t.Node) -> bool:
    return isinstance(node, t.Comprehension) or (isinstance(node, t.ListExpr) and bool(node.items))


def _stays(operand: t.Node, doc: Doc) -> bool:
    """Whether the only operand after the first stays on its line, its brackets broken instead of the operation."""
    if isinstance(operand, t.Stage):
        operand = operand.module
    return _is_list(operand) or (isinstance(operand, t.Call) and doc.flat > _LONG_CALL)
