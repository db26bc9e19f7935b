"""Tasks whose right rates are known: a fixed random network with dilated convolutions labels random images.

A student of the same shape, its rates unknown, has to find them. On `white` images pixels are independent, so nothing
near hints at what is far; `smooth` ones are blurred noise, as natural images are. `null` labels are a linear function
of their own pixel, which a student learns with any rates: no rate is right, and nothing may be claimed. (Labels of a
pixel that are hard to learn, as those of two random layers are, make no null task: rates change how much is learned.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from archdsl.search.decode import Decision, Effort, Rates, decide, neighbours
from archdsl.search.methods import METHODS, Relaxation
from archdsl.search.mixed_conv import mixed_conv
from archdsl.search.schedule import Alternation, Trace
from torch import Tensor, nn

CHANNELS = 8
CLASSES = 4
SIZE = 48
BATCH = 8
BLUR = 11
LARGEST = 18
CANDIDATES = tuple(range(1, LARGEST + 1))
EFFORT = Effort(keep=16, steps=200, rungs=1, rounds=6)

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Planted:
    """A task: the teacher's rates, the kind of image ("white" or "smooth"), and the seed of the teacher."""

    rates: tuple[int, ...]
    image: str = "white"
    seed: int = 0
    null: bool = False

    def batches(self, seed: int) -> Iterator[Batch]:
        """An endless stream of images [BATCH, CHANNELS, SIZE, SIZE] and labels [BATCH, SIZE, SIZE]."""
        teacher = _Teacher(self)
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + seed)
        while True:
            x = _images(self.image, generator)
            yield x, teacher(x)


