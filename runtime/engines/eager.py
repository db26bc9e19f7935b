"""Plain PyTorch calls, one after the other, over the rewritten graph."""

from __future__ import annotations

import torch
from archdsl.runtime.engines.program import Program
from archdsl.runtime.engines.registry import Outputs, Runner, register

from archdsl.lower.fx import lower_fx


class Eager:
    """Runs everywhere; keeps no state between calls, so any thread may call it."""

    name, own, seconds = "eager", True, 0.0

    def available(self, program: Program) -> str | None:
        return None

    def prepare(self, program: Program) -> Runner:
        module = lower_fx(program.graph, program.weights)

        def run(*inputs: object) -> Outputs:
            with torch.no_grad():
                result: Outputs = module(*inputs)
            return result

        return run


eager = Eager()
register(eager)
