"""What proves that a foreign layer is one of ours and none of the others of its kind, where no order is known.

A layer alone of its kind is proven. From such layers it follows where a container lies among our layers, and which way
a list runs; from that, or from a word that one of two layers has, which of the two another layer is; and so on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from archdsl.lower.guess.layers import Kind, Layer
from archdsl.lower.guess.lists import Lists, Span, steps


def unproven(
    theirs: Sequence[Layer], ours: Sequence[Layer], kinds: Sequence[Kind], match: Mapping[int, int]
) -> dict[int, tuple[int, ...]]:
    """Foreign layers of a match that could be others of ours for all that is proven, and which, the nearest first."""
    groups: dict[Kind, list[int]] = defaultdict(list)
    for i in match:
        groups[kinds[i]].append(i)
    proven = {i: match[i] for group in groups.values() if len(group) == 1 for i in group}
    while True:
        proof = Proof(theirs, ours, match, proven)
        open_ = dict(_open(proof, groups))
        found = {i: j for i, j in match.items() if i not in open_}
        if found.keys() <= proven.keys():
            return open_
        proven = proven | found


def _open(proof: Proof, groups: Mapping[Kind, Sequence[int]]) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Layers that rivals of their kind could change places with, and the places of these, the nearest first."""
    for group in groups.values():
        open_ = [i for i in group if i not in proof.proven]
        for i in open_:
            places = [proof.match[other] for other in open_ if other != i and not proof.apart(i, other)]
            if places:
                yield i, tuple(sorted(places, key=lambda place: abs(place - proof.match[i])))


class Proof:
    """What follows from the layers that are `proven` so far."""

    def __init__(
        self, theirs: Sequence[Layer], ours: Sequence[Layer], match: Mapping[int, int], proven: Mapping[int, int]
    ) -> None:
        self.theirs, self.ours, self.match, self.proven = theirs, ours, match, proven
        self.lists = Lists(theirs, proven)
        self.held: dict[str, list[int]] = defaultdict(list)
        for i, j in proven.items():
            for _, _, here in steps(theirs[i].path):
                self.held[here].append(j)
        self.spans = {i: list(self._spans(theirs[i].path)) for i in match if i not in proven}

    def _spans(self, path: str) -> Iterator[Span]:
        for above, part, here in steps(path):
            if here in self.held:
                yield min(self.held[here]), max(self.held[here])
            yield from self.lists.between(above, part)

    def apart(self, first: int, second: int) -> bool:
        """Whether anything proves that two layers of one kind have not changed places, and nothing that they have."""
        verdicts = [*self._numbered(first, second), *self._called(first, second)]
        verdicts += [*self._lies(first, second), *self._lies(second, first)]
        return 2 * sum(verdicts) > len(verdicts)

    def _lies(self, one: int, other: int) -> Iterator[bool]:
        """By where what holds a layer lies, or the list that it is an item of."""
        place, rival = self.match[one], self.match[other]
        for low, high in self.spans[one]:
            if (low <= place <= high) != (low <= rival <= high):
                yield low <= place <= high

    def _numbered(self, first: int, second: int) -> Iterator[bool]:
        """By their numbers in one list."""
        pairs = zip(steps(self.theirs[first].path), steps(self.theirs[second].path), strict=False)
        above, one, other = next(((above, a, b) for (above, a, _), (_, b, _) in pairs if a != b), ("", "", ""))
        for ahead in self.lists.ahead(above, one, other):
            yield ahead == (self.match[first] < self.match[second])

    def _called(self, first: int, second: int) -> Iterator[bool]:
        """By words that one has and the other has not, on both sides."""
        a, b = (self.theirs[i].terms for i in (first, second))
        c, d = (self.ours[self.match[i]].terms for i in (first, second))
        if (a - b) & (c - d) or (b - a) & (d - c):
            yield True
        if (a - b) & (d - c) or (b - a) & (c - d):
            yield False
