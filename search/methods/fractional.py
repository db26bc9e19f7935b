"""One real rate r: the integers beside it, weighted by how near they are. The usual reading of RegSeg's section 3.4.

With l ≤ r ≤ h the open candidates beside it, p_h = (r - l) / (h - l) and p_l = 1 - p_h, through which r gets its
gradient. It is what DCLS (Khalfaoui-Hassani et al., ICLR 2023) does for the position of each tap, here for all taps of
a kernel together; RegSeg (Gao 2021, section 3.4) gives no formula.

The gradient looks one pixel further and no more, so it does not find distant structure in images without smooth
structure: 0 of 12 planted rates on white noise. Offered because people look for it.
"""

from __future__ import annotations

from bisect import bisect_right

import torch
from archdsl.search.methods.base import Mixture, Relaxation
from torch import nn


class Fractional(Relaxation):
    warm_up = 0.0

    def __init__(self, candidates: tuple[int, ...], start: int) -> None:
        super().__init__(candidates, start)
        self._span = float(max(candidates[-1] - candidates[0], 1))
        self.rate = nn.Parameter(torch.tensor(start / self._span))

    def _inside(self) -> tuple[int, ...]:
        return tuple(rate for rate, is_open in zip(self.candidates, self.open.tolist(), strict=True) if is_open)

    def mixture(self, progress: float) -> Mixture:
        inside = self._inside()
        real = (self.rate * self._span).clamp(inside[0], inside[-1])
        above = bisect_right(inside, float(real.detach()))
        low, high = inside[max(above - 1, 0)], inside[min(above, len(inside) - 1)]
        if low == high:
            # at an end of the range the gradient of the one beside it still says where to go
            low = inside[max(len(inside) - 2, 0)]
        if low == high:
            return Mixture((low,), torch.ones(1, device=self.rate.device))
        part = (self.rate * self._span - low) / (high - low)
        part = part + (part.clamp(0, 1) - part).detach()
        return Mixture((low, high), torch.stack((1 - part, part)))

    def decided(self) -> int:
        real = float(self.rate.detach()) * self._span
        return min(self._inside(), key=lambda rate: abs(rate - real))
