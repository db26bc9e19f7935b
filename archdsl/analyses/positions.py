"""A finite set of input columns (or rows), kept as its extent and the holes in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

MAX_EXTENT = 1 << 20


class Positions(NamedTuple):
    """The positions first..first+extent-1 without those whose bit is set in `holes` (bit 0 stands for `first`).

    The ends always belong to the set; extent 0 is the empty set. A set without holes costs the same however wide it is,
    which is why holes are kept and not members: most fields of view have none. Unions wider than MAX_EXTENT lose their
    holes; no network that is meant sees so far, and the bits of one that does would fill the memory.
    """

    first: int
    extent: int
    holes: int

    @property
    def members(self) -> int:
        """The set as bits, bit 0 standing for `first`."""
        return ((1 << self.extent) - 1) ^ self.holes

    def shifted(self, by: int) -> Positions:
        return Positions(self.first + by, self.extent, self.holes) if self.extent else self

    def repeated(self, count: int, step: int) -> Positions:
        """The union of `count` copies, each `step` ≥ 0 positions after the one before."""
        if count == 1 or not self.extent:
            return self
        extent = self.extent + (count - 1) * step
        if (not self.holes and step <= self.extent) or extent > MAX_EXTENT:
            return Positions(self.first, extent, 0)
        members, copies = self.members, 1
        while copies < count:
            more = min(copies, count - copies)
            members |= members << more * step
            copies += more
        return Positions(self.first, extent, ((1 << extent) - 1) ^ members)

    def stretched(self, factor: int) -> Positions:
        """Every member times a factor ≥ 1."""
        if factor == 1 or self.extent < 2:
            return Positions(self.first * factor, self.extent, self.holes)
        if not self.holes:
            return Positions(self.first * factor, 1, 0).repeated(self.extent, factor)
        if self.extent * factor > MAX_EXTENT:
            return Positions(self.first * factor, (self.extent - 1) * factor + 1, 0)
        apart = ("0" * (factor - 1)).join(format(self.members, "b"))
        return of_bits(int(apart, 2), self.first * factor)

    def ranges(self) -> tuple[tuple[int, int], ...]:
        """The members as runs (first, last)."""
        return tuple(_runs(self.members, self.first))

    def gaps(self) -> tuple[tuple[int, int], ...]:
        """The holes as runs (first, last)."""
        return tuple(_runs(self.holes, self.first)) if self.holes else ()


EMPTY = Positions(0, 0, 0)
ORIGIN = Positions(0, 1, 0)


def of_bits(bits: int, first: int) -> Positions:
    """The set whose members are the set bits, bit 0 standing for `first`."""
    if not bits:
        return EMPTY
    skipped = (bits & -bits).bit_length() - 1
    members = bits >> skipped
    extent = members.bit_length()
    return Positions(first + skipped, extent, ((1 << extent) - 1) ^ members)


def union(sets: Iterable[Positions]) -> Positions:
    """Every position of any of the sets."""
    parts = sorted({s for s in sets if s.extent})
    if len(parts) < 2:
        return parts[0] if parts else EMPTY
    end = parts[0].first
    for first, extent, holes in parts:
        if holes or first > end:
            return _overlaid(parts)
        end = max(end, first + extent)
    return Positions(parts[0].first, end - parts[0].first, 0)


def _overlaid(parts: list[Positions]) -> Positions:
    first = parts[0].first
    extent = max(p.first + p.extent for p in parts) - first
    if extent > MAX_EXTENT:
        return Positions(first, extent, 0)
    members = 0
    for part in parts:
        members |= part.members << (part.first - first)
    return Positions(first, extent, ((1 << extent) - 1) ^ members)


def _runs(bits: int, first: int) -> Iterator[tuple[int, int]]:
    """Runs of set bits, in order; linear in the number of bits where single-bit tricks would be quadratic."""
    for run in re.finditer("1+", format(bits, "b")[::-1]):
        yield first + run.start(), first + run.end() - 1
