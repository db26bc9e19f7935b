"""How well a foreign layer and one of ours go together, seen from what is matched so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archdsl.lower.guess.layers import Kind, Layer, containers, cousins, is_whole

AROUND, NUMBERED, BESIDE, CALLED, TURN = 2.0, 1.0, 0.5, 2.0, 1.5
"""What containers, numbers, neighbours, names and order count, each from 0 to 1; set by the references at hand."""

WHOLE = 3.0
"""What a whole name counts against a word or a number in it."""

FEW = 8
"""Among fewer layers than these, a place more or less means less than a share of them."""

Match = Mapping[int, int]
Candidates = Mapping[Kind, tuple[list[int], list[int]]]
"""Positions on both sides of the layers of each kind."""
Indices = NDArray[np.intp]
Numbers = NDArray[np.float64]


class Groups:
    """Sets of one side's layers that belong together. `of` has those of each layer, the last standing for none."""

    def __init__(self, certainty: Numbers, names: Sequence[Sequence[str]]) -> None:
        self.index: dict[str, int] = {}
        found = [[self.index.setdefault(name, len(self.index)) for name in row] for row in names]
        self.none = len(self.index)
        width = max(map(len, found), default=0) or 1
        self.of: Indices = np.array([row + [self.none] * (width - len(row)) for row in found] or [[0]], np.intp)
        self.has: Numbers = np.zeros((len(found) + 1, self.none + 1))
        for layer, row in enumerate(found):
            self.has[layer, row] = 1
        self.mass: Numbers = certainty @ self.has[:-1]


class Evidence:
    """Two sides, each a sequence of layers with their kinds; layers of a rare kind are the more certain."""

    def __init__(
        self, theirs: Sequence[Layer], ours: Sequence[Layer], kinds: tuple[Sequence[Kind], Sequence[Kind]]
    ) -> None:
        self.theirs, self.ours, self.kinds = theirs, ours, kinds
        counts = [Counter(side) for side in kinds]
        rarity = {kind: 1 / max(count[kind] for count in counts) for kind in counts[0] | counts[1]}
        self.certainty, our_certainty = (np.array([rarity[kind] for kind in side], np.float64) for side in kinds)
        weights = self.certainty, our_certainty
        self.containers, self.cousins = (
            (Groups(weights[0], names(theirs)), Groups(weights[1], names(ours))) for names in (containers, cousins)
        )

    @cached_property
    def called(self) -> Numbers:
        """Shared words among all words, rare ones counting more: [theirs, ours].

        A word says less the more often it occurs on the side where it occurs more, by the root.
        """
        counts = [Counter(word for layer in side for word in layer.words) for side in (self.theirs, self.ours)]
        words = {word: column for column, word in enumerate(counts[0] | counts[1])}
        rarity = (1 / sqrt(max(count[word] for count in counts)) for word in words)
        weight = np.array([WHOLE * rare if is_whole(word) else rare for word, rare in zip(words, rarity, strict=True)])
        first, second = (np.zeros((len(side), len(words))) for side in (self.theirs, self.ours))
        for table, side in ((first, self.theirs), (second, self.ours)):
            for row, layer in enumerate(side):
                table[row, [words[word] for word in layer.words]] = 1
        shared = (first * weight) @ second.T
        all_ = (first @ weight)[:, None] + (second @ weight)[None] - shared
        return np.divide(shared, all_, out=np.zeros_like(shared), where=all_ > 0)


@dataclass(frozen=True)
class Scores:
    """What speaks for each pair: what is around and the name, then neighbours, and turns, in the order."""

    own: Numbers
    beside: Numbers
    turn: Numbers

    @property
    def total(self) -> Numbers:
        return self.own + self.beside + self.turn


