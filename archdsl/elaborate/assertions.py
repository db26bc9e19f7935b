"""What a spec asserts: checked at once where values suffice, kept for the analyses where they do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archdsl.diagnostics import Frame, Label
from archdsl.elaborate.scope import ANALYSES, Scope
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


def is_vacuous(condition: t.Expr, block: t.Block, constants: Mapping[str, t.Expr]) -> bool:
    """Whether a condition leads to nothing that could ever differ: no parameter, dimension, search or analysis.

    Names are followed to what the block's body binds them to, and to the `constants` of the file.
    """
    live = {param.name.text for param in block.params} | {*ANALYSES, "shape"}
    bound: dict[str, list[t.Node]] = {name: [value] for name, value in constants.items()}
    for node in walk(block.body):
        if isinstance(node, t.Input):
            live |= {dim.text for dim in node.dims or () if isinstance(dim, t.Name)}
        elif isinstance(node, t.Assign | t.For | t.CompFor):
            value = node.value if isinstance(node, t.Assign) else node.iterable
            for target in node.targets:
                bound.setdefault(target.text, []).append(value)
    return not _reaches(condition, live, bound)


def _reaches(start: t.Node, live: set[str], bound: Mapping[str, list[t.Node]]) -> bool:
    seen: set[str] = set()
    waiting: list[t.Node] = [start]
    while waiting:
        node = waiting.pop()
        if any(isinstance(part, t.Search) for part in walk(node)):
            return True
        for name in names_in(node):
            if name.text in live:
                return True
            if name.text not in seen:
                seen.add(name.text)
                waiting += bound.get(name.text, ())
    return False
