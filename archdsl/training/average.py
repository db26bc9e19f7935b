"""A moving average of the weights, and batch statistics worked out anew."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor

from archdsl.lower.module import ArchModule


class Average:
    """Exponential moving average of parameters and running statistics, in a module of its own."""

    def __init__(self, module: ArchModule, decay: float) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, module: ArchModule, step: int) -> None:
        """After step `step`, from 0. The decay grows from a tenth, so that the first weights are soon forgotten."""
        decay = min(self.decay, (1 + step) / (10 + step))
        ours, theirs = self.module.state_dict(), module.state_dict()
        floats = [name for name, tensor in ours.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([ours[n] for n in floats], [theirs[n] for n in floats], 1 - decay)
        for name in ours.keys() - set(floats):
            ours[name].copy_(theirs[name])


@torch.no_grad()
def precise_statistics(module: ArchModule, inputs: Iterable[Tensor]) -> int:
    """Sets running statistics to their mean over batches, with the present weights; returns how many there were.

    Frozen norms keep theirs (precise batch norm, Wu & Johnson 2021).
    """
    norms = [n for n in module.graph.nodes if n.op == "bn" and n.name not in module.still]
    momenta = {n.weights: float(n["momentum"]) for n in norms}  # type: ignore[arg-type]
    buffers = {k: v for k, v in module.named_buffers() if k.rpartition(".")[0] in momenta}
    totals = {name: torch.zeros_like(buffer, dtype=torch.float64) for name, buffer in buffers.items()}
    before, batches = module.training, 0
    module.train()
    for batch in inputs:
        for buffer in buffers.values():
            buffer.zero_()
        module(batch)
        batches += 1
        for name, buffer in buffers.items():
            # a buffer at zero holds momentum times what the batch has
            totals[name] += buffer.double() / momenta[name.rpartition(".")[0]]
    for name, buffer in buffers.items():
        if batches:
            buffer.copy_(totals[name] / batches)
    module.train(before)
    return batches
