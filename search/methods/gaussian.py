"""A window over the integer rates: p_k ∝ exp(-(d_k - c)² / 2σ²), its centre c learned, its width σ annealed.

As DCLS with Gaussian interpolation (Khalfaoui-Hassani et al. 2023) has it for positions of taps: with a wide σ the
gradient sees further than the next pixel. σ starts wide enough to see every candidate and narrows geometrically to half
a pixel.
"""

from __future__ import annotations

import torch
from archdsl.search.methods.base import Mixture, Relaxation
from torch import Tensor, nn

_NARROW = 0.5


class Gaussian(Relaxation):
    def __init__(self, candidates: tuple[int, ...], start: int) -> None:
        super().__init__(candidates, start)
        self._span = float(max(candidates[-1] - candidates[0], 1))
        # in units of the range, so that one learning rate serves every range
        self.centre = nn.Parameter(torch.tensor((start - candidates[0]) / self._span))

    def mixture(self, progress: float) -> Mixture:
        index = self.open.nonzero().flatten()
        rates = tuple(self.candidates[i] for i in index.tolist())
        late = max(progress - self.warm_up, 0.0) / (1 - self.warm_up)
        width = self._span * (_NARROW / self._span) ** late
        away = torch.tensor(rates, dtype=torch.float32, device=self.centre.device) - self._position()
        return Mixture(rates, torch.softmax(-away.square() / (2 * width**2), 0))

    def _position(self) -> Tensor:
        return self.candidates[0] + self.centre * self._span

    def decided(self) -> int:
        position = float(self._position().detach())
        inside = [rate for rate, is_open in zip(self.candidates, self.open.tolist(), strict=True) if is_open]
        return min(inside, key=lambda rate: abs(rate - position))
