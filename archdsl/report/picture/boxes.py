"""What the picture of a network shows: boxes for its parts, small signs where maps meet, and who reads whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Literal

from archdsl.ir.dims import Size, growth
from archdsl.ir.graph import Graph, MapType, Ref
from archdsl.report.numbers import fraction, sequence, shape
from archdsl.report.picture.pieces import Piece, pieces

Role = Literal["block", "sign", "resize", "input", "output"]
Colour = Literal["plain", "conv", "dilated", "context", "resample", "ends"]

CONCAT = "c"
_SIGNS = {"add": "+", "sum": "+", "sub": "-", "mul": "×", "div": "÷", "concat": CONCAT}
_RESAMPLING = frozenset({"resize", "guided_upsample", "unpool", "pixel_shuffle", "conv_transpose"})
_CONTEXT = frozenset({"global_pool", "adaptive_pool"})
_WEIGHTED = frozenset({"conv", "depthwise", "conv_transpose", "deform_conv"})


@dataclass(frozen=True)
class Box:
    """One thing in the picture.

    `lane` is its resolution relative to the input. `label` is what it is, `lines` what stands below that, `tags` the
    names that the text gives to what comes out, `title` everything in full. `count` says how many equal parts in a row
    it stands for; `aux` marks what only training needs.
    """

    name: str
    role: Role
    lane: Fraction
    colour: Colour
    label: str
    channels: int
    lines: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    title: str = ""
    count: int = 1
    aux: bool = False


@dataclass(frozen=True, slots=True)
class Wire:
    """A value on its way from one box to another; wires with one `value` belong together."""

    value: Ref
    source: str
    target: str


@dataclass(frozen=True)
class Diagram:
    """Boxes in an order in which each comes after all that it reads, and the wires between them."""

    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]

    @cached_property
    def by_name(self) -> Mapping[str, Box]:
        """The boxes by name."""
        return {box.name: box for box in self.boxes}


def diagram(graph: Graph) -> Diagram:
    """The boxes and wires of a network."""
    parts = pieces(graph)
    maker = _Maker(graph, parts)
    boxes = [maker.box(part) for part in parts]
    wires = [Wire(ref, maker.owner[ref], part.name) for part in parts for ref in part.reads]
    for out in graph.outputs:
        box = maker.output(out.name, out.value, out.aux)
        boxes.append(box)
        wires.append(Wire(out.value, maker.owner[out.value], box.name))
    return Diagram(tuple(boxes), tuple(wires))


class _Maker:
    """Makes the boxes of one graph."""

    def __init__(self, graph: Graph, parts: Sequence[Piece]) -> None:
        self.graph = graph
        self.owner = {ref: part.name for part in parts for node in part.nodes for ref in node.refs}
        self.lanes = _lanes(graph, parts)
        self.inference = {node.name for node in graph.for_inference()}
        self.shared = _shared_weights(parts)
        self.outputs = {out.name for out in graph.outputs}
        self.names: dict[Ref, list[str]] = {}
        for name, ref in graph.names:
            self.names.setdefault(ref, []).append(name)

    def box(self, part: Piece) -> Box:
        """The box of a part."""
        role = _role(part)
        box = Box(
            part.name,
            role,
            self.lanes[part.name],
            _colour(part),
            part.name if role == "input" else part.kind,
            part.unit.type.channels,
            tags=self._tags(part, role),
            title=self._title(part),
            count=part.count,
            aux=all(node.name not in self.inference for node in part.nodes),
        )
        if role == "sign":
            return replace(box, label=_SIGNS[part.nodes[0].op])
        if role == "resize":
            return replace(box, label=self._factor(part))
        return replace(box, lines=tuple(self._lines(part, role)))

    def output(self, name: str, value: Ref, aux: bool) -> Box:
        """The box at which an output of the network ends."""
        of = self.graph.type_of(value)
        title = f"{'auxiliary output' if aux else 'output'} {name}: {shape(of)}"
        lane = self.lanes[self.owner[value]]
        # a name with a blank in it cannot be that of a node
        return Box(f"out {name}", "output", lane, "ends", name, of.channels, (str(of.channels),), (), title, aux=aux)

    def _lines(self, part: Piece, role: Role) -> Iterator[str]:
        before = self._lane_before(part)
        after = self.lanes[part.name]
        step = "" if before in (None, after) or role == "input" else f" {_step(before or after, after)}"
        yield f"{part.unit.type.channels}{step}"
        if part.chained > 1:
            yield f"{part.chained} parts"
        if part.unit.rates and max(part.unit.rates) > 1:
            yield f"r {sequence(part.unit.rates)}"
        if part.name in self.shared:
            yield "shared"

    def _lane_before(self, part: Piece) -> Fraction | None:
        return self.lanes[self.owner[part.reads[0]]] if part.reads else None

    def _factor(self, part: Piece) -> str:
        before, after = self._lane_before(part), self.lanes[part.name]
        return "resize" if before in (None, after) else _step(before or after, after)

    def _tags(self, part: Piece, role: Role) -> tuple[str, ...]:
        names = [name for node in part.nodes for ref in node.refs for name in self.names.get(ref, ())]
        return tuple(n for n in names if n not in self.outputs and not (role == "input" and n == part.name))

    def _title(self, part: Piece) -> str:
        path = part.name if part.count == 1 else f"{part.name} and {part.count - 1} more like it"
        lines = [f"{path}: {part.kind}", shape(part.unit.type)]
        if part.unit.rates:
            lines.append(f"rates {sequence(part.unit.rates)}")
        if part.name in self.shared:
            lines.append("shares its weights with another part")
        return "\n".join(lines)


def _step(before: Fraction, after: Fraction) -> str:
    """`↓2` where the resolution is halved."""
    ratio = after / before
    return f"↑{fraction(ratio)}" if ratio > 1 else f"↓{fraction(1 / ratio)}"


def _role(part: Piece) -> Role:
    op = part.nodes[0].op
    if op == "input":
        return "input"
    if part.is_block or part.chained > 1:
        return "block"
    return "sign" if op in _SIGNS else "resize" if op == "resize" else "block"


def _colour(part: Piece) -> Colour:
    ops = {node.op for node in part.nodes}
    if ops == {"input"}:
        return "ends"
    if part.unit.rates and max(part.unit.rates) > 1:
        return "dilated"
    if ops & _CONTEXT and not part.unit.rates:
        return "context"
    if ops & _RESAMPLING:
        return "resample"
    return "conv" if ops & _WEIGHTED else "plain"


def _shared_weights(parts: Iterable[Piece]) -> set[str]:
    """Parts whose weights are another part's too."""
    users: dict[str, set[str]] = {}
    for part in parts:
        for node in part.nodes:
            if node.weights:
                users.setdefault(node.weights, set()).add(part.name)
    return {name for names in users.values() if len(names) > 1 for name in names}


