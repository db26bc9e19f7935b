"""Weights of classes and of pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.training.data.sample import VOID
from archdsl.training.metrics.boundary import boundary_pixels


def enet_weights(pixels: Tensor, cap: float = 50.0) -> Tensor:
    """1 / ln(1.02 + share) per class (ENet, Paszke et al. 2016), at most `cap`; `pixels` are counts [K]."""
    return (1 / torch.log(1.02 + _shares(pixels))).clamp(max=cap)


def inverse_weights(pixels: Tensor, cap: float = 5.0) -> Tensor:
    """1 / share per class, scaled to a mean of 1, at most `cap`; classes without pixels get 1."""
    shares = _shares(pixels)
    weights = torch.where(shares > 0, 1 / shares.clamp(min=1e-12), 0)
    present = (shares > 0).sum().clamp(min=1)
    return torch.where(shares > 0, weights * present / weights.sum(), 1).clamp(max=cap)


def _shares(pixels: Tensor) -> Tensor:
    return pixels.double() / pixels.sum().clamp(min=1)


def pixel_weights(labels: Tensor, class_weights: Tensor | None, boundary: float) -> Tensor:
    """The weight of each pixel [N, H, W], float32: 0 at void."""
    valid = labels != VOID
    weight = valid.float()
    if class_weights is not None:
        weight = weight * class_weights[torch.where(valid, labels, 0).long()]
    if boundary:
        edge = boundary_pixels(labels)[:, None].float()
        weight = weight * (1 + boundary * F.max_pool2d(edge, 3, 1, 1)[:, 0])
    return weight
