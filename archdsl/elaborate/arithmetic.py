"""Operators on numbers, sizes and lists. Maps are the business of the elaborator."""

from __future__ import annotations

import operator
from math import isfinite
from typing import Any

from archdsl.diagnostics import Span
from archdsl.elaborate.values import Fault, MapValue, Range, is_chain, is_number, kind_of
from archdsl.ir.builder import too_involved
from archdsl.ir.dims import Dim

MAX_INT = 1 << 63
MAX_ITEMS = 100_000
MAX_LEVELS = 64
_LONGEST_QUOTE = 60

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
        check_count(_count(a) + _count(b), "list", span)
        return [*as_list(a), *as_list(b)]
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
    if symbol == "*" and (is_chain(a) or is_chain(b)):
        return "a module is repeated a whole number of times: `3 * relu`"
    return ""


def repeat(count: int, items: Any, span: Span) -> list[Any]:
    """`count * [items]`, or `count * module`. Raises Fault E0402 for a negative count, E0905 when over the limit."""
    if count < 0:
        raise Fault("E0402", f"{kind_of(items)} cannot be repeated {count} times", span)
    unit = items if isinstance(items, list) else [items]
    check_count(count * len(unit), "list", span)
    return unit * count


def check_count(count: int, what: str, span: Span) -> None:
    """Raises Fault E0905 for a list (or a range) of more items than is allowed."""
    if count > MAX_ITEMS:
        raise Fault("E0905", f"a {what} of {count:,} items is over the limit of {MAX_ITEMS:,}", span)


def weigh(value: Any, span: Span) -> int:
    """How many items a list has with all the lists in it, each counted wherever it stands.

    Raises Fault E0905 when there are too many, or when lists lie too deep in one another.
    """
    size, levels = _weight(value, {})
    check_count(size, "list", span)
    if levels > MAX_LEVELS:
        raise Fault("E0905", f"lists lie more than {MAX_LEVELS} deep in one another", span)
    return size


def _weight(value: Any, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Items and levels. A list that stands in many places is gone through once."""
    if not isinstance(value, list | tuple):
        return 0, 0
    if id(value) not in known:
        size, levels = len(value), 0
        for item in value:
            if isinstance(item, list | tuple):
                inner, deep = _weight(item, known)
                size, levels = size + inner, max(levels, deep)
        known[id(value)] = size, levels + 1
    return known[id(value)]


def _number(symbol: str, a: Any, b: Any, span: Span) -> Any:
    try:
        result = _NUMERIC[symbol](a, b)
    except ZeroDivisionError:
        raise Fault("E0406", "division by zero", span) from None
    except OverflowError:
        raise Fault("E0411", "the number is too large", span) from None
    check_number(result, span)
    return result


def check_number(value: int | float, span: Span) -> None:
    """Raises Fault E0411 for a number beyond what the language holds."""
    if isinstance(value, int) and abs(value) > MAX_INT:
        raise Fault("E0411", "the number is too large", span, help="integers go up to 2^63")
    if not isfinite(value):
        raise Fault("E0411", "the number is too large", span)


def _size(symbol: str, a: Any, b: Any, span: Span) -> Any:
    """Sizes stay linear: they can be added, and multiplied or divided (down) by integers."""
    ints = all(isinstance(v, Dim) or (isinstance(v, int) and not isinstance(v, bool)) for v in (a, b))
    linear = symbol in "+-" or (symbol == "*" and (isinstance(a, int) or isinstance(b, int)))
    if ints and (linear or (symbol in ("//", "%") and isinstance(b, int))):
        if not linear and b == 0:
            raise Fault("E0406", "division by zero", span)
        size = _NUMERIC[symbol](a, b)
        if too_involved(size):
            raise Fault("E0907", "this size is too involved to be worked with", span)
        return size
    help = "sizes divide with `//`, which rounds down" if symbol == "/" else ""
    message = f"`{symbol}` does not go between {kind_of(a)} and {kind_of(b)}"
    raise Fault("E0410", message, span, help=help)


def compare(symbol: str, a: Any, b: Any, span: Span) -> bool:
    """`a symbol b`. Raises Fault: E0405 for sizes that only the input decides, E0410 for values without an order."""
    if (isinstance(a, Dim) or isinstance(b, Dim)) and all(isinstance(v, Dim) or is_number(v) for v in (a, b)):
        quote = " ".join(span.text.split())
        shown = f"`{quote}`" if len(quote) <= _LONGEST_QUOTE else "this"
        help = "conditions use channels and parameters; a spec serves every input size"
        raise Fault("E0405", f"whether {shown} holds depends on the input's size", span, help=help)
    if any(isinstance(v, MapValue) for v in (a, b)) and None not in (a, b):
        other = b if isinstance(a, MapValue) else a
        raise Fault("E0410", f"a feature map cannot be compared with {kind_of(other)}", span)
    if symbol in ("==", "!="):
        return _equal(a, b) is (symbol == "==")
    if (is_number(a) and is_number(b)) or (isinstance(a, str) and isinstance(b, str)):
        return bool(_COMPARE[symbol](a, b))
    raise Fault("E0410", f"{kind_of(a)} and {kind_of(b)} have no order", span)


def _equal(a: Any, b: Any) -> bool:
    if not all(isinstance(v, list | tuple | Range) for v in (a, b)):
        return bool(a == b)
    if isinstance(a, Range) and isinstance(b, Range):
        return a.items() == b.items()
    return _count(a) == _count(b) and all(map(_equal, as_list(a), as_list(b)))


def _count(value: Any) -> int:
    return value.count if isinstance(value, Range) else len(value)


def as_list(value: Any) -> list[Any]:
    return [*value.items()] if isinstance(value, Range) else list(value)


def iterate(value: Any, span: Span) -> list[Any]:
    """The items of something that can be gone through. Raises Fault E0401 otherwise, E0905 when over the limit."""
    if isinstance(value, Range):
        check_count(value.count, "range", span)
        return [*value.items()]
    if isinstance(value, list | tuple):
        return list(value)
    raise Fault("E0401", f"{kind_of(value)} cannot be gone through", span, help="a list or a range like `1..4` can")
