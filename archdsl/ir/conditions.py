"""What a network asks of its input's size, each condition with the place that asks, and which of them contradict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import and_

from archdsl.ir.dims import Solutions
from archdsl.ir.graph import Origin

AXES = {"H": "height", "W": "width"}
"""The words for the symbols of an input's size."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What one place in the text asks of the size `symbol` stands for; `reason` says why, in words."""

    symbol: str
    allowed: Solutions
    reason: str
    origin: Origin | None

    def __str__(self) -> str:
        axis = AXES.get(self.symbol, self.symbol)
        return f"the {axis} must be {self.allowed}{self.reason}"


def allowed_by(conditions: Iterable[Condition]) -> dict[str, Solutions]:
    """Per symbol, what all the conditions on it allow."""
    rules: dict[str, Solutions] = {}
    for condition in conditions:
        rules[condition.symbol] = rules.get(condition.symbol, Solutions()) & condition.allowed
    return rules


def contradiction(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """The first few conditions on one symbol that no size meets, in order, none of which can be spared.

    Empty where some size meets all of them.
    """
    rule, met = Solutions(), []
    for condition in conditions:
        met.append(condition)
        rule &= condition.allowed
        if rule.empty:
            return _needed(met)
    return ()


def _needed(conditions: list[Condition]) -> tuple[Condition, ...]:
    kept = list(conditions)
    for condition in conditions[:-1]:
        others = [c for c in kept if c is not condition]
        if reduce(and_, (c.allowed for c in others), Solutions()).empty:
            kept = others
    return tuple(kept)
