"""Numbers as people read them: 3.33 M, 38.4 G, 1/16, 0.42 ms."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from archdsl.ir.graph import MapType

_STEPS = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))


def short(count: int) -> str:
    """A count in three digits: `3.33M`; zero is `-`, so that columns show where there is something."""
    if count < 1000:
        return str(count) if count else "-"
    for size, letter in _STEPS:
        # 999,500 in three digits is 1.00M and not 1000k
        if count * 1000 >= size * 999.5:
            scaled = count / size
            digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
            return f"{scaled:.{digits}f}{letter}"
    return str(count)


def data(count: int) -> str:
    """A number of bytes in three digits: `12.6MB`."""
    return f"{short(count)}B" if count else "-"


def milliseconds(seconds: float) -> str:
    """A time in milliseconds, to three digits where it is short."""
    ms = seconds * 1000
    if ms == 0:
        return "-"
    return f"{ms:.3f}" if ms < 1 else f"{ms:.2f}" if ms < 100 else f"{ms:.0f}"


def percent(share: float) -> str:
    """A share of a whole: `12.5%`."""
    return f"{share * 100:.1f}%" if share < 0.9995 else f"{share * 100:.0f}%"


def fraction(scale: Fraction) -> str:
    """A resolution relative to the input: `1/16`, or `1` for the input's own."""
    return str(scale.numerator) if scale.denominator == 1 else f"{scale.numerator}/{scale.denominator}"


def shape(of: MapType, values: Mapping[str, int] | None = None) -> str:
    """Channels, height and width; numbers where the input's size is given."""
    at = of if values is None else of.at(values)
    return f"{at.channels} × {at.height} × {at.width}"


def sequence(numbers: tuple[int, ...]) -> str:
    """Numbers one after the other: `1, 14`."""
    return ", ".join(map(str, numbers))
