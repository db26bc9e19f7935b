"""RandAugment's operations that leave labels in their place (Cubuk et al. 2019), on batches from 0 to 255."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.training.augment import colour

Operation = Callable[[Tensor, Tensor], Tensor]
_STRONGEST = 0.9
"""How far a factor goes from 1 at magnitude 1."""


def autocontrast(images: Tensor, magnitude: Tensor) -> Tensor:
    """Each channel stretched to the whole range."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    return torch.where(high > low, (images - low) * (255 / (high - low).clamp(min=1)), images)


def equalize(images: Tensor, magnitude: Tensor) -> Tensor:
    """Each channel with its histogram made flat."""
    values = images.round().long().flatten(2)
    counts = torch.zeros(*values.shape[:2], 256, device=images.device).scatter_add_(
        2, values, torch.ones_like(values, dtype=torch.float32)
    )
    ranks = counts.cumsum(2)
    first = torch.where(counts > 0, ranks, torch.inf).amin(2, keepdim=True)
    total = ranks[..., -1:]
    table = torch.where(total > first, (ranks - first) / (total - first).clamp(min=1) * 255, ranks.new_tensor(0))
    flat = table.clamp(0, 255).gather(2, values).view_as(images)
    return torch.where((total > first).view(*images.shape[:2], 1, 1), flat, images)


def sharpness(images: Tensor, magnitude: Tensor) -> Tensor:
    """Blurred below, sharpened above."""
    kernel = torch.tensor([[1.0, 1, 1], [1, 5, 1], [1, 1, 1]], device=images.device).expand(3, 1, 3, 3) / 13
    smooth = F.conv2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), kernel, groups=3)
    return colour.blend(images, smooth, 1 + _STRONGEST * magnitude)


def _factor(change: Operation) -> Operation:
    return lambda images, magnitude: change(images, 1 + _STRONGEST * magnitude)


OPERATIONS: dict[str, Operation] = {
    "autocontrast": autocontrast,
    "equalize": equalize,
    "sharpness": sharpness,
    "colour": _factor(colour.saturation),
    "contrast": _factor(colour.contrast),
    "brightness": _factor(colour.brightness),
}
"""By name: images [N, 3, H, W] and magnitudes [N] from -1 to 1. Rotation is part of the geometry."""


def randaugment(images: Tensor, ops: Sequence[Sequence[tuple[str, float]]]) -> Tensor:
    """Each image with its own operations, one after the other."""
    for slot in range(max((len(own) for own in ops), default=0)):
        chosen = [own[slot] if slot < len(own) else ("", 0.0) for own in ops]
        for name in sorted({name for name, _ in chosen} - {""}):
            rows = [i for i, (own, _) in enumerate(chosen) if own == name]
            magnitudes = torch.tensor([chosen[i][1] for i in rows], device=images.device)
            where = torch.tensor(rows, device=images.device)
            images = images.index_copy(0, where, OPERATIONS[name](images[where], magnitudes))
    return images
