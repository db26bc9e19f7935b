"""What one channel of a value reads of the image along one axis, column by column, and how an op moves it.

Column c of a value reads a set of input columns. Strides and resizes make the set depend on c, but always with a
period: P columns further on, the set is the same one moved by a whole number A of input columns. So P sets tell all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor, gcd, lcm

from archdsl.analyses.positions import EMPTY, MAX_EXTENT, ORIGIN, Positions, union
from archdsl.ir.access import POINTWISE, Access, Context, Resample, TransposedWindow, Unread, Window

MAX_PHASES = 4096
FEW_PHASES = 32
MAX_WORK = 1 << 19
"""Columns that may be joined in one analysis before values are held to FEW_PHASES."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Column c reads phases[c mod P] moved by advance · (c div P) input columns, P the number of phases.

    `context` and `nominal` are the marks of a value: also reached by a path that sees everything or anything; worked
    out with a ratio of sizes that may not be the true one, or beyond the limits of this analysis.
    """

    phases: tuple[Positions, ...]
    advance: int
    context: bool = False
    nominal: bool = False

    def column(self, c: int) -> Positions:
        turn, phase = divmod(c, len(self.phases))
        return self.phases[phase].shifted(turn * self.advance)

    @property
    def stride(self) -> Fraction:
        """Input columns per column of the value."""
        return Fraction(self.advance, len(self.phases))

    @property
    def empty(self) -> bool:
        return not any(p.extent for p in self.phases)

    @property
    def has_gap(self) -> bool:
        return any(p.holes for p in self.phases)

    @property
    def extent(self) -> int:
        """Field of view: the widest extent of any column, holes counted, in input columns."""
        return max(p.extent for p in self.phases)


IMAGE = Footprint((ORIGIN,), 1)
NOTHING = Footprint((EMPTY,), 0)


class Budget:
    """Counts the columns joined, so that sizes with awkward ratios end in a nominal answer and not in a long wait."""

    def __init__(self) -> None:
        self.work = 0

    def periodic(
        self, of: Iterable[Footprint], period: int, advance: int, taps: int, column: Callable[[int], Positions]
    ) -> Footprint:
        """The footprint made of `column(j)` for one period, carrying the marks of those it is made of.

        With more phases than there is room for, the nearest ratio with few takes the place of the true one.
        """
        marks = tuple(of)
        nominal = any(f.nominal for f in marks)
        cost = taps * (1 + (max((f.extent for f in marks), default=0) >> 12))
        room = max(FEW_PHASES, min(MAX_PHASES, (MAX_WORK - self.work) // cost))
        if period > room:
            stride = Fraction(advance, period).limit_denominator(room) or Fraction(1, room)
            period, advance, nominal = stride.denominator, stride.numerator, True
        self.work += period * cost
        phases = tuple(map(column, range(period)))
        nominal = nominal or any(p.extent > MAX_EXTENT for p in phases)
        return Footprint(phases, advance, any(f.context for f in marks), nominal)


def read(x: Footprint, access: Access, budget: Budget) -> Footprint:
    """What an op sees of the image that accesses a value of footprint `x` in the given way."""
    match access:
        case Window():
            return _window(x, access, budget)
        case Context(besides):
            return replace(NOTHING if besides is None else _window(x, besides, budget), context=True)
        case Unread():
            return NOTHING
        case TransposedWindow():
            return _transposed(x, access, budget)
        case Resample():
            return _resampled(x, access, budget)


def _window(x: Footprint, w: Window, budget: Budget) -> Footprint:
    if w == POINTWISE:
        return x
    phases = len(x.phases)
    period = phases // gcd(phases, w.stride)
    advance = w.stride * period // phases * x.advance

    def column(j: int) -> Positions:
        first = w.stride * j - w.padding
        if phases == 1:
            return x.column(first).repeated(w.kernel, w.dilation * x.advance)
        return union(x.column(first + w.dilation * i) for i in range(w.kernel))

    result = budget.periodic((x,), period, advance, w.kernel, column)
    return replace(result, nominal=True) if w.nominal else result


def _transposed(x: Footprint, w: TransposedWindow, budget: Budget) -> Footprint:
    def column(j: int) -> Positions:
        reached = (j + w.padding - w.dilation * m for m in range(w.kernel))
        return union(x.column(r // w.stride) for r in reached if r % w.stride == 0)

    return budget.periodic((x,), w.stride * len(x.phases), x.advance, w.kernel, column)


def _resampled(x: Footprint, r: Resample, budget: Budget) -> Footprint:
    phases = len(x.phases)
    period = r.scale.denominator * (phases // gcd(phases, r.scale.numerator))
    advance = x.advance * int(r.scale * period) // phases

    def column(j: int) -> Positions:
        return union(map(x.column, taps_at(r, j)))

    result = budget.periodic((x,), period, advance, ceil(r.taps * r.spread), column)
    return replace(result, nominal=True) if r.nominal else result


def taps_at(r: Resample, j: int) -> list[int]:
    """The input columns of nonzero weight that output column j of a resize reads (PyTorch's `interpolate`)."""
    position = r.scale * j + r.offset
    if r.taps == 1:
        return [floor(position)]
    half = r.spread * (r.taps // 2)
    candidates = range(floor(position - half) + 1, ceil(position + half))
    # the cubic kernel is zero at distance 1 as well as at its ends
    return [i for i in candidates if r.taps == 2 or abs(i - position) != r.spread]


def joined(footprints: Iterable[Footprint], budget: Budget) -> Footprint:
    """What several channels, or the operands of one op, see together: the union, column by column.

    Operands whose strides differ drift apart and have no period: their first columns then stand for the rest, nominal.
    """
    distinct = list(dict.fromkeys(footprints))
    if len(distinct) == 1:
        return distinct[0]
    seen = [f for f in distinct if not f.empty]
    result = _union(seen, budget) if len(seen) > 1 else seen[0] if seen else NOTHING
    context, nominal = any(f.context for f in distinct), any(f.nominal for f in distinct) or result.nominal
    marked = (result.context, result.nominal) == (context, nominal)
    return result if marked else replace(result, context=context, nominal=nominal)


def _union(seen: list[Footprint], budget: Budget) -> Footprint:
    period = lcm(*(len(f.phases) for f in seen))
    advance = int(seen[0].stride * period)
    result = budget.periodic(seen, period, advance, len(seen), lambda j: union(f.column(j) for f in seen))
    drifting = any(f.stride != seen[0].stride for f in seen)
    return replace(result, nominal=True) if drifting and not result.nominal else result
