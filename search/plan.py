"""What a search is asked to do, and whether it can: which rates, under which rule, with which demands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from archdsl.search.asserts import Asserts
from archdsl.search.bound import Bounds, Rule, map_caps, over_bound
from archdsl.search.decode import Rates
from archdsl.search.elsewhere import decides_more, elsewhere
from archdsl.search.latency import Budget
from archdsl.search.methods import METHODS
from archdsl.search.space import Rate, all_rates, assignment, marked_rates, with_rates
from archdsl.search.trial import rates_alone, tied_as_needed
from archdsl.search.write_back import write_back

from archdsl.diagnostics import ArchError, Diagnostic, Frame, Severity
from archdsl.diagnostics.place import diagnose
from archdsl.ir.graph import Graph, Node
from archdsl.lang import tree as t
from archdsl.lang.walk import walk
from archdsl.network import Network

RANDOM = "random"
SHOWN = 8
"""Lines of an error about rates that cannot be searched."""
Which = Literal["marked", "all"]


@dataclass(frozen=True)
class Wish:
    """The options of a search. Raises ValueError for an unknown method, rule or choice of rates."""

    method: str = "softmax"
    rates: Which = "marked"
    untie: bool = False
    gap: Rule = "bound"
    budget: str | None = None
    latency_table: str | None = None

    def __post_init__(self) -> None:
        for name, value, known in (
            ("method", self.method, (*METHODS, RANDOM)),
            ("rates", self.rates, ("marked", "all")),
            ("gap", self.gap, ("bound", "exact")),
        ):
            if value not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}, not {value!r}")


class Plan:
    """The rates of a network that are searched, and what they may become at an input size.

    Raises ArchError: E1101 and E1103 for what cannot be searched, E1104 where the fixed part breaks the bound, E1105
    where there is nothing to choose.
    """

    def __init__(
        self,
        network: Network,
        wish: Wish,
        size: Mapping[str, int] | None = None,
        budget: Callable[[Sequence[Rate]], Budget] | None = None,
    ) -> None:
        """`budget` makes one for the rates that are searched."""
        self.network, self.wish = network, wish
        self.rates, self.left_out = _chosen(network, wish)
        if not self.rates:
            raise ArchError([_nothing(network, wish, self.left_out)])
        self.budget = None if budget is None else budget(self.rates)
        self.asserts = Asserts(network, self.rates)
        self.asserts.check()
        caps = None if size is None else map_caps(network.ir, self.rates, size)
        self.bounds = Bounds(network.ir, self.rates, wish.gap, caps=caps, demands=self._demands)
        if not self.bounds.feasible():
            raise ArchError([self._why_not()])
        self._check_text()

    def _demands(self, graph: Graph, values: Rates) -> bool:
        if self.budget is not None and not self.budget.met(values):
            return False
        return self.asserts.hold(graph, values)

    def _check_text(self) -> None:
        """Raises ArchError E1102 now for a text that could not hold rates that differ. Asserts are constraints."""
        for values in _apart(self.rates):
            try:
                write_back(self.network, self.rates, values)
            except ArchError as error:
                held = [d for d in error.diagnostics if d.severity is Severity.ERROR and d.code != "E0601"]
                if held:
                    raise ArchError(held) from None

    @property
    def start(self) -> Rates:
        """The rates that the text has."""
        return tuple(rate.start for rate in self.rates)

    @cached_property
    def spread(self) -> int:
        """How many candidates all rates have together."""
        return sum(len(own) for own in self.bounds.candidates)

    def graph(self, values: Rates) -> Graph:
        """The network's graph with other rates."""
        return with_rates(self.network.ir, assignment(self.rates, values))

    def _why_not(self) -> Diagnostic:
        """Why no choice of rates will do."""
        plain = Bounds(self.network.ir, self.rates, self.wish.gap)
        if self.wish.gap == "bound" and not plain.feasible():
            return _over(self.network.ir.by_name[over_bound(self.graph(plain.largest()))[0]])
        if self.budget is not None and not self.budget.possible():
            help_ = f"the fastest choice takes {self.budget.least():.2f} ms by the table"
            return Diagnostic("E1105", f"no choice of rates meets `{self.budget.text}`", help=help_)
        message = "no choice of rates keeps the bound and every assert at this input size"
        help_ = "widen the ranges, loosen the asserts, or search on larger crops (--opt augment.crop=[…])"
        return Diagnostic("E1105", message, self.rates[0].span, help=help_)


def _apart(rates: Sequence[Rate]) -> Iterator[Rates]:
    """Rates that differ where the text evaluates one place several times: from one time to the next, so that the
    innermost rounds do, and the last time alone, so that those of every loop around them do.
    """
    often = Counter(rate.span.start for rate in rates)
    seen = Counter[int]()
    times = []
    for rate in rates:
        times.append(seen[rate.span.start])
        seen[rate.span.start] += 1
    yield tuple(rate.candidates[time % len(rate.candidates)] for rate, time in zip(rates, times, strict=True))
    last = [time + 1 == often[rate.span.start] for rate, time in zip(rates, times, strict=True)]
    yield tuple(rate.candidates[-1 if is_last else 0] for rate, is_last in zip(rates, last, strict=True))


def _over(node: Node) -> Diagnostic:
    """A node that no choice of rates brings under its bound."""
    message = f"`{node.name}` is over its bound whatever is searched, so that no rate can be told gap-free"
    help_ = "lower its rate, or let the exact reach decide with --gap exact"
    if node.origin is None:
        return Diagnostic("E1104", message, help=help_)
    return diagnose(node.origin.frames or (Frame("", node.origin.span),), "E1104", message, help=help_)


def searched_rates(network: Network) -> list[Rate]:
    """The rates that a spec marks; where it marks none, all that stand in its file. Raises ArchError E1101 or E1105."""
    rates = marked_rates(network) or all_rates(network)[0]
    if not rates:
        raise ArchError([Diagnostic("E1105", f"no rate of {network.name} stands in its own file")])
    return rates


def _chosen(network: Network, wish: Wish) -> tuple[list[Rate], list[str]]:
    """The rates that are searched, and a line for each that is not."""
    if wish.rates == "marked":
        return marked_rates(network), []
    found, others = all_rates(network, untie=wish.untie)
    kept, left = rates_alone(network, tied_as_needed(network, found))
    return kept, [*decides_more(left), *elsewhere(network, others)]


def _nothing(network: Network, wish: Wish, left_out: Sequence[str]) -> Diagnostic:
    if wish.rates == "all":
        return Diagnostic("E1105", f"no rate of {network.name} can be searched", notes=tuple(left_out[:SHOWN]))
    message = f"nothing in {network.name} is marked to be searched"
    if replaced := _replaced(network):
        help_ = "leave that setting out: what is searched is written into the file"
        return Diagnostic("E1105", message, replaced[0].span, "replaced by a setting", help=help_)
    help_ = "write `search(2 in 1..18)` for a rate, or search every rate of the file with --rates all"
    return Diagnostic("E1105", message, help=help_)


def _replaced(network: Network) -> list[t.Param]:
    """The parameters whose default is marked, and has made way for a setting from outside."""
    tree = network.spec.file.tree if network.spec.file is not None else None
    blocks = [e for e in (tree.entries if tree is not None else ()) if isinstance(e, t.Block) and e.is_network]
    given = [param for block in blocks for param in block.params if param.name.text in network.settings]
    return [p for p in given if p.default is not None and any(isinstance(n, t.Search) for n in walk(p.default))]
