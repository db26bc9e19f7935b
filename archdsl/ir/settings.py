"""Values given for an op's settings, checked and brought to one form."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from typing import Any

from archdsl.ir.dims import MAX_PERIOD, Dim, Size, at_least, grows, value_at
from archdsl.ir.op import REQUIRED, Op, OpError, SettingSpec

MAX_SCALE = 1024

_WORDS = {
    "int": "an integer",
    "int_or_none": "an integer or none",
    "float": "a number",
    "dim": "a size",
    "bool": "true or false",
    "str": "a string",
    "size": "an integer or a (height, width) pair",
    "padding": "an integer, a (height, width) pair or a word",
    "amounts": "an integer or (left, right, top, bottom)",
    "offset": '"center" or (top, left)',
    "dims": "a size or a (height, width) pair",
    "scale": "a number or a (height, width) pair",
    "sizes": "an integer or a list of integers",
    "map": "a feature map",
}


def complete(op: Op, given: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of an op in declared order, defaults filled in, pairs spread over both axes.

    Raises OpError: E0202 unknown name, E0208 missing, E0401 wrong kind, E0402 out of range, E0403 no such choice.
    """
    settings = dict(defaults(op))
    for name, value in given.items():
        spec = op.setting(name)
        if spec is None:
            raise OpError("E0202", f"{op.name} has no setting `{name}`")
        settings[name] = _value(op, spec, value)
    for name, value in settings.items():
        if value is REQUIRED:
            spec = op.setting(name)
            raise OpError("E0208", f"{op.name} needs `{name}`: {spec.doc if spec else ''}")
    return settings


@cache
def defaults(op: Op) -> Mapping[str, Any]:
    """The defaults of an op's settings in their complete form, REQUIRED where there is none."""
    return {s.name: s.default if s.default is REQUIRED else _value(op, s, s.default) for s in op.settings}


def _value(op: Op, spec: SettingSpec, value: Any) -> Any:
    if value is None:
        if spec.default is None:
            return None
        raise _wrong(op, spec, value)
    return _FORMS[spec.kind](op, spec, value)


def _wrong(op: Op, spec: SettingSpec, value: Any) -> OpError:
    return OpError("E0401", f"`{spec.name}` of {op.name} must be {_WORDS[spec.kind]}, not {describe(value)}")


