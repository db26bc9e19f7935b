"""The loss of an output that tells boundaries from the rest, as PIDNet's boundary head does."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.training.data.sample import VOID
from archdsl.training.metrics.boundary import boundary_pixels


def edge_map(labels: Tensor, reach: int = 1) -> Tensor:
    """1 at the boundaries between classes and within `reach` pixels of them, else 0; [N, 1, H, W]."""
    return F.max_pool2d(boundary_pixels(labels)[:, None].float(), 2 * reach + 1, 1, reach)


def boundary(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross entropy of logits [N, 1, H, W] against the boundaries of the labels, both kinds weighing the same.

    A pixel at a boundary weighs the share of the others, and the other way round (PIDNet, Xu et al., CVPR 2023).
    """
    truth, valid = edge_map(labels), (labels != VOID)[:, None].float()
    total = valid.sum().clamp(min=1)
    positive = (truth * valid).sum()
    weight = torch.where(truth > 0, (total - positive) / total, positive / total) * valid
    return (F.binary_cross_entropy_with_logits(logits.float(), truth, reduction="none") * weight).sum() / total
