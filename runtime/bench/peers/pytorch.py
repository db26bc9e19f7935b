"""PyTorch itself: eager in both layouts, and torch.compile in its three modes."""

from __future__ import annotations

from typing import Any

import torch
from archdsl.runtime.bench.case import Case
from archdsl.runtime.bench.contender import Clock, Ready, first_tensor
from archdsl.runtime.engines.inductor import frozen, no_compiler


class Eager:
    """The module as it is. `channels_last` is what PyTorch's performance guide advises for convolutions."""

    def __init__(self, name: str, *, channels_last: bool) -> None:
        self.name, self.channels_last = name, channels_last

    def missing(self, case: Case) -> str | None:
        return None

    def prepare(self, case: Case) -> Ready:
        clock = Clock()
        module = case.module(channels_last=self.channels_last)
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        inputs = [tensor.contiguous(memory_format=layout) for tensor in case.inputs]

        def run() -> Any:
            with torch.inference_mode():
                return module(*inputs)

        return Ready(run, first_tensor, clock.lap())


class Compiled:
    """torch.compile: channels_last, no gradients, and on a CPU weights frozen into the code, as its guide advises."""

    def __init__(self, name: str, mode: str | None) -> None:
        self.name, self.mode = name, mode

    def missing(self, case: Case) -> str | None:
        if case.device == "cpu" and self.mode == "reduce-overhead":
            return "on a CPU the same as torch.compile"
        return no_compiler() if case.device == "cpu" else None

    def prepare(self, case: Case) -> Ready:
        clock = Clock()
        module = torch.compile(case.module(), mode=self.mode, dynamic=False)
        inputs = case.inputs

        def run() -> Any:
            with torch.no_grad():
                return module(*inputs)

        with frozen():
            result = run()
        # what CUDA graphs return is overwritten by the next call
        first_tensor(result).clone()
        return Ready(run, first_tensor, clock.lap())
