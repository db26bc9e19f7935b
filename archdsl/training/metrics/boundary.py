"""Boundary F1: whether the outlines of classes lie where they should."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.training.data.sample import VOID


class BoundaryScore:
    """Boundary F1 per class (after Csurka et al., BMVC 2013), from pixels summed over all images that are added.

    A pixel is on the boundary of a class when it is of that class and one of its four neighbours is of another; it is
    found when the other map has a boundary pixel of the class within `tolerance` pixels (in rows and in columns). What
    touches void does not count.
    """

    def __init__(self, classes: int, tolerance: int = 3, device: torch.device | str = "cpu") -> None:
        self.classes, self.tolerance = classes, tolerance
        self.counts = torch.zeros(4, classes, dtype=torch.int64, device=device)
        """Boundary pixels predicted, those of them found; true ones, those of them found; per class."""

    def add(self, predicted: Tensor, truth: Tensor) -> None:
        """Adds class indices [N, H, W] of images of one size. Raises ValueError for different shapes."""
        if predicted.shape != truth.shape:
            raise ValueError(f"predictions are {list(predicted.shape)}, labels {list(truth.shape)}")
        void = truth == VOID
        for p, t, v in zip(predicted.long(), truth.long(), void, strict=True):
            ours, theirs = (class_boundaries(torch.where(v, VOID, x), self.classes) for x in (p, t))
            found, wanted = ours & _near(theirs, self.tolerance), theirs & _near(ours, self.tolerance)
            self.counts += torch.stack([x.flatten(1).sum(1) for x in (ours, found, theirs, wanted)])

    def f1(self) -> list[float | None]:
        """F1 per class, from 0 to 1; None for a class that has no boundary in either map."""
        scores: list[float | None] = []
        for predicted, found, true, wanted in self.counts.t().tolist():
            precision, recall = found / max(predicted, 1), wanted / max(true, 1)
            total = precision + recall
            scores.append(None if predicted + true == 0 else 2 * precision * recall / total if total else 0.0)
        return scores

    def mean(self) -> float:
        """The mean over the classes that have one; 0 where none has."""
        found = [value for value in self.f1() if value is not None]
        return sum(found) / len(found) if found else 0.0


def class_boundaries(labels: Tensor, classes: int) -> Tensor:
    """Boundary pixels [classes, H, W] of class indices [H, W], as booleans."""
    edge = boundary_pixels(labels[None])[0]
    of = torch.where(edge & (labels < classes), labels, classes)
    return F.one_hot(of, classes + 1)[..., :-1].permute(2, 0, 1).bool()


def boundary_pixels(labels: Tensor) -> Tensor:
    """Pixels [N, H, W] of class indices with a direct neighbour of another class; those at void do not count."""
    edge = torch.zeros_like(labels, dtype=torch.bool)
    for axis in (-2, -1):
        first, second = labels.narrow(axis, 0, labels.shape[axis] - 1), labels.narrow(axis, 1, labels.shape[axis] - 1)
        differ = (first != second) & (first != VOID) & (second != VOID)
        edge.narrow(axis, 0, labels.shape[axis] - 1).logical_or_(differ)
        edge.narrow(axis, 1, labels.shape[axis] - 1).logical_or_(differ)
    return edge


def _near(mask: Tensor, reach: int) -> Tensor:
    if reach == 0:
        return mask
    grown = mask.float()
    for kernel, padding in (((2 * reach + 1, 1), (reach, 0)), ((1, 2 * reach + 1), (0, reach))):
        grown = F.max_pool2d(grown, kernel, 1, padding)
    return grown > 0
