"""Medians, percentiles, and how sure a ratio of paired timings is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Samples = Mapping[int, float]
"""Seconds by the number of the round in which they were taken."""

_DRAWS = 2000


@dataclass(frozen=True)
class Spread:
    """Milliseconds: median and 5th and 95th percentile."""

    median: float
    p5: float
    p95: float
    rounds: int


def spread(samples: Samples) -> Spread:
    milliseconds = 1e3 * np.array(list(samples.values()))
    p5, median, p95 = np.percentile(milliseconds, [5, 50, 95])
    return Spread(float(median), float(p5), float(p95), len(samples))


@dataclass(frozen=True)
class PairedRatio:
    """Ratio of medians, with the ends of its 95 % interval."""

    ratio: float
    low: float
    high: float


def paired_ratio(slower: Samples, faster: Samples, seed: int = 0) -> PairedRatio:
    """`slower` over `faster`, over the rounds that both took part in.

    Whole rounds are drawn again with replacement (percentile bootstrap, Efron 1979), so that what disturbed a round
    disturbs both sides of it. Raises ValueError without a common round.
    """
    rounds = sorted(slower.keys() & faster.keys())
    if not rounds:
        raise ValueError("no round in common")
    above, below = (np.array([samples[r] for r in rounds]) for samples in (slower, faster))
    drawn = np.random.default_rng(seed).integers(0, len(rounds), (_DRAWS, len(rounds)))
    ratios = np.median(above[drawn], axis=1) / np.median(below[drawn], axis=1)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return PairedRatio(float(np.median(above) / np.median(below)), float(low), float(high))
