"""Which lines of the text contribute most to a number of the whole network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archdsl.analyses.walk import AXES, Axis, Step, demand, walk
from archdsl.diagnostics import Span
from archdsl.diagnostics.place import place
from archdsl.ir.graph import Graph, Node, Ref


@dataclass(frozen=True, slots=True)
class Share:
    """What one line of the user's text contributes; `span` is the first place on that line that does."""

    span: Span
    amount: int

    @property
    def text(self) -> str:
        """The line, without the blanks around it."""
        return self.span.source.line_text(self.span.line).strip()


def place_of(node: Node) -> Span | None:
    """The user's own text that a node comes from; None for a node without one."""
    if node.origin is None:
        return None
    return place(node.origin.frames).span if node.origin.frames else node.origin.span


def by_line(graph: Graph, amounts: Mapping[str, int]) -> list[Share]:
    """Amounts per node name added up by line of the user's text, the largest first; lines of nothing are left out."""
    found: dict[tuple[str, int], Share] = {}
    for name, amount in amounts.items():
        span = place_of(graph.by_name[name])
        if span is not None and amount:
            key = (span.path, span.line)
            known = found.get(key, Share(span, 0))
            found[key] = Share(known.span, known.amount + amount)
    return sorted(found.values(), key=lambda share: -share.amount)


def largest_lines(graph: Graph, amounts: Mapping[str, int], unit: str, count: int = 3) -> tuple[str, ...]:
    """One sentence for each of the lines that contribute most."""
    total, shares = sum(amounts.values()), by_line(graph, amounts)
    one_file = len({share.span.path for share in shares}) == 1
    return tuple(
        f"{_line(share.span, one_file)} has {share.amount:,} of {total:,} {unit}: `{share.text}`"
        for share in shares[:count]
    )


def _line(span: Span, one_file: bool) -> str:
    return f"line {span.line}" if one_file else f"{span.path}:{span.line}"


def field_of_view_by_node(
    graph: Graph, ref: Ref, axis: Axis, values: Mapping[str, int] | None = None
) -> dict[str, int]:
    """By how many input pixels each node widens the field of view, along the path that reads widest to a value.

    `values` is the input's size, where one is stated: ratios of sizes are then those at that size.
    """
    steps = _steps_to(graph, ref, axis, values)
    gains: dict[str, int] = {}
    value: Ref | None = ref
    while value is not None:
        step = steps[value.node]
        extent = step.results[value.port].footprint.extent
        extents = _operand_extents(step)
        value = max(extents, key=lambda r: extents[r], default=None)
        gains[step.node.name] = extent - (0 if value is None else extents[value])
    return gains


def _steps_to(graph: Graph, ref: Ref, axis: Axis, values: Mapping[str, int] | None) -> dict[str, Step]:
    needed = graph.reaching(ref)
    return {step.node.name: step for step in walk(graph, demand(graph, axis, values)) if step.node.name in needed}


def _operand_extents(step: Step) -> dict[Ref, int]:
    extents = {r: v.footprint.extent for r, v in zip(step.node.inputs, step.operands, strict=True)}
    return {ref: extents[ref] for ref in step.traced}


def narrower_axis(field_of_view: tuple[int, int]) -> Axis:
    """The axis on which a field of view (rows, columns) is smaller, rows where both are equal."""
    return AXES[0] if field_of_view[0] <= field_of_view[1] else AXES[1]
