"""CUDA graphs: what an engine launches for a declared size is recorded once, and replayed as a whole after that."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from archdsl.runtime.engines.capture import Backend, CudaBackend, Recording
from archdsl.runtime.engines.eager import eager
from archdsl.runtime.engines.inductor import Inductor
from archdsl.runtime.engines.program import Program
from archdsl.runtime.engines.registry import Engine, Outputs, Runner, register
from archdsl.runtime.engines.samples import NO_SIZES, Shapes, sample_inputs, shapes_of
from archdsl.runtime.engines.triton import triton_engine
from torch import Tensor

_WARM_UP = 3
"""Calls before a capture: libraries choose their algorithms and allocate their workspaces in the first ones."""


@dataclass(frozen=True)
class _Captured:
    """A recording with the inputs that it reads and the outputs that it writes, at fixed addresses."""

    recording: Recording
    inputs: tuple[Tensor, ...]
    outputs: Outputs

    @property
    def bytes(self) -> int:
        return sum(t.numel() * t.element_size() for t in (*self.inputs, *_tensors(self.outputs)))


class GraphRunner:
    """Runs a program of one engine by replaying recordings of it, one for each declared size.

    Callers' inputs are copied to where the recording reads them, and outputs copied from where it writes them, so that
    nobody outside holds an address that a replay uses; `borrowed` leaves the second copy out. Calls from several
    threads and streams take turns. A size without a recording runs on the engine itself, and so does one whose capture
    failed, which is said once. Weights changed in place are seen by the next replay, which reads them where they are;
    for others a new runner is made (`CompiledModel.update`).
    """

    fixed_batch = True

    def __init__(self, program: Program, run: Runner, backend: Backend) -> None:
        self.program, self.backend = program, backend
        self._run = run
        self._lock = threading.RLock()
        self._captured: dict[Shapes, _Captured] = {}
        self._capture_all()

    def __call__(self, *inputs: Tensor) -> Outputs:
        return self._replayed(inputs, lambda outputs: _mapped(outputs, self._copied))

    def borrowed(self, *inputs: Tensor) -> Outputs:
        """Outputs as they lie in the buffers of the recording: the next call of that size overwrites them."""
        return self._replayed(inputs, lambda outputs: outputs)

    def memory(self) -> dict[str, int]:
        """Bytes of the buffers of each recording, and of the pool that all of them share for everything else."""
        with self._lock:
            buffers = {f"buffers {_size_name(shapes)}": found.bytes for shapes, found in self._captured.items()}
            return {**buffers, "pool": self.backend.pool_bytes()}

    # ------------------------------------------------------------------ inside

    def _replayed(self, inputs: tuple[Tensor, ...], handed_out: Callable[[Outputs], Outputs]) -> Outputs:
        with self._lock:
            found = self._captured.get(shapes_of(inputs))
            if found is None:
                return self._run(*inputs)
            with self.backend.on_stream():
                for static, given in zip(found.inputs, inputs, strict=True):
                    static.copy_(given)
                found.recording.replay()
                result = handed_out(found.outputs)
            for tensor in _tensors(result):
                self.backend.lend(tensor)
            return result

    def _copied(self, tensor: Tensor) -> Tensor:
        return tensor.clone(memory_format=torch.preserve_format)

    def _capture_all(self) -> None:
        """The largest size first, so that the others fit into memory that the pool has already."""
        for inputs in sorted(sample_inputs(self.program), key=lambda given: -given[0].numel()):
            try:
                self._captured[shapes_of(inputs)] = self._capture(inputs)
            except RuntimeError as error:
                reason = (str(error).strip().splitlines() or ["no reason given"])[0]
                message = f"{self.program.graph.name} runs un-captured at {_size_name(shapes_of(inputs))}: {reason}"
                warnings.warn(message, stacklevel=2)

    def _capture(self, inputs: tuple[Tensor, ...]) -> _Captured:
        with self.backend.on_stream():
            for _ in range(_WARM_UP):
                self._run(*inputs)
        recording, outputs = self.backend.capture(lambda: self._run(*inputs))
        return _Captured(recording, inputs, outputs)


class CudaGraphs:
    """Another engine, recorded."""

    def __init__(self, name: str, inner: Engine) -> None:
        self.name, self.inner = name, inner
        self.own, self.seconds = inner.own, inner.seconds + 1.0

    def available(self, program: Program) -> str | None:
        if program.device.type != "cuda":
            return "it runs on CUDA devices only"
        return self.inner.available(program) or (None if program.sizes else NO_SIZES)

    def prepare(self, program: Program) -> Runner:
        return GraphRunner(program, self.inner.prepare(program), CudaBackend(program.device))


def _tensors(outputs: Outputs) -> tuple[Tensor, ...]:
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs.values())


def _mapped(outputs: Outputs, change: Callable[[Tensor], Tensor]) -> Outputs:
    if isinstance(outputs, Tensor):
        return change(outputs)
    return {name: change(tensor) for name, tensor in outputs.items()}


def _size_name(shapes: Shapes) -> str:
    return "x".join(map(str, shapes[0]))


register(CudaGraphs("cuda-graphs", eager))
register(CudaGraphs("cuda-graphs-triton", triton_engine))
register(CudaGraphs("cuda-graphs-inductor", Inductor()))
