"""What every method answers: the mixture of rates a layer applies now, and the rate it would decide on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Mixture:
    """Rates, in rising order, and the weight [len(rates)] of each; gradients flow into the weights."""

    rates: tuple[int, ...]
    weights: Tensor


class Relaxation(nn.Module, ABC):
    """One searched rate. `candidates` are the integers it may become, `start` the one the text has.

    `progress` runs from 0 to 1 over the whole search; `warm_up` of it trains weights alone.
    """

    warm_up = 0.3

    def __init__(self, candidates: tuple[int, ...], start: int) -> None:
        super().__init__()
        if start not in candidates:
            raise ValueError(f"the search starts at {start}, which is none of {candidates}")
        self.candidates = candidates
        self.start = start
        self.allowed: Tensor
        self.register_buffer("allowed", torch.ones(len(candidates), dtype=torch.bool))
        self.alive: Tensor
        self.register_buffer("alive", torch.ones(len(candidates), dtype=torch.bool))

    @property
    def open(self) -> Tensor:
        """Which candidates may be chosen now [K]: not dropped, and inside the bound."""
        both = self.alive & self.allowed
        return both if bool(both.any()) else self._nearest_allowed()

    def _nearest_allowed(self) -> Tensor:
        """The bound left no candidate that was kept: the nearest allowed one comes back."""
        inside = self.allowed.nonzero().flatten().tolist()
        kept = self.alive.nonzero().flatten().tolist()
        nearest = min(inside, key=lambda i: min(abs(self.candidates[i] - self.candidates[j]) for j in kept))
        only = torch.zeros_like(self.allowed)
        only[nearest] = True
        return only

    def restrict(self, allowed: Collection[int]) -> None:
        """Closes all candidates but the given ones. Raises ValueError when that would leave none."""
        inside = [rate in allowed for rate in self.candidates]
        if not any(inside):
            raise ValueError(f"none of the rates {self.candidates} is allowed")
        self.allowed.copy_(torch.tensor(inside))

    @abstractmethod
    def mixture(self, progress: float) -> Mixture:
        """What a layer applies at this point of the search."""

    def width(self, progress: float) -> int:
        """How many rates a layer applies at this point."""
        return len(self.mixture(progress).rates)

    @abstractmethod
    def decided(self) -> int:
        """The rate to decide on, among the open candidates."""

    def penalty(self, progress: float) -> Tensor:
        """What is added to the architecture's loss."""
        return torch.zeros((), device=self.allowed.device)

    def settle(self, progress: float) -> None:
        """Called now and then after the warm-up: drop candidates, move ranges."""

    def shares(self, progress: float) -> Tensor:
        """How sure the method is of each candidate [K], adding up to 1: for the table that people watch."""
        mixed = self.mixture(progress)
        found = torch.zeros(len(self.candidates))
        for rate, weight in zip(mixed.rates, mixed.weights.detach().cpu(), strict=True):
            found[self.candidates.index(rate)] += weight
        return found

    def likeliest(self, count: int) -> tuple[int, ...]:
        """The open candidates that it is surest of, at most so many: neighbours worth a look, not a ranking."""
        # late in a search all shares but the greatest may be too small for a number, which leaves no order
        shares = zip(self.candidates, self.shares(self.warm_up).tolist(), self.open.tolist(), strict=True)
        inside = sorted(((share, rate) for rate, share, is_open in shares if is_open), reverse=True)
        return tuple(rate for _, rate in inside[:count])
