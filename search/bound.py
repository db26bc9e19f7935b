"""What each rate may be without a hole, by RegSeg's bound in network order or by exact reach; and what fits the map.

The bound of a layer depends on the rates before it, so it is worked out again whenever one of those is decided anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, cast

from archdsl.search.methods import Relaxation
from archdsl.search.space import Rate, assignment, with_rates

from archdsl.analyses.bound import bounds
from archdsl.analyses.gaps import gap_free
from archdsl.ir.dims import value_at
from archdsl.ir.graph import Graph, Node

Rule = Literal["bound", "exact"]
Demand = Callable[[Graph, tuple[int, ...]], bool]


class Bounds:
    """The rates that every searched layer may have, given those decided for the layers before it.

    `rule` "bound" is ⌊k / s⌋ per layer (RegSeg, arXiv 2111.09957); "exact" allows what a sibling branch fills. `caps`
    are the largest rates to consider; `demands` says of a graph and its rates whether anything else speaks against it.
    """

    def __init__(
        self,
        graph: Graph,
        rates: Sequence[Rate],
        rule: Rule = "bound",
        *,
        caps: Sequence[int] | None = None,
        demands: Demand = lambda graph, values: True,
    ) -> None:
        self.graph, self.rates, self.rule, self.demands = graph, list(rates), rule, demands
        most = caps or [rate.candidates[-1] for rate in rates]
        self.candidates = [
            tuple(c for c in rate.candidates if c <= cap) or rate.candidates[:1]
            for rate, cap in zip(rates, most, strict=True)
        ]
        self._kept: dict[tuple[int, ...], bool] = {}

    def holds(self, values: Sequence[int]) -> bool:
        """Whether an assignment leaves no hole, by the rule, and meets every demand."""
        key = tuple(values)
        if key not in self._kept:
            graph = with_rates(self.graph, assignment(self.rates, values))
            gapless = gap_free(graph) if self.rule == "exact" else self._keeps_bound(graph)
            self._kept[key] = gapless and self.demands(graph, key)
        return self._kept[key]

    def inside(self, values: Sequence[int]) -> bool:
        """Whether an assignment holds and is made of candidates under the caps."""
        return all(v in own for v, own in zip(values, self.candidates, strict=True)) and self.holds(values)

    @staticmethod
    def _keeps_bound(graph: Graph) -> bool:
        return not over_bound(graph)

    def feasible(self) -> bool:
        """Whether any assignment can hold. Larger rates before a layer never narrow its bound: the largest decide."""
        return self._can_hold(())

    def allowed(self, index: int, values: Sequence[int], *, each: bool = False) -> list[int]:
        """The candidates of a rate with which, `values` standing before it, some choice of the later ones holds.

        By the bound these lie side by side, and asserts rarely break that: looking from both ends finds them, unless
        `each` is to be looked at.
        """
        prefix, own = tuple(values[:index]), self.candidates[index]
        if each or self.rule == "exact":
            return [c for c in own if self._can_hold((*prefix, c))]
        low = next((i for i, c in enumerate(own) if self._can_hold((*prefix, c))), None)
        if low is None:
            return []
        high = next(i for i in range(len(own) - 1, low - 1, -1) if i == low or self._can_hold((*prefix, own[i])))
        return list(own[low : high + 1])

    def largest(self) -> tuple[int, ...]:
        """The largest rates that keep the bound one after the other."""
        return self._completed(())

    def _can_hold(self, prefix: tuple[int, ...]) -> bool:
        """Whether one of the completions holds that are tried: a later rate of one that holds leads to another."""
        return any(self.holds(prefix + rest) for rest in self._rests(len(prefix))) or self.holds(
            self._completed(prefix)
        )

    def _rests(self, index: int) -> Iterator[tuple[int, ...]]:
        """Choices for the rates from one on: all largest, all smallest, as in the text, all at one height."""
        later = self.candidates[index:]
        yield tuple(own[-1] for own in later)
        yield tuple(own[0] for own in later)
        yield tuple(min(rate.start, own[-1]) for rate, own in zip(self.rates[index:], later, strict=True))
        for height in range(1, max((len(own) for own in later), default=0) - 1):
            yield tuple(own[min(height, len(own) - 1)] for own in later)

    def _completed(self, prefix: tuple[int, ...]) -> tuple[int, ...]:
        """The prefix with the largest later rates that hold the bound one after the other: fixed layers after them,
        which may need the room, have the most of it."""
        values = list(prefix) + [own[0] for own in self.candidates[len(prefix) :]]
        for index in range(len(prefix), len(self.rates)):
            bound = self._own_bound(index, values)
            values[index] = max((c for c in self.candidates[index] if c <= bound), default=values[index])
        return tuple(values)

    def _own_bound(self, index: int, values: Sequence[int]) -> int:
        return self.bound_of(index, values) or 0

    def bound_of(self, index: int, values: Sequence[int]) -> int | None:
        """The least ⌊k / s⌋ of the nodes of a rate; None where something before them all broke its own."""
        facts = bounds(with_rates(self.graph, assignment(self.rates, values))).facts
        pairs = (facts[name] for name in self.rates[index].nodes if name in facts)
        known = [fact.bound for pair in pairs for fact in pair if fact is not None and fact.bound is not None]
        return min(known, default=None)


def over_bound(graph: Graph) -> list[str]:
    """The nodes whose rate is over its bound, or where the bound is unknown because an earlier one is."""
    return [
        name
        for name, pair in bounds(graph).facts.items()
        if any(fact is not None and (fact.headroom is None or fact.headroom < 0) for fact in pair)
    ]


class Masks:
    """Keeps every relaxation inside the bound: called before each step, it masks in network order what is over it."""

    def __init__(self, bounds: Bounds, relaxations: Mapping[str, Relaxation]) -> None:
        self.bounds = bounds
        self.relaxations = list(relaxations.values())
        self._seen: tuple[int, ...] | None = None

    def __call__(self) -> None:
        if self._seen == (now := self.decided()):
            return
        if not self._restricted(list(now), each=False):
            self._restricted(list(now), each=True)
        self._seen = self.decided()

    def _restricted(self, values: list[int], *, each: bool) -> bool:
        """Masks one rate after the other; says whether each had something left."""
        for index, relaxation in enumerate(self.relaxations):
            inside = self.bounds.allowed(index, values, each=each)
            if not inside:
                return False
            relaxation.restrict(inside)
            values[index] = relaxation.decided()
        return self.bounds.holds(values)

    def decided(self) -> tuple[int, ...]:
        return tuple(relaxation.decided() for relaxation in self.relaxations)


def map_caps(graph: Graph, rates: Sequence[Rate], size: Mapping[str, int]) -> list[int]:
    """The largest rate of each with an off-centre tap inside the map somewhere, at an input size.

    A rate of the map's longer side or more, of those along which the kernel has taps, reads padding only, and is a 1x1
    that costs more.
    """
    caps = []
    for rate in rates:
        sides = [_longer_side(graph, graph.by_name[name], size) for name in rate.nodes]
        caps.append(max(min(side for side in sides if side) - 1, rate.candidates[0]))
    return caps


def _longer_side(graph: Graph, node: Node, size: Mapping[str, int]) -> int:
    """Of a node's map, along the axes on which it has several taps; 0 where it has none."""
    of, kernel = graph.type_of(node.inputs[0]), cast(tuple[int, int], node["kernel"])
    sides = zip((of.height, of.width), kernel, strict=True)
    return max((value_at(side, size) for side, taps in sides if taps > 1), default=0)
