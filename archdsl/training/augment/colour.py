"""Colour, on batches [N, 3, H, W] in float from 0 to 255, with a factor for each image."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_LUMA = (0.299, 0.587, 0.114)
_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))
"""From RGB to luma and two axes of colour, in whose plane a turn changes the hue."""


def grey(images: Tensor) -> Tensor:
    """Luma (BT.601), [N, 1, H, W]."""
    weights = torch.tensor(_LUMA, dtype=images.dtype, device=images.device).view(1, 3, 1, 1)
    return (images * weights).sum(1, keepdim=True)


def blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    """`other` at factor 0, the images at 1, beyond them above; within 0 to 255."""
    return (other + (images - other) * _each(factor)).clamp(0, 255)


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    return (images * _each(factor)).clamp(0, 255)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    return blend(images, grey(images).mean((2, 3), keepdim=True), factor)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    return blend(images, grey(images), factor)


def hue(images: Tensor, turn: Tensor) -> Tensor:
    """Turns the hue by a share of the circle, keeping luma."""
    to = torch.tensor(_YIQ, dtype=images.dtype, device=images.device)
    angle = turn * (2 * math.pi)
    c, s, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    rows = [torch.stack(row, -1) for row in ((one, zero, zero), (zero, c, -s), (zero, s, c))]
    matrix = torch.linalg.inv(to) @ torch.stack(rows, -2) @ to
    return torch.einsum("nij,njhw->nihw", matrix, images).clamp(0, 255)


def gamma(images: Tensor, exponent: Tensor) -> Tensor:
    return (images / 255).clamp(min=1e-6) ** _each(exponent) * 255


def _each(factor: Tensor) -> Tensor:
    return factor.view(-1, 1, 1, 1)
