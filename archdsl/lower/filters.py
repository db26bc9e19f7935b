"""Gaussian filters over position and colour, on the permutohedral lattice."""

from __future__ import annotations

import torch
from torch import Tensor

from archdsl.lower.lattice import filtered
from archdsl.lower.registry import Applied, lowers, whole


@lowers("spatial_filter")
def spatial_filter(call: Applied) -> Tensor:
    return filtered_by(call.x, None, call["position"], 1.0)


@lowers("bilateral_filter")
def bilateral_filter(call: Applied) -> Tensor:
    return filtered_by(call.x, call.inputs[1], call["position"], call["color"])


@whole
def filtered_by(x: Tensor, image: Tensor | None, position: float, color: float) -> Tensor:
    """A map [N, C, H, W] averaged by Gaussian weights of where pixels are and, with `image` [N, c, H, W], their colour.

    `position` in pixels and `color` in the image's values are standard deviations. Gradients reach the map and not the
    image. After CRF-RNN (Zheng et al. 2015), which divides by what the filter makes of ones.
    """
    wide = torch.promote_types(x.dtype, torch.float32)
    columns = torch.arange(x.shape[3], device=x.device, dtype=wide).view(1, 1, 1, -1) / position
    rows = torch.arange(x.shape[2], device=x.device, dtype=wide).view(1, 1, -1, 1) / position
    one = torch.ones_like(x[:, :1], dtype=wide)
    features = [columns * one, rows * one] if image is None else [columns * one, rows * one, image.to(wide) / color]
    return filtered(x.to(wide), torch.cat(features, 1)).to(x.dtype)
