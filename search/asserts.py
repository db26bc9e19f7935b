"""What a spec asserts, as constraints of a search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from archdsl.search.space import Rate, assignment, with_rates
from archdsl.search.write_back import edited

from archdsl.analyses.assertions import asked_values, holds
from archdsl.analyses.once import Analyses
from archdsl.diagnostics import ArchError, Diagnostic, Diagnostics
from archdsl.elaborate.files import BlockDef
from archdsl.elaborate.network import Elaboration
from archdsl.ir.graph import Graph
from archdsl.lang import tree as t
from archdsl.lang.walk import names_in, walk
from archdsl.network import Network

_MOVED = {"field_of_view", "gap_free", "latency"}
"""Questions whose answer depends on rates; parameters, multiply-adds and shapes do not."""

Values = tuple[int, ...]


class Asserts:
    """The asserts that searched rates can break."""

    def __init__(self, network: Network, rates: Sequence[Rate]) -> None:
        self.network, self.rates = network, list(rates)
        self.asked = [a for a in network.elaboration.assertions if _MOVED & {n.text for n in names_in(a.condition)}]
        self._of_values = _asserts_values(network)

    def hold(self, graph: Graph, values: Values) -> bool:
        """Whether all hold of a graph that has these rates."""
        if self._of_values and not self._elaborates(values):
            return False
        analyses = Analyses(graph, None, asked_values(self.asked))
        return all(holds(assertion, analyses) for assertion in self.asked)

    def _elaborates(self, values: Values) -> bool:
        """Whether the asserts hold that need values alone, and are checked as the text is read."""
        elaboration, diagnostics = self._read(values)
        return elaboration is not None and not diagnostics.failed

    def _read(self, values: Values) -> tuple[Elaboration | None, Diagnostics]:
        """The text with these rates, read anew as far as that is needed."""
        network = self.network
        if all(rate.variable is not None for rate in self.rates):
            return network.spec.elaborate(network.name, network.settings, _choices(self.rates, values))
        return network.spec.reread(edited(network, self.rates, values)).elaborate(network.name, network.settings)

    def check(self) -> None:
        """Raises ArchError E1103 for an equality that a searched rate can change."""
        wrong = [_changeable(statement) for statement in dict.fromkeys(self._broken_equalities())]
        if wrong:
            raise ArchError(wrong)

    def _broken_equalities(self) -> Iterator[t.Assert]:
        equalities = [a for a in self.asked if _is_equality(a.statement)]
        for values in _probes(self.rates):
            graph = with_rates(self.network.ir, assignment(self.rates, values))
            analyses = Analyses(graph, None, asked_values(equalities))
            yield from (a.statement for a in equalities if not holds(a, analyses))
            if self._of_values:
                yield from self._failing(values)

    def _failing(self, values: Values) -> Iterator[t.Assert]:
        elaboration, diagnostics = self._read(values)
        failed = {d.span.start for d in diagnostics.items if d.code == "E0601" and d.span is not None}
        if elaboration is None or elaboration.definition is None:
            return
        again = _statements(elaboration.definition)
        # where the text is another, its statements stand in the same order
        for statement, read in zip(_statements(self.network.elaboration.definition), again, strict=True):
            if _is_equality(statement) and read.span.start in failed:
                yield statement


def _asserts_values(network: Network) -> bool:
    """Whether the network's own text asserts anything that is decided by values alone."""
    deferred: set[t.Assert] = {assertion.statement for assertion in network.elaboration.assertions}
    own = _statements(network.elaboration.definition)
    return any(names_in(s.condition) and s not in deferred for s in own)


def _statements(definition: BlockDef | None) -> list[t.Assert]:
    return [] if definition is None else [node for node in walk(definition.tree) if isinstance(node, t.Assert)]


def _is_equality(statement: t.Assert) -> bool:
    comparisons = (node for node in walk(statement) if isinstance(node, t.Comparison))
    return any(operator == "==" for comparison in comparisons for operator, _ in comparison.rest)


def _probes(rates: Sequence[Rate]) -> Iterator[Values]:
    """All rates at one end of their ranges, and each alone."""
    start = tuple(rate.start for rate in rates)
    for end in (0, -1):
        yield tuple(rate.candidates[end] for rate in rates)
        for index, rate in enumerate(rates):
            yield (*start[:index], rate.candidates[end], *start[index + 1 :])


def _choices(rates: Sequence[Rate], values: Values) -> Mapping[int, int]:
    return {rate.variable: value for rate, value in zip(rates, values, strict=True) if rate.variable is not None}


def _changeable(statement: t.Assert) -> Diagnostic:
    message = "a searched rate can change what this says is equal"
    help_ = "write it as a bound (<= or >=), which the search keeps, or leave it out"
    return Diagnostic("E1103", message, statement.span, help=help_)
