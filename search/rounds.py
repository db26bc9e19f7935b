"""What a network's text says more than once: the rounds of its comprehensions, the copies of its repetitions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from archdsl.diagnostics import ArchError, Diagnostic, Diagnostics, Span
from archdsl.elaborate import arithmetic
from archdsl.elaborate.expand import Expander
from archdsl.elaborate.paths import Paths
from archdsl.elaborate.scope import Scope
from archdsl.elaborate.session import Session
from archdsl.elaborate.values import Fault, Poisoned
from archdsl.lang import tree as t
from archdsl.lang.walk import children
from archdsl.network import Network

Place = tuple[int, int]
"""Where an expression of the text starts and ends."""


class Rounds:
    """Counts and lists rounds, as the network with its present parameters goes through them."""

    def __init__(self, network: Network) -> None:
        assert network.spec.file is not None
        known = {**network.parameters, **network.elaboration.values}
        scope = Scope(network.spec.file, known, Paths("", "", False), is_network=True)
        self._expander = Expander(Session(Diagnostics()), scope)
        self.bound: dict[str, Any] = {}
        """The variables of the rounds that one is inside of."""

    @contextmanager
    def inside(self, names: dict[str, Any]) -> Iterator[None]:
        """Inside of one round, whose clauses bind these names."""
        outer = self.bound
        self.bound = {**outer, **names}
        try:
            yield
        finally:
            self.bound = outer

    def of(self, node: t.Comprehension) -> list[dict[str, Any]]:
        """What the clauses bind, round by round. Raises ArchError E1102 for rounds that go over feature maps."""
        with self._known(node.span):
            return list(self._from(node, 0))

    def rounds(self, iterable: t.Expr) -> int:
        """How many rounds a `for` over this has. Raises ArchError E1102 for one that goes over feature maps."""
        with self._known(iterable.span):
            return len(arithmetic.iterate(self._expander.value(iterable), iterable.span))

    def count(self, expr: t.Expr) -> int:
        """An integer of the text. Raises ArchError E1102 for one that is known only inside of the network."""
        with self._known(expr.span):
            return int(self._expander.value(expr))

    @contextmanager
    def _known(self, span: Span) -> Iterator[None]:
        self._expander.scope.values.update(self.bound)
        try:
            yield
        except (Fault, Poisoned, TypeError):
            message = "how often this is gone through is known only inside of the network"
            help = "write the network's rates as a list, and search that"
            raise ArchError([Diagnostic("E1102", message, span, help=help)]) from None

    def _from(self, node: t.Comprehension, index: int) -> Iterator[dict[str, Any]]:
        scope = self._expander.scope.values
        if index == len(node.clauses):
            yield {target.text: scope[target.text] for clause in node.clauses for target in clause.targets}
            return
        clause = node.clauses[index]
        for item in arithmetic.iterate(self._expander.value(clause.iterable), clause.iterable.span):
            self._expander.bind(clause.targets, item, clause.iterable.span)
            if all(self._expander.condition(condition) for condition in clause.conditions):
                yield from self._from(node, index + 1)


def repeated(node: t.Node) -> tuple[t.Expr, t.Expr] | None:
    """The count and the repeated expression of `n * x`, where a node may be that."""
    if isinstance(node, t.Arithmetic) and len(node.rest) == 1 and node.rest[0][0] == "*":
        return node.first, node.rest[0][1]
    return None


def copies(network: Network) -> dict[Place, int]:
    """How often the network's text evaluates each of its numbers, where that is more than once and can be written out.

    Numbers in a block are shared by all calls of it, and those in a `for` by all of its rounds.
    """
    assert network.spec.file is not None
    rounds, found = Rounds(network), dict[Place, int]()
    for entry in network.spec.file.tree.entries:
        if not isinstance(entry, t.Block) or entry.is_network:
            _count(entry, 1, rounds, found)
    return found


def _count(node: t.Node, times: int, rounds: Rounds, found: dict[Place, int]) -> None:
    if isinstance(node, t.For):
        return
    if isinstance(node, t.Number) and times > 1:
        found[node.span.start, node.span.end] = times
    elif isinstance(node, t.Comprehension):
        _count_rounds(node, times, rounds, found)
    elif (repetition := repeated(node)) is not None:
        _count(repetition[1], times * _times(repetition[0], rounds), rounds, found)
    else:
        for child in children(node):
            _count(child, times, rounds, found)


def _count_rounds(node: t.Comprehension, times: int, rounds: Rounds, found: dict[Place, int]) -> None:
    _count(node.clauses[0].iterable, times, rounds, found)
    try:
        own = rounds.of(node)
    except ArchError:
        return
    if own:
        # every round has as many copies as the first, or the text will be found not to hold them
        with rounds.inside(own[0]):
            _count(node.element, times * len(own), rounds, found)


def _times(expr: t.Expr, rounds: Rounds) -> int:
    try:
        return rounds.count(expr)
    except ArchError:
        return 1
