"""What the rewrites are told of the machine that a network is compiled for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from statistics import median

import torch
import torch.nn.functional as F
from archdsl.runtime.measure import measure_this
from archdsl.runtime.stopwatch import timed

from archdsl.analyses.hardware import Hardware
from archdsl.passes import Costs

_CHANNELS, _EXTENT, _RATE, _ROUNDS = 128, 128, 2, 9


def costs_on(device: torch.device, dtype: str, sizes: Sequence[tuple[int, int]] = ()) -> Costs:
    """Costs at the first of the declared sizes.

    Measured on a CUDA device. Of CPUs the orders of magnitude decide, so that a network compiles to one graph on all of
    them; there the kernels that torch calls take as long for dilated convolutions as for dense ones.
    """
    size = sizes[0] if sizes else Costs().size
    if device.type != "cuda":
        return Costs(dtype=dtype, size=size)
    return Costs(_hardware(device, dtype), dtype, size, dilated=slower_when_dilated(device, dtype))


@cache
def _hardware(device: torch.device, dtype: str) -> Hardware:
    return measure_this(device, [dtype])


@cache
def slower_when_dilated(device: torch.device, dtype: str) -> float:
    """How many times as long a 3x3 convolution takes with rate 2 as dense; at least 1, the median of pairs."""
    kind = getattr(torch, dtype)
    shapes = (1, _CHANNELS, _EXTENT, _EXTENT), (_CHANNELS, _CHANNELS, 3, 3)
    x, weight = (torch.randn(shape, device=device).to(kind, memory_format=torch.channels_last) for shape in shapes)
    with torch.inference_mode():
        ratios = [
            timed(lambda: F.conv2d(x, weight, padding=_RATE, dilation=_RATE), device)
            / timed(lambda: F.conv2d(x, weight, padding=1), device)
            for _ in range(_ROUNDS)
        ]
    return max(1.0, median(ratios))
