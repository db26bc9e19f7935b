"""Parameter types: whether a value is of one, and lies in its range."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archdsl.diagnostics import Label, Span
from archdsl.diagnostics.suggest import did_you_mean
from archdsl.elaborate.values import Fault, MapValue, Range, is_chain, is_number, kind_of
from archdsl.ir.settings import describe
from archdsl.lang import tree as t

_CHECKS: dict[str, Callable[[Any], bool]] = {
    "int": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "float": is_number,
    "bool": lambda v: isinstance(v, bool),
    "str": lambda v: isinstance(v, str),
    "rate": lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= 1,
    "block": is_chain,
    "map": lambda v: isinstance(v, MapValue) and v.type.kind == "map",
    "indices": lambda v: isinstance(v, MapValue) and v.type.kind == "indices",
    "list": lambda v: isinstance(v, list | Range),
    "tuple": lambda v: isinstance(v, tuple),
}
TYPES = tuple(_CHECKS)

_WORDS = {
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "str": "a string",
    "rate": "a dilation rate (an integer, at least 1)",
    "block": "a module",
    "map": "a feature map",
    "indices": "the indices of a max pool",
    "list": "a list",
    "tuple": "a tuple",
}


_PLURALS = {
    "int": "integers",
    "float": "numbers",
    "bool": "true or false",
    "str": "strings",
    "rate": "rates (integers, at least 1)",
    "block": "modules",
    "map": "feature maps",
    "indices": "indices of max pools",
    "list": "lists",
    "tuple": "tuples",
}


def check_known(kind: t.TypeExpr) -> None:
    """Raises Fault: E0201 for a type that does not exist, E0210 for one with types in brackets that takes none."""
    if isinstance(kind, t.TupleType):
        for item in kind.items:
            check_known(item)
        return
    if kind.name not in _CHECKS:
        help = did_you_mean(kind.name, TYPES) or "types are " + ", ".join(TYPES)
        raise Fault("E0201", f"there is no type `{kind.name}`", kind.span, help=help)
    most = 1 if kind.name == "list" else 0
    if len(kind.arguments) > most:
        takes = "one type" if most else "no type"
        help = "a tuple's type is `(int, int)`" if kind.name == "tuple" else ""
        raise Fault("E0210", f"`{kind.name}` takes {takes} in brackets", kind.arguments[most].span, help=help)
    for argument in kind.arguments:
        check_known(argument)


def check_input(statement: t.Input, found: str) -> None:
    """Raises Fault where a type written at an `in` is not what arrives: `found`, "map" or "indices".

    E0201 for a type that does not exist, E0401 for one that no input has, E0407 for the other of the two.
    """
    kind = statement.kind
    if kind is None or kind.text == found:
        return
    if kind.text not in _CHECKS:
        help = did_you_mean(kind.text, ("map", "indices"))
        raise Fault("E0201", f"there is no type `{kind.text}`", kind.span, help=help)
    if kind.text not in ("map", "indices"):
        help = "what a block is told beside its maps is a parameter: `block B(n: int) { … }`"
        raise Fault("E0401", "an input is a `map`, or `indices`", kind.span, help=help)
    message = f"`{statement.name.text}` must be {_WORDS[kind.text]}, and is {_WORDS[found]}"
    raise Fault("E0407", message, kind.span)


def fits(kind: t.TypeExpr, value: Any) -> bool:
    """Whether a value has the type, ranges aside."""
    if isinstance(kind, t.TupleType):
        parts = value if isinstance(value, tuple | list) else ()
        return len(parts) == len(kind.items) and all(fits(k, v) for k, v in zip(kind.items, parts, strict=True))
    if not _CHECKS[kind.name](value):
        return False
    if kind.name == "list" and kind.arguments:
        inner = kind.arguments[0]
        # a range holds integers, and its ends stand for all of them
        items = (value.first, value.last) if isinstance(value, Range) else value
        return all(fits(inner, item) for item in items)
    return True


def words(kind: t.TypeExpr) -> str:
    if isinstance(kind, t.TupleType):
        return f"a tuple of {len(kind.items)}"
    if kind.name == "list" and kind.arguments:
        return "a list of " + _plural(kind.arguments[0])
    return _WORDS[kind.name]


def _plural(kind: t.TypeExpr) -> str:
    if isinstance(kind, t.TupleType):
        return f"tuples of {len(kind.items)}"
    if kind.name == "list" and kind.arguments:
        return "lists of " + _plural(kind.arguments[0])
    return _PLURALS[kind.name]


_SHOWN = (int, float, str, bool, list, tuple)


def check_domain(param: t.Param, domain: list[Any] | Range | None) -> None:
    """Raises Fault E0401 for a range or choices that are not of the parameter's type."""
    kind = param.type
    if not isinstance(kind, t.NamedType) or kind.domain is None:
        return
    if isinstance(domain, Range) and kind.name not in ("int", "float", "rate"):
        message = f"`{param.name.text}` is {words(kind)}, and has no range of integers"
        raise Fault("E0401", message, kind.domain.span)
    for choice in domain if isinstance(domain, list) else ():
        if not fits(kind, choice):
            message = f"`{param.name.text}` must be {words(kind)}, and could never be {describe(choice)}"
            raise Fault("E0401", message, kind.domain.span)


def check(param: t.Param, value: Any, span: Span, domain: list[Any] | Range | None) -> None:
    """Raises Fault: E0401 wrong type, E0402 outside the range, E0403 no such choice."""
    declared = Label(param.span, "declared here")
    if value is None and isinstance(param.default, t.Constant) and param.default.value is None:
        return
    if param.type is not None and not fits(param.type, value):
        what = describe(value) if value is None or isinstance(value, _SHOWN) else kind_of(value)
        message = f"`{param.name.text}` must be {words(param.type)}, not {what}"
        raise Fault("E0401", message, span, labels=(declared,))
    check_domain(param, domain)
    if isinstance(domain, Range) and not domain.first <= value <= domain.last:
        message = f"`{param.name.text}` must lie in {domain.first}..{domain.last}, and is {value}"
        raise Fault("E0402", message, span, labels=(declared,))
    if isinstance(domain, list) and value not in domain:
        help = did_you_mean(value, [d for d in domain if isinstance(d, str)]) if isinstance(value, str) else ""
        message = f"`{param.name.text}` cannot be {describe(value)}"
        choices = "it takes " + ", ".join(describe(d) for d in domain)
        raise Fault("E0403", message, span, labels=(declared,), help="; ".join(h for h in (help, choices) if h))
