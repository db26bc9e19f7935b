"""Batches for a step, from memory or from files."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.training.augment.batch import Crops, augment
from archdsl.training.augment.plan import Plan, Planner
from archdsl.training.augment.warp import warp
from archdsl.training.data.order import Draw, Order
from archdsl.training.data.sample import DataSet, Sample, size_of

_PREFETCH = 4
"""Batches that each worker has ready."""
_SHARE = 0.25
"""Of the free memory, what a decoded data set may take."""


@dataclass(frozen=True)
class Request:
    """What a step asks for."""

    draws: tuple[Draw, ...]
    calm: bool


class Feed(Protocol):
    """Gives the batch of each step: images [N, 3, h, w] float32 from 0 to 255, and labels [N, h, w] uint8."""

    waited: float
    """Seconds spent waiting for samples, so far."""

    def __call__(self, step: int) -> tuple[Tensor, Tensor]: ...

    def close(self) -> None:
        """Ends what works in the background."""


@dataclass(frozen=True)
class Share:
    """Which part of each batch this process takes."""

    rank: int = 0
    world: int = 1

    def of(self, draws: Sequence[Draw]) -> tuple[Draw, ...]:
        size = len(draws) // self.world
        return tuple(draws[self.rank * size : (self.rank + 1) * size])


@dataclass(frozen=True)
class Asked:
    """What every feed is made of: the order of samples, plans for them, and from which step on all is calm."""

    order: Order
    planner: Planner
    calm_from: int
    share: Share = Share()
    rare: Tensor | None = None
    """True for the classes [256] that are pasted."""

    def at(self, step: int) -> Request:
        return Request(self.share.of(self.order.at(step)), step >= self.calm_from)


class MemoryFeed:
    """Everything decoded once and kept on the device, where augmentation is done too."""

    def __init__(self, asked: Asked, samples: Sequence[Sample], device: torch.device) -> None:
        self.asked, self.waited, self.device = asked, 0.0, device
        self.images = [torch.from_numpy(s.image).permute(2, 0, 1).contiguous().to(device) for s in samples]
        self.labels = [torch.from_numpy(s.labels).to(device) for s in samples]

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        start = time.perf_counter()
        request = self.asked.at(step)
        plans = [self.asked.planner.plan(d, self._size(d), calm=request.calm) for d in request.draws]
        crops = Crops(*self._warp(request.draws, [plan.matrix for plan in plans]), self._donors(plans))
        made = augment(crops, plans, _on(self.asked.rare, self.device))
        self.waited += time.perf_counter() - start
        return made

    def _donors(self, plans: Sequence[Plan]) -> tuple[Tensor, Tensor] | None:
        draws = [plan.donor for plan in plans if plan.donor is not None]
        if not draws:
            return None
        return self._warp(draws, [self.asked.planner.donor_matrix(d, self._size(d)) for d in draws])

    def _warp(self, draws: Sequence[Draw], matrices: Sequence[Any]) -> tuple[Tensor, Tensor]:
        images, labels = [self.images[d.index] for d in draws], [self.labels[d.index] for d in draws]
        return warp(images, labels, matrices, self.asked.planner.settings.crop)

    def _size(self, draw: Draw) -> tuple[int, int]:
        height, width = self.labels[draw.index].shape
        return height, width

    def close(self) -> None:
        self.images, self.labels = [], []


@dataclass(frozen=True)
class Read:
    """A batch as a worker hands it over; or what was wrong with a file."""

    crops: Crops | None
    plans: tuple[Plan, ...] = ()
    problems: tuple[Diagnostic, ...] = ()

    def pin_memory(self) -> Read:
        return Read(None if self.crops is None else self.crops.pin_memory(), self.plans, self.problems)


class Reader:
    """Reads, crops and resamples whole batches; lives in the workers."""

    def __init__(self, data: DataSet, planner: Planner) -> None:
        self.data, self.planner = data, planner

    def __getitem__(self, request: Request) -> Read:
        try:
            return self.read(request)
        except ArchError as error:
            # torch would make another exception of it on the way out of the worker
            return Read(None, problems=error.diagnostics)

    def read(self, request: Request) -> Read:
        """Raises ArchError for a sample that cannot be used."""
        made = [self._crop(draw, request.calm) for draw in request.draws]
        plans = tuple(plan for plan, _, _ in made)
        donors = [self._donor(plan.donor) for plan in plans if plan.donor is not None]
        images, labels = (torch.cat(parts) for parts in zip(*((i, m) for _, i, m in made), strict=True))
        pasted = None
        if donors:
            pasted = (torch.cat([image for image, _ in donors]), torch.cat([label for _, label in donors]))
        return Read(Crops(images, labels, pasted), plans)

    def _crop(self, draw: Draw, calm: bool) -> tuple[Plan, Tensor, Tensor]:
        sample = self.data[draw.index]
        plan = self.planner.plan(draw, (sample.labels.shape[0], sample.labels.shape[1]), calm=calm)
        return plan, *self._warp(sample, plan.matrix)

    def _donor(self, draw: Draw) -> tuple[Tensor, Tensor]:
        sample = self.data[draw.index]
        size = (sample.labels.shape[0], sample.labels.shape[1])
        return self._warp(sample, self.planner.donor_matrix(draw, size))

    def _warp(self, sample: Sample, matrix: Any) -> tuple[Tensor, Tensor]:
        image = torch.from_numpy(sample.image).permute(2, 0, 1)
        return warp([image], [torch.from_numpy(sample.labels)], [matrix], self.planner.settings.crop)


class FileFeed:
    """Samples read by worker processes ahead of time; colours are done on the device."""

    def __init__(self, asked: Asked, data: DataSet, device: torch.device, steps: range, workers: int) -> None:
        """`steps` are those that will be asked for, in order."""
        self.asked, self.device, self.waited = asked, device, 0.0
        self._next = steps.start
        self._loader: DataLoader[Read] = DataLoader(
            Reader(data, asked.planner),  # type: ignore[arg-type]
            batch_size=None,
            sampler=_Requests(asked, steps),
            num_workers=workers,
            pin_memory=device.type == "cuda",
            prefetch_factor=_PREFETCH if workers else None,
            worker_init_fn=_apart,
        )
        self._batches: Iterator[Read] | None = iter(self._loader)

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Raises ArchError for a sample that cannot be used, ValueError for a step out of turn."""
        if step != self._next:
            raise ValueError(f"step {step} was asked for, and step {self._next} is next")
        start = time.perf_counter()
        assert self._batches is not None, "the feed is closed"
        found = next(self._batches)
        self.waited += time.perf_counter() - start
        self._next += 1
        if found.crops is None:
            raise ArchError(found.problems)
        return augment(found.crops.to(self.device), found.plans, _on(self.asked.rare, self.device))

    def close(self) -> None:
        self._batches = None


def _apart(worker: int) -> None:
    """Puts a worker into a process group of its own, so that Ctrl-C reaches the main process alone."""
    os.setpgrp()


class _Requests:
    """The requests of a range of steps, made when they are due."""

    def __init__(self, asked: Asked, steps: range) -> None:
        self.asked, self.steps = asked, steps

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[Request]:
        return (self.asked.at(step) for step in self.steps)


def _on(tensor: Tensor | None, device: torch.device) -> Tensor | None:
    return None if tensor is None else tensor.to(device)


# ----------------------------------------------------------------- what fits


def decoded_bytes(data: DataSet) -> int:
    """About how many bytes a split takes once decoded: three for each pixel, and one for its label."""
    height, width = size_of(data, 0) or data[0].labels.shape
    return 4 * height * width * len(data)


def fits(data: DataSet, device: torch.device) -> bool:
    """Whether a decoded split takes at most a quarter of the device's free memory."""
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    else:
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return decoded_bytes(data) <= free * _SHARE
