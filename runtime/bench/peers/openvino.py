"""OpenVINO: tuned for latency, at a fixed size, in the precision that was asked for."""

from __future__ import annotations

from typing import Any

import torch
from archdsl.runtime.bench.case import Case
from archdsl.runtime.bench.contender import Clock, Ready
from archdsl.runtime.foreign import installed, openvino_compiled, openvino_model
from torch import Tensor


class OpenVino:
    name = "openvino"

    def missing(self, case: Case) -> str | None:
        if case.device != "cpu":
            return "it has no CUDA"
        return installed("openvino", "onnx", "onnxscript", install="pip install 'archdsl[openvino]'")

    def prepare(self, case: Case) -> Ready:
        """From the float32 network; the precision is a hint to the compiler, and maps come and go in float32."""
        model, exported = case.onnx
        clock = Clock()
        compiled = openvino_compiled(openvino_model(model), case.dtype)
        request = compiled.create_infer_request()
        arrays = [tensor.float().contiguous().numpy() for tensor in case.inputs]

        def run() -> Any:
            return request.infer(arrays, share_inputs=True, share_outputs=True)

        load = clock.lap()
        return Ready(run, _first, exported + load, load)


def _first(result: Any) -> Tensor:
    return torch.from_numpy(result[0].copy())
