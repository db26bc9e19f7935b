"""Ways of making a rate differentiable. A method is a `Relaxation`: what a layer mixes now, and what it would decide.

With one kernel W for all rates, a layer gives y = Σ_k p_k conv(x, W, dilation=d_k); methods differ in which rates d_k
take part, and in p_k. Each file has its formula.

| name | a rate is | source |
|---|---|---|
| `softmax` | a distribution over integer rates | the default; relaxed as in DARTS (Liu et al., 2019), kernel shared |
| `gaussian` | the centre of a window over integer rates that narrows | as DCLS (2023) has for positions of taps |
| `gumbel` | one sampled rate a step, straight through | GDAS (Dong and Yang, 2019) |
| `fractional` | one real number between two integers | the usual reading of RegSeg, section 3.4 |
| `rf` | an integer with neighbours at half and one and a half | RF-Next (Gao et al., 2022) |

`random` is no relaxation: it draws assignments and trains each (`archdsl.search.random_search`).
"""

from __future__ import annotations

from archdsl.search.methods.base import Mixture, Relaxation
from archdsl.search.methods.fractional import Fractional
from archdsl.search.methods.gaussian import Gaussian
from archdsl.search.methods.gumbel import Gumbel
from archdsl.search.methods.rf import ExpandContract
from archdsl.search.methods.softmax import Softmax

METHODS: dict[str, type[Relaxation]] = {
    "softmax": Softmax,
    "gaussian": Gaussian,
    "gumbel": Gumbel,
    "fractional": Fractional,
    "rf": ExpandContract,
}

__all__ = ["METHODS", "Mixture", "Relaxation"]
