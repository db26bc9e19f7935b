"""Operators on numbers, sizes and lists. Maps are the business of the elaborator."""

from __future__ import annotations

import operator
from typing import Any

from archdsl.diagnostics import Span
from archdsl.elaborate.values import Fault, Range, is_chain, is_number, kind_of
from archdsl.ir.dims import Dim

MAX_INT = 1 << 63
MAX_ITEMS = 100_000

_NUMERIC = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
_COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def arithmetic(symbol: str, a: Any, b: Any, span: Span) -> Any:
    """`a symbol b` for numbers, symbolic sizes and lists.

    Raises Fault: E0406 division by zero, E0410 operands that do not go together, E0411 a number or list too large.
    """
    if is_number(a) and is_number(b):
        return _number(symbol, a, b, span)
    if isinstance(a, Dim) or isinstance(b, Dim):
        return _size(symbol, a, b, span)
    if symbol == "+" and isinstance(a, list | Range) and isinstance(b, list | Range):
        return _limited([*as_list(a), *as_list(b)], span)
    if symbol == "*":
        count, items = (a, b) if isinstance(a, int) else (b, a)
        if isinstance(count, int) and not isinstance(count, bool) and (isinstance(items, list) or is_chain(items)):
            return repeat(count, items, span)
    raise Fault(
        "E0410", f"`{symbol}` does not go between {kind_of(a)} and {kind_of(b)}", span, help=_mend(symbol, a, b)
    )


def _mend(symbol: str, a: Any, b: Any) -> str:
    if symbol == "+" and isinstance(a, list) != isinstance(b, list):
        return "put the single one into brackets: a list is added to a list"
    if is_chain(a) and is_chain(b) and symbol == "+":
        return "modules follow one another with `->`, or in a list"
    return ""


def repeat(count: int, items: Any, span: Span) -> list[Any]:
    """`count * [items]`, or `count * module`. Raises Fault E0402 for a negative count, E0905 when over the limit."""
    if count < 0:
        raise Fault("E0402", f"something cannot be repeated {count} times", span)
    unit = items if isinstance(items, list) else [items]
    if count * len(unit) > MAX_ITEMS:
        raise Fault("E0905", f"a list of {count * len(unit):,} items is over the limit of {MAX_ITEMS:,}", span)
    return unit * count


def _limited(items: list[Any], span: Span) -> list[Any]:
    if len(items) > MAX_ITEMS:
        raise Fault("E0905", f"a list of {len(items):,} items is over the limit of {MAX_ITEMS:,}", span)
    return items


def _number(symbol: str, a: Any, b: Any, span: Span) -> Any:
    try:
        result = _NUMERIC[symbol](a, b)
    except ZeroDivisionError:
        raise Fault("E0406", "division by zero", span) from None
    except OverflowError:
        raise Fault("E0411", "the number is too large", span) from None
    if isinstance(result, int) and abs(result) > MAX_INT:
        raise Fault("E0411", "the number is too large", span, help="integers go up to 2^63")
    return result


def _size(symbol: str, a: Any, b: Any, span: Span) -> Any:
    """Sizes stay linear: they can be added, and multiplied or divided (down) by integers."""
    ints = all(isinstance(v, Dim) or (isinstance(v, int) and not isinstance(v, bool)) for v in (a, b))
    if ints and symbol in "+-*" and not (symbol == "*" and isinstance(a, Dim) and isinstance(b, Dim)):
        return _NUMERIC[symbol](a, b)
    if ints and symbol in ("//", "%") and isinstance(b, int):
        if b == 0:
            raise Fault("E0406", "division by zero", span)
        return _NUMERIC[symbol](a, b)
    help = "sizes divide with `//`, which rounds down" if symbol == "/" else ""
    message = f"`{symbol}` does not go between {kind_of(a)} and {kind_of(b)}"
    raise Fault("E0410", message, span, help=help)


def compare(symbol: str, a: Any, b: Any, span: Span) -> bool:
    """`a symbol b`. Raises Fault: E0405 for sizes that only the input decides, E0410 for values without an order."""
    if isinstance(a, Dim) or isinstance(b, Dim):
        message = f"whether {a} {symbol} {b} depends on the input's size"
        help = "conditions use channels and parameters; a spec serves every input size"
        raise Fault("E0405", message, span, help=help)
    if symbol in ("==", "!="):
        return bool(_COMPARE[symbol](_plain(a), _plain(b)))
    if (is_number(a) and is_number(b)) or (isinstance(a, str) and isinstance(b, str)):
        return bool(_COMPARE[symbol](a, b))
    raise Fault("E0410", f"{kind_of(a)} and {kind_of(b)} have no order", span)


def _plain(value: Any) -> Any:
    if isinstance(value, Range):
        return [*value.items()]
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def as_list(value: Any) -> list[Any]:
    return [*value.items()] if isinstance(value, Range) else list(value)


def iterate(value: Any, span: Span) -> list[Any]:
    """The items of something that can be gone through. Raises Fault E0401 otherwise, E0905 when over the limit."""
    if isinstance(value, Range):
        if len(value) > MAX_ITEMS:
            raise Fault("E0905", f"a range of {len(value):,} items is over the limit of {MAX_ITEMS:,}", span)
        return [*value.items()]
    if isinstance(value, list | tuple):
        return list(value)
    raise Fault("E0401", f"{kind_of(value)} cannot be gone through", span, help="a list or a range like `1..4` can")