def describe(value: Any, depth: int = 0) -> str:
    """A value as the user would write it, short."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list | tuple):
        inner = ", ".join(describe(v, depth + 1) for v in value[:4]) + (", …" if len(value) > 4 else "")
        inner = "…" if value and depth > 1 else inner
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    return str(value)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _bounded(op: Op, spec: SettingSpec, value: Any) -> Any:
    if (spec.low is not None and value < spec.low) or (spec.high is not None and value > spec.high):
        low = "" if spec.low is None else f"at least {spec.low:g}"
        high = "" if spec.high is None else f"at most {spec.high:g}"
        wanted = " and ".join(part for part in (low, high) if part)
        raise OpError("E0402", f"`{spec.name}` of {op.name} must be {wanted}, not {describe(value)}")
    return value


def _int(op: Op, spec: SettingSpec, value: Any) -> Any:
    if not _is_int(value):
        raise _wrong(op, spec, value)
    return _bounded(op, spec, value)


def _float(op: Op, spec: SettingSpec, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(op, spec, value)
    return float(_bounded(op, spec, value))


def _dim(op: Op, spec: SettingSpec, value: Any) -> Size:
    return value if isinstance(value, Dim) else _int(op, spec, value)


def _bool(op: Op, spec: SettingSpec, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong(op, spec, value)
    return value


def _str(op: Op, spec: SettingSpec, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(op, spec, value)
    if spec.choices is not None and value not in spec.choices:
        raise OpError("E0403", f"`{spec.name}` of {op.name} cannot be {describe(value)}", one_of(spec.choices))
    return value


def one_of(choices: tuple[str, ...]) -> str:
    return "use " + " or ".join(describe(c) for c in choices)


def _pair(value: Any) -> tuple[Any, Any] | None:
    if isinstance(value, list | tuple):
        return (value[0], value[1]) if len(value) == 2 else None
    return value, value


def _size(op: Op, spec: SettingSpec, value: Any) -> tuple[int, int]:
    pair = _pair(value)
    if pair is None or not all(_is_int(v) for v in pair):
        raise _wrong(op, spec, value)
    return _bounded(op, spec, pair[0]), _bounded(op, spec, pair[1])


def _padding(op: Op, spec: SettingSpec, value: Any) -> Any:
    if isinstance(value, str):
        words = spec.choices or ("same", "valid")
        if value not in words:
            raise OpError("E0403", f"`{spec.name}` of {op.name} cannot be {describe(value)}", one_of(words))
        return value
    return _size(op, spec, value)


def _amounts(op: Op, spec: SettingSpec, value: Any) -> tuple[int | Dim, ...]:
    sides = tuple(value) if isinstance(value, list | tuple) else (value,) * 4
    if len(sides) != 4 or not all(_is_int(v) or isinstance(v, Dim) for v in sides):
        raise _wrong(op, spec, value)
    return tuple(_bounded(op, spec, v) if _is_int(v) else _never_below_zero(op, spec, v) for v in sides)


def _never_below_zero(op: Op, spec: SettingSpec, value: Dim) -> Dim:
    """A size that is at least 0 for every input, such as `H % 32`, or `2 * 16 - H % 32`."""
    if len(value.symbols) != 1 or value.period > MAX_PERIOD or not at_least(value, 0).free:
        raise OpError("E0402", f"`{spec.name}` of {op.name} must be at least 0, and {value} is not for every input")
    return value


def _offset(op: Op, spec: SettingSpec, value: Any) -> Any:
    pair = _pair(value)
    if isinstance(value, str) or pair is None or not any(isinstance(v, Dim) for v in pair):
        return _padding(op, spec, value)
    if not all(_is_int(v) or isinstance(v, Dim) for v in pair):
        raise _wrong(op, spec, value)
    return tuple(_bounded(op, spec, v) if _is_int(v) else _never_below_zero(op, spec, v) for v in pair)


def _dims(op: Op, spec: SettingSpec, value: Any) -> tuple[Any, Any]:
    pair = _pair(value)
    if pair is None or not all(_is_int(v) or isinstance(v, Dim) for v in pair):
        raise _wrong(op, spec, value)
    for side in pair:
        if _is_int(side):
            _bounded(op, spec, side)
        elif not grows(side):
            raise OpError("E0402", f"`{spec.name}` of {op.name} must grow with the input, and {side} does not")
    return pair


def _scale(op: Op, spec: SettingSpec, value: Any) -> tuple[Fraction, Fraction]:
    pair = _pair(value)
    if pair is None or any(isinstance(v, bool) or not isinstance(v, int | float | Fraction) for v in pair):
        raise _wrong(op, spec, value)
    exact = tuple(Fraction(v).limit_denominator(1 << 16) for v in pair)
    if not all(s * MAX_SCALE >= 1 and s <= MAX_SCALE for s in exact):
        wanted = f"lie between 1/{MAX_SCALE} and {MAX_SCALE}"
        raise OpError("E0402", f"`{spec.name}` of {op.name} must {wanted}, not {describe(value)}")
    return exact[0], exact[1]


def _sizes(op: Op, spec: SettingSpec, value: Any) -> Any:
    if _is_int(value):
        return value
    if not isinstance(value, list | tuple) or not value or not all(_is_int(v) for v in value):
        raise _wrong(op, spec, value)
    return tuple(_bounded(op, spec, v) for v in value)


def _map(op: Op, spec: SettingSpec, value: Any) -> Any:
    raise _wrong(op, spec, value)


_FORMS = {
    "int": _int,
    "int_or_none": _int,
    "float": _float,
    "dim": _dim,
    "bool": _bool,
    "str": _str,
    "size": _size,
    "padding": _padding,
    "amounts": _amounts,
    "offset": _offset,
    "dims": _dims,
    "scale": _scale,
    "sizes": _sizes,
    "map": _map,
}


def at_size(settings: Mapping[str, Any], values: Mapping[str, int]) -> dict[str, Any]:
    """Settings with every symbolic size given its value."""
    return {name: _concrete(value, values) for name, value in settings.items()}


def _concrete(value: Any, values: Mapping[str, int]) -> Any:
    if isinstance(value, tuple):
        return tuple(_concrete(v, values) for v in value)
    if isinstance(value, Dim):
        return value_at(value, values)
    # an integer that knows where it was written is a stranger to torch.export
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value
