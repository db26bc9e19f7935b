"""Sizes that are known only up to the input's height and width, compared by value.

A size is an `int` or a `Dim`: a linear form over symbols (`H`, `W`) and floor divisions of linear forms. Every such
form f of one symbol satisfies f(n + P) = f(n) + c for a period P and all n, so two forms are equal for every n exactly
when they agree on one period and grow alike; and the n for which they agree are a set of remainders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from math import gcd, lcm


@dataclass(frozen=True, slots=True)
class Floor:
    """⌊numerator / divisor⌋, with a divisor above 1 that no further simplification removes."""

    numerator: Dim
    divisor: int


Atom = str | Floor


@dataclass(frozen=True)
class Dim:
    """constant + Σ coefficient · atom, with at least one atom. Sizes without symbols are plain ints."""

    terms: tuple[tuple[Atom, int], ...]
    constant: int = 0

    def __add__(self, other: Size) -> Size:
        if isinstance(other, int):
            return Dim(self.terms, self.constant + other)
        return _linear([*self.terms, *other.terms], self.constant + other.constant)

    __radd__ = __add__

    def __neg__(self) -> Dim:
        return Dim(tuple((atom, -c) for atom, c in self.terms), -self.constant)

    def __sub__(self, other: Size) -> Size:
        return self + (-other)

    def __rsub__(self, other: int) -> Size:
        return -self + other

    def __mul__(self, factor: int) -> Size:
        if not isinstance(factor, int):
            return NotImplemented
        return _linear([(atom, c * factor) for atom, c in self.terms], self.constant * factor)

    __rmul__ = __mul__

    def __floordiv__(self, divisor: int) -> Size:
        if not isinstance(divisor, int):
            return NotImplemented
        return floor_div(self, divisor)

    def __mod__(self, divisor: int) -> Size:
        if not isinstance(divisor, int):
            return NotImplemented
        return self - (self // divisor) * divisor

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.terms, self.constant))

    @cached_property
    def symbols(self) -> frozenset[str]:
        found: set[str] = set()
        for atom, _ in self.terms:
            found |= {atom} if isinstance(atom, str) else atom.numerator.symbols
        return frozenset(found)

    @cached_property
    def period(self) -> int:
        """A P with f(n + P) - f(n) the same for all n."""
        return lcm(1, *(atom.divisor * atom.numerator.period for atom, _ in self.terms if isinstance(atom, Floor)))

    def at(self, values: Mapping[str, int]) -> int:
        """The size for given symbols. Raises KeyError for a symbol without a value."""
        total = self.constant
        for atom, coefficient in self.terms:
            if isinstance(atom, str):
                total += coefficient * values[atom]
            else:
                total += coefficient * (atom.numerator.at(values) // atom.divisor)
        return total

    def __str__(self) -> str:
        parts: list[str] = []
        for atom, coefficient in self.terms:
            sign = "-" if coefficient < 0 else "+"
            size = "" if abs(coefficient) == 1 else f"{abs(coefficient)}·"
            parts += [sign, f"{size}{_atom_text(atom)}"]
        if self.constant:
            parts += ["-" if self.constant < 0 else "+", str(abs(self.constant))]
        text = " ".join(parts)
        return text[2:] if text.startswith("+ ") else "-" + text[2:]


Size = int | Dim


def _atom_text(atom: Atom) -> str:
    if isinstance(atom, str):
        return atom
    rounded_up = atom.numerator - (atom.divisor - 1)
    if isinstance(rounded_up, Dim) and rounded_up.constant == 0:
        inner, left, right = str(rounded_up), "⌈", "⌉"
    else:
        inner, left, right = str(atom.numerator), "⌊", "⌋"
    return f"{left}({inner})/{atom.divisor}{right}" if " " in inner else f"{left}{inner}/{atom.divisor}{right}"


def symbol(name: str) -> Dim:
    """A size known only by name."""
    return Dim(((name, 1),))


def _linear(terms: list[tuple[Atom, int]], constant: int) -> Size:
    merged: dict[Atom, int] = {}
    for atom, coefficient in terms:
        merged[atom] = merged.get(atom, 0) + coefficient
    kept = tuple(sorted(((a, c) for a, c in merged.items() if c), key=lambda item: _atom_text(item[0])))
    return Dim(kept, constant) if kept else constant


@lru_cache(maxsize=65536)
def floor_div(size: Size, divisor: int) -> Size:
    """⌊size / divisor⌋, simplified so that nested strides give one division. Raises ZeroDivisionError."""
    if divisor == 0:
        raise ZeroDivisionError
    if isinstance(size, int):
        return size // divisor
    if divisor < 0:
        return floor_div(-size, -divisor)
    whole = [(atom, c // divisor) for atom, c in size.terms]
    rest = [(atom, c % divisor) for atom, c in size.terms if c % divisor]
    shift, constant = divmod(size.constant, divisor)
    outside = _linear(whole, shift)
    return outside + _floor_rest(rest, constant, divisor)


def _floor_rest(rest: list[tuple[Atom, int]], constant: int, divisor: int) -> Size:
    """⌊(rest + constant) / divisor⌋ with every number of `rest` in 1..divisor-1 and 0 ≤ constant < divisor."""
    if not rest:
        return 0
    common = gcd(divisor, *(c for _, c in rest))
    if common > 1:
        return floor_div(_linear([(a, c // common) for a, c in rest], constant // common), divisor // common)
    atom, coefficient = rest[0]
    if len(rest) == 1 and coefficient == 1 and isinstance(atom, Floor):
        return floor_div(atom.numerator + constant * atom.divisor, atom.divisor * divisor)
    numerator = _linear(rest, constant)
    assert isinstance(numerator, Dim)
    return Dim(((Floor(numerator, divisor), 1),))


def ceil_div(size: Size, divisor: int) -> Size:
    """⌈size / divisor⌉."""
    return floor_div(size + (divisor - 1), divisor)


def value_at(size: Size, values: Mapping[str, int]) -> int:
    return size if isinstance(size, int) else size.at(values)


MAX_PERIOD = 1 << 16


@dataclass(frozen=True)
class Solutions:
    """The n ≥ minimum for which something holds: n mod `modulus` in `remainders`, or just those in `only`."""

    modulus: int = 1
    remainders: tuple[int, ...] = (0,)
    minimum: int = 1
    only: tuple[int, ...] | None = None

    @property
    def empty(self) -> bool:
        return not self.remainders if self.only is None else not self.only

    @property
    def free(self) -> bool:
        return self.only is None and len(self.remainders) == self.modulus and self.minimum <= 1

    def allows(self, n: int) -> bool:
        if self.only is not None:
            return n in self.only
        return n >= self.minimum and n % self.modulus in self.remainders

    @property
    def least(self) -> int:
        """The smallest size allowed, 0 when none is."""
        if self.only is not None:
            return min(self.only, default=0)
        return self._first(self.minimum)

    def _first(self, start: int) -> int:
        """The smallest n from `start` on whose remainder fits."""
        return next((n for n in range(start, start + self.modulus) if n % self.modulus in self.remainders), 0)

    def nearest(self, n: int) -> int | None:
        """The allowed size closest to n, the larger of two; None when nothing is allowed."""
        if self.empty:
            return None
        if self.only is not None:
            return min(self.only, key=lambda m: (abs(m - n), -m))
        start = max(n, self.minimum)
        above = next(m for m in range(start, start + self.modulus + 1) if self.allows(m))
        below = next((m for m in range(n, max(self.minimum, n - self.modulus) - 1, -1) if self.allows(m)), above)
        return above if above - n <= n - below or below > n else below

    def __and__(self, other: Solutions) -> Solutions:
        minimum = max(self.minimum, other.minimum)
        if self.only is not None or other.only is not None:
            finite, rule = (self, other) if self.only is not None else (other, self)
            assert finite.only is not None
            return Solutions(only=tuple(n for n in finite.only if rule.allows(n) and n >= minimum))
        modulus = lcm(self.modulus, other.modulus)
        if modulus > MAX_PERIOD:
            return self
        remainders = tuple(
            r for r in range(modulus) if r % self.modulus in self.remainders and r % other.modulus in other.remainders
        )
        return Solutions(modulus, remainders, minimum).reduced()

    def reduced(self) -> Solutions:
        """The same set with the smallest modulus."""
        for m in sorted(d for d in range(1, self.modulus + 1) if self.modulus % d == 0):
            kept = sorted({r % m for r in self.remainders})
            if len(kept) * (self.modulus // m) == len(self.remainders):
                return Solutions(m, tuple(kept), self.minimum)
        return self

    def __str__(self) -> str:
        if self.only is not None:
            return "only " + ", ".join(map(str, self.only)) if self.only else "no size"
        least = f", at least {self.least}" if self.least > self._first(1) else ""
        if self.modulus == 1:
            return "any size" + least if self.remainders else "no size"
        forms = [f"{self.modulus}n" + (f" + {r}" if r else "") for r in self.remainders]
        return (" or ".join(forms) if len(forms) <= 4 else f"{len(forms)} remainders of {self.modulus}") + least


def same(a: Size, b: Size) -> bool:
    """Whether two sizes are equal for every value of their symbols."""
    difference = a - b
    if isinstance(difference, int):
        return difference == 0
    if len(difference.symbols) != 1 or difference.period > MAX_PERIOD:
        return False
    (name,) = difference.symbols
    period = difference.period
    return all(difference.at({name: n}) == 0 for n in range(period + 1))


def growth(size: Size) -> Fraction:
    """By how much a size grows per input pixel: the inverse of the stride."""
    if isinstance(size, int):
        return Fraction(0)
    ends = [size.at(dict.fromkeys(size.symbols, n)) for n in (0, size.period)]
    return Fraction(ends[1] - ends[0], size.period)


MAX_STEPS_TRIED = 64


@lru_cache(maxsize=4096)
def grows(size: Dim) -> bool:
    """Whether a size becomes larger as the input does, and never smaller on the way."""
    if _only_adds(size):
        return True
    if growth(size) <= 0 or size.period > MAX_STEPS_TRIED:
        return False
    values = [size.at(dict.fromkeys(size.symbols, n)) for n in range(size.period + 1)]
    return values == sorted(values)


def _only_adds(size: Dim) -> bool:
    return all(c > 0 and (isinstance(atom, str) or _only_adds(atom.numerator)) for atom, c in size.terms)


def equal_for(a: Size, b: Size) -> Solutions:
    """For which n ≥ 1 of their one symbol two sizes are equal."""
    difference = a - b
    if isinstance(difference, int):
        return Solutions() if difference == 0 else Solutions(1, ())
    (name,) = difference.symbols
    period = min(difference.period, MAX_PERIOD)
    values = [difference.at({name: n}) for n in range(period + 1)]
    growth = values[period] - values[0]
    if growth == 0:
        return Solutions(period, tuple(n for n in range(period) if values[n] == 0)).reduced()
    # along one remainder the difference grows evenly, and is zero at most once
    meetings = ((n, -value // growth) for n, value in enumerate(values[:period]) if value % growth == 0)
    found = (n + rounds * period for n, rounds in meetings if rounds >= 0)
    return Solutions(only=tuple(sorted(n for n in found if n >= 1)))


def at_least(size: Size, least: int) -> Solutions:
    """For which n of its one symbol a size is at least `least`.

    Where it grows, from the n on from which it always is: smaller n at which it happens to be are left out.
    """
    if isinstance(size, int):
        return Solutions() if size >= least else Solutions(1, ())
    (name,) = size.symbols
    period = min(size.period, MAX_PERIOD)
    values = [size.at({name: n}) for n in range(period + 1)]
    grown = values[period] - values[0]
    if grown == 0:
        return Solutions(period, tuple(n for n in range(period) if values[n] >= least)).reduced()
    if grown < 0:
        last = (max(values) - least) // -grown * period + period
        return Solutions(only=tuple(n for n in range(1, last + 1) if size.at({name: n}) >= least))
    firsts = (n + max(-((values[n] - least) // grown), 0) * period for n in range(period))
    return Solutions(minimum=max(1, *(first - period + 1 for first in firsts)))


def positive_for(size: Size, least: int = 1) -> Solutions:
    """From which n on the one symbol of a size makes it at least `least`. Sizes never shrink as the input grows."""
    if isinstance(size, int):
        return Solutions() if size >= least else Solutions(1, ())
    (name,) = size.symbols
    low, high = 0, 1
    while size.at({name: high}) < least:
        low, high = high, high * 2
        if high > 1 << 24:
            return Solutions(1, ())
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if size.at({name: middle}) >= least else (middle, high)
    return Solutions(minimum=high)
