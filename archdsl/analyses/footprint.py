"""What one channel of a value reads of the image along one axis, column by column, and how an op moves it.

Column c of a value reads a set of input columns. Strides and resizes make the set depend on c, but mostly with a
period: P columns further on, the set is the same one moved by a whole number A of input columns. So P sets tell all.
Where branches of different stride meet there is no period, and one longer than the map says too much; at a stated size
a set for each of the map's columns then tells all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor, gcd, lcm
from typing import NamedTuple, Protocol

from archdsl.analyses.positions import EMPTY, MAX_EXTENT, ORIGIN, Positions, union
from archdsl.ir.access import POINTWISE, Access, Context, Resample, TransposedWindow, Unread, Window
from archdsl.ir.graph import Ref

MAX_PHASES = 4096
FEW_PHASES = 32
MAX_WORK = 1 << 18
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

    def columns_from(self, c: int) -> range:
        """Columns that show all there is to see, from c on where it repeats."""
        return range(c, c + len(self.phases))

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


@dataclass(frozen=True, slots=True)
class Table(Footprint):
    """Column c reads phases[c], one set for each column that the map has at its stated size.

    `before` and `after` are what the columns next to the map's would read, as far as a window reaches over its edges.
    `pace` is the stride: that of the first branch, where branches of different stride met.
    """

    before: tuple[Positions, ...] = ()
    after: tuple[Positions, ...] = ()
    pace: Fraction = Fraction(1)

    def column(self, c: int) -> Positions:
        """What a column reads. Raises IndexError for one that the map has not, and nothing reaches over to."""
        if not -len(self.before) <= c < len(self.phases) + len(self.after):
            raise IndexError(f"column {c} of a map of {len(self.phases)}")
        if c < 0:
            return self.before[c]
        return self.phases[c] if c < len(self.phases) else self.after[c - len(self.phases)]

    def columns_from(self, c: int) -> range:
        return range(len(self.phases))

    @property
    def stride(self) -> Fraction:
        return self.pace

    @property
    def span(self) -> Span:
        return Span(len(self.phases), -len(self.before), len(self.phases) + len(self.after) - 1)


IMAGE = Footprint((ORIGIN,), 1)
NOTHING = Footprint((EMPTY,), 0)


class Span(NamedTuple):
    """How many columns a map has, and the first and the last that anything asks for, over its edges too."""

    columns: int
    first: int
    last: int


@dataclass(slots=True)
class Budget:
    """Counts the columns joined, so that sizes with awkward ratios end in a nominal answer and not in a long wait."""

    work: int = 0

    @property
    def left(self) -> int:
        return MAX_WORK - self.work


class Columns(Protocol):
    """What is known of the columns of a graph's values at a stated size, and what may still be spent on them."""

    budget: Budget

    def count(self, ref: Ref) -> int | None:
        """How many columns a map has; None where that depends on the input's size."""

    def span(self, ref: Ref) -> Span | None:
        """Which columns of it are asked for."""


