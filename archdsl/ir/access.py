"""Which input positions one output position reads, along one axis: the vocabulary of every field-of-view analysis."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Window:
    """Output j reads input stride·j - padding + dilation·i for i in 0..kernel-1 (convolutions, pools).

    `nominal` marks a padding that depends on the input's size: a crop around the centre.
    """

    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    padding: int = 0
    nominal: bool = False


@dataclass(frozen=True, slots=True)
class TransposedWindow:
    """Output j reads every input i with stride·i - padding + dilation·m = j for an m in 0..kernel-1."""

    kernel: int
    stride: int
    dilation: int
    padding: int


@dataclass(frozen=True, slots=True)
class Resample:
    """Output j reads the input around position scale·j + offset: one tap (nearest), 2 (linear) or 4 (cubic) taps.

    `scale` is input pixels per output pixel. Taps of zero weight do not count. `nominal` marks a scale that depends on
    the input's size, and is then the ratio of the two strides. `spread` is by how much antialiasing widens the taps:
    linear ones then reach `spread` input pixels to either side, cubic ones twice that.
    """

    scale: Fraction
    offset: Fraction
    taps: int
    nominal: bool = False
    spread: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class Context:
    """Output reads everything, or what the data say: global pooling, bilateral filters, learned offsets.

    An operand of extent 1 that is spread over the axis is read so too: no position reads another part of it.
    `besides` is what is read at a known place all the same: group normalisation reads the position it normalises.
    """

    besides: Window | None = None


@dataclass(frozen=True, slots=True)
class Unread:
    """The operand gives its size only (`like=`)."""


Access = Window | TransposedWindow | Resample | Context | Unread

POINTWISE = Window()
