"""What `check` says about fields of view: one pair of numbers for every name in a network's body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archdsl.analyses.gaps import GapFinding
from archdsl.analyses.once import Analyses
from archdsl.analyses.reach import ReachResult
from archdsl.ir.graph import Graph


@dataclass(frozen=True)
class FieldOfViewFacts:
    """Fields of view in input pixels as (rows, columns), by name; the names marked `context` and `nominal`; the holes.

    `rows` and `columns` are the reach that these facts were read from, for further questions.
    """

    field_of_view: Mapping[str, tuple[int, int]]
    context: tuple[str, ...]
    nominal: tuple[str, ...]
    gaps: tuple[GapFinding, ...]
    rows: ReachResult
    columns: ReachResult

    @property
    def gap_free(self) -> bool:
        """Whether every hole that an output can see is filled by a parallel branch."""
        return all(gap.filled for gap in self.gaps)


def facts(graph: Graph, values: Mapping[str, int] | None = None, known: Analyses | None = None) -> FieldOfViewFacts:
    """The fields of view of every named value, exact at the input size `values`, `{"H": 1024, "W": 2048}`.

    Without a size, those that hang on a ratio of sizes are nominal and named so. Several inputs count as one image.
    `known` are analyses of the same graph at the same size, where they are at hand already.
    """
    analyses = known or Analyses(graph, values)
    rows, columns = analyses.reach
    both = {name: (rows.footprint(name), columns.footprint(name)) for name, _ in graph.names}
    return FieldOfViewFacts(
        {name: (y.extent, x.extent) for name, (y, x) in both.items()},
        tuple(name for name, (y, x) in both.items() if y.context or x.context),
        tuple(name for name, (y, x) in both.items() if y.nominal or x.nominal),
        analyses.gaps,
        rows,
        columns,
    )
