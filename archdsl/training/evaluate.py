"""Scores of a network on a split, at the labels' own size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from archdsl.training.data.sample import DataSet, Sample
from archdsl.training.metrics import BoundaryScore, Confusion
from archdsl.training.predict import Predictor
from archdsl.training.processes import Processes

METRICS = ("miou", "pixel_accuracy", "boundary_f1")
"""Scores that a recipe can choose by, beside the IoU of a class."""


class Stopped(Exception):
    """Somebody asked for an end while images were being scored."""


@dataclass(frozen=True)
class Scores:
    """What evaluating found. Scores are from 0 to 1; None for a class that is nowhere."""

    images: int
    classes: tuple[str, ...]
    confusion: Confusion
    boundary: BoundaryScore

    @property
    def miou(self) -> float:
        return self.confusion.miou()

    def value(self, metric: str) -> float:
        """One score by its name: `miou`, `pixel_accuracy`, `boundary_f1`, or a class for its IoU, 0 where it has none.

        Raises KeyError for another name.
        """
        if metric == "boundary_f1":
            return self.boundary.mean()
        if metric == "pixel_accuracy":
            return self.confusion.pixel_accuracy()
        return self.miou if metric == "miou" else self.iou()[metric] or 0.0

    def iou(self) -> dict[str, float | None]:
        return dict(zip(self.classes, self.confusion.iou(), strict=True))

    def as_json(self) -> dict[str, Any]:
        """The fields of `eval --json`, version aside."""
        return {
            "images": self.images,
            "miou": self.miou,
            "iou": self.iou(),
            "pixel_accuracy": self.confusion.pixel_accuracy(),
            "boundary_f1": self.boundary.mean(),
            "boundary_f1_per_class": dict(zip(self.classes, self.boundary.f1(), strict=True)),
            "majority_miou": self.confusion.majority_miou(),
            "confusion": self.confusion.matrix(),
        }


def evaluate(
    predictor: Predictor,
    data: DataSet,
    classes: Sequence[str],
    *,
    batch: int = 1,
    tolerance: int = 3,
    boundaries: bool = True,
    among: Processes | None = None,
    seen: Callable[[int, int], None] = lambda done, of: None,
    stop: Callable[[], bool] = lambda: False,
) -> Scores:
    """Scores a split. Processes take every so many-th image, and each counts once; all get the whole scores.

    Images of one size that follow each other are seen in batches. Without `boundaries`, whose score takes longest, no
    boundary is found. Raises ArchError for a sample that cannot be used,
    `Stopped` as soon as `stop` says so.
    """
    among = among or Processes()
    confusion = Confusion(len(classes), predictor.device)
    boundary = BoundaryScore(len(classes), tolerance, predictor.device)
    own = range(among.rank, len(data), among.world)
    done = 0
    for images, labels in _batches(data, own, batch):
        if stop():
            raise Stopped
        truth = labels.to(predictor.device)
        found = predictor.labels(images)
        confusion.add(found, truth)
        if boundaries:
            boundary.add(found, truth)
        done += len(images)
        seen(done, len(own))
    among.total(confusion.counts)
    among.total(boundary.counts)
    return Scores(len(data), tuple(classes), confusion, boundary)


def _batches(data: DataSet, indices: Sequence[int], most: int) -> Iterator[tuple[Tensor, Tensor]]:
    kept: list[Sample] = []
    for index in indices:
        sample = data[index]
        if kept and (len(kept) == most or kept[0].labels.shape != sample.labels.shape):
            yield _stacked(kept)
            kept = []
        kept.append(sample)
    if kept:
        yield _stacked(kept)


def _stacked(samples: Sequence[Sample]) -> tuple[Tensor, Tensor]:
    images = torch.stack([torch.from_numpy(s.image).permute(2, 0, 1) for s in samples])
    return images, torch.stack([torch.from_numpy(s.labels) for s in samples])
