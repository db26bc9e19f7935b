"""One sampled rate a step (GDAS, Dong and Yang 2019): Gumbel noise, argmax forward, the softmax's gradient backward.

k = argmax_j (a_j + g_j) / τ with g_j = -ln(-ln u_j) and u_j uniform; y = conv(x, W, d_k). The logits a get the gradient
of s_k, where s = softmax((a + g) / τ), because p_k = 1 + s_k - stop(s_k). A step costs one convolution per rate, and
sees one rate only.
"""

from __future__ import annotations

import torch
from archdsl.search.methods.base import Mixture
from archdsl.search.methods.softmax import Softmax


class Gumbel(Softmax):
    warm = 5.0
    cold = 0.5
    """The temperature of what is drawn falls linearly from `warm` to `cold`."""
    coldest = 1.0

    def mixture(self, progress: float) -> Mixture:
        closed = ~self.open
        noise = -torch.empty_like(self.logits).exponential_().log()
        if progress < self.warm_up:
            index = int(noise.masked_fill(closed, float("-inf")).argmax())
            return Mixture((self.candidates[index],), torch.ones(1, device=self.logits.device))
        temperature = self.warm + (self.cold - self.warm) * progress
        soft = torch.softmax(((self.logits + noise) / temperature).masked_fill(closed, float("-inf")), 0)
        index = int(soft.argmax())
        chosen = soft[index]
        # 1 forward; backward, the gradient of the chosen candidate's softmax weight
        return Mixture((self.candidates[index],), (1 - chosen.detach() + chosen).unsqueeze(0))

    def width(self, progress: float) -> int:
        return 1

    def shares(self, progress: float) -> torch.Tensor:
        return self.probabilities(progress).detach().cpu()

    def settle(self, progress: float) -> None:
        """Nothing is dropped: a sampled candidate costs no more than another."""
