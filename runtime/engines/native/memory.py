"""Where values live: maps in one arena that steps share over time, views of other maps, inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from archdsl.runtime.engines.native.descriptors import Address, Map

NONE, CONSTANT, ARENA, LOCAL, FIRST_INPUT = 0, 1, 2, 3, 4
"""Slots: no address, an absolute one, the arena, each thread's own memory, and the inputs, which the outputs follow."""

LANES = 16
_ALIGNMENT = 4096
# maps that start at the same place of a page would compete for the same lines of the cache
_STAGGER = 320


@dataclass(eq=False)
class Buffer:
    """Memory of a size in bytes, needed from one step to another. Its offset is set when all are known."""

    size: int
    slot: int = ARENA
    offset: int = 0
    first: int = 1 << 30
    last: int = -1

    def used(self, step: int) -> None:
        self.first, self.last = min(self.first, step), max(self.last, step)


@dataclass(frozen=True)
class Value:
    """A feature map in a buffer. Offset and strides in elements; `item` bytes each.

    From 16 channels to the next 16 it is `block`. Beside each row stand `margin` pixels of zeros on either side.
    """

    buffer: Buffer
    n: int
    h: int
    w: int
    c: int
    item: int
    pixel: int
    row: int
    image: int
    offset: int = 0
    block: int = LANES
    margin: int = 0

    @classmethod
    def dense(cls, buffer: Buffer, n: int, shape: tuple[int, int, int], item: int) -> Value:
        """A map of (channels, height, width), each pixel's channels together and nothing between."""
        c, h, w = shape
        return cls(buffer, n, h, w, c, item, c, c * w, c * w * h)

    @classmethod
    def blocked(cls, n: int, shape: tuple[int, int, int], item: int, margin: int) -> Value:
        """A map of which a row holds its first 16 channels, then the next, each with zeros beside."""
        c, h, w = shape
        block = LANES * (w + 2 * margin)
        row = c // LANES * block
        return cls(
            Buffer(n * h * row * item),
            n,
            h,
            w,
            c,
            item,
            LANES,
            row,
            row * h,
            margin * LANES,
            block=block,
            margin=margin,
        )

    def part(self, first: int, channels: int) -> Value:
        return replace(self, offset=self.offset + first // LANES * self.block + first % LANES, c=channels)

    def window(self, top: int, left: int, height: int, width: int) -> Value:
        return replace(self, offset=self.offset + top * self.row + left * self.pixel, h=height, w=width)

    @property
    def flat(self) -> Value | None:
        """The same with every pixel of an image in one row, where they stand at equal distances."""
        if self.block != LANES or (self.h > 1 and self.row != self.w * self.pixel):
            return None
        return replace(self, h=1, w=self.h * self.w)

    def map(self) -> Map:
        return Map(
            Address(), self.n, self.h, self.w, self.c, self.pixel, self.row, self.image, 0, self.block, self.margin
        )

    @property
    def byte(self) -> int:
        return self.offset * self.item


def place(buffers: Iterable[Buffer]) -> int:
    """Gives buffers their offsets, such that no two overlap that are needed at once; returns the bytes of the arena.

    The largest first, each as low as it fits.
    """
    placed: list[Buffer] = []
    for number, buffer in enumerate(sorted(buffers, key=lambda b: -b.size)):
        stagger = number % 8 * _STAGGER
        near = sorted(
            (other for other in placed if other.first <= buffer.last and buffer.first <= other.last),
            key=lambda other: other.offset,
        )
        offset = stagger
        for other in near:
            if offset + buffer.size <= other.offset:
                break
            offset = max(offset, _aligned(other.offset + other.size) + stagger)
        buffer.offset = offset
        placed.append(buffer)
    return max((buffer.offset + buffer.size for buffer in placed), default=0)


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
