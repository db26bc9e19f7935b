"""The steps of a search: weights alone first, then weights and rates in turn, on two parts of the training data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from archdsl.search.methods.base import Relaxation
from torch import Tensor

RATE_LEARNING_RATE = 0.05
"""Adam's, for the methods' own parameters: betas (0.5, 0.999), no weight decay."""
SETTLE_EVERY = 25
MAX_NORM = 5.0

Loss = Callable[[Any, float], Tensor]
"""The loss of a batch at a point of the search, 0 to 1."""


class Diverged(RuntimeError):
    """A loss or a method's parameter stopped being a number; the message says at which step."""


@dataclass
class Trace:
    """What happened: per settled step, the decided rates and the losses."""

    steps: list[int] = field(default_factory=list)
    rates: list[dict[str, int]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    convolutions: int = 0
    """Forward convolutions of searched layers, all candidates counted."""


def run_search(
    loss: Loss,
    weights: torch.optim.Optimizer,
    relaxations: Mapping[str, Relaxation],
    for_weights: Iterator[Any],
    for_rates: Iterator[Any],
    steps: int,
    *,
    restrict: Callable[[], None] = lambda: None,
    watch: Callable[[int, Trace], None] = lambda step, trace: None,
) -> Trace:
    """Searches for `steps` weight steps. `restrict` masks what the bound forbids, and is called before every step.

    Raises Diverged. Ends early when every rate has one candidate left.
    """
    own = [parameter for relaxation in relaxations.values() for parameter in relaxation.parameters()]
    rates = torch.optim.Adam(own, lr=RATE_LEARNING_RATE, betas=(0.5, 0.999))
    trace = Trace()
    for step in range(steps):
        progress = step / steps
        restrict()
        value = _step(loss, weights, next(for_weights), progress)
        trace.convolutions += sum(len(r.mixture(progress).rates) for r in relaxations.values())
        if any(progress >= r.warm_up for r in relaxations.values()):
            _rate_step(loss, rates, relaxations, next(for_rates), progress)
            trace.convolutions += sum(len(r.mixture(progress).rates) for r in relaxations.values())
        if not math.isfinite(value) or not all(bool(p.isfinite().all()) for p in own):
            raise Diverged(f"the search stopped making sense at step {step}: its loss was {value}")
        if step % SETTLE_EVERY == SETTLE_EVERY - 1:
            for relaxation in relaxations.values():
                if progress >= relaxation.warm_up:
                    relaxation.settle(progress)
            trace.steps.append(step + 1)
            trace.rates.append({name: r.decided() for name, r in relaxations.items()})
            trace.losses.append(value)
            watch(step + 1, trace)
            if all(int(r.open.sum()) == 1 for r in relaxations.values()):
                break
    return trace


def _step(loss: Loss, optimizer: torch.optim.Optimizer, batch: Any, progress: float) -> float:
    optimizer.zero_grad(set_to_none=True)
    value = loss(batch, progress)
    value.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(value.detach())


def _rate_step(
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    relaxations: Mapping[str, Relaxation],
    batch: Any,
    progress: float,
) -> None:
    optimizer.zero_grad(set_to_none=True)
    penalty = torch.stack([relaxation.penalty(progress) for relaxation in relaxations.values()]).sum()
    (loss(batch, progress) + penalty).backward()  # type: ignore[no-untyped-call]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    torch.nn.utils.clip_grad_norm_(parameters, MAX_NORM)
    optimizer.step()
