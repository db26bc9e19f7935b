"""From units to the records of steps: one small function per op."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from typing import Any, cast

import torch
from archdsl.runtime.engines.native import pack
from archdsl.runtime.engines.native.descriptors import ACTIVATIONS, BINARIES, Activation, Kind, Op
from archdsl.runtime.engines.native.layout import beyond
from archdsl.runtime.engines.native.memory import CONSTANT, Buffer, Value
from archdsl.runtime.engines.native.pack import LANES, Shape
from archdsl.runtime.engines.native.support import broadcast_order
from archdsl.runtime.engines.native.units import Sized, Unit
from torch import Tensor

from archdsl.ir.graph import Ref

MOST_PIXELS = {1: 24, 2: 14, 3: 9}
"""Pixels that the inner kernel takes at once, by vectors of a panel."""

_FEW_PIXELS = 112  # of a piece of work: several blocks, and their input stays in the first cache
_WEIGHTS_IN_CACHE = 512 << 10
_TRANSFORMED_IN_CACHE = {2: 384 << 10, 4: 704 << 10}
_TRANSFORMED_OUTSIDE = 2400 << 10
_WEIGHTS_OUTSIDE = 4 << 20  # of tiles of 4, which are better fetched seldom than kept beside what is transformed
_FEWER = 0.85
_THIN = 16


@dataclass(eq=False)
class Step:
    """A record whose addresses are still buffers: by field, a buffer and a byte offset in it.

    `read`, `made` and `second` are the maps with their rows, also where the record has an image in one row. `scratch`
    are bytes that each thread needs for itself; `members` the steps that run by turns, `local` what they need.
    """

    op: Op
    position: int
    read: Value
    made: Value
    second: Value | None = None
    addresses: dict[str, tuple[Buffer, int]] = field(default_factory=dict)
    scratch: int = 0
    members: list[Step] = field(default_factory=list)
    local: int = 0

    def keep(self) -> None:
        """Notes the buffers of the maps by their fields."""
        for name, value in (("input", self.read), ("output", self.made), ("second", self.second)):
            if value is not None:
                self.addresses[name] = (value.buffer, value.byte)

    def in_rows(self) -> None:
        """Puts the maps in as they are, row by row."""
        self.op.input, self.op.output = self.read.map(), self.made.map()
        if self.second is not None:
            self.op.second = self.second.map()


@dataclass(eq=False)
class TorchStep:
    """A node that runs as a torch call; `exports` are results that kernels read too, `buffers` all that it touches."""

    unit: Unit
    position: int
    exports: dict[Ref, Value] = field(default_factory=dict)
    buffers: set[Buffer] = field(default_factory=set)


Constants = dict[tuple[object, ...], Tensor]
"""Packed weights of a network by what they were packed from and how; shared by all sizes."""


@dataclass
class Emitter:
    """Collects the steps of a plan. `position` is the number of the unit being emitted."""

    sized: Sized
    weights: Mapping[str, Tensor]
    constants: Constants
    threads: int
    values: dict[Ref, Value]
    buffers: list[Buffer] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    position: int = 0

    @property
    def dtype(self) -> torch.dtype:
        return torch.bfloat16 if self.sized.half else torch.float32

    @property
    def item(self) -> int:
        return 2 if self.sized.half else 4

    def temporary(self, size: int) -> Buffer:
        buffer = Buffer(size)
        buffer.used(self.position)
        self.buffers.append(buffer)
        return buffer

    def constant(self, key: tuple[object, ...], make: Callable[[], Tensor]) -> Buffer:
        """A tensor that stays; made once per network."""
        if key not in self.constants:
            self.constants[key] = make()
        tensor = self.constants[key]
        return Buffer(tensor.nbytes, CONSTANT, tensor.data_ptr())

    def step(self, kind: Kind, read: Value, made: Value, second: Value | None = None, **fields: Any) -> Step:
        """Adds a step from one value, or two, to another."""
        op = Op(kind=kind, input=read.map(), output=made.map(), groups=1, rows=1, **fields)
        op.kernel = op.stride = op.dilation = type(op.kernel)(1, 1)
        found = Step(op, self.position, read, made, second)
        if second is not None:
            op.second = second.map()
        found.keep()
        for buffer, _ in found.addresses.values():
            buffer.used(self.position)
        self.steps.append(found)
        op.rows = self.rows(made)
        return found

    def second(self, unit: Unit, made: Value) -> Value | None:
        """What a unit adds to its own result, repeated where it is one value per channel."""
        return None if unit.second is None else repeated(self, unit.second, self.values[unit.second], made)

    def rows(self, made: Value) -> int:
        """Rows of a piece of work, such that there are enough pieces and none is tiny."""
        enough = max(1, made.h * made.n // (8 * self.threads))
        return min(enough, max(1, _FEW_PIXELS * 4 // max(made.w, 1)))


def with_slopes(emitter: Emitter, unit: Unit, steps: Iterable[Step]) -> None:
    """Gives the slopes of `prelu`, one for each channel of the unit and 16 more, to the steps that it ends."""
    if unit.slopes is None:
        return
    node, first = unit.slopes.node, unit.slopes.first
    channels, every = emitter.sized.shape(unit.output)[0], emitter.sized.shape(node.refs[0])[0]

    def make() -> Tensor:
        slopes = emitter.weights[f"{node.weights}.weight"].float().expand(every)[first : first + channels]
        return torch.nn.functional.pad(slopes, (0, -channels % LANES + LANES)).contiguous()

    buffer = emitter.constant(("slopes", node.weights, first, channels), make)
    for step in steps:
        if Activation.PRELU in (step.op.activation, step.op.last_activation):
            step.addresses["slopes"] = (buffer, 0)


def repeated(emitter: Emitter, ref: Ref, value: Value, made: Value) -> Value:
    """A value as one of the shape of another: axes of length 1 are not stepped along."""
    c, h, w = emitter.sized.shape(ref)
    if (h, w) == (made.h, made.w) and c > 1:
        return value
    return Value(
        value.buffer,
        made.n,
        made.h,
        made.w,
        1 if c == 1 else value.c,
        value.item,
        value.pixel if w > 1 else 0,
        value.row if h > 1 else 0,
        value.image,
        value.offset,
    )


Emit = Callable[[Emitter, Unit, list[Value], Value], None]


def windowed(step: Step, settings: Mapping[str, Any]) -> None:
    for name in ("kernel", "stride", "padding", "dilation"):
        if name in settings:
            setattr(step.op, name, type(step.op.kernel)(*settings[name]))


# ------------------------------------------------------------- convolutions


def convolution(emitter: Emitter, unit: Unit, reads: list[Value], made: Value) -> None:
    x, settings, types = reads[0], unit.settings, emitter.sized
    groups = settings["groups"]
    read = types.shape(unit.inputs[0])[0]
    if groups == read:
        depthwise_by(emitter, unit, x, made, types.shape(unit.output)[0] // read)
    elif winograd_fits(unit, x, made):
        winograd(emitter, unit, x, made)
    else:
        direct(emitter, unit, x, made)


def winograd_fits(unit: Unit, x: Value, made: Value) -> bool:
    """Where tiles cost less than taps: enough channels to make up for the transforms."""
    s = unit.settings
    plain = s["kernel"] == (3, 3) and s["stride"] == (1, 1) and s["groups"] == 1 and unit.factor is None
    return plain and x.c >= 32 and made.c >= 32 and made.h * made.w >= 64


def direct(emitter: Emitter, unit: Unit, x: Value, made: Value) -> None:
    settings, groups = unit.settings, unit.settings["groups"]
    kernel = settings["kernel"]
    channels = x.c // groups
    together = groups == 1 and x.pixel == x.c <= _THIN
    if x.block != LANES:
        together = beyond(emitter.sized, unit) <= x.margin
    merged = together and kernel[1] > 1 and settings["dilation"][1] == 1 and unit.factor is None
    logical = emitter.sized.shape(unit.output)[0] // groups
    shape = Shape.of(groups, logical, channels, channels * kernel[1] if merged else channels, merged)
    second = emitter.second(unit, made)
    if kernel == (1, 1) and settings["stride"] == (1, 1) and settings["padding"] == (0, 0):
        read, written, added = _flattened(x, made, second)
    else:
        read, written, added = x, made, second
    step = emitter.step(Kind.CONV, read, written, added, **_finish(unit), merged=merged)
    step.read, step.made, step.second = x, made, second
    windowed(step, settings)
    _cut(step, shape)
    _weights(emitter, unit, step, shape, pack.packed, "direct")
    _work(emitter, step, shape)
    if unit.factor is not None:
        _scaled(emitter, emitter.values[unit.factor], step, shape)


def _flattened(x: Value, made: Value, second: Value | None) -> tuple[Value, Value, Value | None]:
    flat = x.flat, made.flat, None if second is None else second.flat
    if flat[0] is None or flat[1] is None or (second is not None and flat[2] is None):
        return x, made, second
    return flat[0], flat[1], flat[2]


def _finish(unit: Unit) -> dict[str, int]:
    return {"activation": int(unit.first), "last_activation": int(unit.last)}


def _cut(step: Step, shape: Shape) -> None:
    op = step.op
    op.groups, op.vectors, op.panels, op.run = shape.groups, shape.vectors, shape.panels, shape.run


def _weights(
    emitter: Emitter,
    unit: Unit,
    step: Step,
    shape: Shape,
    how: Callable[[Tensor, Shape, torch.dtype], Tensor],
    name: str,
) -> None:
    norms = tuple((part.node.name, part.first) for part in unit.norms)
    key = (unit.node.weights, norms, shape)

    def make() -> Tensor:
        return how(pack.folded(unit, emitter.weights)[0], shape, emitter.dtype)

    def bias() -> Tensor:
        return pack.packed_bias(pack.folded(unit, emitter.weights)[1], shape)

    step.addresses["weights"] = (emitter.constant((name, *key), make), 0)
    step.addresses["bias"] = (emitter.constant(("bias", *key), bias), 0)


def _work(emitter: Emitter, step: Step, shape: Shape) -> None:
    """How the work is cut into pieces, and which loop is the outer one."""
    op, made = step.op, step.op.output
    panels = shape.groups * shape.panels
    taps = op.kernel[0] * (1 if shape.merged else op.kernel[1])
    panel = taps * shape.run * shape.panel * emitter.item
    most = MOST_PIXELS[shape.vectors]
    op.panel_span, op.rows = panels, 1
    op.columns = min(made.w, max(1, _FEW_PIXELS // most) * most)
    if made.h > 1:
        op.columns = made.w if made.w <= 4 * _FEW_PIXELS else -(-made.w // -(-made.w // (2 * _FEW_PIXELS)))
        op.rows = max(1, min(_FEW_PIXELS // made.w, made.h // (4 * emitter.threads)))
    if panel * panels > _WEIGHTS_IN_CACHE and shape.groups == 1:
        op.panels_outside = 1
        op.panel_span = max(1, panels // (4 * emitter.threads))
        op.rows, op.columns = (made.h, made.w) if made.h > 1 else (1, made.w)
    wide = shape.run if shape.merged else op.input.c
    step.scratch = taps * most * wide * emitter.item


def _scaled(emitter: Emitter, gate: Value, step: Step, shape: Shape) -> None:
    """Before a convolution, a step that multiplies its weights by a factor per sample and input channel."""
    plain, _ = step.addresses["weights"]
    scaled = emitter.temporary(plain.size * gate.n)
    made = Value.dense(scaled, gate.n, (1, 1, 1), emitter.item)
    before = emitter.step(Kind.SCALE_WEIGHTS, gate, made, gate)
    _cut(before, shape)
    before.op.kernel, before.addresses["weights"] = step.op.kernel, (plain, 0)
    step.addresses["weights"] = (scaled, 0)
    step.op.weights_image = before.op.weights_image = plain.size // emitter.item
    emitter.steps[-2:] = [before, step]


def winograd(emitter: Emitter, unit: Unit, x: Value, made: Value) -> None:
    logical = emitter.sized.shape(unit.output)[0]
    shape = Shape.of(1, logical, x.c, x.c, False)
    second = emitter.second(unit, made)
    tile = _tile(emitter, unit, made)
    step = emitter.step(Kind.WINOGRAD, x, made, second, **_finish(unit), option=tile)
    windowed(step, unit.settings)
    _cut(step, shape)
    _weights(emitter, unit, step, shape, partial(pack.packed_winograd, tile=tile), f"winograd {tile}")
    _tiles(emitter, step, shape, tile)


def _tile(emitter: Emitter, unit: Unit, made: Value) -> int:
    """Results of a tile along an axis: 4 where that is fewer products; in float32, as it takes digits."""
    products = {tile: _tile_count(unit.settings["dilation"], made, tile) * (tile + 2) ** 2 for tile in (2, 4)}
    return 4 if not emitter.sized.half and products[4] < _FEWER * products[2] else 2


def _tile_count(dilation: tuple[int, int], made: Value, tile: int) -> int:
    down, across = (
        rate * ceil(ceil(size / rate) / tile) for rate, size in zip(dilation, (made.h, made.w), strict=True)
    )
    return made.n * down * across


def _tiles(emitter: Emitter, step: Step, shape: Shape, tile: int) -> None:
    """Tiles of a piece: whole blocks of the inner kernel, as many as leave their transforms in the second cache."""
    most, positions = MOST_PIXELS[shape.vectors], (tile + 2) ** 2
    per_tile = positions * (shape.run * emitter.item + shape.panel * 4)
    outside = tile == 4 and positions * shape.run * shape.panel * shape.panels * emitter.item > _WEIGHTS_OUTSIDE
    budget = _TRANSFORMED_OUTSIDE if outside else _TRANSFORMED_IN_CACHE[tile]
    spans = min(emitter.threads, 2) if outside else 1
    fair = _tile_count(tuple(step.op.dilation), step.made, tile) * spans // (4 * emitter.threads * most)
    tiles = most * max(1, min(budget // per_tile // most, fair))
    step.op.columns, step.op.panel_span = tiles, ceil(shape.panels / spans)
    step.scratch = tiles * per_tile + positions * 2 * 32 * 4 + 64


def depthwise(emitter: Emitter, unit: Unit, reads: list[Value], made: Value) -> None:
    depthwise_by(emitter, unit, reads[0], made, unit.settings["multiplier"])


def depthwise_by(emitter: Emitter, unit: Unit, x: Value, made: Value, multiplier: int) -> None:
    second = emitter.second(unit, made)
    step = emitter.step(Kind.DEPTHWISE, x, made, second, **_finish(unit), option=multiplier)
    windowed(step, unit.settings)
    key = (unit.node.weights, tuple((part.node.name, part.first) for part in unit.norms))

    def make(which: int) -> Tensor:
        return pack.packed_depthwise(*pack.folded(unit, emitter.weights))[which]

    step.addresses["weights"] = (emitter.constant(("depthwise", *key), lambda: make(0)), 0)
    step.addresses["bias"] = (emitter.constant(("depthwise bias", *key), lambda: make(1)), 0)


# ------------------------------------------------------------- one value at a time


def merge(emitter: Emitter, unit: Unit, reads: list[Value], made: Value) -> None:
    order = broadcast_order(emitter.sized, unit.node)
    assert order is not None
    second = repeated(emitter, unit.inputs[order[1]], reads[order[1]], made)
    emitter.step(Kind.BINARY, reads[order[0]], made, second, **_finish(unit), option=BINARIES[unit.op])


def total(emitter: Emitter, unit: Unit, reads: list[Value], made: Value) -> None:
    if len(reads) == 1:
        copy(emitter, reads[0], made, unit.first)
    sums = [reads[0], *[made] * (len(reads) - 2)]
    for i, (left, right) in enumerate(zip(sums, reads[1:], strict=False)):
        last = unit.first if i == len(reads) - 2 else Activation.NONE
        emitter.step(Kind.BINARY, left, made, right, activation=int(last), option=BINARIES["add"])


def copy(emitter: Emitter, read: Value, made: Value, activation: Activation = Activation.NONE) -> Step:
    step = emitter.step(Kind.AFFINE, read, made, activation=int(activation))
    step.op.step = type(step.op.step)(1.0, 0.0)
    return step


def activation(emitter: Emitter, unit: Unit, reads: list[Value], made: Value) -> None:
    copy(emitter, reads[0], made, ACTIVATIONS[unit.op])


_SCALARS: dict[str, Callable[[float], tuple[float, float]]] = {
    "+": lambda value: (1.0, value),
    "-": lambda value: (1.0, -value),
    "*": lambda value: (value, 0.0),
    "/": lambda value: (1 / value, 0.0),
    "r-": lambda value: (-1.0, value),
}


def scalar(emitter: Emitter, unit: Unit, reads: list[Value], made: Value) -> None:
    step = copy(emitter, reads[0], made, unit.first)
    step.op.step = type(step.op.step)(*_SCALARS[unit.settings["operator"]](unit.settings["value"]))


def norm(emitter: Emitter, unit: Unit, reads: list[Value], made: Value) -> None:
    step = copy(emitter, reads[0], made, unit.first)
    for i, name in enumerate(("weights", "bias")):

        def make(which: int = i) -> Tensor:
            per_channel = pack.affine(unit.node, emitter.weights)[which]
            return torch.nn.functional.pad(per_channel, (0, -len(per_channel) % LANES)).float().contiguous()

        step.addresses[name] = (emitter.constant(("norm", unit.node.name, name), make), 0)


# ------------------------------------------------------------- windows and sizes


def max_pool(emitter: Emitter, unit: Unit, reads: list[Value], made: Value) -> None:
    windowed(emitter.step(Kind.POOL, reads[0], made, option=0), unit.settings)


def avg_pool(emitter: Emitter, unit: Unit, reads: list[Value], made: Value) -> None:
    option = 2 if unit.settings["count_pad"] else 1
    windowed(emitter.step(Kind.POOL, reads[0], made, option=option), unit.settings)


def global_pool(emitter: Emitter, unit: Unit, reads: list[Value], made: Value) -> None:
    x = reads[0]
    makers = _summing(emitter, x)
    if makers:
        pieces = _places(makers[0].op)
    else:
        makers, pieces = [emitter.step(Kind.SUMS, x, x)], -(-x.h // emitter.rows(x))
    sums = emitter.temporary(x.n * pieces * x.c * 4)
    for step in makers:
        step.op.pieces, step.op.sums_channels = pieces, x.c
        first = (step.addresses["output"][1] - x.byte) // x.item
        step.addresses["sums"] = (sums, first * 4)
        sums.used(step.position)
    mean = emitter.step(Kind.MEAN, x, made, pieces=pieces, sums_channels=x.c)
    mean.addresses["sums"] = (sums, 0)


def _summing(emitter: Emitter, x: Value) -> list[Step]:
    """The convolutions that make a map, where each can sum what it writes."""
    makers = [step for step in emitter.steps if step.addresses["output"][0] is x.buffer]
    if any(step.op.kind != Kind.CONV or "sums" in step.addresses for step in makers):
        return []
    whole = sum(step.op.output.c for step in makers) == x.c
    return makers if whole and len({_places(step.op) for step in makers}) == 1 else []


def _places(op: Op) -> int:
    """Partial sums that a convolution makes per image."""
    return -(-op.output.h // op.rows) * -(-op.output.w // op.columns)


def resize(emitter: Emitter, unit: Unit, reads: list[Value], made: Value) -> None:
    nearest = unit.settings["mode"] == "nearest"
    second = emitter.second(unit, made)
    last = unit.first if second is None else unit.last
    step = emitter.step(Kind.NEAREST if nearest else Kind.RESIZE, reads[0], made, second, activation=int(last))
    step.op.option = int(not nearest and unit.settings["align_corners"])
    steps = steps_of(unit.settings, reads[0], made)
    step.op.step = type(step.op.step)(*steps)
    if not nearest:
        step.addresses["weights"] = (_pixels(emitter, reads[0], made, steps[1], bool(step.op.option)), 0)


def _pixels(emitter: Emitter, read: Value, made: Value, step: float, aligned: bool) -> Buffer:
    """Which pixels of a row each result reads."""
    key = ("pixels", read.w, made.w, step, aligned, read.pixel)
    return emitter.constant(key, lambda: pack.pixels(*_between(read.w, made.w, step, aligned), read.pixel))


def steps_of(settings: Mapping[str, Any], read: Value, made: Value) -> tuple[float, float]:
    """Input pixels per result pixel and axis, by the rule of `interpolate`."""
    scale = settings["scale"] or (None, None)
    aligned = settings["align_corners"] and settings["mode"] != "nearest"
    down = _step(read.h, made.h, scale[0], aligned)
    return down, _step(read.w, made.w, scale[1], aligned)


def _step(size: int, result: int, scale: Any, aligned: bool) -> float:
    if aligned:
        return (size - 1) / (result - 1) if result > 1 else 0.0
    return size / result if scale is None else 1 / float(scale)


def planar_resize(emitter: Emitter, unit: Unit, x: Value, made: Value, plane: int) -> None:
    """A resize whose result stands channel by channel, `plane` elements each, or is one label per pixel."""
    steps = steps_of(unit.settings, x, made)
    step = emitter.step(Kind.PLANAR_RESIZE, x, made, merged=int(unit.labels), run=plane)
    step.op.option, step.op.step = int(unit.settings["align_corners"]), type(step.op.step)(*steps)
    key = ("columns", x.w, made.w, steps[1], step.op.option)
    table = emitter.constant(key, lambda: pack.columns(*_between(x.w, made.w, steps[1], bool(step.op.option))))
    step.addresses["weights"] = (table, 0)
    step.scratch = x.c * (-(-x.w // LANES) + 2) * LANES * 4


def _between(before: int, after: int, step: float, aligned: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The columns that results fall between, and the share of the higher: all [after]."""
    index = torch.arange(after, dtype=torch.float64)
    position = index * step if aligned else (index + 0.5) * step - 0.5
    position = position.clamp(0, before - 1)
    low = position.floor().long()
    return low, (low + 1).clamp(max=before - 1), position - low


def guided(emitter: Emitter, unit: Unit, reads: list[Value], made: Value) -> None:
    x, offsets = reads
    settings, aligned = unit.settings, bool(unit.settings["align_corners"])
    steps = steps_of(settings, x, made)
    step = emitter.step(Kind.GUIDED, x, made, offsets, merged=int(unit.labels), option=int(aligned))
    step.op.step = type(step.op.step)(*steps)
    extents = ((size - 1 if aligned else size) / 2 for size in (x.h, x.w))
    units = {"output": steps, "input": (1.0, 1.0), "normalized": tuple(extents)}[settings["units"]]
    step.op.unit = type(step.op.unit)(*units)


EMITTERS: dict[str, Emit] = {
    "conv": convolution,
    "depthwise": depthwise,
    "sum": total,
    "scalar": scalar,
    "bn": norm,
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "global_pool": global_pool,
    "resize": resize,
    "guided_upsample": guided,
    **dict.fromkeys(BINARIES, merge),
    **dict.fromkeys(ACTIVATIONS, cast(Emit, activation)),
}
