"""What a spec asserts: checked at once where values suffice, kept for the analyses where they do not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archdsl.diagnostics import Frame, Label
from archdsl.elaborate.scope import ANALYSES, BUILTINS, Scope
from archdsl.elaborate.values import Fault, Poisoned
from archdsl.ir.settings import describe
from archdsl.lang import tree as t
from archdsl.lang.walk import names_in, walk

if TYPE_CHECKING:
    from archdsl.elaborate.evaluate import Evaluator


@dataclass(frozen=True)
class Assertion:
    """An `assert` with the values it saw, and the chain of calls it stands in."""

    statement: t.Assert
    scope: Scope
    frames: tuple[Frame, ...]

    @property
    def condition(self) -> t.Expr:
        return self.statement.condition

    def sides(self, evaluator: Evaluator) -> tuple[Label, ...]:
        """What each side of a failed comparison is, literals aside."""
        return tuple(self._sides(evaluator))

    def _sides(self, evaluator: Evaluator) -> Iterator[Label]:
        if not isinstance(self.condition, t.Comparison):
            return
        for side in (self.condition.first, *(operand for _, operand in self.condition.rest)):
            if isinstance(side, t.Number | t.String | t.Constant):
                continue
            try:
                yield Label(side.span, f"is {_shown(evaluator.value(side))}")
            except (Fault, Poisoned):
                continue


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else describe(value)


def is_deferred(condition: t.Expr, scope: Scope) -> bool:
    """Whether a condition asks for an analysis, which only the whole graph can answer."""
    asked = {*ANALYSES, "shape"}
    return any(name.text in asked and name.text not in scope.values for name in names_in(condition))


def is_vacuous(condition: t.Expr) -> bool:
    """Whether a condition mentions nothing that could ever differ."""
    searched = any(isinstance(node, t.Search) for node in walk(condition))
    return not searched and all(name.text in BUILTINS for name in names_in(condition))
