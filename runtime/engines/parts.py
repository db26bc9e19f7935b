"""A network in parts that run one after the other, each of them a network of its own at one input size."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from archdsl.runtime.engines.program import Program
from archdsl.runtime.engines.samples import size_values

from archdsl.analyses.sized import elements
from archdsl.ir.dims import value_at
from archdsl.ir.graph import Graph, MapType, Node, Output, Ref
from archdsl.ir.settings import at_size
from archdsl.passes import Costs
from archdsl.passes.edit import needed_weights, redirect

MAX_CROSSING = 3
"""Maps that may go from what is before a cut to what is behind it, besides the network's inputs."""


@dataclass(frozen=True)
class Part:
    """A program with the values of the whole network that it takes and gives, in its order of inputs and outputs."""

    program: Program
    reads: tuple[Ref, ...]
    gives: tuple[Ref, ...]

    @property
    def name(self) -> str:
        """Its first and last node."""
        made = [node.name for node in self.program.graph.nodes if node.op != "input"]
        return f"{made[0]}…{made[-1]}"


@dataclass(frozen=True)
class Cut:
    """A place in the order of nodes where a network can be cut: behind which node, and how much goes across."""

    behind: str
    crossing: int
    numbers: int
    before: float
    """The share of the work, by the costs, that is done at that point."""


def cuts(program: Program, size: tuple[int, int], costs: Costs) -> list[Cut]:
    """Where few maps cross, and none that a part could not be given. In the order of the network."""
    graph, values = program.graph, size_values(program.graph, size)
    seconds = [costs.seconds(graph, [node]) for node in graph.nodes]
    whole, done = sum(seconds) or 1.0, 0.0
    last_read = {ref: place for place, node in enumerate(graph.nodes) for ref in node.inputs}
    crossing: list[Ref] = []
    phases, found = 0, []
    for place, node in enumerate(graph.nodes):
        done += seconds[place]
        phases += (node.op == "space_to_batch") - (node.op == "batch_to_space")
        made = node.refs if node.op != "input" else ()
        crossing = [ref for ref in (*crossing, *made) if last_read.get(ref, -1) > place]
        if node.inputs and 0 < len(crossing) <= MAX_CROSSING and not phases and _given(graph, crossing):
            numbers = sum(elements(graph.type_of(ref).at(values)) for ref in crossing)
            found.append(Cut(node.name, len(crossing), numbers, done / whole))
    return found


def _given(graph: Graph, refs: Sequence[Ref]) -> bool:
    """Whether values can be inputs of a network: maps of the batch, no indices and no constants."""
    return all(graph.type_of(ref).kind == "map" and graph.by_name[ref.node].inputs for ref in refs)


def split(program: Program, behind: Sequence[str], size: tuple[int, int]) -> list[Part]:
    """The parts of a program at one of its sizes, cut behind the named nodes, in order.

    Raises ValueError for a node that the network does not have, has before the last one, or that nothing follows.
    """
    names = [node.name for node in program.graph.nodes]
    for name in behind:
        if name not in names[:-1]:
            raise ValueError(f"there is no node {name} in the rewritten network that could end a part of it")
    places = [0, *(names.index(name) + 1 for name in behind), len(names)]
    if any(end <= start for start, end in pairwise(places)):
        raise ValueError(f"the parts of a network follow one another, and {', '.join(behind)} do not")
    return list(_parts(program, places, size))


def _parts(program: Program, places: Sequence[int], size: tuple[int, int]) -> Iterator[Part]:
    graph, values = program.graph, size_values(program.graph, size)
    wanted = {out.value for out in graph.outputs}
    for start, end in pairwise(places):
        nodes = [node for node in graph.nodes[start:end] if node.op != "input"]
        made = {ref for node in nodes for ref in node.refs}
        reads = tuple(dict.fromkeys(ref for node in nodes for ref in node.inputs if ref not in made))
        later = {ref for node in graph.nodes[end:] for ref in node.inputs} | wanted
        gives = tuple(ref for node in nodes for ref in node.refs if ref in later)
        part = _network(graph, nodes, reads, gives, values)
        weights = needed_weights(part, program.weights)
        height, width = (value_at(side, {}) for side in part.inputs[0].types[0].shape[1:])
        alone = Program(part, weights, program.dtype, program.device, ((height, width),), program.batch)
        yield Part(alone, reads, gives)


def _network(
    graph: Graph, nodes: Sequence[Node], reads: Sequence[Ref], gives: Sequence[Ref], values: Mapping[str, int]
) -> Graph:
    """Nodes as a network, every size a number; values that are given to it become inputs with names fit for code."""
    names = {ref: f"in{number}_{re.sub(r'[^A-Za-z0-9]', '_', ref.node)}" for number, ref in enumerate(reads)}
    inputs = tuple(_input(name, graph.type_of(ref).at(values)) for ref, name in names.items())
    outputs = tuple(Output(f"out{number}", ref) for number, ref in enumerate(gives))
    whole = Graph(graph.name, (*inputs, *(_at(node, values) for node in nodes)), outputs)
    return redirect(whole, {ref: Ref(name) for ref, name in names.items()})


def _input(name: str, kind: MapType) -> Node:
    return Node(name, "input", (), (("channels", kind.channels),), (kind,))


def _at(node: Node, values: Mapping[str, int]) -> Node:
    settings = tuple(at_size(dict(node.settings), values).items())
    return replace(node, settings=settings, types=tuple(kind.at(values) for kind in node.types))
