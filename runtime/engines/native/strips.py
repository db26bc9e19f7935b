"""Neighbouring steps in strips: each thread takes a strip of the image through all of them, a few rows at a time.

What one step makes is in cache when the next reads it, and a map that nothing else reads is never whole: its last few
rows are kept. At the seams of strips some rows are computed twice, so it is done where that costs little.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor

import torch
from archdsl.runtime.engines.native.descriptors import Kind, Op
from archdsl.runtime.engines.native.emit import Emitter, Step, TorchStep
from archdsl.runtime.engines.native.memory import ARENA, LOCAL, Buffer, Value

_KINDS = (Kind.CONV, Kind.DEPTHWISE, Kind.BINARY, Kind.AFFINE, Kind.POOL, Kind.RESIZE, Kind.NEAREST)
_WINDOWS = (Kind.CONV, Kind.DEPTHWISE, Kind.POOL)
_AGAIN = 1.07
"""Work in strips over work in one piece, at most."""

_LOCAL_BYTES = 832 << 10  # most of a second cache of 1 MiB
_SAVED_BYTES = 1 << 20
_LEAST_ROWS = 32

Span = tuple[int, int]


def in_strips(emitter: Emitter, steps: list[Step | TorchStep]) -> list[Step | TorchStep]:
    """The same steps, those that gain from it joined."""
    found: list[Step | TorchStep] = []
    at = 0
    while at < len(steps):
        group = _longest(emitter, steps, at)
        if group is None:
            found.append(steps[at])
            at += 1
        else:
            found.append(_joined(emitter, group))
            at += len(group.members)
    return found


def _longest(emitter: Emitter, steps: list[Step | TorchStep], at: int) -> _Group | None:
    """The longest run of steps from one on that may be joined, if that saves anything."""
    best, members = None, list[Step]()
    for step in steps[at:]:
        if not isinstance(step, Step) or not _fits(step) or (members and not _linked(members, step)):
            break
        members.append(step)
        others = [other for other in steps if other not in members]
        group = next((g for strips in (4, 2) if (g := _Group(emitter, members[:], others, strips)).valid), None)
        if len(members) > 1 and group is None:
            break
        best = group if len(members) > 1 else None
    return best if best is not None and best.saved >= _SAVED_BYTES else None


def _fits(step: Step) -> bool:
    """Whether a step can make its rows in any order, and more than once."""
    in_place = step.made.buffer in [value.buffer for value in (step.read, step.second) if value is not None]
    return Kind(step.op.kind) in _KINDS and not in_place and not step.op.panels_outside and step.made.h >= _LEAST_ROWS


def _linked(members: list[Step], step: Step) -> bool:
    touched = {value.buffer for member in members for value in _maps(member)}
    return any(value.buffer in touched for value in (step.read, *([step.second] if step.second else [])))


def _maps(step: Step) -> Iterator[Value]:
    yield from (value for value in (step.read, step.second, step.made) if value is not None)


def needed(step: Step, rows: Span) -> Span:
    """Rows of its first operand that a step reads for rows of its result."""
    first, last = rows
    op, kind = step.op, Kind(step.op.kind)
    if kind in _WINDOWS:
        low = first * op.stride[0] - op.padding[0]
        high = (last - 1) * op.stride[0] - op.padding[0] + (op.kernel[0] - 1) * op.dilation[0] + 1
    elif kind in (Kind.RESIZE, Kind.NEAREST):
        # a row more on either side covers every rule of rounding
        low, high = (floor(i * op.step[0]) + more for i, more in ((first, -1), (last - 1, 3)))
    else:
        low, high = first, last
    return max(low, 0), min(high, step.read.h)


@dataclass
class _Made:
    """Of a map, while turns are worked out: rows before this one are made; -1 where none is."""

    done: int = -1


class _Group:
    """Some steps, cut into strips per thread; `valid` when that costs little enough."""

    def __init__(self, emitter: Emitter, members: list[Step], others: list[Step | TorchStep], per_thread: int) -> None:
        self.members, self.strips = members, per_thread * emitter.threads
        self.local = self._locals(others)
        self.turns = max(1, min(step.made.h for step in members) // self.strips)
        self.rings: dict[Buffer, int] = dict.fromkeys(self.local, 0)
        self.spans: list[list[list[Span]]] = []
        self.valid = self._sums_inside(others) and self.turns > 1
        if self.valid:
            self.spans = [self._strip(strip) for strip in range(self.strips)]
            self.valid = self._counts_once() and self._work() <= _AGAIN and self._local_bytes <= _LOCAL_BYTES

    def _locals(self, others: list[Step | TorchStep]) -> list[Buffer]:
        """Buffers that only members touch, and write before they read."""
        outside: set[Buffer] = set()
        for other in others:
            outside |= other.buffers if isinstance(other, TorchStep) else {value.buffer for value in _maps(other)}
        found: dict[Buffer, bool] = {}
        for step in self.members:
            for value in _maps(step):
                whole = value.offset < value.row and value.buffer.slot == ARENA and value.row > 0
                found.setdefault(value.buffer, value is step.made)
                found[value.buffer] &= whole and value.buffer not in outside
        return [buffer for buffer, local in found.items() if local]

    def _sums_inside(self, others: list[Step | TorchStep]) -> bool:
        """Whether partial sums over a map, which go by strips, are made by members alone."""
        mine = {step.addresses["sums"][0] for step in self.members if "sums" in step.addresses}
        theirs = [step for step in others if isinstance(step, Step) and step.op.kind != Kind.MEAN]
        return not any("sums" in step.addresses and step.addresses["sums"][0] in mine for step in theirs)

    def _bytes(self, buffer: Buffer) -> int:
        rows = {value.row * value.item for step in self.members for value in _maps(step) if value.buffer is buffer}
        return -(-max(rows) * self.rings[buffer] // 64) * 64 + 320

    @property
    def saved(self) -> int:
        """Bytes of maps that are not written as a whole."""
        return sum(buffer.size for buffer in self.local)

    @property
    def _local_bytes(self) -> int:
        return sum(self._bytes(buffer) for buffer in self.local)

    def _rows_made(self, member: int) -> int:
        return sum(max(0, turn[member][1] - turn[member][0]) for strip in self.spans for turn in strip)

    def _counts_once(self) -> bool:
        """Whether no row that is summed is made twice."""
        return all(
            "sums" not in step.addresses or self._rows_made(i) == step.made.h for i, step in enumerate(self.members)
        )

    def _work(self) -> float:
        """Work in strips over work in one piece."""
        computed = sum(self._rows_made(i) * _cost(step) for i, step in enumerate(self.members))
        return computed / sum(step.made.h * _cost(step) for step in self.members)

    def _strip(self, strip: int) -> list[list[Span]]:
        """Rows by turn and member."""
        states = [_Made() for _ in self.members]
        return [self._turn(strip, turn, states) for turn in range(self.turns)]

    def _turn(self, strip: int, turn: int, states: list[_Made]) -> list[Span]:
        wanted: dict[Buffer, list[Span]] = {}
        spans: list[Span] = []
        for step, state in reversed(list(zip(self.members, states, strict=True))):
            rows = self._rows(step, state, strip, turn, wanted.get(step.made.buffer, []))
            spans.append(rows)
            if rows[0] < rows[1]:
                wanted.setdefault(step.read.buffer, []).append(needed(step, rows))
                if step.second is not None and step.second.row:
                    wanted.setdefault(step.second.buffer, []).append(rows)
        for buffer, rows_read in wanted.items():
            self._keep(buffer, rows_read, states)
        return spans[::-1]

    def _rows(self, step: Step, state: _Made, strip: int, turn: int, reads: list[Span]) -> Span:
        """Rows of a result that are made at a turn: those read now and, of a map that stays, the strip's own share."""
        wanted = list(reads)
        if step.made.buffer not in self.rings:
            start, end = (step.made.h * i // self.strips for i in (strip, strip + 1))
            wanted.append((start, start + (end - start) * (turn + 1) // self.turns))
        if state.done < 0:
            state.done = min((low for low, _ in wanted), default=-1)
        first = state.done
        state.done = max(state.done, *(high for _, high in wanted)) if wanted else state.done
        return first, state.done

    def _keep(self, buffer: Buffer, reads: list[Span], states: list[_Made]) -> None:
        if buffer in self.rings:
            tops = [state.done for step, state in zip(self.members, states, strict=True) if step.made.buffer is buffer]
            self.rings[buffer] = max(self.rings[buffer], max(tops) - min(low for low, _ in reads))


def _cost(step: Step) -> float:
    """Of a row, in about the time of a vector operation."""
    width, channels = step.made.w, step.made.c
    taps = step.op.kernel[0] * step.op.kernel[1]
    inputs = step.read.c // step.op.groups if step.op.kind == Kind.CONV else 1
    return width * channels * (taps * inputs + 8)


def _joined(emitter: Emitter, group: _Group) -> Step:
    """The members of a group as one step."""
    members, first = group.members, group.members[0]
    last = members[-1]
    spans = torch.tensor(group.spans, dtype=torch.int32).contiguous()
    table = emitter.constant(("spans", first.position, spans.numpy().tobytes()), lambda: spans)
    op = Op(kind=Kind.STRIPS, input=last.read.map(), output=last.made.map())
    op.groups, op.panels, op.pieces, op.rows = 1, len(members), group.strips, group.turns
    step = Step(op, first.position, last.read, last.made, addresses={"weights": (table, 0)}, members=members)
    for member in members:
        _hold(member, members)
        member.in_rows()
        member.keep()
        _resum(emitter, member, group.strips)
    offset = 0
    for buffer in group.local:
        _shorten(members, buffer, group.rings[buffer], offset)
        offset += group._bytes(buffer)
    step.local = offset
    return step


def _hold(member: Step, members: list[Step]) -> None:
    """Members run by turns: what one of them touches is needed as long as any of them runs."""
    for buffer, _ in member.addresses.values():
        for other in members:
            buffer.used(other.position)


def _resum(emitter: Emitter, member: Step, strips: int) -> None:
    """Partial sums of a member go by strips."""
    if "sums" not in member.addresses:
        return
    sums, _ = member.addresses["sums"]
    for step in (member, *emitter.steps):
        if step.addresses.get("sums", (None, 0))[0] is sums:
            step.op.pieces = strips
    sums.size = member.made.n * strips * member.op.sums_channels * 4


def _shorten(members: list[Step], buffer: Buffer, ring: int, offset: int) -> None:
    """A map becomes its last rows, in each thread's own memory."""
    buffer.slot, buffer.offset, buffer.last = LOCAL, offset, -1
    for step in members:
        for name, value in (("input", step.read), ("second", step.second), ("output", step.made)):
            if value is not None and value.buffer is buffer:
                getattr(step.op, name).ring = ring
                getattr(step.op, name).image = 0