class Room:
    """Where the footprint of a value is made."""

    __slots__ = ("_columns", "_ref", "budget")

    def __init__(self, columns: Columns, ref: Ref) -> None:
        self.budget, self._columns, self._ref = columns.budget, columns, ref

    def made(
        self, of: Sequence[Footprint], how: _Period, pace: Fraction, taps: int, at: _Column, *, drifting: bool = False
    ) -> Footprint:
        """The footprint whose column j is `at(j)`, carrying the marks of those it is made of.

        It repeats as `how` says, except where operands are `drifting` apart. Where that needs more columns than there
        is room for, the nearest stride with few phases takes the place of the true one.
        """
        cost = taps * (1 + (max((f.extent for f in of), default=0) >> 12))
        repeats = not drifting and not any(isinstance(f, Table) for f in of)
        if repeats and how.phases == 1:
            return self._repeated(of, how, pace, cost, at, exact=True)
        count = self._columns.count(self._ref)
        if count is not None and not (repeats and how.phases <= count):
            span = self._columns.span(self._ref)
            if span is not None and (span.last - span.first + 1) * cost <= self.budget.left:
                return self._table(of, span, pace, cost, at)
        return self._repeated(of, how, pace, cost, at, exact=repeats)

    def _table(self, of: Sequence[Footprint], span: Span, pace: Fraction, cost: int, at: _Column) -> Footprint:
        self.budget.work += (span.last - span.first + 1) * cost
        sets = tuple(map(at, range(span.first, span.last + 1)))
        start, end = -span.first, span.columns - span.first
        phases = sets[start:end]
        context, nominal = _marks(of, phases)
        return Table(phases, floor(pace * span.columns), context, nominal, sets[:start], sets[end:], pace)

    def _repeated(
        self, of: Sequence[Footprint], how: _Period, pace: Fraction, cost: int, at: _Column, *, exact: bool
    ) -> Footprint:
        few = FEW_PHASES if self.budget.left > -MAX_WORK else 1
        room = max(few, min(MAX_PHASES, self.budget.left // cost))
        if any(isinstance(f, Table) for f in of):
            room = min(room, self._columns.count(self._ref) or 1)
        if how.phases > room:
            stride = pace.limit_denominator(room) or Fraction(1, room)
            how, exact = _Period(stride.denominator, stride.numerator), False
        self.budget.work += how.phases * cost
        phases = tuple(map(at, range(how.phases)))
        context, nominal = _marks(of, phases)
        return Footprint(phases, how.advance, context, nominal or not exact)


class _Alike:
    """The columns of a footprint that was made already, for making another in its place."""

    def __init__(self, made: Footprint) -> None:
        self.budget, self._span = Budget(), made.span if isinstance(made, Table) else None

    def count(self, ref: Ref) -> int | None:
        return None if self._span is None else self._span.columns

    def span(self, ref: Ref) -> Span | None:
        return self._span


def room_of(made: Footprint) -> Room:
    """Room for a footprint that could stand in the place of another."""
    return Room(_Alike(made), Ref(""))


class _Period(NamedTuple):
    """So many columns further on, everything is moved by so many input columns."""

    phases: int
    advance: int


_Column = Callable[[int], Positions]


def _marks(of: Iterable[Footprint], phases: Iterable[Positions]) -> tuple[bool, bool]:
    marks = tuple(of)
    nominal = any(f.nominal for f in marks) or any(p.extent > MAX_EXTENT for p in phases)
    return any(f.context for f in marks), nominal


def read(x: Footprint, access: Access, room: Room) -> Footprint:
    """What an op sees of the image that accesses a value of footprint `x` in the given way."""
    match access:
        case Window():
            return _window(x, access, room)
        case Context(besides):
            return replace(NOTHING if besides is None else _window(x, besides, room), context=True)
        case Unread():
            return NOTHING
        case TransposedWindow():
            return _transposed(x, access, room)
        case Resample():
            return _resampled(x, access, room)


def _window(x: Footprint, w: Window, room: Room) -> Footprint:
    if w is POINTWISE:
        return x
    phases = len(x.phases)
    if phases == 1 and not isinstance(x, Table):
        reads = x.phases[0].shifted(-w.padding * x.advance).repeated(w.kernel, w.dilation * x.advance)
        nominal = x.nominal or w.nominal or reads.extent > MAX_EXTENT
        return Footprint((reads,), w.stride * x.advance, x.context, nominal)

    def column(j: int) -> Positions:
        first = w.stride * j - w.padding
        return union([x.column(first + w.dilation * i) for i in range(w.kernel)])

    period = phases // gcd(phases, w.stride)
    how = _Period(period, w.stride * period * x.advance // phases)
    result = room.made((x,), how, x.stride * w.stride, w.kernel, column)
    return replace(result, nominal=True) if w.nominal else result


def _transposed(x: Footprint, w: TransposedWindow, room: Room) -> Footprint:
    def column(j: int) -> Positions:
        reached = (j + w.padding - w.dilation * m for m in range(w.kernel))
        return union(x.column(r // w.stride) for r in reached if r % w.stride == 0)

    how = _Period(w.stride * len(x.phases), x.advance)
    return room.made((x,), how, x.stride / w.stride, w.kernel, column)


def _resampled(x: Footprint, r: Resample, room: Room) -> Footprint:
    phases = len(x.phases)
    period = r.scale.denominator * (phases // gcd(phases, r.scale.numerator))
    how = _Period(period, x.advance * int(r.scale * period) // phases)

    def column(j: int) -> Positions:
        return union(map(x.column, taps_at(r, j)))

    result = room.made((x,), how, x.stride * r.scale, ceil(r.taps * r.spread), column)
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


def joined(footprints: Iterable[Footprint], room: Room) -> Footprint:
    """What several channels, or the operands of one op, see together: the union, column by column.

    Operands whose strides differ drift apart and have no period: without a stated size, their first columns stand for
    the rest, nominal.
    """
    distinct = list(dict.fromkeys(footprints))
    if len(distinct) == 1:
        return distinct[0]
    seen = [f for f in distinct if not f.empty]
    result = _union(seen, room) if len(seen) > 1 else seen[0] if seen else NOTHING
    context, nominal = any(f.context for f in distinct), any(f.nominal for f in distinct) or result.nominal
    marked = (result.context, result.nominal) == (context, nominal)
    return result if marked else replace(result, context=context, nominal=nominal)


def _union(seen: list[Footprint], room: Room) -> Footprint:
    advance = seen[0].advance
    if all(len(f.phases) == 1 and f.advance == advance and not isinstance(f, Table) for f in seen):
        phases = (union([f.phases[0] for f in seen]),)
        context, nominal = _marks(seen, phases)
        return Footprint(phases, advance, context, nominal)
    pace = seen[0].stride
    period = lcm(*(len(f.phases) for f in seen))
    how = _Period(period, int(pace * period))
    drifting = any(f.stride != pace for f in seen)
    return room.made(seen, how, pace, len(seen), lambda j: union([f.column(j) for f in seen]), drifting=drifting)
