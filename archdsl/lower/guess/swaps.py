"""Groups of layers that could change places as a whole: what stands under two names that are alike."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TypeVar

import numpy as np

from archdsl.lower.guess.evidence import BESIDE, Candidates, Evidence, Indices, Numbers, View, turns_of
from archdsl.lower.guess.layers import Kind, Layer, Number, alike, containers, cousins, lists

T = TypeVar("T")

Exchange = tuple[tuple[int, int], ...]
"""Pairs of foreign layers of one kind that change places, all at once."""

SHORT = 8
"""In longer lists neighbours alone are tried."""
ROUNDS = 4


@dataclass(frozen=True)
class Loss:
    """What a match would lose by an exchange: of what is around and names, and of the order."""

    own: float
    order: float


@dataclass(frozen=True)
class Tally:
    """What a match is judged by. `turns` are orders to be believed alike: places of foreign layers."""

    evidence: Evidence
    candidates: Candidates
    turns: Sequence[Indices]


class _Case:
    """What speaks for a match as a whole."""

    def __init__(self, tally: Tally, match: Mapping[int, int]) -> None:
        self.match = match
        rows, columns = (np.array(list(side), np.intp) for side in (match, match.values()))
        views = [View(tally.evidence, match, turn) for turn in tally.turns]
        order = [BESIDE * view.beside(rows, columns).sum() for view in views]
        order += [turns_of(match, tally.candidates, turn) for turn in tally.turns]
        self.view, self.order = views[0], float(sum(order)) / len(views)
        self.placed = float(self.view.placed(rows, columns).sum())

    def of(self, moved: Exchange) -> Numbers:
        """What is around and names, and the order.

        Numbers count for what is moved: a chance agreement of two would be one for all that stands under them.
        """
        rows = np.array(sorted({i for pair in moved for i in pair}), np.intp)
        columns = np.array([self.match[int(i)] for i in rows], np.intp)
        return np.array([self.placed + self.view.counted(rows, columns).sum(), self.order])


@dataclass(frozen=True)
class Refined:
    """A match in which no exchange gains, what each would lose, and the lists that were turned round."""

    match: dict[int, int]
    losses: dict[Exchange, Loss]
    turned: list[Exchange]


def refined(tally: Tally, match: dict[int, int]) -> Refined:
    """The match with groups exchanged where that explains more."""
    tries, losses = list(exchanges(tally.evidence, match)), {}
    case = _Case(tally, match)
    for _ in range(ROUNDS):
        before = case
        for exchange in tries:
            other = _Case(tally, {**case.match, **exchanged(case.match, exchange)})
            loss = case.of(exchange) - other.of(exchange)
            losses[exchange] = Loss(*map(float, loss))
            if loss.sum() < -1e-6:
                case = other
        if case is before:
            break
    return _realigned(Refined(dict(case.match), losses, []), tally)


def _realigned(found: Refined, tally: Tally) -> Refined:
    """With lists turned round where the names gain: an order that is proved wrong beside them says nothing of them."""
    for exchange in reversals(tally.evidence, found.match):
        other = found.match | exchanged(found.match, exchange)
        if _Case(tally, other).of(exchange)[0] > _Case(tally, found.match).of(exchange)[0]:
            found = Refined(other, found.losses, [*found.turned, exchange])
    return found


def exchanged(match: Mapping[int, int], exchange: Exchange) -> dict[int, int]:
    """New counterparts of the layers of an exchange."""
    return {i: match[j] for pair in exchange for i, j in (pair, pair[::-1])}


def exchanges(evidence: Evidence, match: Mapping[int, int]) -> Iterator[Exchange]:
    """What is worth a try: siblings in the tree of names, items of lists, and neighbours of one kind."""
    kinds = evidence.kinds[0]
    found: dict[Exchange, None] = dict.fromkeys(_companions(evidence, match))
    for parent, siblings in _families(evidence.theirs, match).items():
        same: dict[tuple[Kind, ...], list[list[int]]] = defaultdict(list)
        for group in siblings:
            same[tuple(sorted(kinds[i] for i in group))].append(group)
        pairs = [pair for groups in same.values() for pair in _near(groups)]
        if len(siblings) <= SHORT or parent.endswith(":"):
            pairs += combinations(siblings[: 2 * SHORT], 2)
        found |= dict.fromkeys(_exchange(*pair, kinds) for pair in pairs if not set(pair[0]) & set(pair[1]))
    for kind in dict.fromkeys(kinds):
        found |= {(pair,): None for pair in pairwise(sorted(i for i in match if kinds[i] == kind))}
    yield from filter(None, found)


def _companions(evidence: Evidence, match: Mapping[int, int]) -> Iterator[Exchange]:
    """Two layers of one kind with what stands beside each, wherever both are: all of like kind that can follow."""
    kinds, paths = evidence.kinds[0], [layer.path for layer in evidence.theirs]
    beside: dict[str, list[int]] = defaultdict(list)
    for i in match:
        beside[paths[i].rpartition(".")[0]].append(i)
    for holders in _holders(match, kinds, paths).values():
        for first, second in _near(holders):
            yield _exchange(beside[first], beside[second], kinds)


def _holders(match: Mapping[int, int], kinds: Sequence[Kind], paths: Sequence[str]) -> dict[Kind, list[str]]:
    """For each kind, the paths under which one layer of it stands."""
    found: dict[Kind, Counter[str]] = defaultdict(Counter)
    for i in match:
        found[kinds[i]][paths[i].rpartition(".")[0]] += 1
    return {kind: [path for path, count in paths.items() if count == 1 and path] for kind, paths in found.items()}


def _near(groups: list[T]) -> Iterator[tuple[T, T]]:
    yield from combinations(groups, 2) if len(groups) <= SHORT else pairwise(groups)


def _families(layers: Sequence[Layer], match: Mapping[int, int]) -> dict[str, list[list[int]]]:
    """Groups of matched layers by what they are items of."""
    members: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, (around, items) in enumerate(zip(containers(layers), cousins(layers), strict=True)):
        for name in {*around, layers[i].path, *items} if i in match else ():
            members[_parent(name)][name].append(i)
    return {parent: list(groups.values()) for parent, groups in members.items()}


def _parent(name: str) -> str:
    for mark in (":", "#", "."):
        if mark in name:
            return name.rpartition(mark)[0] + (mark if mark == ":" else "")
    return ""


def _exchange(first: list[int], second: list[int], kinds: Sequence[Kind]) -> Exchange:
    """The layers of two groups, kind by kind in their order, of kinds that both have as many of."""
    there: dict[Kind, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for side, group in enumerate((first, second)):
        for i in group:
            there[kinds[i]][side].append(i)
    pairs = (pair for a, b in there.values() if len(a) == len(b) for pair in zip(a, b, strict=True))
    return tuple(sorted((min(pair), max(pair)) for pair in pairs))


def reversals(evidence: Evidence, match: Mapping[int, int]) -> Iterator[Exchange]:
    """Lists that run the other way than a list beside them, of the same numbers, of which shapes leave no doubt."""
    found = lists(evidence.theirs)
    sure = {i: j for i, j in match.items() if evidence.certainty[i] == 1}
    for (parent, name), items in found.items():
        others = [found[parent, other] for above, other in found if above == parent and other != name]
        open_ = [other for other in others if alike(other, items) and not _rises(other, sure)]
        against = [other for other in open_ if _rises(items, sure) * _rises(other, match) < 0]
        turned = (pair for other in against for pair in _turned(other, evidence.kinds[0]))
        exchange = tuple(pair for pair in turned if {*pair} <= match.keys())
        if exchange:
            yield exchange


def _turned(items: Mapping[Number, list[int]], kinds: Sequence[Kind]) -> Iterator[tuple[int, int]]:
    order = sorted(items)
    for first, last in list(zip(order, order[::-1], strict=True))[: len(order) // 2]:
        yield from _exchange(items[first], items[last], kinds)


def _rises(items: Mapping[Number, list[int]], match: Mapping[int, int]) -> int:
    """Whether the places of a list's items rise with their numbers (1 and more), or fall."""
    places = [max((match[i] for i in items[number] if i in match), default=-1) for number in sorted(items)]
    return sum(int(np.sign(b - a)) for a, b in pairwise(place for place in places if place >= 0))
