"""Which columns of each value are asked for at a stated input size: its map's own, and those a window reaches beyond.

Asked for last to first: a column of a result asks for all the columns of an operand that it reads, and every column
that a map has is asked for by itself, since a fact speaks of all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from archdsl.analyses.footprint import Budget, Room, Span, taps_at
from archdsl.ir.access import Access, Context, Resample, TransposedWindow, Window
from archdsl.ir.dims import value_at
from archdsl.ir.graph import Graph, Ref


class Demand:
    """The columns (`axis` 1; rows for 0) of a graph's values at a size; of those whose extent is no number, none.

    `how` is how the nodes read their operands along the axis at that size.
    """

    def __init__(
        self, graph: Graph, axis: int, how: tuple[tuple[Access, ...], ...], values: Mapping[str, int] | None
    ) -> None:
        self.graph, self.how, self.axis, self.values = graph, how, axis, values or {}
        self.budget = Budget()
        self.sized = False
        """Whether any answer hung on how many columns a map has."""

    def room(self, ref: Ref) -> Room:
        """Where the footprint of a value is made."""
        return Room(self, ref)

    def count(self, ref: Ref) -> int | None:
        """How many columns the map of a value has."""
        size = self.graph.type_of(ref).shape[1 + self.axis]
        try:
            count = value_at(size, self.values)
        except KeyError:
            return None
        self.sized = True
        return count

    def span(self, ref: Ref) -> Span | None:
        """The columns of it that are asked for; None where there is no telling."""
        return self._spans.get(ref)

    @cached_property
    def _spans(self) -> Mapping[Ref, Span]:
        found: dict[Ref, Span] = {}
        for node, reads in zip(reversed(self.graph.nodes), reversed(self.how), strict=True):
            asked = [span for ref in node.refs if (span := self._asked(ref, found))]
            for ref, access in zip(node.inputs, reads, strict=True):
                for span in asked:
                    self._ask(ref, access, span, found)
        return found

    def _asked(self, ref: Ref, found: dict[Ref, Span]) -> Span | None:
        """What is asked of a value: at least what its map has."""
        if ref not in found:
            count = self.count(ref)
            if count is None:
                return None
            found[ref] = Span(count, 0, count - 1)
        return found[ref]

    def _ask(self, ref: Ref, access: Access, span: Span, found: dict[Ref, Span]) -> None:
        before = self._asked(ref, found)
        ends = read_between(access, span.first, span.last)
        if before is not None and ends is not None:
            found[ref] = Span(before.columns, min(before.first, ends[0]), max(before.last, ends[1]))


def read_between(access: Access, first: int, last: int) -> tuple[int, int] | None:
    """The first and the last column of an operand that columns first..last of a result read; None for none."""
    match access:
        case Window(kernel, stride, dilation, padding):
            return stride * first - padding, stride * last - padding + dilation * (kernel - 1)
        case TransposedWindow(kernel, stride, dilation, padding):
            return -((dilation * (kernel - 1) - first - padding) // stride), (last + padding) // stride
        case Resample():
            return taps_at(access, first)[0], taps_at(access, last)[-1]
        case Context(besides) if besides is not None:
            return read_between(besides, first, last)
    return None
