"""Scale, crop, flip and rotation in one resampling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.training.augment.plan import Matrix
from archdsl.training.data.sample import VOID

PADDING = (124, 116, 104)
"""Colour outside the image: ImageNet's mean, which most networks see as zero."""


def warp(
    images: Sequence[Tensor], labels: Sequence[Tensor], matrices: Sequence[Matrix], crop: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Images [3, H, W] and labels [H, W], uint8, resampled to crops [N, 3, h, w] and [N, h, w], uint8.

    `matrices` take crop pixels to source pixels (see `Plan`). Images are bilinear, and averaged over blocks first where
    they shrink to less than half; labels are nearest. What lies outside is `PADDING` and void. Images of one size are
    resampled in one call.
    """
    if len({image.shape for image in images}) == 1 and not any(map(_blocks, matrices)):
        theta = torch.as_tensor(np.stack(matrices), dtype=torch.float32, device=images[0].device)
        return _sample(torch.stack(list(images)).float(), torch.stack(list(labels)), theta, crop)
    each = [_one(image, label, m, crop) for image, label, m in zip(images, labels, matrices, strict=True)]
    return torch.cat([image for image, _ in each]), torch.cat([label for _, label in each])


def _blocks(matrix: Matrix) -> int:
    """The power of two of the blocks that are averaged before a crop is sampled."""
    return max(0, math.floor(math.log2(math.sqrt(abs(np.linalg.det(matrix[:, :2]))) + 1e-6)))


def _one(image: Tensor, label: Tensor, matrix: Matrix, crop: tuple[int, int]) -> tuple[Tensor, Tensor]:
    theta = torch.as_tensor(matrix, dtype=torch.float32, device=image.device)[None]
    source = image[None].float()
    for _ in range(_blocks(matrix)):
        source = F.avg_pool2d(source, 2, ceil_mode=True, count_include_pad=False)
    return _sample(source, label[None], theta, crop, (label.shape[-2], label.shape[-1]))


def _sample(
    images: Tensor, labels: Tensor, theta: Tensor, crop: tuple[int, int], size: tuple[int, int] | None = None
) -> tuple[Tensor, Tensor]:
    height, width = size or (images.shape[-2], images.shape[-1])
    grid = _places(theta, crop)
    # from pixels to the -1 … 1 of grid_sample
    grid = grid * torch.tensor([2 / width, 2 / height], device=grid.device) - 1
    inside = (grid.abs() <= 1).all(-1)
    picture = F.grid_sample(images, grid, "bilinear", "border", align_corners=False)
    fill = torch.tensor(PADDING, dtype=picture.dtype, device=picture.device).view(1, 3, 1, 1)
    picture = torch.where(inside[:, None], picture, fill)
    target = F.grid_sample(labels[:, None].float(), grid, "nearest", "border", align_corners=False)[:, 0]
    target = torch.where(inside, target, VOID)
    return picture.round().clamp(0, 255).to(torch.uint8), target.to(torch.uint8)


def _places(theta: Tensor, crop: tuple[int, int]) -> Tensor:
    """Source pixels (x, y) of every crop pixel, [N, h, w, 2]."""
    y, x = torch.meshgrid(
        torch.arange(crop[0], device=theta.device) + 0.5,
        torch.arange(crop[1], device=theta.device) + 0.5,
        indexing="ij",
    )
    return torch.stack([x, y, torch.ones_like(x)], -1) @ theta[:, None].transpose(-1, -2)
