"""Two sequences laid side by side, and the best pairing of two sets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from archdsl.lower.guess.layers import Kind


def common(first: Sequence[Kind], second: Sequence[Kind]) -> list[tuple[int, int]]:
    """The longest common subsequence, as pairs of positions."""
    codes: dict[Kind, int] = {}
    a, b = (np.array([codes.setdefault(kind, len(codes)) for kind in kinds], np.int64) for kinds in (first, second))
    best = np.zeros((len(a) + 1, len(b) + 1), np.int64)
    for i, kind in enumerate(a):
        longer = np.where(b == kind, best[i, :-1] + 1, 0)
        best[i + 1, 1:] = np.maximum.accumulate(np.maximum(best[i, 1:], longer))
    return _traced(a, b, best)


def _traced(a: NDArray[np.int64], b: NDArray[np.int64], best: NDArray[np.int64]) -> list[tuple[int, int]]:
    pairs, i, j = [], len(a), len(b)
    while i and j:
        if best[i - 1, j] == best[i, j]:
            i -= 1
        elif best[i, j - 1] == best[i, j]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((i, j))
    return pairs[::-1]


def pairing(scores: NDArray[np.float64]) -> list[tuple[int, int]]:
    """One column for each row, or one row for each column where there are more rows, with the largest sum.

    The Hungarian method with shortest augmenting paths (Jonker & Volgenant 1987), for scores [rows, columns].
    """
    if scores.shape[0] > scores.shape[1]:
        return sorted((row, column) for column, row in pairing(scores.T))
    rows, columns = scores.shape
    row_price, price = np.zeros(rows), np.zeros(columns + 1)
    owner = np.full(columns + 1, -1)
    for row in range(rows):
        owner[columns] = row
        _augment(-scores, row_price, price, owner)
    return sorted((int(owner[column]), column) for column in range(columns) if owner[column] >= 0)


def _augment(
    costs: NDArray[np.float64], row_price: NDArray[np.float64], price: NDArray[np.float64], owner: NDArray[np.int64]
) -> None:
    """Gives the row that waits in the last place a column, moving others along the cheapest path."""
    columns = costs.shape[1]
    slack, before, seen = np.full(columns, np.inf), np.full(columns, columns), np.zeros(columns + 1, bool)
    at = columns
    while owner[at] >= 0:
        seen[at] = True
        reduced = costs[owner[at]] - row_price[owner[at]] - price[:columns]
        shorter = ~seen[:columns] & (reduced < slack)
        slack[shorter], before[shorter] = reduced[shorter], at
        nearest = int(np.where(seen[:columns], np.inf, slack).argmin())
        step = slack[nearest]
        row_price[owner[seen]] += step
        price[seen] -= step
        slack[~seen[:columns]] -= step
        at = nearest
    while at != columns:
        owner[at], at = owner[before[at]], before[at]
    owner[columns] = -1