def _images(kind: str, generator: torch.Generator) -> Tensor:
    x = torch.randn(BATCH, CHANNELS, SIZE, SIZE, generator=generator)
    if kind == "smooth":
        x = F.avg_pool2d(F.pad(x, [BLUR // 2] * 4, mode="reflect"), BLUR, stride=1) * BLUR
    return x


class _Teacher:
    def __init__(self, task: Planted) -> None:
        generator = torch.Generator().manual_seed(task.seed)
        self.rates = () if task.null else task.rates
        self.kernels = [torch.randn(CHANNELS, CHANNELS, 3, 3, generator=generator) for _ in self.rates]
        self.head = torch.randn(CLASSES, CHANNELS, 1, 1, generator=generator)
        scores = self._scores(_images(task.image, generator))
        # every class is as common as the others, roughly
        self.mean = scores.mean((0, 2, 3), keepdim=True)
        self.spread = scores.std((0, 2, 3), keepdim=True)

    def _scores(self, x: Tensor) -> Tensor:
        for kernel, rate in zip(self.kernels, self.rates, strict=True):
            x = F.conv2d(x, kernel, padding=rate, dilation=rate).relu()
            x = x / x.std()
        return F.conv2d(x, self.head)

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        return ((self._scores(x) - self.mean) / self.spread).argmax(1)


class Student(nn.Module):
    """The teacher's shape, batch norm after each sum; a layer's rate is a number or a relaxation."""

    def __init__(self, rates: Mapping[str, int | Relaxation], seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.rates = dict(rates)
        scale = (2 / (9 * CHANNELS)) ** 0.5
        self.kernels = nn.ParameterList(
            [scale * torch.randn(CHANNELS, CHANNELS, 3, 3, generator=generator) for _ in self.rates]
        )
        self.norms = nn.ModuleList([nn.BatchNorm2d(CHANNELS) for _ in self.rates])
        self.head = nn.Conv2d(CHANNELS, CLASSES, 1)
        with torch.no_grad():
            self.head.weight.copy_(torch.randn(self.head.weight.shape, generator=generator) * 0.3)
            self.head.bias.zero_()  # type: ignore[union-attr]

    def forward(self, x: Tensor, progress: float = 1.0) -> Tensor:
        for kernel, norm, rate in zip(self.kernels, self.norms, self.rates.values(), strict=True):
            if isinstance(rate, Relaxation):
                mixture = rate.mixture(progress)
                x = mixed_conv(x, kernel, mixture.weights, mixture.rates)
            else:
                x = F.conv2d(x, kernel, padding=rate, dilation=rate)
            x = norm(x).relu()
        scores: Tensor = self.head(x)
        return scores


@dataclass(frozen=True)
class Answer:
    """What a search found, before its neighbourhood was looked at."""

    rates: Rates
    relaxed: float
    """Accuracy of the mixtures."""
    discrete: float
    """Accuracy of the rates, with the same weights."""
    trace: Trace
    student: Student
    tops: tuple[tuple[int, ...], ...]
    """The three likeliest rates of each layer."""


def solve(task: Planted, method: str = "softmax", *, steps: int = 500, seed: int = 0) -> Answer:
    """Searches a task's rates among 1..18, from the middle of the range on."""
    relaxations = {f"layer{i}": METHODS[method](CANDIDATES, LARGEST // 2) for i in range(len(task.rates))}
    student = Student(relaxations, seed)
    optimizer = torch.optim.Adam([*student.kernels, *student.norms.parameters(), *student.head.parameters()], lr=0.02)

    own, other = task.batches(2 * seed + 1), task.batches(2 * seed + 2)

    def judge(step: int, progress: float) -> Tensor:
        x, y = next(other)
        return F.cross_entropy(student(x, progress), y)

    def train(step: int, progress: float) -> Tensor:
        x, y = next(own)
        return _trained(optimizer, F.cross_entropy(student(x, progress), y))

    search = Alternation(train, judge, relaxations, steps, seed=seed)
    search.run()
    rates = tuple(relaxation.decided() for relaxation in relaxations.values())
    relaxed = accuracy(student, task)
    tops = tuple(relaxation.likeliest(3) for relaxation in relaxations.values())
    student.rates = dict(zip(relaxations, rates, strict=True))
    return Answer(rates, relaxed, accuracy(student, task), search.trace, student, tops)


def settle(task: Planted, answer: Answer, effort: Effort = EFFORT, *, seed: int = 0) -> Decision:
    """Looks at the neighbourhood of what a search found, as the tool does."""
    candidates = [CANDIDATES] * len(task.rates)

    def inherited(rates: Rates) -> float:
        answer.student.rates = dict(zip(answer.student.rates, rates, strict=True))
        return accuracy(answer.student, task)

    def train(rates: Rates, steps: int) -> float:
        return train_fixed(task, rates, steps=steps, seed=seed)

    return decide(answer.rates, lambda rates: neighbours(rates, candidates, answer.tops), inherited, train, effort)


def accuracy(student: Student, task: Planted, batches: int = 8) -> float:
    """The share of right pixels on held-out images, after batch norm has seen as many of them with these rates."""
    stream = task.batches(999_983)
    student.train()
    for norm in student.norms:
        norm.reset_running_stats()  # type: ignore[operator]
        norm.momentum = None  # type: ignore[assignment]
    with torch.no_grad():
        for _ in range(batches):
            student(next(stream)[0])
        student.eval()
        right = [(student(x).argmax(1) == y).float().mean() for x, y in (next(stream) for _ in range(batches))]
    student.train()
    return float(torch.stack(right).mean())


def train_fixed(
    task: Planted, rates: tuple[int, ...], *, steps: int = 200, seed: int = 0, to_the_end: bool = False
) -> float:
    """The accuracy of a student with given rates, trained from scratch.

    `to_the_end` lets the learning rate fall to nothing, as in a training whose result is compared: at a constant one
    the last steps move the accuracy by points.
    """
    student = Student({f"layer{i}": rate for i, rate in enumerate(rates)}, seed)
    optimizer = torch.optim.Adam(student.parameters(), lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps) if to_the_end else None
    stream = task.batches(2 * seed + 1)
    for _ in range(steps):
        x, y = next(stream)
        _trained(optimizer, F.cross_entropy(student(x), y))
        if schedule is not None:
            schedule.step()
    return accuracy(student, task)


def _trained(optimizer: torch.optim.Optimizer, loss: Tensor) -> Tensor:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.detach()
