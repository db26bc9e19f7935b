"""What rewrites share that are made only where they are less work."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from archdsl.ir.graph import Graph
from archdsl.passes.costs import Costs
from archdsl.passes.infra import Declined, PassResult, Rule, Weights, until_stable


@dataclass(frozen=True)
class Candidate:
    """A rewrite that could be made of some nodes, the first of which is its place.

    `refusal` says why it cannot be, whatever it costs; `instead` what it would be, in the reason where it costs more.
    `gain` gives the seconds that its result saves, where that is not the difference of the two graphs.
    """

    nodes: tuple[str, ...]
    refusal: str
    instead: str
    rewrite: Callable[[], PassResult]
    gain: Callable[[PassResult], float] | None = None


def judged(candidates: Callable[[Graph, Weights, Costs], Iterable[Candidate]]) -> Rule:
    """The rule that makes the first candidate that is less work, for as long as there is one."""

    def sweep(graph: Graph, weights: Weights, costs: Costs) -> PassResult:
        declined: list[Declined] = []
        for candidate in candidates(graph, weights, costs):
            reason = candidate.refusal
            if not reason:
                last = candidate.rewrite()
                saved = candidate.gain(last) if candidate.gain else costs.gain(graph, last.graph)
                if saved > 0:
                    return PassResult(last.graph, last.weights, candidate.nodes)
                reason = f"{candidate.instead} it would take {-saved * 1e6:.3g} µs more"
            declined.append(Declined(candidate.nodes[0], reason))
        return PassResult(graph, dict(weights), (), tuple(declined))

    return until_stable(sweep)
