"""The primitive ops, a family a file. Importing this package registers them all."""

from archdsl.ir.ops import activation, convolution, filters, fused, merge, norm, phases, pooling, resampling, reshaping

__all__ = [
    "activation",
    "convolution",
    "filters",
    "fused",
    "merge",
    "norm",
    "phases",
    "pooling",
    "resampling",
    "reshaping",
]
