"""The steps of a search: weights alone first, then weights and rates in turn, on two parts of the training data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from archdsl.search.methods.base import Relaxation
from torch import Tensor

RATE_LEARNING_RATE = 0.05
"""Adam's, for the methods' own parameters: betas (0.5, 0.999), no weight decay."""
SETTLE_EVERY = 25
MAX_NORM = 5.0

TrainWeights = Callable[[int, float], Tensor]
"""Trains the weights in a step, at a point of the search from 0 to 1; returns the loss, detached."""
Judge = Callable[[int, float], Tensor]
"""The loss that the rates are to lower, with its graph."""


class Diverged(RuntimeError):
    """A loss, a weight or a method's parameter stopped being a number; the message says at which step."""


@dataclass
class Trace:
    """What happened, per settled step: the decided rates, how sure the method was of each candidate, and the losses."""

    steps: list[int] = field(default_factory=list)
    rates: list[list[int]] = field(default_factory=list)
    shares: list[list[list[float]]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    """Of the training of weights, since the last."""
    convolutions: int = 0
    """Forward convolutions of searched layers, all candidates counted."""


class Alternation:
    """A search under way. `step` counts the steps of weights that are done; it ends early when every rate has one
    candidate left.

    `restrict` masks what the bound forbids, and is called before every step. `shared` adds gradients up over processes.
    `sound` says whether the weights are numbers, and is asked before anything can be saved.
    What is random depends on `seed` and the step alone, so that a search can go on from any step.
    """

    def __init__(
        self,
        train: TrainWeights,
        judge: Judge,
        relaxations: Mapping[str, Relaxation],
        steps: int,
        *,
        seed: int = 0,
        restrict: Callable[[], None] = lambda: None,
        shared: Callable[[Tensor], Tensor] = lambda grad: grad,
        sound: Callable[[], bool] = lambda: True,
    ) -> None:
        self.train, self.judge, self.relaxations, self.steps = train, judge, dict(relaxations), steps
        self.seed, self.restrict, self.shared, self.sound = seed, restrict, shared, sound
        self.settle_every = max(1, min(SETTLE_EVERY, steps // 20))
        self.own = [parameter for relaxation in relaxations.values() for parameter in relaxation.parameters()]
        self.optimizer = torch.optim.Adam(self.own, lr=RATE_LEARNING_RATE, betas=(0.5, 0.999))
        self.step, self.trace = 0, Trace()
        self._losses: list[Tensor] = []

    @property
    def done(self) -> bool:
        return self.step >= self.steps or all(int(r.open.sum()) == 1 for r in self.relaxations.values())

    @property
    def progress(self) -> float:
        """How much of the search is done, from 0 to 1."""
        return self.step / self.steps

    def run(
        self,
        *,
        stop: Callable[[], bool] = lambda: False,
        watch: Callable[[Alternation], None] = lambda search: None,
    ) -> None:
        """Goes on to the end, or until `stop`; `watch` is called every `settle_every` steps. Raises Diverged."""
        while not self.done and not stop():
            self.one()
            if self.step % self.settle_every == 0:
                watch(self)

    def one(self) -> None:
        """One step of weights, and one of rates once the warm-up is over."""
        progress = self.progress
        torch.manual_seed(self.seed * 1_000_003 + self.step)
        self.restrict()
        self._losses.append(self.train(self.step, progress))
        self._count(progress)
        if any(progress >= r.warm_up for r in self.relaxations.values()):
            self._move_rates(progress)
            self._count(progress)
        self.step += 1
        if self.step % self.settle_every == 0:
            self._settle(progress)

    def _count(self, progress: float) -> None:
        self.trace.convolutions += sum(r.width(progress) for r in self.relaxations.values())

    def _move_rates(self, progress: float) -> None:
        penalty = torch.stack([relaxation.penalty(progress) for relaxation in self.relaxations.values()]).sum()
        loss = self.judge(self.step, progress) + penalty
        for parameter, grad in zip(self.own, _gradients(loss, self.own), strict=True):
            parameter.grad = self.shared(grad)
        torch.nn.utils.clip_grad_norm_(self.own, MAX_NORM)
        self.optimizer.step()

    def _settle(self, progress: float) -> None:
        loss = float(torch.stack(self._losses).mean())
        self._losses = []
        if not (math.isfinite(loss) and all(bool(p.isfinite().all()) for p in self.own) and self.sound()):
            raise Diverged(f"the loss, a weight or a rate is not a number any more, at step {self.step}")
        for relaxation in self.relaxations.values():
            if progress >= relaxation.warm_up:
                relaxation.settle(progress)
        self.restrict()
        self.trace.steps.append(self.step)
        self.trace.rates.append([r.decided() for r in self.relaxations.values()])
        self.trace.shares.append([_rounded(r.shares(progress)) for r in self.relaxations.values()])
        self.trace.losses.append(loss)

    def slow(self, factor: float) -> None:
        """Moves rates at their learning rate times a factor from here on."""
        for group in self.optimizer.param_groups:
            group["lr"] = RATE_LEARNING_RATE * factor

    # ------------------------------------------------------------------ saving

    def facts(self) -> dict[str, Any]:
        """What is to be known to go on, tensors aside."""
        return {"step": self.step, "trace": asdict(self.trace), "losses": [float(loss) for loss in self._losses]}

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Puts back what `facts` gave; optimiser and relaxations are put back by whoever holds their tensors."""
        self.step = facts["step"]
        self.trace = Trace(**facts["trace"])
        self._losses = [torch.tensor(loss) for loss in facts["losses"]]


def _gradients(loss: Tensor, parameters: Sequence[Tensor]) -> Sequence[Tensor]:
    """Of these alone: the gradients of the weights are not worked out."""
    return torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)


def _rounded(shares: Tensor) -> list[float]:
    return [round(float(share), 4) for share in shares]
