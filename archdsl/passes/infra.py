"""The contract of a pass, and how passes follow one another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from archdsl.diagnostics import InternalError
from archdsl.ir.graph import Graph
from archdsl.passes.costs import Costs

Weights = Mapping[str, Tensor]


class Declined(NamedTuple):
    """A place where a pass looked and left things as they were, and why."""

    place: str
    reason: str


@dataclass(frozen=True)
class PassResult:
    """The graph and the weights after a pass; `fired` names the nodes it rewrote."""

    graph: Graph
    weights: dict[str, Tensor]
    fired: tuple[str, ...] = ()
    declined: tuple[Declined, ...] = ()


Rule = Callable[[Graph, Weights, Costs], PassResult]


@dataclass(frozen=True)
class Pass:
    """A rewrite with a name.

    `needs` says what must hold before, `rewrites` what it looks for and puts in its place, `promises` what holds after.
    Given weights are never changed in place. What is no gain everywhere asks the costs.
    """

    name: str
    needs: str
    rewrites: str
    promises: str
    rule: Rule = field(repr=False)

    def __call__(self, graph: Graph, weights: Weights, costs: Costs | None = None) -> PassResult:
        return self.rule(graph, weights, costs or Costs())


PASSES: dict[str, Pass] = {}


def register(rewrite: Pass) -> Pass:
    """Makes a pass known by its name. Raises ValueError when the name is taken."""
    if rewrite.name in PASSES:
        raise ValueError(f"there is a pass {rewrite.name} already")
    PASSES[rewrite.name] = rewrite
    return rewrite


ADDED: list[Pass] = []
"""Passes of users, in the order they were added; see `passes_for`."""


def add(rewrite: Pass) -> Pass:
    """Makes a pass of one's own part of every compile from now on, after the shipped ones that restructure.

    What it makes of a network is verified with all the rest. Raises ValueError when the name is taken.
    """
    ADDED.append(register(rewrite))
    return rewrite


def run_passes(
    graph: Graph, weights: Weights, passes: Iterable[Pass], costs: Costs | None = None
) -> tuple[PassResult, dict[str, PassResult]]:
    """Passes one after the other: the last graph and weights, and the result of each pass by its name.

    A pass that runs again adds to what it did before; what it declines is what it declined last.
    """
    last = PassResult(graph, dict(weights))
    each: dict[str, PassResult] = {}
    for rewrite in passes:
        last = rewrite(last.graph, last.weights, costs)
        each[rewrite.name] = added(each[rewrite.name], last) if rewrite.name in each else last
    return last, each


def added(before: PassResult, last: PassResult) -> PassResult:
    """What a pass did in two runs together."""
    return PassResult(last.graph, last.weights, before.fired + last.fired, last.declined)


def until_stable(sweep: Rule) -> Rule:
    """The rule that repeats a sweep over the graph until it fires nowhere: one firing can make room for another."""

    def rule(graph: Graph, weights: Weights, costs: Costs) -> PassResult:
        result = PassResult(graph, dict(weights))
        # every firing leaves less to do: this many is never reached, and says so of a rule that goes in circles
        for _ in range(10 * len(graph.nodes) + 10):
            last = sweep(result.graph, result.weights, costs)
            result = added(result, last)
            if not last.fired:
                return result
        raise InternalError(f"a rewrite of {graph.name} comes to no end")

    return rule
