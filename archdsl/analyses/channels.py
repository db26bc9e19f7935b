"""Facts that differ between the channels of one value, and how ops carry them from operand to result.

Written once for any kind of fact (a footprint, a bound, a set in the plane), told only how to join two of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TypeVar

from archdsl.ir.graph import Node
from archdsl.ir.op import OPS

T = TypeVar("T")

Segments = tuple[tuple[int, T], ...]
"""Runs of channels with one fact each: the channel after the run's last, and the fact."""

Join = Callable[[Iterable[T]], T]


def merged(segments: Iterable[tuple[int, T]]) -> Segments[T]:
    """The same with equal neighbours made one."""
    kept: list[tuple[int, T]] = []
    for end, fact in segments:
        if kept and (kept[-1][1] is fact or kept[-1][1] == fact):
            kept[-1] = (end, fact)
        else:
            kept.append((end, fact))
    return tuple(kept)


def whole(segments: Segments[T], join: Join[T]) -> T:
    """The fact of all channels together."""
    return segments[0][1] if len(segments) == 1 else join(fact for _, fact in segments)


def cut(segments: Segments[T], start: int, end: int) -> Segments[T]:
    """The channels start..end-1, counted from 0 again."""
    first = 0
    found: list[tuple[int, T]] = []
    for last, fact in segments:
        if first < end and last > start:
            found.append((min(last, end) - start, fact))
        first = last
    return tuple(found)


def demanded(node: Node, results: Sequence[Segments[T]], widths: Sequence[int], join: Join[T]) -> list[Segments[T]]:
    """The way back: what is asked of each operand, `widths` channels wide, from what is asked of each result."""
    rule = OPS[node.op].channels
    if rule == "split":
        return [merged(_appended(results))]
    asked = overlaid(node.types[0].channels, results, join)
    if rule == "concat":
        ends = list(accumulate(widths))
        return [cut(asked, end - width, end) for end, width in zip(ends, widths, strict=True)]
    everything = whole(asked, join)
    found: list[Segments[T]] = [asked if width == asked[-1][0] else ((width, everything),) for width in widths]
    if rule in ("mix", "grouped"):
        groups = groups_of(node, widths[0]) if rule == "grouped" else 1
        found[0] = grouped(asked, groups, widths[0] // groups, join)
    return found


def carried(node: Node, operands: Sequence[Segments[T]], join: Join[T]) -> tuple[Segments[T], ...]:
    """The facts of a node's results from those of its operands, by the op's rule for channels."""
    rule = OPS[node.op].channels
    if rule == "split":
        return tuple(_split(node, operands[0]))
    if rule == "concat":
        result = merged(_appended(operands))
    elif rule == "keep":
        result = overlaid(node.types[0].channels, operands, join)
    else:
        groups = groups_of(node, operands[0][-1][0]) if rule == "grouped" else 1
        first = grouped(operands[0], groups, node.types[0].channels // groups, join)
        result = overlaid(node.types[0].channels, (first, *operands[1:]), join)
    return (result,) * len(node.types)


def as_read(node: Node, x: Segments[T], join: Join[T]) -> Segments[T]:
    """The first operand's facts as the op's taps meet them: channels that are summed over count as one."""
    if OPS[node.op].channels not in ("mix", "grouped"):
        return x
    groups = groups_of(node, x[-1][0]) if OPS[node.op].channels == "grouped" else 1
    return grouped(x, groups, x[-1][0] // groups, join)


def groups_of(node: Node, channels: int) -> int:
    """How many groups of channels an op works in: a depthwise convolution has one for each channel it reads."""
    return next((value for name, value in node.settings if name == "groups" and isinstance(value, int)), channels)


def _split(node: Node, x: Segments[T]) -> Iterator[Segments[T]]:
    start = 0
    for of in node.types:
        yield cut(x, start, start + of.channels)
        start += of.channels


def _appended(operands: Sequence[Segments[T]]) -> Iterator[tuple[int, T]]:
    start = 0
    for segments in operands:
        for end, fact in segments:
            yield start + end, fact
        start += segments[-1][0]


def overlaid(channels: int, operands: Sequence[Segments[T]], join: Join[T]) -> Segments[T]:
    """Facts joined channel by channel; those of another width (1 channel, or offsets) touch all channels."""
    spread = [x if x[-1][0] == channels else ((channels, whole(x, join)),) for x in operands]
    if len(spread) == 1:
        return spread[0]
    ends = sorted({end for x in spread for end, _ in x})
    return merged((end, join(_fact_at(x, end - 1) for x in spread)) for end in ends)


def _fact_at(segments: Segments[T], channel: int) -> T:
    return next(fact for end, fact in segments if channel < end)


def grouped(x: Segments[T], groups: int, width: int, join: Join[T]) -> Segments[T]:
    """Each group of input channels gives its joined fact to `width` output channels.

    Takes time in the number of segments, not of groups: most groups lie inside one segment.
    """
    size = x[-1][0] // groups
    found: list[tuple[int, T]] = []
    done = start = 0
    for end, fact in x:
        inside = end // size
        if inside > done and done * size < start:
            done += 1
            found.append((done * width, whole(cut(x, (done - 1) * size, done * size), join)))
        if inside > done:
            done = inside
            found.append((done * width, fact))
        start = end
    return merged(found)
