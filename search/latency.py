"""A latency budget: a table measured on the target, and a multiplier that grows while the budget is not met.

The term is a constraint, not a trade-off with a fixed weight, which is what lets searches collapse to the fastest
network (FasterSeg, Chen et al. 2020). Rates do not change multiply-adds, only how well a kernel runs; the table says by
how much.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from archdsl.search.methods import Relaxation
from archdsl.search.space import Rate
from torch import Tensor

from archdsl.diagnostics import ArchError, Diagnostic

_FORM = re.compile(r"latency\s*(<=|<)\s*(\d+(?:\.\d+)?)\s*ms")
_MEASURE = "measure one: archdsl bench SPEC --rates FILE --input HxW, and give it with --latency-table FILE"
_STEP = 1.0
"""By how much the multiplier grows in a step, per share of the budget that is overrun."""


@dataclass
class Budget:
    """At most so many milliseconds.

    `table` has per searched rate the milliseconds of its layers by rate; `fixed` are those of everything else.
    """

    text: str
    most: float
    fixed: float
    table: Sequence[Mapping[int, float]]
    multiplier: float = 0.0

    def of(self, values: Sequence[int]) -> float:
        """Milliseconds of an assignment."""
        return self.fixed + sum(own[value] for own, value in zip(self.table, values, strict=True))

    def met(self, values: Sequence[int]) -> bool:
        return self.of(values) <= self.most

    def least(self) -> float:
        """Milliseconds of the fastest assignment."""
        return self.fixed + sum(min(own.values()) for own in self.table)

    def possible(self) -> bool:
        return self.least() <= self.most

    def penalty(self, relaxations: Sequence[Relaxation], progress: float) -> Tensor:
        """The multiplier times the share of the budget that the expected latency overruns; moves the multiplier."""
        expected = torch.tensor(self.fixed)
        for relaxation, own in zip(relaxations, self.table, strict=True):
            mixture = relaxation.mixture(progress)
            times = torch.tensor([own[rate] for rate in mixture.rates], device=mixture.weights.device)
            expected = expected.to(times.device) + (mixture.weights * times).sum()
        over = (expected - self.most) / self.most
        self.multiplier = max(0.0, self.multiplier + _STEP * float(over.detach()))
        return self.multiplier * over.clamp_min(0)


def parse_budget(text: str) -> float:
    """The milliseconds of `latency <= 8ms`. Raises ValueError."""
    match = _FORM.fullmatch(text.strip())
    if match is None or float(match[2]) <= 0:
        raise ValueError(f"{text!r} is no budget; write for example 'latency <= 8ms'")
    return float(match[2])


def budget_for(text: str, table: str | None, rates: Sequence[Rate]) -> Budget:
    """The budget that a text such as `latency <= 8ms` sets, by a table that `archdsl bench --rates` wrote.

    Raises ValueError for another text, ArchError E1107 for a table that is none or does not have these rates.
    """
    most = parse_budget(text)
    if table is None:
        raise ArchError([Diagnostic("E1107", "a latency budget needs a table measured on the target", help=_MEASURE)])
    read = _read(Path(table))
    try:
        own = [{c: sum(read["nodes"][name][str(c)] for name in r.nodes) for c in r.candidates} for r in rates]
    except KeyError as error:
        message = f"{table} does not have all rates that are searched: it lacks {error}"
        raise ArchError([Diagnostic("E1107", message, help=_MEASURE)]) from None
    now = sum(times[rate.start] for times, rate in zip(own, rates, strict=True))
    return Budget(text, most, max(0.0, read["total_ms"] - now), own)


def _read(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        if table["version"] != 1:
            raise ValueError(f"it is of version {table['version']}")
        times = {node: {rate: float(ms) for rate, ms in own.items()} for node, own in table["nodes"].items()}
        return {"total_ms": float(table["total_ms"]), "nodes": times}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{path} is no table of latencies that can be used here"
        raise ArchError([Diagnostic("E1107", message, help=_MEASURE, notes=(str(error),))]) from None
