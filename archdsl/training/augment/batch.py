"""What is done to crops, a batch at a time, on the device they are on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from archdsl.training.augment import colour
from archdsl.training.augment.plan import Plan
from archdsl.training.augment.randaugment import randaugment


@dataclass(frozen=True)
class Crops:
    """Images [N, 3, h, w] and labels [N, h, w], uint8, and those of the donors, for the samples that have one."""

    images: Tensor
    labels: Tensor
    donors: tuple[Tensor, Tensor] | None = None

    def to(self, device: torch.device) -> Crops:
        """The same on a device; the copy from pinned memory does not wait."""
        images, labels = (tensor.to(device, non_blocking=True) for tensor in (self.images, self.labels))
        if self.donors is None:
            return Crops(images, labels)
        first, second = self.donors
        return Crops(images, labels, (first.to(device, non_blocking=True), second.to(device, non_blocking=True)))

    def pin_memory(self) -> Crops:
        """The same in pinned memory; torch's loader calls this."""
        donors = None if self.donors is None else (self.donors[0].pin_memory(), self.donors[1].pin_memory())
        return Crops(self.images.pin_memory(), self.labels.pin_memory(), donors)


_JITTER: tuple[tuple[str, Callable[[Tensor, Tensor], Tensor], float], ...] = (
    ("brightness", colour.brightness, 1.0),
    ("contrast", colour.contrast, 1.0),
    ("saturation", colour.saturation, 1.0),
    ("hue", colour.hue, 0.0),
    ("gamma", colour.gamma, 1.0),
)
"""The setting of a plan, what it does, and the value at which it does nothing."""


def augment(crops: Crops, plans: Sequence[Plan], rare: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Pastes and recolours: images [N, 3, h, w] float32 from 0 to 255, and labels [N, h, w] uint8.

    `rare` [256] is true for the classes that are pasted.
    """
    images, labels = crops.images.float(), crops.labels
    if crops.donors is not None and rare is not None:
        images, labels = paste(images, labels, crops.donors, plans, rare)
    for name, change, nothing in _JITTER:
        values = [getattr(plan, name) for plan in plans]
        if any(value != nothing for value in values):
            images = change(images, torch.tensor(values, dtype=torch.float32, device=images.device))
    return randaugment(images, [plan.ops for plan in plans]), labels


def paste(
    images: Tensor, labels: Tensor, donors: tuple[Tensor, Tensor], plans: Sequence[Plan], rare: Tensor
) -> tuple[Tensor, Tensor]:
    """Pixels of rare classes of each sample's donor, over the sample; after ClassMix (Olsson et al., WACV 2021)."""
    rows = torch.tensor([i for i, plan in enumerate(plans) if plan.donor is not None], device=images.device)
    pictures, marks = donors
    chosen = rare[marks.long()]
    images = images.index_copy(0, rows, torch.where(chosen[:, None], pictures.float(), images[rows]))
    return images, labels.index_copy(0, rows, torch.where(chosen, marks, labels[rows]))
