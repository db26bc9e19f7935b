"""The parse tree to our syntax tree: one method per grammar rule."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from archdsl.diagnostics import Source, Span
from archdsl.lang import tree as t
from archdsl.lang.automaton import ParseTree
from archdsl.lang.lexer import Token

_SUFFIXES = {"k": 10**3, "M": 10**6, "G": 10**9}
_ESCAPES = {"n": "\n", "t": "\t"}

Parsed = ParseTree | Token


def number(text: str) -> int | float:
    """The value of a number as written: `3.34M` is exactly 3340000, `1e-3` a float."""
    scale = _SUFFIXES.get(text[-1], 1)
    digits = (text[:-1] if scale > 1 else text).replace("_", "")
    if "e" in digits or "E" in digits:
        return float(digits) * scale
    exact = Fraction(digits) * scale
    return int(exact) if exact.denominator == 1 and ("." not in digits or scale > 1) else float(exact)


def unescape(literal: str) -> str:
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), literal[1:-1])


class TreeBuilder:
    """Builds nodes for one source; `docs` maps a line to the `##` comment that ends just above it."""

    def __init__(self, source: Source, docs: Callable[[int], str]) -> None:
        self.source = source
        self.docs = docs
        self._rules: dict[str, Callable[[ParseTree], Any]] = {
            name[1:]: getattr(self, name) for name in dir(self) if name.startswith("r") and name[1:2] == "_"
        }

    def build(self, tree: ParseTree) -> Any:
        return self._rules["_" + str(tree.data)](tree)

    # ------------------------------------------------------------- helpers

    def span(self, node: Parsed) -> Span:
        return Span(self.source, node.start, node.end)

    def ident(self, token: Parsed) -> t.Ident:
        return t.Ident(self.span(token), str(token))

    def maybe(self, node: ParseTree | None) -> Any:
        return None if node is None else self.build(node)

    def all(self, nodes: list[Any]) -> tuple[Any, ...]:
        return tuple(self.build(n) for n in nodes if n is not None)

    # ----------------------------------------------------------- top level

    def r_version(self, n: ParseTree) -> t.Number:
        return t.Number(self.span(n.children[0]), number(str(n.children[0])))

    def r_use(self, n: ParseTree) -> t.Use:
        path = n.children[0]
        return t.Use(
            self.span(n),
            tuple(str(part) for part in path.children),
            self.span(path),
            tuple(self.r_imported(child) for child in n.children[1:]),
        )

    def r_imported(self, n: ParseTree) -> t.Imported:
        name, alias = n.children
        return t.Imported(self.span(n), self.ident(name), self.ident(alias) if alias else None)

    def _block(self, n: ParseTree, is_network: bool) -> t.Block:
        name, params, body = n.children
        return t.Block(
            self.span(n),
            self.ident(name),
            self.all(params.children) if params else (),
            self.build(body),
            is_network,
            self.docs(self.span(n).line),
        )

    def r_block(self, n: ParseTree) -> t.Block:
        return self._block(n, False)

    def r_network(self, n: ParseTree) -> t.Block:
        return self._block(n, True)

    def r_alias(self, n: ParseTree) -> t.Alias:
        name, value = n.children
        return t.Alias(self.span(n), self.ident(name), self.build(value), self.docs(self.span(n).line))

    def r_constant(self, n: ParseTree) -> t.Definition:
        name, value = n.children
        return t.Definition(self.span(n), self.ident(name), self.build(value))

    def r_param(self, n: ParseTree) -> t.Param:
        name, kind, default = n.children
        return t.Param(self.span(n), self.ident(name), self.maybe(kind), self.maybe(default))

    def r_type_block(self, n: ParseTree) -> t.NamedType:
        return t.NamedType(self.span(n), "block", (), None)

    def r_type_named(self, n: ParseTree) -> t.NamedType:
        parts = self.all(n.children[1:])
        arguments = tuple(p for p in parts if isinstance(p, t.NamedType | t.TupleType))
        domain = next((p for p in parts if isinstance(p, t.RangeExpr | t.Choices)), None)
        return t.NamedType(self.span(n), str(n.children[0]), arguments, domain)

    def r_type_tuple(self, n: ParseTree) -> t.TupleType:
        return t.TupleType(self.span(n), self.all(n.children))

    def r_choices(self, n: ParseTree) -> t.Choices:
        return t.Choices(self.span(n), self.all(n.children))

    # ---------------------------------------------------------- statements

    def r_body(self, n: ParseTree) -> t.Body:
        return t.Body(self.span(n), self.all(n.children))

    def r_names(self, n: ParseTree) -> tuple[t.Ident, ...]:
        return tuple(self.ident(child) for child in n.children)

    def r_assign(self, n: ParseTree) -> t.Assign:
        targets, value = n.children
        return t.Assign(self.span(n), self.build(targets), self.build(value))

    def r_input(self, n: ParseTree) -> t.Input:
        name, kind, dims, preprocessing = n.children
        return t.Input(
            self.span(n),
            self.ident(name),
            self.ident(kind) if kind else None,
            self.all(dims.children) if dims else None,
            self.maybe(preprocessing),
        )

    def _output(self, n: ParseTree, *, named: bool, aux: bool) -> t.Output:
        children = n.children
        if named:
            return t.Output(self.span(n), self.ident(children[0]), (self.build(children[1]),), aux)
        return t.Output(self.span(n), None, self.all(children), aux)

    def r_named_output(self, n: ParseTree) -> t.Output:
        return self._output(n, named=True, aux=False)

    def r_plain_output(self, n: ParseTree) -> t.Output:
        return self._output(n, named=False, aux=False)

    def r_named_aux(self, n: ParseTree) -> t.Output:
        return self._output(n, named=True, aux=True)

    def r_plain_aux(self, n: ParseTree) -> t.Output:
        return self._output(n, named=False, aux=True)

    def r_shared(self, n: ParseTree) -> t.Shared:
        return t.Shared(self.span(n), self.ident(n.children[0]), self.build(n.children[1]))

    def r_assertion(self, n: ParseTree) -> t.Assert:
        return t.Assert(self.span(n), self.build(n.children[0]))

    def r_for_loop(self, n: ParseTree) -> t.For:
        targets, iterable, body = n.children
        return t.For(self.span(n), self.build(targets), self.build(iterable), self.build(body))

    def r_when(self, n: ParseTree) -> t.When:
        condition, body, otherwise = n.children
        return t.When(self.span(n), self.build(condition), self.build(body), self.maybe(otherwise))

    # --------------------------------------------------------- expressions

    def r_conditional(self, n: ParseTree) -> t.Conditional:
        then, condition, otherwise = n.children
        return t.Conditional(self.span(n), self.build(then), self.build(condition), self.build(otherwise))

    def r_pipe(self, n: ParseTree) -> t.Pipe:
        return t.Pipe(self.span(n), self.build(n.children[0]), self.all(n.children[1:]))

    def r_stage(self, n: ParseTree) -> t.Stage:
        module, alias = n.children
        return t.Stage(self.span(n), self.build(module), self.ident(alias) if alias else None)

    def r_or_(self, n: ParseTree) -> t.Logic:
        return t.Logic(self.span(n), "or", self.all(n.children))

    def r_and_(self, n: ParseTree) -> t.Logic:
        return t.Logic(self.span(n), "and", self.all(n.children))

    def r_not_(self, n: ParseTree) -> t.Not:
        return t.Not(self.span(n), self.build(n.children[0]))

    def _rest(self, n: ParseTree) -> tuple[tuple[str, t.Expr], ...]:
        pairs = zip(n.children[1::2], n.children[2::2], strict=True)
        return tuple((str(operator), self.build(operand)) for operator, operand in pairs)

    def r_comparison(self, n: ParseTree) -> t.Comparison:
        return t.Comparison(self.span(n), self.build(n.children[0]), self._rest(n))

    def r_sum(self, n: ParseTree) -> t.Arithmetic:
        return t.Arithmetic(self.span(n), self.build(n.children[0]), self._rest(n))

    r_product = r_sum

    def r_range(self, n: ParseTree) -> t.RangeExpr:
        return t.RangeExpr(self.span(n), self.build(n.children[0]), self.build(n.children[1]))

    r_range_domain = r_range

    def r_negative(self, n: ParseTree) -> t.Negative:
        return t.Negative(self.span(n), self.build(n.children[0]))

    def r_call(self, n: ParseTree) -> t.Call:
        function, *arguments = n.children
        return t.Call(self.span(n), self.build(function), self.all(arguments))

    def r_positional(self, n: ParseTree) -> t.Argument:
        return t.Argument(self.span(n), None, self.build(n.children[0]))

    def r_keyword(self, n: ParseTree) -> t.Argument:
        return t.Argument(self.span(n), self.ident(n.children[0]), self.build(n.children[1]))

    def r_index(self, n: ParseTree) -> t.Index:
        return t.Index(self.span(n), self.build(n.children[0]), self.build(n.children[1]))

    def r_slice(self, n: ParseTree) -> t.Slice:
        start, stop = n.children
        return t.Slice(self.span(n), self.maybe(start), self.maybe(stop))

    def r_name(self, n: ParseTree) -> t.Name:
        return t.Name(self.span(n), str(n.children[0]))

    def r_number(self, n: ParseTree) -> t.Number:
        return t.Number(self.span(n), number(str(n.children[0])))

    def r_string(self, n: ParseTree) -> t.String:
        return t.String(self.span(n), unescape(str(n.children[0])))

    def r_true(self, n: ParseTree) -> t.Constant:
        return t.Constant(self.span(n), True)

    def r_false(self, n: ParseTree) -> t.Constant:
        return t.Constant(self.span(n), False)

    def r_none(self, n: ParseTree) -> t.Constant:
        return t.Constant(self.span(n), None)

    def r_search(self, n: ParseTree) -> t.Search:
        return t.Search(self.span(n), self.build(n.children[0]), self.build(n.children[1]))

    def r_list(self, n: ParseTree) -> t.ListExpr:
        return t.ListExpr(self.span(n), self.all(n.children))

    def r_tuple(self, n: ParseTree) -> t.TupleExpr:
        return t.TupleExpr(self.span(n), self.all(n.children))

    def r_comprehension(self, n: ParseTree) -> t.Comprehension:
        element, *clauses = n.children
        return t.Comprehension(self.span(n), self.build(element), self.all(clauses))

    def r_comp_for(self, n: ParseTree) -> t.CompFor:
        targets, iterable, *conditions = n.children
        return t.CompFor(self.span(n), self.build(targets), self.build(iterable), self.all(conditions))
