"""From images to class indices: whole, mirrored, at several scales, or window by window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.checking import nearest_size
from archdsl.ir.graph import Graph
from archdsl.training.preprocess import normalise

Size = tuple[int, int]


@dataclass(frozen=True)
class Views:
    """What is averaged: class probabilities at these input scales, of the mirrored image too, over windows."""

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    window: Size | None = None
    overlap: float = 1 / 3

    @property
    def single(self) -> bool:
        return len(self.scales) == 1 and not self.flip and self.window is None


@dataclass(frozen=True)
class Predictor:
    """A network with what it needs to see images.

    `network` takes inputs [N, C, h, w] and gives logits [N, K, h, w], or class indices [N, h, w].
    """

    network: Callable[[Tensor], Tensor]
    graph: Graph
    device: torch.device
    views: Views = Views()
    autocast: torch.dtype | None = None

    def labels(self, images: Tensor) -> Tensor:
        """Class indices [N, H, W] for RGB images [N, 3, H, W], uint8, at their size."""
        with torch.inference_mode():
            size = (images.shape[-2], images.shape[-1])
            if self.views.single:
                return _chosen(self._run(self._input(images, self.views.scales[0])), size)
            return self.probabilities(images).argmax(1)

    def probabilities(self, images: Tensor) -> Tensor:
        """Mean class probabilities [N, K, H, W] over all views. Raises ValueError for a network that gives indices."""
        size = (images.shape[-2], images.shape[-1])
        with torch.inference_mode():
            views = [self._view(images, scale, flip, size) for scale, flip in self._each()]
            return torch.stack(views).mean(0)

    def _each(self) -> Iterator[tuple[float, bool]]:
        for scale in self.views.scales:
            yield scale, False
            if self.views.flip:
                yield scale, True

    def _view(self, images: Tensor, scale: float, flip: bool, size: Size) -> Tensor:
        pixels = self._input(images.flip(-1) if flip else images, scale)
        logits = self._windows(pixels) if self.views.window else self._run(pixels)
        if logits.ndim != 4:
            raise ValueError("a network that gives labels has no probabilities to average")
        found = resized(logits.float(), size).softmax(1)
        return found.flip(-1) if flip else found

    def _input(self, images: Tensor, scale: float) -> Tensor:
        node = self.graph.inputs[0]
        preprocessing = dict(self.graph.preprocessing)[node.name]
        pixels = normalise(images.to(self.device), preprocessing, node.types[0].channels)
        return resized(pixels, seen_at(self.graph, (images.shape[-2], images.shape[-1]), scale), antialias=True)

    def _run(self, pixels: Tensor) -> Tensor:
        narrow: Any = nullcontext()
        if self.autocast is not None:
            narrow = torch.autocast(self.device.type, self.autocast)
        with narrow:
            return self.network(pixels)

    def _windows(self, pixels: Tensor) -> Tensor:
        """Logits of the whole input, as means over windows that overlap."""
        assert self.views.window is not None
        height, width = pixels.shape[-2:]
        allowed = nearest_size(
            self.graph, {"H": min(self.views.window[0], height), "W": min(self.views.window[1], width)}
        )
        window = (allowed["H"], allowed["W"])
        total, seen = pixels.new_zeros(()), pixels.new_zeros(1, 1, height, width)
        for y in starts(height, window[0], self.views.overlap):
            for x in starts(width, window[1], self.views.overlap):
                part = self._run(pixels[..., y : y + window[0], x : x + window[1]]).float()
                part = resized(part, window)[..., : height - y, : width - x]
                if total.ndim == 0:
                    total = part.new_zeros(*part.shape[:2], height, width)
                total[..., y : y + window[0], x : x + window[1]] += part
                seen[..., y : y + window[0], x : x + window[1]] += 1
        return total / seen


def seen_at(graph: Graph, size: Size, scale: float) -> Size:
    """The input size at which an image of a size is seen: scaled, then the nearest that the network takes."""
    allowed = nearest_size(graph, {"H": round(size[0] * scale), "W": round(size[1] * scale)})
    return allowed["H"], allowed["W"]


def starts(side: int, window: int, overlap: float) -> list[int]:
    """Where windows begin along a side: evenly, and such that the last one ends with it."""
    if side <= window:
        return [0]
    step = max(1, int(window * (1 - overlap)))
    count = -(-(side - window) // step) + 1
    return [round(i * (side - window) / (count - 1)) for i in range(count)]


def resized(x: Tensor, size: Size, antialias: bool = False) -> Tensor:
    """[N, C, h, w] brought to a size, bilinear."""
    if (x.shape[-2], x.shape[-1]) == size:
        return x
    return F.interpolate(x, size, mode="bilinear", align_corners=False, antialias=antialias)


def _chosen(result: Tensor, size: Size) -> Tensor:
    """Class indices [N, H, W] at a size, from logits or from indices."""
    if result.ndim == 4:
        return resized(result.float(), size).argmax(1)
    if (result.shape[-2], result.shape[-1]) == size:
        return result.long()
    return F.interpolate(result[:, None].float(), size, mode="nearest")[:, 0].long()
