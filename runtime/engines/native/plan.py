"""A network at one size: where every value lives, and the steps that make it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from archdsl.runtime.engines.native import emit
from archdsl.runtime.engines.native.emit import Constants, Emitter, Step, TorchStep
from archdsl.runtime.engines.native.fuse import fused, planar
from archdsl.runtime.engines.native.layout import blocks_margin
from archdsl.runtime.engines.native.memory import FIRST_INPUT, Buffer, Value, place
from archdsl.runtime.engines.native.strips import in_strips
from archdsl.runtime.engines.native.units import Sized, Unit
from torch import Tensor

from archdsl.ir.graph import Ref

_VIEWS = ("split", "crop")


@dataclass(frozen=True)
class Result:
    """An output of the network: a value that kernels wrote, of a layout, or one that a torch call made."""

    ref: Ref
    value: Value | None
    layout: str = "pixels"


@dataclass
class Plan:
    """Steps in order, the arena's size in bytes, and what the outputs are."""

    sized: Sized
    steps: list[Step | TorchStep]
    arena: int
    values: Mapping[Ref, Value]
    inputs: list[Ref]
    results: dict[str, Result]


def planned(sized: Sized, weights: Mapping[str, Tensor], constants: Constants, threads: int) -> Plan:
    """The plan of a network at the given sizes."""
    return _Planning(sized, weights, constants, threads).plan()


