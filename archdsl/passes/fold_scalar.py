"""A number that is added to or multiplied with the result of a convolution becomes part of its weight and bias."""

from __future__ import annotations

from archdsl.passes.fold_batch_norm import folding
from archdsl.passes.infra import Pass, register, until_stable

fold_scalar = register(
    Pass(
        "fold_scalar",
        needs="a graph for inference",
        rewrites="conv(x) + number, and the like, to conv(x) with a bias, where nothing else reads conv(x)",
        promises="equal outputs up to rounding; no value changes its shape",
        rule=until_stable(folding("scalar")),
    )
)
