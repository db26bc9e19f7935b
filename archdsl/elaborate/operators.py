"""Arithmetic, comparison and logic, of numbers, sizes and feature maps alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archdsl.diagnostics import Span
from archdsl.elaborate import arithmetic as ar
from archdsl.elaborate.session import Session
from archdsl.elaborate.values import Fault, MapValue, is_number, kind_of
from archdsl.ir.dims import Dim
from archdsl.lang import tree as t

_MAP_OPERATORS = {"+": "add", "-": "sub", "*": "mul", "/": "div"}


class Operators:
    """What operators make of the values of their operands. `Evaluator` says what those are."""

    session: Session

    def value(self, expr: t.Expr) -> Any:
        """The value of an expression."""
        raise NotImplementedError

    def apply_op(self, op: str, inputs: Sequence[MapValue], settings: dict[str, Any], span: Span) -> Any:
        """An op applied to maps."""
        raise NotImplementedError

    def _arithmetic(self, expr: t.Arithmetic) -> Any:
        result = self.value(expr.first)
        for symbol, operand in expr.rest:
            span = expr.first.span.to(operand.span)
            result = self._binary(symbol, result, self.value(operand), span)
        return result

    def _binary(self, symbol: str, a: Any, b: Any, span: Span) -> Any:
        if isinstance(a, MapValue) and isinstance(b, MapValue) and symbol in _MAP_OPERATORS:
            return self.apply_op(_MAP_OPERATORS[symbol], [a, b], {}, span)
        for one, other, side in ((a, b, ""), (b, a, "r")):
            op = "scalar" if is_number(other) else "size_scalar" if isinstance(other, Dim) else None
            if isinstance(one, MapValue) and op and symbol in _MAP_OPERATORS:
                commutes = symbol in "+*"
                operator = symbol if commutes or not side else side + symbol
                if operator == "/" and other == 0:
                    raise Fault("E0406", "division by zero", span)
                return self.apply_op(op, [one], {"operator": operator, "value": other}, span)
        return ar.arithmetic(symbol, a, b, span)

    def _negative(self, expr: t.Negative) -> Any:
        operand = self.value(expr.operand)
        if isinstance(operand, MapValue):
            return self.apply_op("scalar", [operand], {"operator": "*", "value": -1.0}, expr.span)
        if not is_number(operand) and not isinstance(operand, Dim):
            raise Fault("E0410", f"`-` does not go before {kind_of(operand)}", expr.span)
        return ar.arithmetic("-", 0, operand, expr.span)

    def _comparison(self, expr: t.Comparison) -> bool:
        left = self.value(expr.first)
        for symbol, operand in expr.rest:
            right = self.value(operand)
            if not self.compare(symbol, left, right, expr.span):
                return False
            left = right
        return True

    def compare(self, symbol: str, a: Any, b: Any, span: Span) -> bool:
        self.session.step(span, ar.weigh(a, span) + ar.weigh(b, span))
        return ar.compare(symbol, a, b, span)

    def condition(self, expr: t.Expr) -> bool:
        """The truth of a condition. Raises Fault E0401 for anything but true and false."""
        value = self.value(expr)
        if not isinstance(value, bool):
            help = "compare it: `!= 0`, `!= none`, `len(…) > 0`"
            raise Fault("E0401", f"a condition is true or false, not {kind_of(value)}", expr.span, help=help)
        return value

    def _not(self, expr: t.Not) -> bool:
        return not self.condition(expr.operand)

    def _logic(self, expr: t.Logic) -> bool:
        wanted = expr.operator == "or"
        return wanted if any(self.condition(o) is wanted for o in expr.operands) else not wanted
