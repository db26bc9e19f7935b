"""What each rate may be without a hole, by RegSeg's bound in network order or by exact reach; and what fits the map.

The bound of a layer depends on the rates before it, so it is worked out again whenever one of those is decided anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from archdsl.search.methods import Relaxation
from archdsl.search.space import Rate, assignment, with_rates

from archdsl.analyses.bound import bounds
from archdsl.analyses.gaps import gap_free
from archdsl.ir.dims import value_at
from archdsl.ir.graph import Graph

Rule = Literal["bound", "exact"]


class Bounds:
    """The largest rate that every searched layer may have, given the rates decided for those before it.

    `rule` "bound" is ⌊k / s⌋ per layer (RegSeg, arXiv 2111.09957); "exact" allows what a sibling branch fills.
    """

    def __init__(self, graph: Graph, rates: Sequence[Rate], rule: Rule = "bound") -> None:
        self.graph, self.rates, self.rule = graph, list(rates), rule
        self._kept: dict[tuple[int, ...], bool] = {}

    def holds(self, values: Sequence[int]) -> bool:
        """Whether an assignment leaves no hole, by the rule."""
        key = tuple(values)
        if key not in self._kept:
            graph = with_rates(self.graph, assignment(self.rates, values))
            self._kept[key] = gap_free(graph) if self.rule == "exact" else self._keeps_bound(graph)
        return self._kept[key]

    @staticmethod
    def _keeps_bound(graph: Graph) -> bool:
        facts = (fact for pair in bounds(graph).facts.values() for fact in pair if fact is not None)
        return all(fact.headroom is not None and fact.headroom >= 0 for fact in facts)

    def feasible(self) -> bool:
        """Whether any assignment can hold. Larger rates before a layer never narrow its bound: the largest decide."""
        return self.holds(self._completed(()))

    def allowed(self, index: int, values: Sequence[int]) -> list[int]:
        """The candidates of a rate with which, `values` standing before it, some choice of the later ones holds."""
        return [c for c in self.rates[index].candidates if self._can_hold((*values[:index], c))]

    def _can_hold(self, prefix: tuple[int, ...]) -> bool:
        smallest = tuple(rate.candidates[0] for rate in self.rates[len(prefix) :])
        return self.holds(prefix + smallest) or self.holds(self._completed(prefix))

    def _completed(self, prefix: tuple[int, ...]) -> tuple[int, ...]:
        """The prefix with the largest later rates that hold the bound one after the other: fixed layers after them,
        which may need the room, have the most of it."""
        values = list(prefix) + [rate.candidates[0] for rate in self.rates[len(prefix) :]]
        for index in range(len(prefix), len(self.rates)):
            bound = self._own_bound(index, values)
            inside = [candidate for candidate in self.rates[index].candidates if candidate <= bound]
            values[index] = max(inside, default=values[index])
        return tuple(values)

    def _own_bound(self, index: int, values: Sequence[int]) -> int:
        """⌊k / s⌋ at the first node of a rate; a later node that it governs sees no less."""
        facts = bounds(with_rates(self.graph, assignment(self.rates, values))).facts[self.rates[index].nodes[0]]
        known = [fact.bound for fact in facts if fact is not None and fact.bound is not None]
        return min(known, default=0)


class Masks:
    """Keeps every relaxation inside the bound: called before each step, it masks in network order what is over it."""

    def __init__(self, bounds: Bounds, relaxations: Mapping[str, Relaxation], caps: Sequence[int]) -> None:
        self.bounds, self.caps = bounds, list(caps)
        self.relaxations = list(relaxations.values())
        self._seen: tuple[int, ...] | None = None

    def __call__(self) -> None:
        if self._seen == (now := self.decided()):
            return
        values = list(now)
        for index, relaxation in enumerate(self.relaxations):
            inside = [rate for rate in self.bounds.allowed(index, values) if rate <= self.caps[index]]
            relaxation.restrict(inside or self.bounds.allowed(index, values)[:1])
            values[index] = relaxation.decided()
        self._seen = self.decided()

    def decided(self) -> tuple[int, ...]:
        return tuple(relaxation.decided() for relaxation in self.relaxations)


def map_caps(graph: Graph, rates: Sequence[Rate], size: Mapping[str, int]) -> list[int]:
    """The largest rate of each with an off-centre tap inside the map somewhere, at an input size.

    A rate of the map's longer side or more reads padding only, and is a 1x1 that costs more.
    """
    caps = []
    for rate in rates:
        shapes = [graph.type_of(graph.by_name[name].inputs[0]) for name in rate.nodes]
        sides = [max(value_at(of.height, size), value_at(of.width, size)) for of in shapes]
        caps.append(max(min(sides) - 1, rate.candidates[0]))
    return caps
