"""Plain PyTorch calls, one after the other, over the rewritten graph."""

from __future__ import annotations

import torch
from archdsl.runtime.engines import Program, Runner, register
from torch import Tensor

from archdsl.lower.fx import lower_fx


class Eager:
    """Runs everywhere; keeps no state between calls, so any thread may call it."""

    name = "eager"
    own = True

    def available(self, program: Program) -> str | None:
        return None

    def prepare(self, program: Program) -> Runner:
        module = lower_fx(program.graph, program.weights)

        def run(*inputs: Tensor) -> Tensor | dict[str, Tensor]:
            with torch.no_grad():
                result: Tensor | dict[str, Tensor] = module(*inputs)
            return result

        return run


register(Eager())