class View:
    """Evidence as a match shows it. `turn` is the place of each foreign layer in the order that is assumed."""

    def __init__(self, evidence: Evidence, match: Match, turn: Indices) -> None:
        self.evidence, self.turn = evidence, turn
        self.to: Indices = np.full(len(evidence.theirs) + 1, -1)
        self.back: Indices = np.full(len(evidence.ours) + 1, -1)
        self.to[list(match)] = list(match.values())
        self.back[list(match.values())] = list(match)
        self.around, self.numbered = (self._votes(*pair) for pair in (evidence.containers, evidence.cousins))

    def _votes(self, first: Groups, second: Groups) -> Numbers:
        """How much of each group went into which of ours."""
        there = np.flatnonzero(self.to >= 0)
        outer, inner = first.of[there][:, :, None], second.of[self.to[there]][:, None, :]
        pairs = outer * (second.none + 1) + inner
        weight = np.broadcast_to(self.evidence.certainty[there, None, None], pairs.shape)
        shape = first.none + 1, second.none + 1
        found: Numbers = np.bincount(pairs.ravel(), weight.ravel(), shape[0] * shape[1]).astype(np.float64)
        return found.reshape(shape)

    def own(self, rows: Indices, columns: Indices) -> Numbers:
        """What is around, numbers, and the name, for pairs of positions."""
        return self.placed(rows, columns) + self.counted(rows, columns)

    def placed(self, rows: Indices, columns: Indices) -> Numbers:
        """What is around, and the name, for pairs of positions."""
        around = _agreement(self, self.around, *self.evidence.containers, rows, columns)
        return AROUND * around + CALLED * self.evidence.called[rows, columns]

    def counted(self, rows: Indices, columns: Indices) -> Numbers:
        """How the numbers of lists beside each other agree, for pairs of positions."""
        return NUMBERED * _agreement(self, self.numbered, *self.evidence.cousins, rows, columns)

    def beside(self, rows: Indices, columns: Indices) -> Numbers:
        """Whether the layers before and after are matched with those before and after."""
        at = np.full(len(self.turn) + 2, len(self.turn))
        at[self.turn + 1] = np.arange(len(self.turn))
        weight = np.append(np.sqrt(self.evidence.certainty) / 2, 0.0)
        neighbours = [(at[self.turn[rows] + 1 + step], columns + step) for step in (-1, 1)]
        return np.asarray(sum(weight[there] * (self.to[there] == here) for there, here in neighbours), np.float64)

    def scores(self, there: Sequence[int], here: Sequence[int]) -> Scores:
        """All pairs of one kind: foreign layers in the order of their turns against ours."""
        rows, columns = (grid.ravel() for grid in np.meshgrid(there, here, indexing="ij"))
        shape = len(there), len(here)
        places = np.abs(np.arange(shape[0])[:, None] - np.arange(shape[1])[None])
        own, beside = self.own(rows, columns).reshape(shape), self.beside(rows, columns).reshape(shape)
        return Scores(own, BESIDE * beside, -TURN * places / max(*shape, FEW))


def turns_of(match: Match, candidates: Candidates, turn: Indices) -> float:
    """What speaks against a match, below 0: how far layers of each kind are from the order of ours."""
    found = 0.0
    for there, here in candidates.values():
        column = {j: y for y, j in enumerate(here)}
        rows = enumerate(sorted(there, key=turn.__getitem__))
        off = sum(abs(x - column[match[i]]) for x, i in rows if i in match)
        found -= TURN * off / max(len(there), len(here), FEW)
    return found


def _agreement(view: View, votes: Numbers, first: Groups, second: Groups, rows: Indices, columns: Indices) -> Numbers:
    """How well each group of one side agrees with its best on the other, the pair itself left out."""
    outer, inner = first.of[rows][:, :, None], second.of[columns][:, None, :]
    own = view.evidence.certainty[rows][:, None, None]
    holder = view.back[columns]
    left = second.has[view.to[rows][:, None, None], inner]
    left = left + first.has[holder[:, None, None], outer] * (holder != rows)[:, None, None]
    shared = votes[outer, inner] - own * left
    total = first.mass[outer] + second.mass[inner] - own
    real = (outer != first.none) & (inner != second.none)
    agree = np.divide(shared, total - shared, out=np.zeros_like(shared), where=real & (shared > 1e-9))
    return (_mean(agree.max(2), outer[:, :, 0] != first.none) + _mean(agree.max(1), inner[:, 0] != second.none)) / 2


def _mean(values: Numbers, real: NDArray[Any]) -> Numbers:
    return np.asarray((values * real).sum(1) / np.maximum(real.sum(1), 1), np.float64)
