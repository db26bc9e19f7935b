"""Reach: the exact set of input columns (or rows) that one column (row) of a value reads, on an unbounded image.

The union, over all paths from the image, of the Minkowski sums of what the ops on the path read. Paths that see
everything (global pooling) or what the data say (learned offsets) are left out and leave the mark `context`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from archdsl.analyses.channels import Segments, as_read, carried, cut, merged, overlaid, whole
from archdsl.analyses.demand import Demand
from archdsl.analyses.footprint import Footprint
from archdsl.analyses.walk import AXES, Accesses, Axis, Step, Value, demand, is_placed, walk
from archdsl.ir.access import Access
from archdsl.ir.graph import Graph, Node, Ref
from archdsl.ir.op import OPS

Range = tuple[int, int]
"""Channels, from the first to the one after the last."""


@dataclass(frozen=True, slots=True)
class Birth:
    """A node with channels whose hole nothing it read had: how it reads, what it reads, what comes of it.

    `before` and `after` are those of the channels that miss most, `ranges` all the channels that the holes are in.
    """

    node: Node
    access: Access
    before: Footprint
    after: Footprint
    ranges: tuple[Range, ...]


@dataclass(frozen=True)
class Holes:
    """Where the holes of a graph are along one axis, channel by channel; what is not named here has none."""

    channels: dict[Ref, Segments[bool]] = field(default_factory=dict)
    """Which channels of a value have a hole of their own."""
    together: set[Ref] = field(default_factory=set)
    """The values that have a hole with all channels taken together."""
    mixed: dict[str, Segments[bool]] = field(default_factory=dict)
    """For nodes that sum over channels, which channels of the first operand meet with a hole left."""
    blind: set[Ref] = field(default_factory=set)
    """The values that read nothing at a known place."""

    def __bool__(self) -> bool:
        return bool(self.channels or self.together)

    def __contains__(self, ref: Ref) -> bool:
        return ref in self.channels or ref in self.together


@dataclass(frozen=True)
class ReachResult:
    """What values read along one axis. A value is asked for by its reference, or by its name in the network's body.

    Holds the values with names, the outputs, and those that were `wanted`; asking for another raises KeyError.
    """

    axis: Axis
    footprints: Mapping[Ref, Footprint]
    names: Mapping[str, Ref]
    accesses: Accesses
    births: Mapping[Ref, Birth]
    holes: Holes

    def footprint(self, ref: Ref | str) -> Footprint:
        return self.footprints[self.names[ref] if isinstance(ref, str) else ref]

    def ranges(self, ref: Ref | str, at: int = 0) -> tuple[tuple[int, int], ...]:
        """The input columns that column `at` reads, as runs (first, last), both ends included.

        Raises IndexError for a column beyond the map, where columns do not repeat and the map is all there is.
        """
        return self.footprint(ref).column(at).ranges()

    def columns(self, ref: Ref | str, at: int = 0) -> tuple[int, ...]:
        """The input columns that column `at` reads, one by one."""
        return tuple(c for first, last in self.ranges(ref, at) for c in range(first, last + 1))

    def field_of_view(self, ref: Ref | str) -> int:
        """Input pixels from the first to the last one read, of the column that reads widest; 0 for context alone."""
        return self.footprint(ref).extent

    def gaps(self, ref: Ref | str) -> tuple[tuple[int, int], ...]:
        """The holes inside what one column reads, as runs (first, last) of input columns.

        Of column 0, unless another phase leaves more pixels unread; empty when no phase has a hole.
        """
        worst = max(self.footprint(ref).phases, key=lambda p: p.holes.bit_count())
        return worst.gaps()

    def context(self, ref: Ref | str) -> bool:
        """Whether a path left out of reach sees everything or anything."""
        return self.footprint(ref).context

    def nominal(self, ref: Ref | str) -> bool:
        """Whether a ratio that depends on the input's size was taken as that of the strides, or a limit was met."""
        return self.footprint(ref).nominal


def reach(
    graph: Graph,
    axis: Axis,
    *,
    values: Mapping[str, int] | None = None,
    wanted: Iterable[Ref] | None = None,
    source: str | None = None,
) -> ReachResult:
    """What the named values, the outputs and those `wanted` read along an axis ("y" or "x").

    `values` is the input's size, `{"H": 1024, "W": 2048}`: ratios of sizes are then exact. `source` names the input
    whose pixels count; by default all inputs do, as if they lay on top of each other.
    """
    return _reach(graph, axis, demand(graph, axis, values), tuple(wanted or ()), source)


