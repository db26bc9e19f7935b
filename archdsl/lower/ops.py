"""The lowerings of all ops, a family a file. Importing this module registers them all."""

from __future__ import annotations

from archdsl.lower import (
    activation,
    convolution,
    filters,
    fused,
    labels,
    merge,
    norm,
    phases,
    pooling,
    resampling,
    reshaping,
)
from archdsl.lower.registry import LOWERINGS, Applied, Lowering, Result, lowers, whole

__all__ = [
    "LOWERINGS",
    "Applied",
    "Lowering",
    "Result",
    "activation",
    "convolution",
    "filters",
    "fused",
    "labels",
    "lowers",
    "merge",
    "norm",
    "phases",
    "pooling",
    "resampling",
    "reshaping",
    "whole",
]
