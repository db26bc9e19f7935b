"""The settings of an op as a call gives them: bound to their names, and refused where they cannot be meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archdsl.diagnostics import Span
from archdsl.diagnostics.suggest import did_you_mean
from archdsl.elaborate.values import Fault, MapValue, kind_of
from archdsl.ir.op import REQUIRED, Op

Given = tuple[Any, Span]
"""A value, and where it was written."""


def bind_settings(op: Op, positional: Sequence[Given], named: Mapping[str, Given]) -> dict[str, Given]:
    """What each setting is given. Raises Fault E0210, E0202, E0109 for too many, unknown and repeated ones."""
    names = [s.name for s in op.settings]
    if len(positional) > len(names):
        plural = "" if len(names) == 1 else "s"
        takes = f"{op.name} has {len(names)} setting{plural}" if names else f"{op.name} has no settings"
        raise Fault("E0210", f"{takes}, and is given {len(positional)}", positional[len(names)][1])
    bound = dict(zip(names, positional, strict=False))
    for name, (value, where) in named.items():
        if name not in names:
            help = did_you_mean(name, names) or (f"it has {', '.join(names)}" if names else "it has none")
            raise Fault("E0202", f"{op.name} has no setting `{name}`", where, help=help)
        if name in bound:
            help = f"apply it: `x -> {op.name}({name}=…)`" if _kind(op, name) == "map" else ""
            raise Fault("E0109", f"`{name}` is given twice, once by its position", where, help=help)
        bound[name] = (value, where)
    return bound


def check_maps(op: Op, settings: Mapping[str, Given]) -> None:
    """Refuses a map where a setting is meant (E0401), and the other way round (E0408)."""
    for name, (value, span) in settings.items():
        wants = _kind(op, name) == "map"
        if isinstance(value, MapValue) and not wants:
            message = f"`{name}` of {op.name} is a setting, not a feature map"
            raise Fault("E0401", message, span, help=f"apply {op.name} to a map with `x -> {op.name}(…)`")
        if wants and value is not None and not isinstance(value, MapValue):
            raise Fault("E0408", f"`{name}` of {op.name} must be a feature map, not {kind_of(value)}", span)


def check_required(op: Op, plain: Mapping[str, Any], span: Span) -> None:
    """Refuses a call that leaves out a setting without a default, with E0208."""
    for setting in op.settings:
        if setting.default is REQUIRED and setting.name not in plain:
            raise Fault("E0208", f"{op.name} needs `{setting.name}`: {setting.doc}", span)


def _kind(op: Op, name: str) -> str:
    setting = op.setting(name)
    assert setting is not None
    return setting.kind
