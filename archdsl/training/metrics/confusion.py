"""The confusion matrix, and what is read off it."""

from __future__ import annotations

import torch
from torch import Tensor

from archdsl.training.data.sample import VOID


class Confusion:
    """Counts of pixels by true and predicted class, summed over as many images as are added.

    `counts` is [K, K + 1] int64: row the truth, column the prediction; the last column is predictions of no class,
    which are misses. Pixels whose truth is void do not count.
    """

    def __init__(self, classes: int, device: torch.device | str = "cpu") -> None:
        self.classes = classes
        self.counts = torch.zeros(classes, classes + 1, dtype=torch.int64, device=device)

    def add(self, predicted: Tensor, truth: Tensor) -> None:
        """Adds class indices of the same shape, of any integer type.

        Raises ValueError for different shapes, or a true label that is neither a class nor void.
        """
        if predicted.shape != truth.shape:
            raise ValueError(f"predictions are {list(predicted.shape)}, labels {list(truth.shape)}")
        truth, predicted = truth.reshape(-1).long(), predicted.reshape(-1).long()
        valid = truth != VOID
        truth, predicted = truth[valid], predicted[valid]
        if truth.numel() and int(truth.max()) >= self.classes:
            raise ValueError(f"a label is {int(truth.max())}, and there are {self.classes} classes")
        predicted = torch.where((predicted >= 0) & (predicted < self.classes), predicted, self.classes)
        columns = self.classes + 1
        pairs = torch.bincount(truth * columns + predicted, minlength=self.classes * columns)
        self.counts += pairs.view(self.classes, columns)

    @property
    def intersections(self) -> Tensor:
        """Pixels found rightly, per class."""
        return self.counts.diagonal()

    @property
    def unions(self) -> Tensor:
        """Pixels that are of a class or were taken for it, per class."""
        return self.counts.sum(1) + self.counts[:, :-1].sum(0) - self.intersections

    def iou(self) -> list[float | None]:
        """Intersection over union per class, from 0 to 1; None where a class is neither there nor predicted."""
        pairs = zip(self.intersections.tolist(), self.unions.tolist(), strict=True)
        return [hit / union if union else None for hit, union in pairs]

    def miou(self) -> float:
        """The mean over the classes that have one; 0 where none has."""
        found = [value for value in self.iou() if value is not None]
        return sum(found) / len(found) if found else 0.0

    def pixel_accuracy(self) -> float:
        """Share of the pixels found rightly; 0 where there are none."""
        total = int(self.counts.sum())
        return int(self.intersections.sum()) / total if total else 0.0

    def majority_miou(self) -> float:
        """The mIoU of predicting the most frequent class everywhere: what any network should beat."""
        truth = self.counts.sum(1)
        if not int(truth.sum()):
            return 0.0
        return float(truth.max() / truth.sum() / (truth > 0).sum())

    def matrix(self) -> list[list[int]]:
        """The counts [K][K], row the truth, without the predictions of no class."""
        rows: list[list[int]] = self.counts[:, :-1].tolist()
        return rows
