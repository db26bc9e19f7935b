"""TorchInductor: weights frozen into the code, channels_last, kernels tuned by measurement."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from archdsl.runtime.engines.eager import eager
from archdsl.runtime.engines.program import Program
from archdsl.runtime.engines.registry import Outputs, Runner, register
from archdsl.runtime.engines.samples import NO_SIZES, per_size
from torch import Tensor

from archdsl.lower.fx import lower_fx
from archdsl.passes import plain

MODE = "max-autotune-no-cudagraphs"


class Inductor:
    """Compiles for each declared size; others run in eager PyTorch. Fused ops are left for it to fuse."""

    name, own, seconds = "inductor", False, 60.0

    def available(self, program: Program) -> str | None:
        if not program.sizes:
            return NO_SIZES
        return no_compiler() if program.device.type == "cpu" else None

    def prepare(self, program: Program) -> Runner:
        apart = plain(program.graph, program.weights)
        module = lower_fx(apart.graph, apart.weights).eval()

        def compiled(inputs: tuple[Tensor, ...]) -> Runner:
            fast = torch.compile(module, mode=MODE, dynamic=False)

            def run(*given: Tensor) -> Outputs:
                with torch.no_grad():
                    result: Outputs = fast(*given)
                return result

            with frozen():
                run(*inputs)
            return run

        return per_size(program, compiled, eager.prepare(program))


def no_compiler() -> str | None:
    """Why TorchInductor cannot compile for this CPU: it needs a C++ compiler. As it looks for one, without its import,
    which takes seconds."""
    name = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    return None if shutil.which(name) else f"no C++ compiler: there is no {name} (CXX names another)"


@contextmanager
def frozen() -> Iterator[None]:
    """Inside, TorchInductor takes weights for constants: it folds batch normalisation and lays weights out anew."""
    import torch._inductor.config as config

    with config.patch(freezing=True):
        yield


register(Inductor())
