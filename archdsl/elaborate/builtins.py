"""The functions of the language that work on values: `len`, `zip`, `range` and the like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archdsl.diagnostics import Span
from archdsl.elaborate import arithmetic as ar
from archdsl.elaborate.values import Fault, MapValue, Range, is_number, kind_of
from archdsl.ir.dims import MAX_PERIOD, Dim, Size, at_least

MANY = 99


def call(name: str, values: list[Any], span: Span) -> Any:
    """The result of a built-in function.

    Raises Fault: E0210 a wrong number of arguments, and what the functions themselves refuse.
    """
    low, high, function = _FUNCTIONS[name]
    if not low <= len(values) <= high:
        wanted = str(low) if low == high else f"{low} to {high}" if high < MANY else f"at least {low}"
        plural = "" if wanted.endswith("1") else "s"
        raise Fault("E0210", f"`{name}` takes {wanted} argument{plural}, not {len(values)}", span)
    return function(values, span)


def _len(values: list[Any], span: Span) -> int:
    if isinstance(values[0], Range):
        return values[0].count
    if not isinstance(values[0], list | tuple | str):
        raise Fault("E0401", f"{kind_of(values[0])} has no length", span)
    return len(values[0])


def _zip(values: list[Any], span: Span) -> list[Any]:
    columns = [ar.iterate(v, span) for v in values]
    if len({len(c) for c in columns}) > 1:
        lengths = ", ".join(str(len(c)) for c in columns)
        raise Fault("E0414", f"`zip` is given lists of different lengths: {lengths}", span)
    return [tuple(items) for items in zip(*columns, strict=True)]


def _enumerate(values: list[Any], span: Span) -> list[Any]:
    return list(enumerate(ar.iterate(values[0], span)))


def _range(values: list[Any], span: Span) -> list[int]:
    odd = [v for v in values if isinstance(v, bool) or not isinstance(v, int)]
    if odd:
        raise Fault("E0401", f"`range` takes integers, not {kind_of(odd[0])}", span)
    if len(values) == 3 and values[2] == 0:
        raise Fault("E0402", "`range` cannot go on in steps of 0", span)
    made = range(*values)
    count = max(-((made.start - made.stop) // made.step), 0)
    ar.check_count(count, "range", span)
    return list(made)


def _extreme(choose: Callable[[list[Any]], Any], name: str) -> Callable[[list[Any], Span], Any]:
    def pick(values: list[Any], span: Span) -> Any:
        items = ar.iterate(values[0], span) if len(values) == 1 else values
        if not items:
            raise Fault("E0402", f"`{name}` needs at least one number", span)
        odd = [v for v in items if not is_number(v) and not isinstance(v, Dim)]
        if odd:
            raise Fault("E0401", f"`{name}` takes numbers, not {kind_of(odd[0])}", span)
        return choose(items) if all(map(is_number, items)) else _extreme_size(items, name, span)

    return pick


def _extreme_size(items: list[Any], name: str, span: Span) -> Any:
    """The size that is the smallest (largest) of all whatever the input. Raises Fault E0405 where none is."""
    fractions = [v for v in items if not isinstance(v, int | Dim)]
    if fractions:
        raise Fault("E0401", f"`{name}` of sizes takes sizes and integers, not {kind_of(fractions[0])}", span)
    for item in items:
        if all(_never_below(*((other, item) if name == "min" else (item, other))) for other in items):
            return item
    listed = " and ".join(str(item) for item in items[:3])
    message = f"which of {listed} is the {'smallest' if name == 'min' else 'largest'} depends on the input's size"
    raise Fault("E0405", message, span, help="a spec serves every input size")


def _never_below(a: Size, b: Size) -> bool:
    """Whether a ≥ b for every input, as far as that can be told: of a height and a width nothing is known."""
    difference = a - b
    if isinstance(difference, int):
        return difference >= 0
    return len(difference.symbols) == 1 and difference.period <= MAX_PERIOD and at_least(difference, 0).free


def _sum(values: list[Any], span: Span) -> Any:
    items = ar.iterate(values[0], span)
    if items and all(isinstance(item, list) for item in items):
        ar.check_count(sum(len(item) for item in items), "list", span)
        return [part for item in items for part in item]
    if not all(is_number(item) or isinstance(item, Dim) for item in items):
        kinds = " and ".join(list(dict.fromkeys(kind_of(item) for item in items))[:3])
        raise Fault("E0401", f"`sum` adds numbers, or lists, or feature maps, not {kinds}", span)
    total: Any = 0
    for item in items:
        total = ar.arithmetic("+", total, item, span)
    return total


def _reversed(values: list[Any], span: Span) -> list[Any]:
    return ar.iterate(values[0], span)[::-1]


def _shape(values: list[Any], span: Span) -> list[Any]:
    if not isinstance(values[0], MapValue):
        raise Fault("E0408", f"`shape` is asked of a feature map, not of {kind_of(values[0])}", span)
    return list(values[0].type.shape)


_FUNCTIONS: dict[str, tuple[int, int, Callable[[list[Any], Span], Any]]] = {
    "len": (1, 1, _len),
    "zip": (1, MANY, _zip),
    "enumerate": (1, 1, _enumerate),
    "range": (1, 3, _range),
    "min": (1, MANY, _extreme(min, "min")),
    "max": (1, MANY, _extreme(max, "max")),
    "sum": (1, 1, _sum),
    "reversed": (1, 1, _reversed),
    "shape": (1, 1, _shape),
}
