"""The learning rate over the steps."""

from __future__ import annotations

import math

from archdsl.training.recipes.schema import Schedule

_ONE_CYCLE_START = 1 / 25
"""Where one-cycle begins (Smith & Topin 2017, with torch's default)."""
_ONE_CYCLE_RISE = 0.3


def factor(schedule: Schedule, step: int, steps: int) -> float:
    """The factor on the learning rate at a step from 0, of so many."""
    warm = warmup_steps(schedule, steps)
    if schedule.kind == "one_cycle":
        return _one_cycle(schedule, step, steps, warm or max(1, round(_ONE_CYCLE_RISE * steps)))
    rise = schedule.warmup_from + (1 - schedule.warmup_from) * step / warm if step < warm else 1.0
    return rise * (schedule.end + (1 - schedule.end) * _fall(schedule, step / steps))


def warmup_steps(schedule: Schedule, steps: int) -> int:
    """Steps of warm-up: a share of all where it is given below 1."""
    return round(schedule.warmup * steps if schedule.warmup < 1 else min(schedule.warmup, steps))


def _fall(schedule: Schedule, done: float) -> float:
    if schedule.kind == "poly":
        return float((1 - done) ** schedule.power)
    return _cosine(done) if schedule.kind == "cosine" else 1.0


def _cosine(done: float) -> float:
    return (1 + math.cos(math.pi * done)) / 2


def _one_cycle(schedule: Schedule, step: int, steps: int, rise: int) -> float:
    if step < rise:
        return 1 - (1 - _ONE_CYCLE_START) * _cosine(step / rise)
    return schedule.end + (1 - schedule.end) * _cosine((step - rise) / max(1, steps - rise))
