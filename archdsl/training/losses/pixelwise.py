"""Losses that are a mean over pixels. Void pixels take no part; where all are void, the loss is 0 with gradient 0."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.training.data.sample import VOID


def per_pixel(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross entropy of each pixel [N, H, W], float32; 0 at void."""
    return F.cross_entropy(
        logits.float(), labels.long(), ignore_index=VOID, label_smoothing=smoothing, reduction="none"
    )


def cross_entropy(logits: Tensor, labels: Tensor, weight: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """The mean over the pixels that are not void, weighted by `weight` [N, H, W] where given."""
    losses = per_pixel(logits, labels, smoothing)
    weight = (labels != VOID).float() if weight is None else weight
    return (losses * weight).sum() / weight.sum().clamp(min=1e-12)


def focal_per_pixel(logits: Tensor, labels: Tensor, gamma: float = 2.0, smoothing: float = 0.0) -> Tensor:
    """(1 - p)^gamma times the cross entropy of each pixel (Lin et al., ICCV 2017)."""
    losses = per_pixel(logits, labels, smoothing)
    chance = torch.exp(-per_pixel(logits, labels)) if smoothing else torch.exp(-losses)
    return (1 - chance).clamp(min=1e-6) ** gamma * losses


def focal(logits: Tensor, labels: Tensor, gamma: float = 2.0) -> Tensor:
    """The mean focal loss of the pixels that are not void."""
    return focal_per_pixel(logits, labels, gamma).sum() / (labels != VOID).sum().clamp(min=1)


def hardest(losses: Tensor, weight: Tensor, valid: Tensor, threshold: float, keep: float) -> Tensor:
    """The mean loss of the hard pixels, by RegSeg's rule (its bootstrapped cross entropy).

    K is `keep` of all pixels, void ones included. Where more than K losses are above the threshold, those are averaged;
    otherwise the K largest, of which there may be fewer than K that are valid. Nothing here waits for the device.
    """
    flat, keys = (losses * weight).flatten(), torch.where(valid, losses, -1).flatten()
    count = max(1, math.floor(flat.numel() * keep))
    top = torch.topk(keys, count).values
    bound = torch.minimum(top[-1], torch.tensor(threshold, dtype=top.dtype, device=top.device))
    # above the threshold, or among the K largest: where the K-th is above the threshold the former are more
    chosen = (keys > threshold) | ((keys >= top[-1]) & (bound == top[-1]) & (keys >= 0))
    return (flat * chosen).sum() / chosen.sum().clamp(min=1)


def ohem(logits: Tensor, labels: Tensor, threshold: float = 0.3, keep: float = 0.0625) -> Tensor:
    """Cross entropy over hard pixels only; see `hardest`."""
    valid = labels != VOID
    losses = per_pixel(logits, labels)
    return hardest(losses, valid.float(), valid, threshold, keep)
