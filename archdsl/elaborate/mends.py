"""Mends for a split that does not come out even: what to write instead, tried before it is said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from archdsl.elaborate.scope import Scope
from archdsl.elaborate.values import Fault, MapValue
from archdsl.ir.settings import describe
from archdsl.lang import tree as t
from archdsl.lang.walk import walk

_MOST_PARTS = 64
_STEPS_TRIED = 24

Try = Callable[[str, object], bool]
"""Whether the block works out when one of its parameters has another value."""


@dataclass(frozen=True, slots=True)
class _Count:
    """The number of parts, as a parameter of the block has it: `len(rates)`, or `parts` itself."""

    name: str
    value: int
    items: list[object] | None

    def __str__(self) -> str:
        return f"{self.name} = {self.value}" if self.items is None else f"{self.value} {self.name}"

    def of(self, count: int) -> object:
        """The parameter for another number of parts."""
        return count if self.items is None else (self.items * count)[:count]

    def mend(self, counts: list[int]) -> str:
        listed = " or ".join(map(str, counts))
        return f"use {self.name} = {listed}" if self.items is None else f"use {listed} {self.name}"


def even(fault: Fault, statement: t.Statement, scope: Scope, block: t.Block, works: Try) -> Fault:
    """The fault E0302 of a split with the parameters of its block that do not go together, and values that do.

    The fault as it is where the split does not come straight from parameters.
    """
    found = _split(fault, statement, scope)
    count = None if found is None else _count(found[1], scope, block)
    if found is None or count is None or len(count.items or "x") == 0:
        return fault
    channels = found[0].type.channels
    width = next((name for name in _integers(block, scope) if scope.values[name] == channels), None)
    counts = sorted(islice(_tried(_divisors(channels, count.value), lambda n: works(count.name, count.of(n))), 2))
    widths = [] if width is None else sorted(_widths(channels, count.value, lambda n: works(width, n)))
    mends = [count.mend(counts)] if counts else []
    mends += [f"{'' if mends else 'use '}{width} {' or '.join(map(describe, widths))}"] if widths else []
    made = Fault(fault.code, fault.message, fault.span, label=fault.label, help=fault.help, labels=fault.labels)
    made.label = f"{width} {channels} over {count} is not a whole number" if width else fault.label
    made.help = ", or ".join(mends) or fault.help
    return made


def _split(fault: Fault, statement: t.Statement, scope: Scope) -> tuple[MapValue, t.Expr] | None:
    """The map and the number of parts of the split at fault, where both are written plainly."""
    for node in walk(statement):
        if isinstance(node, t.Pipe) and isinstance(node.value, t.Name) and node.stages[0].span == fault.span:
            given: list[t.Expr] = [node.value, *_arguments(node.stages[0].module)]
        elif isinstance(node, t.Call) and node.span == fault.span:
            given = _arguments(node)
        else:
            continue
        of = scope.values.get(given[0].text) if len(given) == 2 and isinstance(given[0], t.Name) else None
        return (of, given[1]) if isinstance(of, MapValue) else None
    return None


def _arguments(expr: t.Expr) -> list[t.Expr]:
    is_split = isinstance(expr, t.Call) and isinstance(expr.function, t.Name) and expr.function.text == "split"
    return [argument.value for argument in expr.arguments] if is_split and isinstance(expr, t.Call) else []


def _count(expr: t.Expr, scope: Scope, block: t.Block) -> _Count | None:
    params = {param.name.text for param in block.params}
    if isinstance(expr, t.Name) and expr.text in _integers(block, scope):
        return _Count(expr.text, scope.values[expr.text], None)
    if not (isinstance(expr, t.Call) and isinstance(expr.function, t.Name) and expr.function.text == "len"):
        return None
    (argument,) = expr.arguments
    name = argument.value.text if isinstance(argument.value, t.Name) else ""
    items = scope.values.get(name) if name in params else None
    return _Count(name, len(items), items) if isinstance(items, list) else None


def _integers(block: t.Block, scope: Scope) -> list[str]:
    """The parameters that are integers."""
    names = (param.name.text for param in block.params)
    return [n for n in names if isinstance(scope.values.get(n), int) and not isinstance(scope.values[n], bool)]


def _tried(values: Iterable[int], works: Callable[[int], bool]) -> Iterator[int]:
    return (value for value in values if works(value))


def _divisors(channels: int, count: int) -> list[int]:
    """The numbers of parts that come out even, the closest first."""
    even_ = [n for n in range(1, min(channels, _MOST_PARTS) + 1) if channels % n == 0]
    return sorted(even_, key=lambda n: abs(n - count))


def _widths(channels: int, count: int, works: Callable[[int], bool]) -> Iterator[int]:
    """The closest widths below and above that work."""
    below = channels // count * count
    yield from islice(_tried(range(below, 0, -count)[:_STEPS_TRIED], works), 1)
    yield from islice(_tried(range(below + count, below + (_STEPS_TRIED + 1) * count, count), works), 1)


def without_followers(block: t.Block, arguments: Iterable[tuple[str, object]], name: str) -> dict[str, object]:
    """The arguments of a block without those whose default is worked out from the parameter `name`."""
    follows = {
        param.name.text
        for param in block.params
        if param.default is not None and any(isinstance(n, t.Name) and n.text == name for n in walk(param.default))
    }
    return {key: value for key, value in arguments if key not in follows}