# ----------------------------------------------------------------- resolution


def _lanes(graph: Graph, parts: Iterable[Piece]) -> dict[str, Fraction]:
    """The resolution of each part's result; one cell of a pooled map stands where the map stood that it came from."""
    heights = [node.types[0].height for node in graph.inputs]
    tallest = max((h for h in heights if isinstance(h, int)), default=1)
    lanes: dict[str, Fraction] = {}
    owner: dict[Ref, str] = {}
    for part in parts:
        lane = resolution(part.unit.type, tallest if heights and isinstance(heights[0], int) else None)
        read = lanes[owner[part.reads[0]]] if part.reads else Fraction(1)
        lanes[part.name] = lane or read
        owner.update((ref, part.name) for node in part.nodes for ref in node.refs)
    return lanes


def resolution(of: MapType, height: int | None) -> Fraction | None:
    """Rows of a map per row of the input, whose height is given where it is a number; None for maps of fixed size."""
    if height is None:
        return growth(of.height) or None
    return _nominal(of.height, height)


def _nominal(size: Size, whole: int) -> Fraction | None:
    """The ratio of two sizes, rounding at odd ones left out."""
    if not isinstance(size, int) or size <= 1:
        return None
    halvings = (1 << i for i in range(whole.bit_length()))
    exact = next((s for s in halvings if size in (whole // s, -(-whole // s))), None)
    return Fraction(1, exact or round(whole / size)) if size <= whole else Fraction(round(size / whole))
