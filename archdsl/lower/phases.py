"""Phases of maps as images of a larger batch, phase after phase."""

from __future__ import annotations

from torch import Tensor

from archdsl.lower.registry import Applied, lowers, whole


@lowers("space_to_batch")
def space_to_batch(call: Applied) -> Tensor:
    return phases_of(call.x, call["factor"])


@whole
def phases_of(x: Tensor, factor: int) -> Tensor:
    """[N, C, H, W] to [factor² · N, C, H / factor, W / factor], in channels_last."""
    n, c, h, w = x.shape
    cells = x.permute(0, 2, 3, 1).reshape(n, h // factor, factor, w // factor, factor, c)
    return cells.permute(2, 4, 0, 1, 3, 5).reshape(-1, h // factor, w // factor, c).permute(0, 3, 1, 2)


@lowers("batch_to_space")
def batch_to_space(call: Applied) -> Tensor:
    return map_of_phases(call.x, call["factor"])


@whole
def map_of_phases(x: Tensor, factor: int) -> Tensor:
    """[factor² · N, C, h, w] to [N, C, factor · h, factor · w], in channels_last."""
    images, c, h, w = x.shape
    cells = x.permute(0, 2, 3, 1).reshape(factor, factor, images // factor**2, h, w, c)
    return cells.permute(2, 3, 0, 4, 1, 5).reshape(-1, h * factor, w * factor, c).permute(0, 3, 1, 2)
