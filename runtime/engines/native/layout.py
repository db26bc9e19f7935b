"""Which maps stand in blocks of 16 channels, with zeros beside each row: those that grouped convolutions alone read.

Pixel by pixel a group of 16 reads part of a line of the cache; in blocks it reads whole lines, and at the
edges of the map nothing has to be copied.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from archdsl.runtime.engines.native.memory import LANES
from archdsl.runtime.engines.native.units import Sized, Unit

from archdsl.ir.graph import Ref

_WIDEST = 8
"""Pixels of a margin; at larger rates the taps outside the map are left out instead."""


def blocks_margin(sized: Sized, units: list[Unit], outputs: Collection[Ref], unit: Unit) -> int | None:
    """Pixels of zeros beside the rows of a unit's result, where it may stand in blocks; None where it may not."""
    if not (unit.native and unit.op == "conv" and _by_taps(sized, unit)):
        return None
    readers = list(_readers(sized, units, outputs, unit.output))
    if not readers or not all(each is not None and _takes_blocks(sized, each) for each in readers):
        return None
    needed = [beyond(sized, each) for each in readers if each is not None]
    return max((margin for margin in needed if margin <= _WIDEST), default=0)


def _by_taps(sized: Sized, unit: Unit) -> bool:
    """Whether a convolution is neither depthwise nor one that may be computed in tiles."""
    s, read = unit.settings, sized.shape(unit.inputs[0])[0]
    return s["groups"] != read and not (s["kernel"] == (3, 3) and s["stride"] == (1, 1) and s["groups"] == 1)


def _readers(sized: Sized, units: list[Unit], outputs: Collection[Ref], ref: Ref) -> Iterator[Unit | None]:
    """The units that read a value, through splits into whole blocks; None for any other use of it."""
    if ref in outputs:
        yield None
    for unit in (each for each in units if ref in each.reads):
        if unit.op == "split" and unit.native and all(sized.shape(part)[0] % LANES == 0 for part in unit.outputs):
            for part in unit.outputs:
                yield from _readers(sized, units, outputs, part)
        else:
            yield unit if unit.reads.count(ref) == 1 and unit.inputs[0] == ref else None


def _takes_blocks(sized: Sized, unit: Unit) -> bool:
    groups = unit.settings.get("groups", 1)
    return unit.native and unit.op == "conv" and sized.shape(unit.inputs[0])[0] == groups * LANES and groups > 1


def beyond(sized: Sized, unit: Unit) -> int:
    """How many pixels beside a row a convolution reads."""
    s: Any = unit.settings
    (_, _, width), (_, _, made) = sized.shape(unit.inputs[0]), sized.shape(unit.output)
    last = (made - 1) * s["stride"][1] - s["padding"][1] + (s["kernel"][1] - 1) * s["dilation"][1]
    return max(0, s["padding"][1], last - width + 1)
