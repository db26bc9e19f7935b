"""Every analysis of one graph, each worked out once, when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, cast

from archdsl.analyses.cost import macs, parameters
from archdsl.analyses.gaps import GapFinding, find_gaps
from archdsl.analyses.reach import ReachResult, reach_both
from archdsl.ir.graph import Graph, Ref

if TYPE_CHECKING:
    from archdsl.analyses.hardware import Hardware

_T = TypeVar("_T")


class Analyses:
    """What is known about a graph.

    `values` is the input's size, for what depends on ratios of sizes; `wanted` are values without a name whose field of
    view will be asked for.
    """

    def __init__(self, graph: Graph, values: Mapping[str, int] | None = None, wanted: Iterable[Ref] = ()) -> None:
        self.graph, self.values = graph, values
        self._wanted = tuple(dict.fromkeys(wanted))
        self._kept: dict[object, object] = {}

    def _once(self, key: object, work: Callable[[], _T]) -> _T:
        if key not in self._kept:
            self._kept[key] = work()
        return cast(_T, self._kept[key])

    @cached_property
    def _needed(self) -> frozenset[str]:
        return frozenset(node.name for node in self.graph.for_inference())

    @cached_property
    def params(self) -> int:
        """Parameters that the outputs need."""
        return parameters(self.graph)

    @cached_property
    def params_train(self) -> int:
        """Parameters in training, those of auxiliary outputs included."""
        if all(node.name in self._needed for node in self.graph.nodes):
            return self.params
        return parameters(self.graph, training=True)

    def macs(self, values: Mapping[str, int]) -> int:
        """Multiply-adds at an input size. Raises KeyError for a symbol without a value."""
        return self._once(("macs", *sorted(values.items())), lambda: macs(self.graph, values))

    def latency(self, hardware: Hardware, values: Mapping[str, int]) -> float:
        """The fused floor in milliseconds, in the dtype in which the hardware is fastest."""
        from archdsl.analyses.floor import fastest

        key = ("latency", repr(hardware), *sorted(values.items()))
        return self._once(key, lambda: 1000 * fastest(self.graph, values, hardware).fused)

    @cached_property
    def reach(self) -> tuple[ReachResult, ReachResult]:
        """What rows and columns of the named values, the outputs and the wanted ones read."""
        return reach_both(self.graph, values=self.values, wanted=self._wanted)

    def reach_of(self, ref: Ref) -> tuple[ReachResult, ReachResult]:
        """A reach that holds the given value."""
        if ref in self.reach[0].footprints:
            return self.reach
        return self._once(("reach", ref), lambda: reach_both(self.graph, values=self.values, wanted=[ref]))

    def field_of_view(self, ref: Ref) -> tuple[int, int]:
        """Input pixels from the first to the last one read, of rows and of columns."""
        rows, columns = self.reach_of(ref)
        return rows.field_of_view(ref), columns.field_of_view(ref)

    @cached_property
    def gaps(self) -> tuple[GapFinding, ...]:
        """The holes that some output can see, where they are born."""
        return tuple(find_gaps(self.graph, reaches=self.reach))

    @property
    def gap_free(self) -> bool:
        """Whether a parallel branch fills every hole."""
        return all(gap.filled for gap in self.gaps)

    def is_gap_free(self, ref: Ref) -> bool:
        """Whether the reach of a value has no hole on either axis."""
        return not any(result.footprint(ref).has_gap for result in self.reach_of(ref))
