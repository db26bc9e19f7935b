"""RF-Next's expand and contract (Gao et al. 2022): a rate and its neighbours at half and one and a half share a kernel.

p_k = |a_k| / Σ_j |a_j| over the rates d/2, d and 3d/2, with a learned number a_k each. Now and then d becomes the
rounded expectation Σ_k p_k d_k, every a_k starts at 1 anew, and new neighbours are taken around d.
"""

from __future__ import annotations

import torch
from archdsl.search.methods.base import Mixture, Relaxation
from torch import Tensor, nn

_SPREAD = 0.5


class ExpandContract(Relaxation):
    warm_up = 0.0

    def __init__(self, candidates: tuple[int, ...], start: int) -> None:
        super().__init__(candidates, start)
        self.around: Tensor
        self.register_buffer("around", torch.tensor(start))
        self.numbers = nn.Parameter(torch.ones(3))

    def _branches(self) -> tuple[int, ...]:
        """The nearest open candidates to half, once and one and a half times the rate."""
        inside = [rate for rate, is_open in zip(self.candidates, self.open.tolist(), strict=True) if is_open]
        centre = int(self.around)
        wanted = (centre * (1 - _SPREAD), centre, centre * (1 + _SPREAD))
        return tuple(min(inside, key=lambda rate: abs(rate - place)) for place in wanted)

    def mixture(self, progress: float) -> Mixture:
        branches = self._branches()
        shares = self.numbers.abs() / self.numbers.abs().sum().clamp_min(1e-12)
        rates = tuple(sorted(set(branches)))
        weights = torch.stack([sum_of(shares, [b == rate for b in branches]) for rate in rates])
        return Mixture(rates, weights)

    def decided(self) -> int:
        mixed = self.mixture(1.0)
        expected = float((mixed.weights.detach().cpu() * torch.tensor(mixed.rates)).sum())
        inside = [rate for rate, is_open in zip(self.candidates, self.open.tolist(), strict=True) if is_open]
        return min(inside, key=lambda rate: abs(rate - expected))

    def settle(self, progress: float) -> None:
        self.around.fill_(self.decided())
        with torch.no_grad():
            self.numbers.fill_(1.0)


def sum_of(values: Tensor, chosen: list[bool]) -> Tensor:
    return values[torch.tensor(chosen, device=values.device)].sum()
