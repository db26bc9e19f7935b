"""Losses that measure overlap per class."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.training.data.sample import VOID


def dice(logits: Tensor, labels: Tensor) -> Tensor:
    """1 minus the mean soft Dice coefficient of the classes that the labels have (Milletari et al. 2016)."""
    chances, truth = _flat(logits, labels)
    hits, sizes = (chances * truth).sum(0), (chances + truth).sum(0)
    present = truth.sum(0) > 0
    loss = torch.where(present, 1 - 2 * hits / sizes.clamp(min=1e-6), 0)
    return loss.sum() / present.sum().clamp(min=1)


def lovasz(logits: Tensor, labels: Tensor) -> Tensor:
    """Lovász-softmax over the batch, for the classes that the labels have (Berman et al., CVPR 2018)."""
    chances, truth = _flat(logits, labels)
    errors, order = (truth - chances).abs().sort(dim=0, descending=True)
    loss = (errors * _jaccard_steps(truth.gather(0, order))).sum(0)
    present = truth.sum(0) > 0
    return torch.where(present, loss, 0).sum() / present.sum().clamp(min=1)


def _flat(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Class probabilities and one-hot labels [pixels, K], both 0 at void."""
    classes = logits.shape[1]
    valid = (labels != VOID).flatten()[:, None]
    chances = logits.float().softmax(1).permute(0, 2, 3, 1).reshape(-1, classes)
    truth = F.one_hot(torch.where(labels == VOID, 0, labels).long().flatten(), classes)
    return chances * valid, truth * valid.float()


def _jaccard_steps(truth: Tensor) -> Tensor:
    """How much each further error, in falling order, adds to the Jaccard loss of its class."""
    total = truth.sum(0)
    missed, extra = truth.cumsum(0), (1 - truth).cumsum(0)
    loss = 1 - (total - missed) / (total + extra).clamp(min=1)
    return torch.cat([loss[:1], loss[1:] - loss[:-1]])
