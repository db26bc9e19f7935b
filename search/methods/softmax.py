"""A softmax over integer rates with one shared kernel: the default.

p_k = exp(a_k / τ) / Σ_j exp(a_j / τ) over the open candidates, with a learned logit a_k each;
y = Σ_k p_k conv(x, W, d_k), and the norm comes after the sum. The relaxation is that of DARTS (Liu et al., ICLR 2019),
with one W for all candidates instead of a branch of its own for each; late, λ H(p) = -λ Σ_k p_k ln p_k is added to the
loss of the rates.

Four details make it find distant structure: weights alone are trained at the uniform mixture first; entropy is only
pressed down late, so that no rate is decided before the weights know it; candidates far behind the best are dropped,
which halves the price; and what is open at the very end is decided by letting the temperature τ fall while the weights
go on learning, so that they are those of one rate when it is taken alone.
"""

from __future__ import annotations

import torch
from archdsl.search.methods.base import Mixture, Relaxation
from torch import Tensor, nn


class Softmax(Relaxation):
    entropy_from = 0.6
    entropy_weight = 0.05
    """Nats of entropy per rate at the end of the search; it grows linearly from `entropy_from` on."""
    dropped_below = 0.05
    """A candidate is dropped below this share of its rate's best."""
    cooled_from = 0.8
    coldest = 0.02
    """τ is 1 until `cooled_from`, and falls from there to this at the end, geometrically."""

    def __init__(self, candidates: tuple[int, ...], start: int) -> None:
        super().__init__(candidates, start)
        self.logits = nn.Parameter(torch.zeros(len(candidates)))

    def probabilities(self, progress: float) -> Tensor:
        """[K], zero where a candidate is closed."""
        late = max(progress - self.cooled_from, 0.0) / (1 - self.cooled_from)
        return torch.softmax((self.logits / self.coldest**late).masked_fill(~self.open, float("-inf")), 0)

    def mixture(self, progress: float) -> Mixture:
        index = self.open.nonzero().flatten()
        rates = tuple(self.candidates[i] for i in index.tolist())
        if progress < self.warm_up:
            return Mixture(rates, torch.full((len(rates),), 1 / len(rates), device=self.logits.device))
        return Mixture(rates, self.probabilities(progress)[index])

    def decided(self) -> int:
        """The likeliest rate; of several, the one nearest to the start."""
        p = self.probabilities(0).tolist()
        likeliest = [rate for rate, share in zip(self.candidates, p, strict=True) if share == max(p)]
        return min(likeliest or self.candidates, key=lambda rate: abs(rate - self.start))

    def penalty(self, progress: float) -> Tensor:
        late = max(progress - self.entropy_from, 0.0) / (1 - self.entropy_from)
        p = self.probabilities(progress)
        return self.entropy_weight * late * -(p * p.clamp_min(1e-12).log()).sum()

    def settle(self, progress: float) -> None:
        p = self.probabilities(progress).detach()
        self.alive &= (p >= self.dropped_below * p.max()) | ~self.allowed
