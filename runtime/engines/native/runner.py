"""Carries out plans: kernels on arrays of steps, torch calls between them."""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Mapping
from itertools import groupby
from time import perf_counter
from typing import Any

import torch
from archdsl.runtime.engines.native.blocks import Recycler, as_tensor, block
from archdsl.runtime.engines.native.build import library
from archdsl.runtime.engines.native.descriptors import Address, Op
from archdsl.runtime.engines.native.emit import Constants, Step, TorchStep
from archdsl.runtime.engines.native.fuse import fused
from archdsl.runtime.engines.native.memory import ARENA, FIRST_INPUT, Value
from archdsl.runtime.engines.native.plan import Plan, Result, planned
from archdsl.runtime.engines.native.units import Sized
from archdsl.runtime.engines.program import Program
from torch import Tensor

from archdsl.ir.graph import Node, Ref
from archdsl.ir.state import specs_of
from archdsl.lower.interpret import bind_sizes, shape_of
from archdsl.lower.ops import LOWERINGS, Applied

_KEPT_PLANS = 8

Key = tuple[int, ...]


class NativeRunner:
    """A program on the kernels, at any size: a plan per size and number of threads, the most recent ones kept.

    Calls from several threads are safe; they take turns.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._constants: Constants = {}
        self._ready: dict[Key, _Ready] = {}
        self._lock = threading.Lock()
        for height, width in program.sizes:
            if len(program.graph.inputs) == 1:
                self._prepared([(program.batch, program.graph.inputs[0].types[0].channels, height, width)])

    def __call__(self, *inputs: Tensor) -> Tensor | dict[str, Tensor]:
        outputs = self._prepared([tuple(each.shape) for each in inputs]).run(inputs)
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def profile(self, *inputs: Tensor) -> dict[str, float]:
        """Seconds of each step, run one by one, by the name of its node."""
        return self._prepared([tuple(each.shape) for each in inputs]).profile(inputs)

    def memory(self) -> dict[str, int]:
        """Bytes: packed weights, and what is computed on the way, for all sizes that are kept."""
        with self._lock:
            ready = list(self._ready.values())
        return {
            "weights": sum(tensor.nbytes for tensor in self._constants.values()),
            "activations": sum(each.plan.arena for each in ready),
        }

    def _prepared(self, shapes: list[tuple[int, ...]]) -> _Ready:
        key = (torch.get_num_threads(), *(size for shape in shapes for size in shape))
        with self._lock:
            found = self._ready.pop(key, None)
            if found is None:
                found = self._plan(shapes, key[0])
            self._ready[key] = found
            while len(self._ready) > _KEPT_PLANS:
                del self._ready[next(iter(self._ready))]
        return found

    def _plan(self, shapes: list[tuple[int, ...]], threads: int) -> _Ready:
        graph, half = self.program.graph, self.program.dtype == torch.bfloat16
        named = {
            node.name: shape_of(torch.empty(shape, device="meta"))
            for node, shape in zip(graph.inputs, shapes, strict=True)
        }
        sized = Sized.of(graph, shapes[0][0], bind_sizes(graph, named), half)
        return _Ready(planned(sized, self.program.weights, self._constants, threads), self.program, threads)


class _Ready:
    """A plan with its memory."""

    def __init__(self, plan: Plan, program: Program, threads: int) -> None:
        self.plan, self.program, self.threads = plan, program, threads
        self.arena = as_tensor(block(plan.arena))
        self.parts = [
            list(part) if torch_calls else _Kernels(list(part), threads)  # type: ignore[arg-type]
            for torch_calls, part in groupby(plan.steps, lambda step: isinstance(step, TorchStep))
        ]
        self.recyclers = {name: Recycler(_bytes(result)) for name, result in plan.results.items() if result.value}
        self.lock = threading.Lock()

    def run(self, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
        with self.lock, torch.no_grad():
            return _Call(self, inputs).run()

    def profile(self, inputs: tuple[Tensor, ...]) -> dict[str, float]:
        alone = [s if isinstance(s, TorchStep) else _Kernels([s], self.threads) for s in self.plan.steps]
        with self.lock, torch.no_grad():
            return _Call(self, inputs).profile(alone)


def _bytes(result: Result) -> int:
    assert result.value is not None
    return result.value.image * result.value.n * result.value.item


class _Kernels:
    """A stretch of steps that run without torch."""

    def __init__(self, steps: list[Step], threads: int) -> None:
        every = [each for step in steps for each in (step, *step.members)]
        for step in every:
            _resolve(step)
        self.ops = (Op * len(every))(*(step.op for step in every))
        self.library = library()
        scratch, local = (max(getattr(step, name) for step in every) for name in ("scratch", "local"))
        self.runner = self.library.archdsl_runner(len(every), threads, scratch, local)
        if not self.runner:
            raise MemoryError("no memory for the threads of a network")
        weakref.finalize(self, self.library.archdsl_free, self.runner).atexit = False

    def run(self, slots: ctypes.Array[ctypes.c_void_p], half: bool) -> None:
        self.library.archdsl_run(self.runner, self.ops, slots, len(slots), int(half))


def _resolve(step: Step) -> None:
    """Puts the addresses in, now that buffers have theirs."""
    for name, (buffer, offset) in step.addresses.items():
        address = Address(buffer.slot, buffer.offset + offset)
        if name in ("input", "second", "output"):
            getattr(step.op, name).at = address
        else:
            setattr(step.op, name, address)


class _Call:
    """One run of a plan: its inputs and outputs, and what torch calls made on the way."""

    def __init__(self, ready: _Ready, inputs: tuple[Tensor, ...]) -> None:
        self.ready, self.plan = ready, ready.plan
        self.half = ready.plan.sized.half
        self.memory: dict[int, Tensor] = {ARENA: ready.arena}
        self.loose: dict[Ref, Tensor] = {}
        for i, (ref, tensor) in enumerate(zip(self.plan.inputs, inputs, strict=True)):
            self.memory[FIRST_INPUT + i] = tensor.contiguous(memory_format=torch.channels_last)
            self.loose[ref] = tensor
        for name, recycler in ready.recyclers.items():
            value = self.plan.results[name].value
            assert value is not None
            self.memory.setdefault(value.buffer.slot, recycler.take())

    def run(self) -> dict[str, Tensor]:
        slots = self._slots()
        for part in self.ready.parts:
            if isinstance(part, _Kernels):
                part.run(slots, self.half)
                continue
            for step in part:
                assert isinstance(step, TorchStep)
                self._torch(step)
        return {name: self._result(result) for name, result in self.plan.results.items()}

    def profile(self, alone: list[_Kernels | TorchStep]) -> dict[str, float]:
        """Seconds by node, each step of the plan on its own."""
        slots, units = self._slots(), fused(self.plan.sized)
        seconds: dict[str, float] = {}
        for step, work in zip(self.plan.steps, alone, strict=True):
            start = perf_counter()
            if isinstance(work, TorchStep):
                self._torch(work)
            else:
                work.run(slots, self.half)
            name = units[step.position].node.name
            seconds[name] = seconds.get(name, 0.0) + perf_counter() - start
        return seconds

    def _slots(self) -> ctypes.Array[ctypes.c_void_p]:
        count = max(self.memory) + 1
        return (ctypes.c_void_p * count)(*(self._address(slot) for slot in range(count)))

    def _address(self, slot: int) -> int | None:
        return self.memory[slot].data_ptr() if slot in self.memory else None

    def _torch(self, step: TorchStep) -> None:
        node = step.unit.node
        operands = tuple(self._tensor(ref) for ref in step.unit.inputs)
        call = Applied(operands, node.types, step.unit.settings, self._state(node), False)
        made: Any = LOWERINGS[node.op](call)
        for ref, tensor in zip(step.unit.outputs, (made,) if isinstance(made, Tensor) else made, strict=True):
            # a view of the arena would change when the memory serves another value
            self.loose[ref] = tensor.clone() if _shared(tensor, self.ready.arena) else tensor
        for ref, value in step.exports.items():
            self._view(value, value.c)[:, self.loose[ref].shape[1] :] = 0
            self._view(value, self.loose[ref].shape[1]).copy_(self.loose[ref])

    def _state(self, node: Node) -> Mapping[str, Tensor]:
        program = self.ready.program
        return {spec.name: program.weights[f"{node.weights}.{spec.name}"] for spec in specs_of(program.graph, node)}

    def _tensor(self, ref: Ref) -> Tensor:
        if ref in self.loose:
            return self.loose[ref]
        return self._view(self.plan.values[ref], self.plan.sized.shape(ref)[0])

    def _view(self, value: Value, channels: int, dtype: torch.dtype | None = None) -> Tensor:
        """[N, C, H, W] over the memory of a value, without the channel that pads it."""
        memory = self.memory[value.buffer.slot]
        typed = (memory if memory.dim() == 1 else memory.permute(0, 2, 3, 1).flatten()).view(
            dtype or self.program_dtype
        )
        start = value.buffer.offset // value.item + value.offset
        return typed.as_strided((value.n, channels, value.h, value.w), (value.image, 1, value.row, value.pixel), start)

    @property
    def program_dtype(self) -> torch.dtype:
        return self.ready.program.dtype

    def _result(self, result: Result) -> Tensor:
        if result.value is None:
            return self.loose[result.ref]
        value, memory = result.value, self.memory[result.value.buffer.slot]
        if result.layout == "pixels":
            return self._view(value, value.c)
        channels = 1 if result.layout == "labels" else value.c
        flat = memory if result.layout == "labels" else memory.view(self.program_dtype)
        return flat[: value.n * value.image].view(value.n, channels, value.h, value.w)


def _shared(tensor: Tensor, arena: Tensor) -> bool:
    return tensor.untyped_storage().data_ptr() == arena.untyped_storage().data_ptr()
