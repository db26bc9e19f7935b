"""TensorRT from ONNX, strongly typed, replayed as a CUDA graph. Not yet run: no machine with it was at hand."""

from __future__ import annotations

from typing import Any

import torch
from archdsl.runtime.bench.case import Case
from archdsl.runtime.bench.contender import Clock, Ready
from archdsl.runtime.foreign import installed
from torch import Tensor

INSTALL = "pip install tensorrt onnx onnxscript"
_WORKSPACE = 8 << 30


class TensorRT:
    name = "tensorrt"

    def missing(self, case: Case) -> str | None:
        if case.device == "cpu":
            return "it runs on CUDA devices only"
        return installed("tensorrt", "onnx", "onnxscript", install=INSTALL)

    def prepare(self, case: Case) -> Ready:
        import tensorrt as trt

        model, exported = case.onnx
        clock = Clock()
        inputs = [tensor.contiguous() for tensor in case.inputs]
        plan = _build(trt, model)
        built = exported + clock.lap()
        engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(plan)
        context = engine.create_execution_context()
        output = _bind(trt, engine, context, inputs)
        graph = _captured(context)
        load = clock.lap()

        held = engine, context, inputs  # the graph knows their addresses alone

        def run() -> Tensor:
            assert held
            graph.replay()
            return output

        return Ready(run, lambda tensor: tensor.clone(), built + load, load)


def _build(trt: Any, model: bytes) -> Any:
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model):
        raise RuntimeError(str(parser.get_error(0)))
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, _WORKSPACE)
    return builder.build_serialized_network(network, config)


def _bind(trt: Any, engine: Any, context: Any, inputs: list[Tensor]) -> Tensor:
    types = {trt.float32: torch.float32, trt.float16: torch.float16, trt.int64: torch.int64, trt.int32: torch.int32}
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    given = iter(inputs)
    outputs = []
    for name in names:
        if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
            context.set_tensor_address(name, next(given).data_ptr())
            continue
        shape, dtype = tuple(context.get_tensor_shape(name)), types[engine.get_tensor_dtype(name)]
        outputs.append(torch.empty(shape, dtype=dtype, device="cuda"))
        context.set_tensor_address(name, outputs[-1].data_ptr())
    return outputs[0]


def _captured(context: Any) -> Any:
    stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    context.execute_async_v3(stream.cuda_stream)
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        context.execute_async_v3(stream.cuda_stream)
    return graph
