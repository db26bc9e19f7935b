"""Other runtimes, at the settings that their documentation advises for latency. Imported when first used."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any

import torch


def installed(*packages: str, install: str) -> str | None:
    """Why packages cannot be used, with the command that installs them; None when all are there. Imports none."""
    for package in packages:
        if find_spec(package) is None:
            return f"{package} is not installed; {install}"
    return None


def ort_session(model: bytes, device: str, *, shares_cores: bool = False) -> Any:
    """An ONNX Runtime session: every optimisation of the graph, one thread pool of torch's size.

    With `shares_cores` its threads go to sleep at the end of a call. Otherwise they spin on for some 30 ms, waiting for
    the next one, and take a core from whatever runs then.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    if shares_cores:
        options.add_session_config_entry("session.force_spinning_stop", "1")
    providers: list[Any] = ["CPUExecutionProvider"]
    if device != "cpu":
        providers.insert(0, ("CUDAExecutionProvider", {"cudnn_conv_algo_search": "EXHAUSTIVE"}))
    return onnxruntime.InferenceSession(model, options, providers=providers)


@cache
def openvino_core() -> Any:
    """The only one of this process, for as long as it lives.

    A core's CPU plugin sets a signal stack of its own, and takes it away when it is unloaded. With a second core made
    in between, the stack of the first is put back after its memory is gone, and the next signal ends the process.
    """
    import openvino

    return openvino.Core()


def openvino_model(model: bytes) -> Any:
    """An ONNX model as OpenVINO reads it."""
    return openvino_core().read_model(model, b"")


_PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}


def openvino_compiled(model: Any, dtype: str) -> Any:
    """Compiled for the CPU: one stream for the least latency, computing in the dtype."""
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": _PRECISIONS[dtype],
    }
    return openvino_core().compile_model(model, "CPU", settings)