class _Planning:
    def __init__(self, sized: Sized, weights: Mapping[str, Tensor], constants: Constants, threads: int) -> None:
        self.sized = sized
        self.units = fused(sized)
        self.makers = {ref: unit for unit in self.units for ref in unit.outputs}
        self.values: dict[Ref, Value] = {}
        self.emitter = Emitter(sized, weights, constants, threads, self.values)
        self.steps: list[Step | TorchStep] = []
        self.inputs = [node.refs[0] for node in sized.graph.inputs]
        self.outputs = dict.fromkeys(self._final(out.value) for out in sized.graph.outputs)
        self.wanted = [ref for ref in self.outputs if self._direct(ref)]
        """Values that kernels write straight into memory of the caller."""
        self.slots = {ref: FIRST_INPUT + i for i, ref in enumerate([*self.inputs, *self.wanted])}
        self.homes: dict[Ref, tuple[Ref, int]] = {}

    def _final(self, ref: Ref) -> Ref:
        """The value that an op without effect passes on."""
        while ref not in self.makers and self.sized.graph.by_name[ref.node].op != "input":
            ref = self.sized.graph.by_name[ref.node].inputs[0]
        return ref

    def _direct(self, ref: Ref) -> bool:
        unit = self.makers.get(ref)
        return unit is not None and unit.native and unit.op not in _VIEWS

    def _odd(self, channels: int) -> bool:
        """Whether a map of so many channels gets one more: products of bfloat16 take two at once."""
        return self.sized.half and channels % 2 == 1

    def plan(self) -> Plan:
        for unit in reversed(self.units):
            if unit.op == "concat" and unit.native:
                self._house(unit)
        for ref in self.inputs:
            self._input(ref)
        for position, unit in enumerate(self.units):
            self.emitter.position = position
            self._unit(unit)
        results = {out.name: self._result(self._final(out.value)) for out in self.sized.graph.outputs}
        steps = in_strips(self.emitter, self._in_order())
        buffers = {value.buffer for value in self.values.values()} | set(self.emitter.buffers)
        arena = place(buffer for buffer in buffers if buffer.slot not in self.slots.values() and buffer.last >= 0)
        return Plan(self.sized, steps, arena, self.values, self.inputs, results)

    def _in_order(self) -> list[Step | TorchStep]:
        both = [*self.steps, *self.emitter.steps]
        return sorted(both, key=lambda step: step.position)

    # ------------------------------------------------------------- places

    def _house(self, concat: Unit) -> None:
        """Lets what is concatenated be written in place, as far as the graph says that it can and kernels write it."""
        if self._odd(self.sized.shape(concat.output)[0]):
            return
        channels = [self.sized.shape(ref)[0] for ref in concat.inputs]
        placed = concat.settings.get("placed", (1,) * len(channels))
        for ref, wanted, first, count in zip(
            concat.inputs, placed, accumulate(channels, initial=0), channels, strict=False
        ):
            free = wanted and ref not in self.homes and ref not in self.slots and concat.inputs.count(ref) == 1
            even = not self.sized.half or first % 2 == count % 2 == 0
            if free and even and self._direct(ref):
                self.homes[ref] = (concat.output, first)

    def _value(self, ref: Ref) -> Value:
        """Where a value lives; made up when first asked for."""
        if ref not in self.values:
            self.values[ref] = self._new_value(ref)
        return self.values[ref]

    def _new_value(self, ref: Ref) -> Value:
        unit, shape = self.makers[ref], self.sized.shape(ref)
        if ref in self.homes:
            whole, first = self.homes[ref]
            return self._value(whole).part(first, shape[0])
        if unit.native and unit.op in _VIEWS and (view := self._view(unit, ref)) is not None:
            return view
        if ref in self.slots:
            return self._output(unit, ref, shape)
        margin = blocks_margin(self.sized, self.units, self.outputs, unit)
        if margin is None:
            return self._fresh(shape)
        return Value.blocked(self.sized.batch, shape, self.emitter.item, margin)

    def _fresh(self, shape: tuple[int, int, int]) -> Value:
        channels, height, width = shape
        channels += self._odd(channels)
        size = self.sized.batch * channels * height * width * self.emitter.item
        return Value.dense(Buffer(size), self.sized.batch, (channels, height, width), self.emitter.item)

    def _view(self, unit: Unit, ref: Ref) -> Value | None:
        """A part of another map, where it can be read in place."""
        read, (channels, height, width) = self._value(unit.inputs[0]), self.sized.shape(ref)
        if unit.op == "crop":
            top, left = _offset(unit, read, height, width)
            return read.window(top, left, height, width)
        first = sum(self.sized.shape(other)[0] for other in unit.outputs[: ref.port])
        return None if self._odd(first) or self._odd(channels) else read.part(first, channels)

    def _output(self, unit: Unit, ref: Ref, shape: tuple[int, int, int]) -> Value:
        buffer, n, (c, h, w) = Buffer(0, self.slots[ref]), self.sized.batch, shape
        if unit.labels:
            return Value(buffer, n, h, w, 1, 1, 1, w, h * w)
        if self._planar(unit):
            return Value(buffer, n, h, w, c, self.emitter.item, 1, w, c * h * w)
        return Value.dense(buffer, n, shape, self.emitter.item)

    def _planar(self, unit: Unit) -> bool:
        """Whether an output is written channel by channel: a last resize that nothing else reads."""
        if unit.op != "resize" or unit.output not in self.wanted or not planar(self.sized, unit):
            return False
        read = any(unit.output in other.reads for other in self.units)
        return not read and unit.first == 0

    # ------------------------------------------------------------- steps

    def _input(self, ref: Ref) -> None:
        shape = self.sized.shape(ref)
        given = Value.dense(Buffer(0, self.slots[ref]), self.sized.batch, shape, self.emitter.item)
        self.values[ref] = given
        if self._odd(shape[0]) and any(unit.native and ref in unit.reads for unit in self.units):
            self.values[ref] = self._fresh(shape)
            copy = emit.copy(self.emitter, given, self.values[ref])
            copy.op.option = int(shape[0] == 3)

    def _unit(self, unit: Unit) -> None:
        if not unit.native:
            self._torch(unit)
            return
        reads = [self._value(ref) for ref in unit.inputs]
        for ref in unit.reads:
            self._value(ref)
        if unit.op in _VIEWS:
            self._split(unit, reads[0])
        elif unit.op == "concat":
            self._concat(unit, reads)
        elif unit.op == "resize" and (unit.labels or self._planar(unit)):
            _, height, width = self.sized.shape(unit.output)
            emit.planar_resize(self.emitter, unit, self._scores(unit), self._value(unit.output), height * width)
        elif unit.op == "guided_upsample":
            emit.guided(self.emitter, unit, [self._scores(unit), reads[1]], self._value(unit.output))
        else:
            before = len(self.emitter.steps)
            emit.EMITTERS[unit.op](self.emitter, unit, reads, self._value(unit.output))
            emit.with_slopes(self.emitter, unit, self.emitter.steps[before:])

    def _scores(self, unit: Unit) -> Value:
        """The first operand without the channel that pads it, which must not become a class."""
        return self._value(unit.inputs[0]).part(0, self.sized.shape(unit.inputs[0])[0])

    def _split(self, unit: Unit, read: Value) -> None:
        first = 0
        for ref in unit.outputs:
            made, channels = self._value(ref), self.sized.shape(ref)[0]
            if made.buffer is not read.buffer:
                emit.copy(self.emitter, read.part(first, channels), made)
            first += channels

    def _concat(self, unit: Unit, reads: list[Value]) -> None:
        whole, first = self._value(unit.output), 0
        for i, (ref, read) in enumerate(zip(unit.inputs, reads, strict=True)):
            channels = self.sized.shape(ref)[0]
            if self.homes.get(ref, (None, -1)) != (unit.output, first):
                last = i == len(reads) - 1
                emit.copy(
                    self.emitter, read.part(0, channels), whole.part(first, whole.c - first if last else channels)
                )
            first += channels

    def _torch(self, unit: Unit) -> None:
        step = TorchStep(unit, self.emitter.position)
        self.steps.append(step)
        for ref in unit.inputs:
            if ref in self.values or self._native(ref):
                self._use(step, ref)
        for ref in unit.outputs:
            if any(other.native and ref in other.reads for other in self.units):
                step.exports[ref] = self._use(step, ref)

    def _use(self, step: TorchStep, ref: Ref) -> Value:
        value = self._value(ref)
        value.buffer.used(step.position)
        step.buffers.add(value.buffer)
        return value

    def _native(self, ref: Ref) -> bool:
        unit = self.makers.get(ref)
        return unit is not None and unit.native

    def _result(self, ref: Ref) -> Result:
        unit = self.makers.get(ref)
        if unit is not None and not unit.native:
            return Result(ref, None)
        if ref in self.wanted:
            assert unit is not None
            layout = "labels" if unit.labels else "planes" if self._planar(unit) else "pixels"
            return Result(ref, self._value(ref), layout)
        return self._copied(ref)

    def _copied(self, ref: Ref) -> Result:
        """An output that is an input or part of another map."""
        read, shape = self._value(ref), self.sized.shape(ref)
        self.emitter.position = len(self.units)
        slot = max(self.slots.values(), default=FIRST_INPUT - 1) + 1
        made = Value.dense(Buffer(0, slot), self.sized.batch, shape, self.emitter.item)
        copy = Ref(f"copy of {ref}")
        self.slots[copy], self.values[copy] = slot, made
        emit.copy(self.emitter, read.part(0, shape[0]), made)
        return Result(copy, made)


def _offset(unit: Unit, read: Value, height: int, width: int) -> tuple[int, int]:
    offset = unit.settings["offset"]
    if isinstance(offset, str):
        return (read.h - height) // 2, (read.w - width) // 2
    top, left = offset
    return top, left
