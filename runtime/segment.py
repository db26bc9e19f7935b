"""From an image to a class per pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from archdsl.ir.graph import Preprocessing

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Segmentation:
    """Class indices [H, W] of an image, and the size (height, width) at which the network saw it."""

    labels: npt.NDArray[np.uint8]
    seen_at: tuple[int, int]


def prepare(image: Image, preprocessing: Preprocessing, channels: int) -> Tensor:
    """An RGB image [H, W, 3] as the network's input [1, C, H, W], float32; a one-channel network sees luma (BT.601)."""
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).unsqueeze(0).to(torch.float32)
    if channels == 1:
        pixels = (pixels * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    elif preprocessing.order == "bgr":
        pixels = pixels.flip(1)
    mean, std = (
        torch.tensor(v, dtype=torch.float32).view(1, -1, 1, 1) for v in (preprocessing.mean, preprocessing.std)
    )
    return (pixels * preprocessing.scale - mean) / std


def resized(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """Input [1, C, H, W] brought to another size, bilinear, antialiased where it shrinks."""
    if pixels.shape[-2:] == size:
        return pixels
    return torch.nn.functional.interpolate(pixels, size, mode="bilinear", antialias=True)


def segment(
    network: Callable[[Tensor], Tensor],
    image: Image,
    preprocessing: Preprocessing,
    *,
    channels: int = 3,
    size: tuple[int, int] | None = None,
) -> Segmentation:
    """Segments one RGB image [H, W, 3].

    `network` gives logits [1, K, h, w] or class indices [1, h, w] for an input [1, C, H, W]. `size` (height, width) is
    the input size to use, the image's own by default. Logits that come at another size than the image's are resized
    (bilinear) before the class is chosen; indices are repeated (nearest). At most 256 classes fit a label image.
    """
    own = (image.shape[0], image.shape[1])
    seen_at = size or own
    with torch.inference_mode():
        result = network(resized(prepare(image, preprocessing, channels), seen_at))
        labels = _labels(result, own)
    return Segmentation(labels.cpu().numpy().astype(np.uint8), seen_at)


def _labels(result: Tensor, size: tuple[int, int]) -> Tensor:
    if result.ndim == 4:
        logits = result.float()
        if logits.shape[-2:] != size:
            logits = torch.nn.functional.interpolate(logits, size, mode="bilinear", align_corners=False)
        return logits.argmax(1)[0]
    if result.shape[-2:] == size:
        return result[0]
    return torch.nn.functional.interpolate(result[:, None].float(), size, mode="nearest")[0, 0].long()
