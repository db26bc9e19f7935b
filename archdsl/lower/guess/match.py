"""Foreign layers matched with ours: by their kind, then by evidence, again and again until nothing moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archdsl.lower.guess.align import common, pairing
from archdsl.lower.guess.evidence import BESIDE, Candidates, Evidence, Indices, Scores, View
from archdsl.lower.guess.layers import STATISTICS, Kind, Layer, by_kind, natural
from archdsl.lower.guess.order import HABITS, PROVEN, Rule, orders
from archdsl.lower.guess.proof import unproven
from archdsl.lower.guess.swaps import Tally, exchanged, refined

ROUNDS = 5
BETTER = 1.005
"""By how much another order must explain more than the one before it to be believed."""
BENT = 1.08
"""The same for an order that bends to the match, and so explains more whether it is right or not."""
MARGIN = 0.02
"""Two layers that could change places for less than this are told apart by too little."""


@dataclass(frozen=True)
class Matched:
    """Positions of foreign layers and ours; `alone` had one candidate, `unsure` others that fit as well."""

    pairs: Mapping[int, int]
    alone: frozenset[int]
    unsure: Mapping[int, tuple[int, ...]]


def matched(theirs: Sequence[Layer], ours: Sequence[Layer], auxiliary: frozenset[int], *, ordered: bool) -> Matched:
    """Every foreign layer that has a counterpart, with it.

    `auxiliary` are layers of ours that training alone needs: they are left out where the rest is enough. `ordered`
    says whether foreign layers stand in the order they were made in, which is mostly that in which they run.
    """
    statistics = any(name in STATISTICS for layer in theirs for name in layer.own_names.values())
    kinds = ([layer.kind(statistics) for layer in theirs], [layer.kind(statistics) for layer in ours])
    evidence = Evidence(theirs, ours, kinds)
    candidates = _candidates(*kinds, auxiliary)
    as_made = list(range(len(theirs)))
    by_name = sorted(as_made, key=lambda i: natural(theirs[i].path))
    bent = _Search(evidence, candidates, by_name, HABITS)
    if ordered:
        best = _best(_Search(evidence, candidates, as_made), _Search(evidence, candidates, as_made, HABITS), by=BETTER)
        best = _best(best, bent, by=BETTER)
    else:
        best = _best(_Search(evidence, candidates, by_name, PROVEN), bent, by=BENT)
    best.refine(ordered)
    unsure = {i: (j,) for i, j in best.unsure().items()} if ordered else unproven(theirs, ours, kinds[0], best.match)
    return Matched(best.match, frozenset(best.alone()), unsure)


def _best(first: _Search, second: _Search, *, by: float) -> _Search:
    return second if second.weight > by * first.weight else first


def _candidates(theirs: Sequence[Kind], ours: Sequence[Kind], auxiliary: frozenset[int]) -> Candidates:
    """Positions on both sides for each kind that both have."""
    there, here = by_kind(theirs), by_kind(ours)
    found = {}
    for kind in (kind for kind in there if kind in here):
        main = [j for j in here[kind] if j not in auxiliary]
        found[kind] = there[kind], main if len(there[kind]) <= len(main) else here[kind]
    return found


class _Search:
    """One search, from one order of the foreign layers, in which better ones are looked for by some `rules`, if any."""

    def __init__(
        self, evidence: Evidence, candidates: Candidates, order: list[int], rules: Sequence[Rule] = ()
    ) -> None:
        self.evidence, self.candidates, self.order, self.rules = evidence, candidates, order, rules
        self.match = self._by_turn()
        for _ in range(ROUNDS):
            if self.rules:
                self.order = self._likeliest()
                self.match = self._by_turn()
            improved = self._improved()
            if improved == self.match:
                break
            self.match = improved
        self.weight = self._weight()

    def _by_turn(self) -> dict[int, int]:
        """The first with the first of each kind; of kinds that one side has more of, as both sides align best."""
        match = self._aligned()
        for there, here in self.candidates.values():
            taken = set(match.values())
            left = [i for i in self._rows(there) if i not in match]
            match |= dict(zip(left, (j for j in here if j not in taken), strict=False))
        return match

    def _aligned(self) -> dict[int, int]:
        uneven = {kind for kind, (there, here) in self.candidates.items() if len(there) != len(here)}
        if not uneven:
            return {}
        theirs, ours = self.evidence.kinds
        places = sorted(j for _, here in self.candidates.values() for j in here)
        pairs = common([theirs[i] for i in self.order], [ours[j] for j in places])
        found = {self.order[a]: places[b] for a, b in pairs}
        return {i: j for i, j in found.items() if theirs[i] in uneven}

    def _likeliest(self) -> list[int]:
        """The order in which most layers line up with ours."""
        theirs, ours = self.evidence.kinds
        found = orders(self.evidence.theirs, self.match, self.evidence.certainty.tolist(), self.rules)
        return max(found, key=lambda order: len(common([theirs[i] for i in order], ours)))

    def _improved(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for rows, here, scores, _ in self._weighed():
            found |= {rows[x]: here[y] for x, y in pairing(scores.total)}
        return found

    def _weighed(self) -> Iterator[tuple[list[int], list[int], Scores, dict[int, int]]]:
        """For each kind: layers in their order, ours, the scores of both, and which column each row has."""
        view = View(self.evidence, self.match, self._turn)
        for there, here in self.candidates.values():
            rows = self._rows(there)
            chosen = {x: here.index(self.match[i]) for x, i in enumerate(rows) if i in self.match}
            yield rows, here, view.scores(rows, here), chosen

    def _weight(self) -> float:
        """How much the match explains, apart from turns, which an order that is assumed has its way with."""
        view = View(self.evidence, self.match, self._turn)
        rows, columns = (np.array(list(side), np.intp) for side in (self.match, self.match.values()))
        return float(view.own(rows, columns).sum() + BESIDE * view.beside(rows, columns).sum())

    def _rows(self, there: Sequence[int]) -> list[int]:
        turn = self._turn
        return sorted(there, key=turn.__getitem__)

    @property
    def _turn(self) -> Indices:
        turn = np.empty(len(self.order), np.intp)
        turn[self.order] = np.arange(len(self.order))
        return turn

    def refine(self, ordered: bool) -> None:
        """Exchanges groups of layers. A file's own order counts as much as the one that is assumed."""
        orders_ = [self._turn, np.arange(len(self.order))] if ordered else [self._turn]
        self.refined = refined(Tally(self.evidence, self.candidates, orders_), self.match)
        self.match = self.refined.match

    def alone(self) -> list[int]:
        """Layers that no other has the shapes of."""
        return [there[0] for there, here in self.candidates.values() if len(there) == len(here) == 1]

    def unsure(self) -> dict[int, int]:
        """Layers that could as well be another of ours, and which, where the order of the file proves something."""
        found: dict[int, int] = {}
        for exchange in self.refined.turned:
            found |= exchanged(self.match, exchange)
        for exchange, loss in self.refined.losses.items():
            if loss.own + loss.order < MARGIN * len(exchange):
                found |= exchanged(self.match, exchange)
        for rows, here, scores, chosen in self._weighed():
            for x, y in _rivals(scores.total, chosen).items():
                found[rows[x]] = here[y]
        return found


def _rivals(scores: NDArray[np.float64], chosen: Mapping[int, int]) -> dict[int, int]:
    """For each row that could change for less than MARGIN, the column that it could have instead."""
    owner = {y: x for x, y in chosen.items()}
    found = {}
    for x, y in chosen.items():
        loss = scores[x, y] - scores[x]
        for other, holder in owner.items():
            loss[other] += scores[holder, other] - scores[holder, y]
        loss[y] = np.inf
        if loss.min() < MARGIN:
            found[x] = int(loss.argmin())
    return found
