"""Scores, against torchmetrics and by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from archdsl.training.metrics import BoundaryScore, Confusion

VOID = 255


def maps(classes: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Predictions and labels [3, 20, 30], half of them equal, a tenth void."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, classes, (3, 20, 30), generator=generator)
    other = torch.randint(0, classes, (3, 20, 30), generator=generator)
    predicted = torch.where(torch.rand(3, 20, 30, generator=generator) < 0.5, truth, other)
    truth[torch.rand(3, 20, 30, generator=generator) < 0.1] = VOID
    return predicted, truth


@pytest.mark.parametrize("seed", range(3))
def test_confusion_agrees_with_torchmetrics(seed: int) -> None:
    """Matrix, IoU per class, their mean, and pixel accuracy."""
    torchmetrics = pytest.importorskip("torchmetrics")
    predicted, truth = maps(seed=seed)
    ours = Confusion(5)
    for p, t in zip(predicted, truth, strict=True):
        ours.add(p, t)
    options = {"task": "multiclass", "num_classes": 5, "ignore_index": VOID}
    matrix = torchmetrics.functional.confusion_matrix(predicted, truth, **options)
    iou = torchmetrics.functional.jaccard_index(predicted, truth, average="none", **options)
    accuracy = torchmetrics.functional.accuracy(predicted, truth, average="micro", **options)
    assert ours.matrix() == matrix.tolist()
    assert ours.iou() == pytest.approx(iou.tolist())
    assert ours.miou() == pytest.approx(float(iou.mean()))
    assert ours.pixel_accuracy() == pytest.approx(float(accuracy))


def test_a_class_that_is_nowhere_has_no_score() -> None:
    """It is None, and the mean leaves it out; one that is predicted and never true counts as 0."""
    score = Confusion(4)
    score.add(torch.tensor([0, 0, 1, 3]), torch.tensor([0, 0, 1, 1]))
    assert score.iou() == [1.0, 0.5, None, 0.0]
    assert score.miou() == 0.5


def test_a_prediction_of_no_class_is_a_miss() -> None:
    """Void predicted where there is a class counts against that class, and against nothing else."""
    score = Confusion(2)
    score.add(torch.tensor([VOID, 0, 1, 1]), torch.tensor([0, 0, 1, VOID]))
    assert score.iou() == [0.5, 1.0]
    assert score.pixel_accuracy() == pytest.approx(2 / 3)


def test_the_majority_class() -> None:
    """Predicting it everywhere scores what `majority_miou` says."""
    truth = torch.tensor([0, 0, 0, 1, 2, VOID])
    score, by_hand = Confusion(3), Confusion(3)
    score.add(torch.tensor([1, 2, 0, 1, 2, 0]), truth)
    by_hand.add(torch.zeros_like(truth), truth)
    assert score.majority_miou() == pytest.approx(by_hand.miou())


def test_wrong_input_is_refused() -> None:
    """Shapes that differ, and labels beyond the classes."""
    with pytest.raises(ValueError, match="labels"):
        Confusion(2).add(torch.zeros(3), torch.zeros(4))
    with pytest.raises(ValueError, match="a label is 2"):
        Confusion(2).add(torch.tensor([0]), torch.tensor([2]))


def stripe(column: int, width: int = 40) -> Tensor:
    """Two classes [1, 10, width] that meet at a column."""
    return (torch.arange(width) >= column).long().expand(1, 10, width).contiguous()


@pytest.mark.parametrize(("shift", "tolerance", "expected"), [(0, 0, 1.0), (2, 1, 0.0), (2, 2, 1.0), (2, 3, 1.0)])
def test_boundary_f1_is_about_distance(shift: int, tolerance: int, expected: float) -> None:
    """A boundary off by two pixels is found within two and not within one."""
    score = BoundaryScore(2, tolerance)
    score.add(stripe(20 + shift), stripe(20))
    assert score.f1() == [expected, expected]


def test_boundary_f1_counts_what_is_predicted_for_nothing() -> None:
    """A second stripe that is not there halves precision, and recall stays."""
    score = BoundaryScore(3, 1)
    extra = stripe(20)
    extra[..., 35:] = 2
    score.add(extra, stripe(20))
    first, second, third = score.f1()
    assert first == 1.0 and second == pytest.approx(2 * 0.5 / 1.5) and third == 0.0


def test_boundaries_at_void_do_not_count() -> None:
    """Void beside a class makes no boundary, and a prediction inside void is not seen."""
    truth = stripe(20)
    truth[..., 18:25] = VOID
    score = BoundaryScore(2, 1)
    score.add(stripe(21), truth)
    assert score.f1() == [None, None] and score.mean() == 0.0
