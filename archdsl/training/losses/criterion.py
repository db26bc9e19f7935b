"""The losses of a recipe, put together for the outputs of a network.

A step may be cut into parts and over processes. For its loss to be that of the whole batch, a loss is a sum divided by
a count, and counts depend on labels alone: they are added up over parts and processes before the first forward.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.training.losses.edges import boundary
from archdsl.training.losses.overlap import dice, lovasz
from archdsl.training.losses.pixelwise import focal_per_pixel, hardest, per_pixel
from archdsl.training.losses.weights import enet_weights, inverse_weights, pixel_weights
from archdsl.training.recipes.schema import AuxLoss, ClassWeights, Loss, Losses

_BY_PIXEL = ("cross_entropy", "focal")
_WHOLE = {"dice": dice, "lovasz": lovasz, "boundary": boundary}


@dataclass(frozen=True)
class Term:
    """One loss on one output."""

    output: str
    settings: Loss
    class_weights: Tensor | None
    size: tuple[int, int] | None
    """Size that labels are brought to, where the output is not brought to theirs."""

    def count(self, labels: Tensor) -> Tensor:
        """What the sum is to be divided by: weighted pixels, or 1 for a loss that is no mean over pixels."""
        if self.settings.kind in _BY_PIXEL:
            return self._weight(self._target(labels)).sum()
        return labels.new_ones((), dtype=torch.float32)

    def total(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss before it is divided by its count."""
        target = self._target(labels)
        if logits.shape[-2:] != target.shape[-2:]:
            logits = F.interpolate(logits.float(), target.shape[-2:], mode="bilinear", align_corners=False)
        s = self.settings
        if s.kind in _WHOLE:
            return _WHOLE[s.kind](logits, target)
        if s.kind == "focal":
            losses = focal_per_pixel(logits, target, s.gamma, s.smoothing)
        else:
            losses = per_pixel(logits, target, s.smoothing)
        if s.kind == "ohem":
            return hardest(losses, self._weight(target), target != 255, s.threshold, s.keep)
        return (losses * self._weight(target)).sum()

    def _weight(self, target: Tensor) -> Tensor:
        return pixel_weights(target, self.class_weights, self.settings.boundary_weight)

    def _target(self, labels: Tensor) -> Tensor:
        if self.size is None or self.size == labels.shape[-2:]:
            return labels
        return F.interpolate(labels[:, None].float(), self.size, mode="nearest")[:, 0].to(labels.dtype)


class Criterion:
    """Every term of a recipe's losses. OHEM, Dice, Lovász and boundary losses are means of their parts' values."""

    def __init__(self, terms: list[Term]) -> None:
        self.terms = [term for term in terms if term.settings.weight > 0]

    @classmethod
    def of(
        cls,
        losses: Losses,
        output: str,
        aux: Mapping[str, tuple[int, int]],
        pixels: Tensor | None = None,
        device: torch.device | str = "cpu",
    ) -> Criterion:
        """The losses of an output, and of auxiliary outputs with their sizes (height, width).

        `pixels` are counts per class [K], for class weights.
        """
        weights = {kind: _class_weights(kind, pixels, device) for kind in _kinds(losses)}
        main = [losses, *losses.plus]
        terms = [Term(output, one, weights[one.class_weights], None) for one in main]
        for name, size in aux.items():
            one = losses.aux.get(name) or AuxLoss.model_validate(_own(losses))
            terms.append(Term(name, one, weights[one.class_weights], size if one.resize == "target" else None))
        return cls(terms)

    def counts(self, labels: Tensor) -> Tensor:
        """What each term's sum is to be divided by, [terms]; to be added up over parts and processes."""
        return torch.stack([term.count(labels) for term in self.terms])

    def __call__(self, outputs: Tensor | Mapping[str, Tensor], labels: Tensor, counts: Tensor | None = None) -> Tensor:
        """The loss of a part of a batch: its sums, divided by the counts of the whole batch."""
        counts = self.counts(labels) if counts is None else counts
        total = counts.new_zeros(())
        for term, count in zip(self.terms, counts, strict=True):
            logits = outputs if isinstance(outputs, Tensor) else outputs[term.output]
            total = total + term.settings.weight * term.total(logits, labels) / count.clamp(min=1e-12)
        return total


def _own(losses: Losses) -> dict[str, Any]:
    """The main loss, as the settings of an auxiliary output that the recipe does not name."""
    return {**losses.model_dump(exclude={"plus", "aux", "weight"})}


def _kinds(losses: Losses) -> set[ClassWeights | None]:
    return {one.class_weights for one in (losses, *losses.plus, *losses.aux.values())} | {None}


def _class_weights(kind: ClassWeights | None, pixels: Tensor | None, device: torch.device | str) -> Tensor | None:
    if kind is None:
        return None
    if pixels is None:
        raise ValueError("class weights need the pixels of each class")
    made = enet_weights if kind.kind == "enet" else inverse_weights
    return made(pixels, kind.cap).float().to(device)
