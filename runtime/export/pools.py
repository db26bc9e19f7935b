"""Adaptive pools in words that exporters know."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, fx


def open_means(module: fx.GraphModule) -> None:
    """Has adaptive means follow a size that is open: exporters turn the bounds of their bins into constants."""
    for node in module.graph.nodes:
        if node.target is F.adaptive_avg_pool2d and tuple(node.args[1]) != (1, 1):
            node.target = pooled_to
    module.recompile()


def spell_peaks(module: fx.GraphModule) -> None:
    """Has adaptive maxima done by plain ones, for formats that have no word for them."""
    for node in module.graph.nodes:
        if node.target is F.adaptive_max_pool2d:
            node.target, node.kwargs = peaks_of, {}
    module.recompile()


def pooled_to(x: Tensor, size: tuple[int, int]) -> Tensor:
    """The mean of each of height x width bins, as torch's adaptive pool: [N, C, H, W] to [N, C, height, width]."""
    rows, columns = (_shares(length, bins, x) for length, bins in zip(x.shape[2:], size, strict=True))
    return torch.matmul(torch.matmul(rows, x), columns.T)


def peaks_of(x: Tensor, size: tuple[int, int]) -> Tensor:
    """The maximum of each of height x width bins, as torch's adaptive pool: [N, C, H, W] to [N, C, height, width]."""
    if tuple(size) == (1, 1):
        return x.amax((2, 3), keepdim=True)
    rows, columns = (_shares(length, bins, x) > 0 for length, bins in zip(x.shape[2:], size, strict=True))
    lowest = torch.finfo(x.dtype).min
    x = torch.where(columns, x.unsqueeze(3), lowest).amax(4)
    return torch.where(rows[:, :, None], x.unsqueeze(2), lowest).amax(3)


def _shares(length: int, bins: int, x: Tensor) -> Tensor:
    """What each position counts in each bin: [bins, length]. Bin i goes from floor(i n/b) to ceil((i + 1) n/b)."""
    first = [i * length // bins for i in range(bins)]
    last = [((i + 1) * length + bins - 1) // bins for i in range(bins)]
    at = torch.arange(length, device=x.device)
    rows = [((at >= a) & (at < b)).to(x.dtype) / (b - a) for a, b in zip(first, last, strict=True)]
    return torch.stack(rows)
