"""How well a foreign layer and one of ours go together, seen from what is matched so far."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from archdsl.lower.guess.layers import Kind, Layer

AROUND, BESIDE, CALLED, TURN = 2.0, 0.5, 1.5, 1.5
"""What containers, neighbours, names and order count, each from 0 to 1; set by the references at hand."""

FEW = 8
"""Among fewer layers than these, a place more or less means less than a share of them."""

Match = Mapping[int, int]


class Evidence:
    """Two sides, each a sequence of layers with their kinds; layers of a rare kind are the more certain."""

    def __init__(
        self, theirs: Sequence[Layer], ours: Sequence[Layer], kinds: tuple[Sequence[Kind], Sequence[Kind]]
    ) -> None:
        self.theirs, self.ours, self.kinds = theirs, ours, kinds
        counts = [Counter(side) for side in kinds]
        self.certainty = {kind: 1 / max(count[kind] for count in counts) for kind in counts[0] | counts[1]}
        self.mass = [self._mass(layers, side) for layers, side in zip((theirs, ours), kinds, strict=True)]
        self.spread = self._spread()

    def _mass(self, layers: Sequence[Layer], kinds: Sequence[Kind]) -> dict[str, float]:
        """What each container holds, in certainties."""
        found: dict[str, float] = defaultdict(float)
        for layer, kind in zip(layers, kinds, strict=True):
            for container in layer.containers:
                found[container] += self.certainty[kind]
        return found

    def _spread(self) -> dict[str, float]:
        """How little a word says: the root of how often it occurs on the side where it occurs more."""
        counts = [Counter(word for layer in side for word in layer.words) for side in (self.theirs, self.ours)]
        return {word: sqrt(max(count[word] for count in counts)) for word in counts[0] | counts[1]}

    def called(self, i: int, j: int) -> float:
        """Shared words among all words, rare ones counting more."""
        first, second = self.theirs[i].words, self.ours[j].words
        shared, all_ = (sorted(words) for words in (first & second, first | second))
        total = sum(1 / self.spread[word] for word in all_)
        return sum(1 / self.spread[word] for word in shared) / total if total else 0.0

    def votes(self, match: Match) -> dict[tuple[str, str], float]:
        """How much of each container went into which of ours."""
        found: dict[tuple[str, str], float] = defaultdict(float)
        for i, j in match.items():
            for container in self.theirs[i].containers:
                for other in self.ours[j].containers:
                    found[container, other] += self.certainty[self.kinds[0][i]]
        return found


@dataclass(frozen=True)
class Scores:
    """What speaks for each pair of one kind: what is around and the name, then neighbours, and turns, in the order."""

    own: NDArray[np.float64]
    beside: NDArray[np.float64]
    turn: NDArray[np.float64]

    @property
    def total(self) -> NDArray[np.float64]:
        return self.own + self.beside + self.turn


class View:
    """Evidence as a match shows it. `turn` is the place of each foreign layer in the order that is assumed."""

    def __init__(self, evidence: Evidence, match: Match, turn: Mapping[int, int]) -> None:
        self.evidence, self.match, self.turn = evidence, match, turn
        self.back = {j: i for i, j in match.items()}
        self.at = {place: i for i, place in turn.items()}
        self.votes = evidence.votes(match)

    def scores(self, rows: Sequence[int], columns: Sequence[int]) -> Scores:
        """Foreign layers in the order of their turns against ours, all of one kind."""
        own, beside = (np.array([[rule(i, j) for j in columns] for i in rows]) for rule in (self._own, self._beside))
        places = np.abs(np.arange(len(rows))[:, None] - np.arange(len(columns))[None])
        return Scores(own, BESIDE * beside, -TURN * places / max(len(rows), len(columns), FEW))

    def _own(self, i: int, j: int) -> float:
        return AROUND * self._around(i, j) + CALLED * self.evidence.called(i, j)

    def _around(self, i: int, j: int) -> float:
        """How well each container of one side agrees with its best on the other, this pair itself left out."""
        outer, inner = self.evidence.theirs[i].containers, self.evidence.ours[j].containers
        if not outer or not inner:
            return 0.0
        agree = np.array([[self._agreement(a, b, i, j) for b in inner] for a in outer])
        return float(agree.max(1).mean() + agree.max(0).mean()) / 2

    def _agreement(self, container: str, other: str, i: int, j: int) -> float:
        own = self.evidence.certainty[self.evidence.kinds[0][i]]
        shared = self.votes.get((container, other), 0.0)
        if i in self.match and other in self.evidence.ours[self.match[i]].containers:
            shared -= own
        if self.back.get(j, i) != i and container in self.evidence.theirs[self.back[j]].containers:
            shared -= own
        total = self.evidence.mass[0][container] + self.evidence.mass[1][other] - own
        return shared / (total - shared) if shared > 1e-9 else 0.0

    def _beside(self, i: int, j: int) -> float:
        """Whether the layers before and after it are matched with those before and after."""
        found = 0.0
        for step in (-1, 1):
            neighbour = self.at.get(self.turn[i] + step)
            if neighbour is not None and self.match.get(neighbour) == j + step:
                found += sqrt(self.evidence.certainty[self.evidence.kinds[0][neighbour]]) / 2
        return found
