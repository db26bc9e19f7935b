"""What may be said of a difference: a gain, a loss, or a tie."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

TIE = 0.5
"""Points of mIoU (or accuracy): a difference that may be as small is none."""
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Student's t at 97.5 %, by degrees of freedom from 1."""
_NORMAL = 1.96

Verdict = Literal["gain", "loss", "tie"]


@dataclass(frozen=True)
class Claim:
    """A mean difference in points, its 95 % interval, and what may be said."""

    mean: float
    interval: tuple[float, float]
    verdict: Verdict


def claim(ours: Sequence[float], theirs: Sequence[float], tie: float = TIE) -> Claim:
    """Compares scores in points that are paired by seed: Student's interval of the mean difference.

    A gain is claimed when the whole interval is above `tie`, a loss when it is below `-tie`: what may be half a point
    is called a tie, however sure it is that it is not nothing. One pair has no interval, and is a tie. Raises
    ValueError for sequences of different lengths or none.
    """
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    if not differences:
        raise ValueError("there is nothing to compare")
    mean = statistics.fmean(differences)
    if len(differences) == 1:
        return Claim(mean, (float("-inf"), float("inf")), "tie")
    t = _STUDENT[len(differences) - 2] if len(differences) - 2 < len(_STUDENT) else _NORMAL
    half = t * statistics.stdev(differences) / len(differences) ** 0.5
    return Claim(mean, (mean - half, mean + half), _verdict(mean, half, tie))


def _verdict(mean: float, half: float, tie: float) -> Verdict:
    if abs(mean) - half <= tie:
        return "tie"
    return "gain" if mean > 0 else "loss"
