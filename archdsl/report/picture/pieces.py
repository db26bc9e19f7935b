"""Which parts of a network its picture shows: blocks, opened where they hide its shape, runs of equal ones as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

from archdsl.ir.dims import growth
from archdsl.ir.graph import Graph, Node, Ref
from archdsl.report.units import Unit, expand, units

MOST = 60
"""More boxes than this are too many to see; chains of them are then told as one."""
_FEW = 6
_LANES = 3
"""A block that spans so many resolutions is one whose inside should be seen."""
_POINTWISE = frozenset(
    {"bn", "group_norm", "relu", "relu6", "sigmoid", "hsigmoid", "hswish", "silu", "gelu", "tanh", "elu", "prelu"}
    | {"softmax", "log_softmax", "dropout", "dropout2d", "identity", "scalar", "size_scalar"}
)


@dataclass(frozen=True)
class Piece:
    """One part in the picture: a unit, what is glued to it, and the equal ones that follow it.

    `count` says how many equal units it stands for, `chained` how many different ones, where there are too many.
    """

    lead: Unit
    unit: Unit
    """The nodes of the last of the equal parts, with what is glued to them."""
    nodes: tuple[Node, ...]
    count: int = 1
    chained: int = 1
    kind: str = ""

    @property
    def name(self) -> str:
        """The path of the first of the equal units."""
        return self.lead.name

    @property
    def is_block(self) -> bool:
        """Whether this is a block of the text rather than an op."""
        return self.lead.is_block

    @cached_property
    def reads(self) -> tuple[Ref, ...]:
        """The values that it reads from other parts."""
        return replace(self.unit, nodes=self.nodes).reads


def pieces(graph: Graph) -> tuple[Piece, ...]:
    """The parts of a network, each after those it reads."""
    found = _ordered([_piece(unit) for unit in units(graph)])
    if found is None:
        # paths that interleave would make parts that read each other
        single = [Unit(graph, node.name, (node,)) for node in graph.nodes]
        found = [_piece(unit) for unit in single]
    else:
        found = _opened(found)
    found = _folded(graph, _glued(graph, found))
    return tuple(found if len(found) <= MOST else _joined(graph, found))


def _piece(unit: Unit) -> Piece:
    return Piece(unit, unit, unit.nodes, kind=unit.kind)


def _owners(parts: Iterable[Piece]) -> dict[Ref, int]:
    return {ref: i for i, part in enumerate(parts) for node in part.nodes for ref in node.refs}


def _ordered(parts: Sequence[Piece]) -> list[Piece] | None:
    """The parts so that each comes after what it reads; None where two read each other."""
    owner = _owners(parts)
    sorter = TopologicalSorter({i: [owner[ref] for ref in part.reads] for i, part in enumerate(parts)})
    try:
        return [parts[i] for i in sorter.static_order()]
    except CycleError:
        return None


# ----------------------------------------------------------------- opening


def _opened(parts: list[Piece]) -> list[Piece]:
    """The parts with the blocks opened whose inside should be seen."""
    changed = True
    while changed:
        changed = False
        for i, part in enumerate(parts):
            few = len(parts) < _FEW and len(part.nodes) == max(len(p.nodes) for p in parts)
            if not (_spreads(part.unit) or few):
                continue
            inside = expand(part.unit)
            more = _ordered([*parts[:i], *map(_piece, inside), *parts[i + 1 :]])
            if any(unit.is_block for unit in inside) and len(inside) > 1 and more and len(more) <= 2 * MOST:
                parts, changed = more, True
                break
    return parts


def _spreads(unit: Unit) -> bool:
    """Whether a block brings several values together, or spans several resolutions."""
    if not unit.is_block:
        return False
    types = [of for node in unit.nodes for of in node.types] + [unit.graph.type_of(ref) for ref in unit.reads]
    lanes = {growth(of.height) for of in types} - {0}
    return len(unit.reads) > 1 or len(lanes) > _LANES - 1


# ----------------------------------------------------------------- gluing and folding


def _glued(graph: Graph, parts: list[Piece]) -> list[Piece]:
    """Normalisations and activations joined to the part before them, where nothing else reads that."""
    result: list[Piece] = []
    place: dict[Ref, int] = {}
    readers = _readers(graph, parts)
    for part in parts:
        at = place.get(part.reads[0]) if _is_pointwise(part) else None
        if at is None or readers[part.reads[0]] > 1 or result[at].nodes[0].op == "input":
            at = len(result)
            result.append(part)
        else:
            nodes = result[at].nodes + part.nodes
            result[at] = replace(result[at], nodes=nodes, unit=replace(result[at].unit, nodes=nodes))
        place.update((ref, at) for node in part.nodes for ref in node.refs)
    return result


def _is_pointwise(part: Piece) -> bool:
    return len(part.nodes) == 1 and part.nodes[0].op in _POINTWISE and len(part.reads) == 1


def _readers(graph: Graph, parts: Iterable[Piece]) -> Counter[Ref]:
    """How many parts read each value, and how many outputs it is."""
    counts = Counter(ref for part in parts for ref in part.reads)
    counts.update(out.value for out in graph.outputs)
    return counts


def _folded(graph: Graph, parts: list[Piece]) -> list[Piece]:
    """Runs of equal parts, each reading the one before and no other doing so, as one."""
    named = {ref for _, ref in graph.names}
    readers = _readers(graph, parts)
    result: list[Piece] = []
    place: dict[Ref, int] = {}
    for part in parts:
        at = place.get(part.reads[0]) if len(part.reads) == 1 else None
        if at is not None and _continues(result[at], part, named, readers):
            run = result[at]
            result[at] = replace(run, unit=part.unit, nodes=run.nodes + part.nodes, count=run.count + 1)
        else:
            at = len(result)
            result.append(part)
        place[part.unit.result] = at
    return result


def _continues(run: Piece, part: Piece, named: set[Ref], readers: Counter[Ref]) -> bool:
    between = run.unit.result
    if between in named or readers[between] > 1 or len(run.unit.results) > 1:
        return False
    return run.kind == part.kind and run.unit.signature[1] == part.unit.signature[1]


def _joined(graph: Graph, parts: list[Piece]) -> list[Piece]:
    """Chains of parts at one resolution, bound by one name, as one part each."""
    readers = _readers(graph, parts)
    result: list[Piece] = []
    for part in parts:
        last = result[-1] if result else None
        follows = last is not None and part.reads == (last.unit.result,) and readers[last.unit.result] == 1
        if last is not None and follows and _alike(last, part):
            unit = replace(last.unit, nodes=part.nodes)
            nodes, chained = last.nodes + part.nodes, last.chained + part.count
            result[-1] = replace(last, unit=unit, nodes=nodes, chained=chained, kind=_binding(last))
        else:
            result.append(part)
    return result


def _alike(a: Piece, b: Piece) -> bool:
    same = growth(a.unit.type.height) == growth(b.unit.type.height)
    return same and _binding(a) == _binding(b) and a.nodes[0].op != "input"


def _binding(part: Piece) -> str:
    head, dot, _ = part.name.partition(".")
    return head if dot else "chain"