def reach_both(
    graph: Graph, *, values: Mapping[str, int] | None = None, wanted: Iterable[Ref] | None = None
) -> tuple[ReachResult, ReachResult]:
    """The reach of rows and of columns, worked out once where both are read alike."""
    wanted = tuple(wanted or ())
    down, across = (demand(graph, axis, values) for axis in AXES)
    rows = _reach(graph, "y", down, wanted)
    if down.how == across.how and (not down.sized or _alike(down, across)):
        return rows, replace(rows, axis="x")
    return rows, _reach(graph, "x", across, wanted)


def _alike(down: Demand, across: Demand) -> bool:
    """Whether every map has as many rows as columns."""
    refs = (ref for node in down.graph.nodes for ref in node.refs)
    return all(down.count(ref) == across.count(ref) for ref in refs)


def _reach(graph: Graph, axis: Axis, asked: Demand, wanted: tuple[Ref, ...], source: str | None = None) -> ReachResult:
    names = dict(graph.names)
    kept = {*names.values(), *(out.value for out in graph.outputs), *wanted}
    found: dict[Ref, Footprint] = {}
    births: dict[Ref, Birth] = {}
    holes = Holes()
    for step in walk(graph, asked, source=source):
        if holes:
            _note_mixed(step, holes)
        for ref, value in zip(step.node.refs, step.results, strict=True):
            if ref in kept:
                found[ref] = value.footprint
            if value.plain:
                continue
            if step.operands and value is step.operands[0]:
                _carry(holes, step.node.inputs[0], ref)
                continue
            _record(holes, ref, value)
            ranges = _born(step, ref, holes)
            if ranges:
                births[ref] = _birth(step, value, ranges)
    return ReachResult(axis, found, names, asked.how, births, holes)


def _note_mixed(step: Step, holes: Holes) -> None:
    """How the node's taps meet the holes of its first operand, where it sums over channels."""
    if OPS[step.node.op].channels in ("mix", "grouped") and step.node.inputs[0] in holes:
        first = step.operands[0]
        read = as_read(step.node, first.segments, first.join)
        holes.mixed[step.node.name] = _flags(read)


def _record(holes: Holes, ref: Ref, value: Value) -> None:
    if any(fact.has_gap for _, fact in value.segments):
        holes.channels[ref] = _flags(value.segments)
    if value.footprint.has_gap:
        holes.together.add(ref)
    if value.footprint.empty:
        holes.blind.add(ref)


def _carry(holes: Holes, before: Ref, after: Ref) -> None:
    """Notes of a value that is the only operand's own, position by position, what is known of the operand."""
    if before in holes.channels:
        holes.channels[after] = holes.channels[before]
    for among in (holes.together, holes.blind):
        if before in among:
            among.add(after)


def _flags(segments: Segments[Footprint]) -> Segments[bool]:
    return merged((end, fact.has_gap) for end, fact in segments)


def _born(step: Step, ref: Ref, holes: Holes) -> tuple[Range, ...]:
    """The channels of a result whose holes nothing that was read for them had."""
    rule, channels = OPS[step.node.op].channels, step.node.types[0].channels
    if ref not in holes or rule == "split":
        return ()
    if rule == "concat":
        apart = ref not in holes.channels and holes.together.isdisjoint(step.traced)
        return ((0, channels),) if apart else ()
    if ref not in holes.channels:
        return ()
    operands = [_had(step, i, channels, holes) for i in range(len(step.operands))]
    new = tuple((end, not had) for end, had in carried(step.node, operands, any)[0])
    return ranges_of(overlaid(channels, (holes.channels[ref], new), all))


def _had(step: Step, i: int, channels: int, holes: Holes) -> Segments[bool]:
    """Which channels of an operand had a hole already as they were read."""
    ref, width = step.node.inputs[i], step.operands[i].segments[-1][0]
    if not is_placed(step.accesses[i]):
        return ((width, False),)
    if i == 0 and step.node.name in holes.mixed:
        return holes.mixed[step.node.name]
    return holes.channels.get(ref, ((width, False),)) if width == channels else ((width, ref in holes.together),)


def ranges_of(flags: Segments[bool]) -> tuple[Range, ...]:
    """The runs of channels of which something is so."""
    starts = (0, *(end for end, _ in flags))
    return tuple((start, end) for start, (end, flag) in zip(starts, flags, strict=False) if flag)


def _birth(step: Step, value: Value, ranges: tuple[Range, ...]) -> Birth:
    first = next(i for i, ref in enumerate(step.node.inputs) if ref in step.traced)
    before, after, rule = step.operands[first], value.footprint, OPS[step.node.op].channels
    seen = before.footprint
    if rule != "concat":
        born = [(start, fact) for start, end in ranges for _, fact in cut(value.segments, start, end)]
        channel, after = max(born, key=lambda at: max(p.holes.bit_count() for p in at[1].phases))
        if first == 0:
            (read, *_) = carried(step.node, [before.segments], before.join)
            seen = whole(cut(read, channel, channel + 1), before.join)
    return Birth(step.node, step.accesses[first], seen, after, ranges)
