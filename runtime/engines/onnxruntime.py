"""ONNX Runtime, an optional package."""

from __future__ import annotations

from typing import Any

import torch
from archdsl.runtime.engines.eager import eager
from archdsl.runtime.engines.program import Program
from archdsl.runtime.engines.registry import Outputs, Runner, register
from archdsl.runtime.engines.samples import NO_SIZES, per_size
from archdsl.runtime.foreign import installed, ort_session
from torch import Tensor

INSTALL = "pip install 'archdsl[onnxruntime]'"


class OnnxRuntime:
    """A session for each declared size; others run in eager PyTorch."""

    name, own, seconds = "onnxruntime", False, 15.0

    def available(self, program: Program) -> str | None:
        if program.device.type != "cpu" or program.dtype != torch.float32:
            return "here it runs on CPUs and in float32 only"
        return installed("onnxruntime", "onnx", "onnxscript", install=INSTALL) or (None if program.sizes else NO_SIZES)

    def prepare(self, program: Program) -> Runner:
        from archdsl.runtime.export.onnx import to_onnx

        def compiled(inputs: tuple[Tensor, ...]) -> Runner:
            model = to_onnx(program.graph, program.weights, inputs, dynamic=False)
            return _runner(ort_session(model, "cpu", shares_cores=True))

        return per_size(program, compiled, eager.prepare(program))


def _runner(session: Any) -> Runner:
    given = [meta.name for meta in session.get_inputs()]
    wanted = [meta.name for meta in session.get_outputs()]

    def run(*inputs: Tensor) -> Outputs:
        feeds = {name: tensor.numpy() for name, tensor in zip(given, inputs, strict=True)}
        results = [torch.from_numpy(array) for array in session.run(wanted, feeds)]
        return results[0] if len(results) == 1 else dict(zip(wanted, results, strict=True))

    return run


register(OnnxRuntime())
