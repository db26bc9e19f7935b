"""Losses, against plain formulas."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.training.losses import (
    Criterion,
    cross_entropy,
    dice,
    enet_weights,
    focal,
    inverse_weights,
    lovasz,
    ohem,
)
from archdsl.training.losses.edges import boundary
from archdsl.training.recipes.schema import Losses

VOID = 255


def batch(n: int = 2, classes: int = 4, seed: int = 0, void: float = 0.2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, classes, 12, 16, generator=generator) * 2
    labels = torch.randint(0, classes, (n, 12, 16), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < void] = VOID
    return logits, labels.to(torch.uint8)


def test_cross_entropy_is_torchs() -> None:
    """With void ignored, with smoothing, and with class weights as pixel weights."""
    logits, labels = batch()
    for smoothing in (0.0, 0.1):
        expected = F.cross_entropy(logits, labels.long(), ignore_index=VOID, label_smoothing=smoothing)
        assert torch.allclose(cross_entropy(logits, labels, smoothing=smoothing), expected)
    weights = torch.tensor([1.0, 2.0, 3.0, 0.5])
    settings = Losses.model_validate({"class_weights": {"kind": "enet", "cap": 5}})
    pixels = torch.tensor([10, 20, 30, 40])
    criterion = Criterion.of(settings, "logits", {}, pixels)
    expected = F.cross_entropy(logits, labels.long(), ignore_index=VOID, weight=enet_weights(pixels, 5).float())
    assert torch.allclose(criterion(logits, labels), expected)
    assert not torch.allclose(criterion(logits, labels), cross_entropy(logits, labels, weights[0].expand(2, 12, 16)))


def regsegs_rule(losses: Tensor, threshold: float, keep: float) -> Tensor:
    """The rule as the paper's code states it, with a branch."""
    count = int(losses.numel() * keep)
    ordered = losses.flatten().sort(descending=True).values
    return ordered[ordered > threshold].mean() if ordered[count] > threshold else ordered[:count].mean()


@pytest.mark.parametrize("threshold", [0.01, 0.3, 2.0, 50.0])
@pytest.mark.parametrize("keep", [1 / 16, 0.3])
def test_ohem_is_regsegs_rule(threshold: float, keep: float) -> None:
    """Whether more or fewer than K pixels are above the threshold."""
    logits, labels = batch(void=0)
    losses = F.cross_entropy(logits, labels.long(), reduction="none")
    expected = regsegs_rule(losses, threshold, keep)
    assert torch.allclose(ohem(logits, labels, threshold, keep), expected)


@pytest.mark.parametrize("loss", [cross_entropy, ohem, focal, dice, lovasz])
def test_a_batch_that_is_all_void_gives_zero(loss: object) -> None:
    """No crash, no NaN, and a gradient of zero."""
    logits, labels = batch()
    logits.requires_grad_()
    value = loss(logits, torch.full_like(labels, VOID))  # type: ignore[operator]
    value.backward()
    assert value.item() == 0 and logits.grad is not None and not logits.grad.any()


@pytest.mark.parametrize("loss", [cross_entropy, ohem, focal, dice, lovasz])
def test_void_changes_nothing(loss: object) -> None:
    """The logits at void pixels have no say."""
    logits, labels = batch()
    other = torch.where((labels == VOID)[:, None], torch.randn_like(logits), logits)
    assert torch.allclose(loss(logits, labels), loss(other, labels))  # type: ignore[operator]


def test_focal_without_gamma_is_cross_entropy() -> None:
    """And with it, easy pixels count less."""
    logits, labels = batch()
    assert torch.allclose(focal(logits, labels, gamma=0), cross_entropy(logits, labels))
    assert focal(logits, labels) < cross_entropy(logits, labels)


def test_overlap_losses_at_their_ends() -> None:
    """Near 0 where every pixel is right and sure, near 1 where every pixel is wrong and sure."""
    _, labels = batch(void=0.1)
    one_hot = F.one_hot(torch.where(labels == VOID, 0, labels).long(), 4).permute(0, 3, 1, 2).float()
    for loss in (dice, lovasz):
        assert loss(one_hot * 50, labels).item() < 1e-3
        assert loss(one_hot.roll(1, 1) * 50, labels).item() > 0.99


def test_lovasz_is_the_jaccard_loss_on_hard_predictions() -> None:
    """On sure predictions its value is 1 - IoU, averaged over the classes there (the extension is exact there)."""
    logits, labels = batch(void=0)
    hard = F.one_hot(logits.argmax(1), 4).permute(0, 3, 1, 2).float() * 100
    expected = []
    for c in range(4):
        p, t = logits.argmax(1) == c, labels == c
        expected.append(1 - (p & t).sum() / (p | t).sum())
    assert torch.allclose(lovasz(hard, labels), torch.stack(expected).mean(), atol=1e-4)


def test_the_boundary_loss_falls_towards_the_boundaries() -> None:
    """Logits that are high at boundaries and low elsewhere cost less than the other way round."""
    labels = torch.zeros(1, 10, 20, dtype=torch.uint8)
    labels[..., 10:] = 1
    right = torch.full((1, 1, 10, 20), -5.0)
    right[..., 8:12] = 5
    assert boundary(right, labels) < 0.02 < 1 < boundary(-right, labels)


def test_class_weights() -> None:
    """ENet's formula; the inverse of the share with mean 1 over the classes there, capped."""
    pixels = torch.tensor([900, 100, 0])
    assert enet_weights(pixels).tolist() == pytest.approx(
        [1 / torch.log(torch.tensor(1.02 + s)).item() for s in (0.9, 0.1)] + [50.0], rel=1e-4
    )
    assert inverse_weights(pixels, cap=9).tolist() == pytest.approx([0.2, 1.8, 1.0])
    assert inverse_weights(torch.tensor([10**6, 1, 1])).max() <= 5


@pytest.mark.parametrize("kind", ["cross_entropy", "focal"])
def test_parts_of_a_batch_add_up(kind: str) -> None:
    """With the counts of the whole, the losses of unequal parts sum to the loss of the whole."""
    logits, labels = batch(n=4)
    labels[0] = VOID
    criterion = Criterion.of(Losses.model_validate({"kind": kind, "boundary_weight": 2}), "logits", {})
    whole = criterion(logits, labels)
    counts = criterion.counts(labels[:1]) + criterion.counts(labels[1:])
    parts = criterion(logits[:1], labels[:1], counts) + criterion(logits[1:], labels[1:], counts)
    assert torch.allclose(whole, parts)


def test_auxiliary_outputs_by_name() -> None:
    """One that is named gets its own loss, weight and resize; one that is not gets the main loss at 0.4."""
    logits, labels = batch()
    small = F.interpolate(logits, scale_factor=0.5)
    losses = Losses.model_validate({"aux": {"a": {"weight": 2.0, "resize": "target"}, "edge": {"kind": "boundary"}}})
    criterion = Criterion.of(losses, "logits", {"a": (6, 8), "b": (6, 8), "edge": (12, 16)})
    outputs = {"logits": logits, "a": small, "b": small, "edge": logits[:, :1]}
    by_hand = (
        cross_entropy(logits, labels)
        + 2 * cross_entropy(small, labels[:, ::2, ::2])
        + 0.4 * cross_entropy(F.interpolate(small, (12, 16), mode="bilinear"), labels)
        + 0.4 * boundary(logits[:, :1], labels)
    )
    assert torch.allclose(criterion(outputs, labels), by_hand)
