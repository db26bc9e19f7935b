"""Forward and backward as a CUDA graph: one launch a step instead of thousands."""

from __future__ import annotations

import torch
from torch import Tensor

from archdsl.lower.module import ArchModule
from archdsl.training.step import Step

_WARM_UPS = 3


class GraphedBackward:
    """Replays what `Step.backward` does, for batches of one shape.

    Gradients stay in the same memory from step to step, so the optimiser must zero and not drop them. The learning
    rate is not part of the graph.
    """

    def __init__(self, step: Step, module: ArchModule) -> None:
        self.step, self.module = step, module
        self._graph: torch.cuda.CUDAGraph | None = None
        self._given: tuple[Tensor, Tensor, Tensor] | None = None
        self._loss: Tensor | None = None

    def __call__(self, inputs: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """Raises ValueError for a batch of another shape than the first."""
        if self._graph is None or self._given is None:
            self._given = (inputs.clone(), labels.clone(), counts.clone())
            self._capture(*self._given)
        assert self._graph is not None and self._given is not None and self._loss is not None
        for kept, new in zip(self._given, (inputs, labels, counts), strict=True):
            if kept.shape != new.shape:
                raise ValueError(f"the graph was made for {list(kept.shape)}, not {list(new.shape)}")
            kept.copy_(new)
        self._graph.replay()
        return self._loss.clone()

    def _capture(self, inputs: Tensor, labels: Tensor, counts: Tensor) -> None:
        buffers = {name: buffer.clone() for name, buffer in self.module.named_buffers()}
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                self._once(inputs, labels, counts)
        torch.cuda.current_stream().wait_stream(stream)
        self._forget(buffers)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._loss = self._once(inputs, labels, counts)
        self._graph = graph

    def _once(self, inputs: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        # a cache of narrowed weights would be read again where the weights have moved on
        with self.step.autocast(cache=False):
            outputs = self.step.forward(inputs)
        loss = self.step.criterion(outputs, labels, counts)
        self.step.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _forget(self, buffers: dict[str, Tensor]) -> None:
        """Undoes what warming up did to running statistics and gradients."""
        for name, buffer in self.module.named_buffers():
            buffer.copy_(buffers[name])
        for parameter in self.module.parameters():
            if parameter.grad is not None:
                parameter.grad.zero_()
