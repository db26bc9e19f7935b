"""ONNX Runtime: all graph optimisations, inputs and outputs bound."""

from __future__ import annotations

from typing import Any

import torch
from archdsl.runtime.bench.case import Case
from archdsl.runtime.bench.contender import Clock, Ready
from archdsl.runtime.foreign import installed, ort_session
from torch import Tensor

INSTALL = {"cpu": "pip install 'archdsl[onnxruntime]'", "cuda": "pip install onnx onnxscript onnxruntime-gpu"}


class OnnxRuntime:
    name = "onnxruntime"

    def missing(self, case: Case) -> str | None:
        if case.device == "cpu" and case.dtype != "float32":
            return f"its CPU kernels have no {case.dtype} convolution"
        reason = installed("onnxruntime", "onnx", "onnxscript", install=INSTALL[case.device])
        if reason is None and case.device == "cuda":
            return _no_cuda()
        return reason

    def prepare(self, case: Case) -> Ready:
        model, exported = case.onnx
        clock = Clock()
        session = ort_session(model, case.device)
        binding = session.io_binding()
        held = [tensor.contiguous() for tensor in case.inputs]
        for meta, tensor in zip(session.get_inputs(), held, strict=True):
            binding.bind_input(meta.name, case.device, 0, _numpy_type(tensor), tuple(tensor.shape), tensor.data_ptr())
        name = session.get_outputs()[0].name
        binding.bind_output(name, case.device)

        def run() -> Any:
            session.run_with_iobinding(binding)
            return binding

        def read(_: Any) -> Tensor:
            assert held  # the binding knows their addresses alone
            return torch.from_numpy(binding.copy_outputs_to_cpu()[0])

        load = clock.lap()
        return Ready(run, read, exported + load, load)


def _no_cuda() -> str | None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        return None
    return f"the ONNX Runtime installed has no CUDA; {INSTALL['cuda']}"


def _numpy_type(tensor: Tensor) -> Any:
    import numpy as np

    return {torch.float32: np.float32, torch.float16: np.float16}[tensor.dtype]
