"""Our own kernels for the CPU: C++ with AVX-512, built once per machine, and a plan per network and size.

`units`, `fuse` and `support` decide what runs together, `plan`, `memory` and `emit` where values live and which steps
make them, `pack` lays out the weights, `build` compiles the kernels, `runner` runs it all.
"""

from __future__ import annotations

import torch
from archdsl.runtime.engines.native import build
from archdsl.runtime.engines.program import Program
from archdsl.runtime.engines.registry import Runner, register

NAME = "native"


class Native:
    """What the kernels cannot do runs as torch calls between them, so that every network runs."""

    name, own, seconds = NAME, True, 3.0

    def available(self, program: Program) -> str | None:
        if program.device.type != "cpu":
            return "its kernels are for the CPU"
        if program.dtype not in (torch.float32, torch.bfloat16):
            return "its kernels compute in float32 and bfloat16"
        if any(node.op == "space_to_batch" for node in program.graph.nodes):
            return "its plans have one batch for all maps, and dilated convolutions here run on phases as images"
        return build.why_not(program.dtype)

    def once(self) -> None:
        """Compiles the kernels, where that was not done before; some half a minute. Raises `build.CannotBuild`."""
        build.library()

    def prepare(self, program: Program) -> Runner:
        from archdsl.runtime.engines.native.runner import NativeRunner

        return NativeRunner(program)


register(Native())
