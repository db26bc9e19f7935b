"""OpenVINO, an optional package."""

from __future__ import annotations

import threading
from typing import Any

import torch
from archdsl.runtime.engines.eager import eager
from archdsl.runtime.engines.program import Program
from archdsl.runtime.engines.registry import Outputs, Runner, register
from archdsl.runtime.engines.samples import NO_SIZES, per_size
from archdsl.runtime.foreign import installed, openvino_compiled, openvino_model
from torch import Tensor

INSTALL = "pip install 'archdsl[openvino]'"


class OpenVino:
    """A compiled model for each declared size; others run in eager PyTorch. Maps come and go in float32."""

    name, own, seconds = "openvino", False, 15.0

    def available(self, program: Program) -> str | None:
        if program.device.type != "cpu" or program.dtype == torch.float16:
            return "here it runs on CPUs, in float32 or bfloat16"
        return installed("openvino", "onnx", "onnxscript", install=INSTALL) or (None if program.sizes else NO_SIZES)

    def prepare(self, program: Program) -> Runner:
        from archdsl.runtime.export.onnx import to_onnx

        wide = {key: tensor.float() for key, tensor in program.weights.items()}
        given = [node.name for node in program.graph.inputs]
        outputs = [out.name for out in program.graph.outputs if not out.aux]

        def compiled(inputs: tuple[Tensor, ...]) -> Runner:
            model = to_onnx(program.graph, wide, [tensor.float() for tensor in inputs], dynamic=False)
            precision = str(program.dtype).removeprefix("torch.")
            return _runner(openvino_compiled(openvino_model(model), precision), given, outputs, program.dtype)

        return per_size(program, compiled, eager.prepare(program))


def _runner(compiled: Any, given: list[str], outputs: list[str], dtype: torch.dtype) -> Runner:
    """Each thread has a request of its own."""
    local, read = threading.local(), _read(compiled, given)

    def run(*inputs: Tensor) -> Outputs:
        if not hasattr(local, "request"):
            local.request = compiled.create_infer_request()
        arrays = [inputs[place].float().contiguous().numpy() for place in read]
        found = local.request.infer(arrays, share_inputs=True)
        results = [_narrowed(torch.from_numpy(found[place]), dtype) for place in range(len(outputs))]
        return results[0] if len(results) == 1 else dict(zip(outputs, results, strict=True))

    return run


def _read(compiled: Any, given: list[str]) -> list[int]:
    """Which of a network's inputs OpenVINO takes, in its order: it leaves out those that give a size alone."""
    if len(compiled.inputs) == len(given):
        return list(range(len(given)))
    return [given.index(port.any_name) for port in compiled.inputs]


def _narrowed(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


register(OpenVino())
