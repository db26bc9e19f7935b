"""One thing to measure: a network at a size, a batch, a dtype, on a device."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from archdsl.runtime.compile import OutputKind
from archdsl.runtime.engines import Program, place
from archdsl.runtime.engines.samples import sample_at
from archdsl.runtime.export.onnx import to_onnx
from archdsl.runtime.manifest import DType
from torch import Tensor, fx

from archdsl.ir.graph import Graph
from archdsl.lower.fx import lower_fx
from archdsl.passes import inference_only, labels


@dataclass(frozen=True)
class Case:
    """`graph` and `weights` (float32) are those of the network as written; `size` is (height, width)."""

    graph: Graph
    weights: Mapping[str, Tensor]
    size: tuple[int, int]
    dtype: DType = "float32"
    device: str = "cpu"
    batch: int = 1
    output: OutputKind = "logits"
    source: str = ""

    @property
    def torch_dtype(self) -> torch.dtype:
        return getattr(torch, self.dtype)

    @property
    def torch_device(self) -> torch.device:
        return torch.device(self.device)

    @cached_property
    def plain(self) -> Program:
        """What a peer is given: the network as its author would write it, and argmax behind it for labels."""
        kept = inference_only(self.graph, self.weights)
        if self.output == "labels":
            kept = labels(kept.graph, kept.weights)
        return Program.of(kept.graph, kept.weights, self.torch_dtype, self.torch_device, [self.size], self.batch)

    @cached_property
    def inputs(self) -> tuple[Tensor, ...]:
        """The inputs of every contender, in channels_last."""
        return sample_at(self.plain, self.size)

    def module(self, dtype: torch.dtype | None = None, *, channels_last: bool = True) -> fx.GraphModule:
        """The network as a PyTorch module in eval mode, in the case's dtype or another."""
        weights = {key: place(t, dtype or self.torch_dtype, self.torch_device) for key, t in self.plain.weights.items()}
        if not channels_last:
            weights = {key: tensor.contiguous() for key, tensor in weights.items()}
        return lower_fx(self.plain.graph, weights).eval()

    @cached_property
    def onnx(self) -> tuple[bytes, float]:
        """The network as ONNX at this size, and the seconds that took; in float32 for a CPU, whose runtimes want it."""
        start = time.perf_counter()
        wide = self.torch_dtype if self.device != "cpu" else torch.float32
        weights = {key: tensor.to(wide) for key, tensor in self.plain.weights.items()}
        inputs = [tensor.to(wide).contiguous() for tensor in self.inputs]
        model = to_onnx(self.plain.graph, weights, inputs, dynamic=False)
        return model, time.perf_counter() - start

    @cached_property
    def reference(self) -> Tensor:
        """The first output in float32 by plain PyTorch, on the CPU: logits, or labels."""
        wide = replace(self, dtype="float32")
        with torch.no_grad():
            result = wide.module()(*(tensor.float() for tensor in self.inputs))
        first = result if isinstance(result, Tensor) else next(iter(result.values()))
        return first.cpu()
