"""One step of training: forward, loss, backward, update."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from archdsl.ir.graph import Preprocessing
from archdsl.lower.module import ArchModule
from archdsl.training.compiled import compiled
from archdsl.training.losses import Criterion
from archdsl.training.preprocess import normalise
from archdsl.training.processes import Processes
from archdsl.training.recipes.schema import Recipe

if TYPE_CHECKING:
    from archdsl.training.setup import Setup

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
Backward = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Takes an input, labels and counts; adds to the gradients and returns the loss, detached."""


class Step:
    """Trains on one batch. Its loss is that of the whole batch, over parts and processes.

    `forward` is what runs the network: the module itself, or what torch.compile or DistributedDataParallel made of it.
    """

    def __init__(
        self,
        forward: nn.Module,
        criterion: Criterion,
        optimizer: torch.optim.Optimizer,
        recipe: Recipe,
        device: torch.device,
        seen: tuple[Preprocessing, int],
        among: Processes,
    ) -> None:
        """`seen` is the preprocessing and the number of channels of the network's input."""
        self.forward, self.criterion, self.optimizer = forward, criterion, optimizer
        self.recipe, self.device, self.seen, self.among = recipe, device, seen, among
        self.dtype = PRECISIONS[recipe.run.precision]
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.dtype is torch.float16 and device.type == "cuda")
        self.run: Backward = self.backward

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """Trains on images [N, 3, h, w] from 0 to 255 and labels [N, h, w]; returns this process's part of the loss."""
        inputs = normalise(images, *self.seen)
        if self.recipe.run.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        parts = list(zip(inputs.chunk(self.recipe.accumulate), labels.chunk(self.recipe.accumulate), strict=True))
        counts = self.among.total(torch.stack([self.criterion.counts(part) for _, part in parts]).sum(0))
        total = counts.new_zeros(())
        for number, (part, target) in enumerate(parts, start=1):
            with self._quiet(number < len(parts)):
                total = total + self.run(part, target, counts)
        self._update()
        return total

    def backward(self, inputs: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """Forward and backward of one part."""
        with self.autocast():
            outputs = self.forward(inputs)
        loss = self.criterion(outputs, labels, counts)
        # DistributedDataParallel averages over processes, and the loss is a sum over them
        self.scaler.scale(loss * self.among.world).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def autocast(self, cache: bool = True) -> Any:
        if self.dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype, cache_enabled=cache)

    def _quiet(self, wanted: bool) -> Any:
        """Gradients are shared between processes with the last part only."""
        return self.forward.no_sync() if wanted and self.among.world > 1 else nullcontext()  # type: ignore[operator]

    def _update(self) -> None:
        clip = self.recipe.optimizer.clip
        if clip is not None:
            self.scaler.unscale_(self.optimizer)
            params = [p for group in self.optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(params, clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=self.run == self.backward)


def make_step(setup: Setup, module: ArchModule, optimizer: torch.optim.Optimizer) -> Step:
    """The step that trains a module as a set-up says, compiled and over processes where it says so."""
    forward: nn.Module = module
    if setup.recipe.run.compile:
        forward = compiled(module)
    if setup.among.world > 1:
        ids = [setup.device.index] if setup.device.type == "cuda" else None
        # an output without a loss leaves parameters without a gradient
        unused = len({term.output for term in setup.criterion.terms}) < len(setup.net.ir.outputs)
        forward = nn.parallel.DistributedDataParallel(forward, device_ids=ids, find_unused_parameters=unused)
    node = setup.net.ir.inputs[0]
    seen = (setup.net.preprocessing, node.types[0].channels)
    return Step(forward, setup.criterion, optimizer, setup.recipe, setup.device, seen, setup.among)
