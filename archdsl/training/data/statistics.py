"""What the labels of a split hold: pixels per class, and where each class is."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archdsl.training.data.check import Counts, label_counts
from archdsl.training.data.order import Places
from archdsl.training.data.sample import DataSet, Pixels

_THREADS = 8
_FEW = 4
"""Pixels of a class below which a tile does not count as having it."""
_RARE = 0.02
"""Share of all pixels below which a class is rare."""


@dataclass(frozen=True)
class Statistics:
    """Pixels per class [K], and per class the places (image, y, x) of its tiles: their pixels' mean position."""

    pixels: Counts
    tiles: list[Places]

    @property
    def rare(self) -> tuple[int, ...]:
        """Classes with less than 2 % of the pixels that are not void, those without any left out."""
        shares = self.pixels / max(1, self.pixels.sum())
        return tuple(np.flatnonzero((shares > 0) & (shares < _RARE)).tolist())


def statistics(
    data: DataSet, classes: int, tile: int = 64, seen: Callable[[int, int], None] = lambda done, of: None
) -> Statistics:
    """Reads the labels of every sample; `seen` is told of each. Raises ArchError for one that cannot be used."""
    pixels, tiles = np.zeros(classes, np.int64), [[np.zeros((0, 3), np.int32)] for _ in range(classes)]
    with ThreadPoolExecutor(_THREADS) as pool:
        for index, labels in enumerate(pool.map(lambda i: labels_of(data, i), range(len(data)))):
            pixels += label_counts(labels, classes)[:-1]
            for label, places in _tiles(labels, classes, tile).items():
                tiles[label].append(np.insert(places, 0, index, axis=1))
            seen(index + 1, len(data))
    return Statistics(pixels, [np.concatenate(places) for places in tiles])


def labels_of(data: DataSet, index: int) -> Pixels:
    """The labels of a sample; without decoding its image where the data set has a method for that."""
    alone = getattr(data, "labels_of", None)
    found: Pixels = data[index].labels if alone is None else alone(index)
    return found


def _tiles(labels: Pixels, classes: int, tile: int) -> dict[int, npt.NDArray[np.int32]]:
    """Per class, the mean positions (y, x) of its pixels in each tile that has more than a few."""
    height, width = labels.shape
    rows, columns = -(-height // tile), -(-width // tile)
    ys, xs = np.divmod(np.arange(height * width), width)
    cells = (ys // tile) * columns + xs // tile
    found = {}
    for label in np.unique(labels).tolist():
        if label >= classes:
            continue
        of = np.flatnonzero(labels.reshape(-1) == label)
        counts = np.bincount(cells[of], minlength=rows * columns)
        some = np.flatnonzero(counts >= _FEW)
        sums = [np.bincount(cells[of], weights=axis[of], minlength=rows * columns) for axis in (ys, xs)]
        found[label] = np.stack([(total[some] / counts[some]).astype(np.int32) for total in sums], axis=1)
    return found
