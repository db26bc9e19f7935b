"""From pixels to a network's input, on any device."""

from __future__ import annotations

import torch
from torch import Tensor

from archdsl.ir.graph import Preprocessing
from archdsl.training.augment.colour import grey


def normalise(images: Tensor, preprocessing: Preprocessing, channels: int) -> Tensor:
    """RGB images [N, 3, H, W] from 0 to 255 as the network's input [N, C, H, W], float32.

    The same as `archdsl.runtime.segment.prepare` does with one image.
    """
    pixels = images.float()
    if channels == 1:
        pixels = grey(pixels)
    elif preprocessing.order == "bgr":
        pixels = pixels.flip(1)
    mean, std = (
        torch.tensor(values, dtype=torch.float32, device=images.device).view(1, -1, 1, 1)
        for values in (preprocessing.mean, preprocessing.std)
    )
    return (pixels * preprocessing.scale - mean) / std
