"""When two graphs mean the same network, whatever things are called.

Walking from the outputs, operands in order, numbers every node that an output needs. What stays after numbers took the
place of names is the network's meaning: ops, settings, wiring, which nodes share weights, input channels and
preprocessing, the outputs' names and order. Names, dead nodes and the order of independent nodes are gone. Operands of
commutative ops keep their order, on which rounding depends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from archdsl.ir.graph import Graph, Node, Ref
from archdsl.ir.text import show_value


@dataclass(frozen=True)
class Canonical:
    """A graph without names: one line a node in an order that only the meaning decides, and the outputs.

    `order` holds the names of the nodes in that order; it is not part of the meaning.
    """

    lines: tuple[str, ...]
    order: tuple[str, ...]


def canonical(graph: Graph) -> Canonical:
    """What is left of a graph without its names; equal for graphs that mean the same."""
    order = tuple(_order(graph))
    numbers = {name: i for i, name in enumerate(order)}
    weights: dict[str, int] = {}
    inputs = [node.name for node in graph.inputs if node.name in numbers]
    lines = [_line(graph, graph.by_name[name], numbers, weights) for name in order]
    lines += [f"in {numbers[name]} {_preprocessing(graph, name)}" for name in inputs]
    lines += [
        f"{'aux ' if out.aux else ''}out {show_value(out.name)} {_ref(out.value, numbers)}" for out in graph.outputs
    ]
    return Canonical(tuple(lines), order)


def same_meaning(a: Graph, b: Graph) -> bool:
    """Whether two graphs are equal up to names, dead nodes and the order of independent nodes."""
    return canonical(a).lines == canonical(b).lines


def semantic_hash(graph: Graph) -> str:
    """SHA-256 of the meaning, as hexadecimal digits: equal for graphs that mean the same."""
    return hashlib.sha256("\n".join(("archdsl graph 1", *canonical(graph).lines)).encode()).hexdigest()


def _order(graph: Graph) -> Iterator[str]:
    """The names of the needed nodes, each after its operands, depth first from the outputs."""
    done: set[str] = set()
    stack = [(out.value.node, False) for out in reversed(graph.outputs)]
    while stack:
        name, operands_done = stack.pop()
        if name in done:
            continue
        if operands_done:
            done.add(name)
            yield name
            continue
        stack.append((name, True))
        stack += [(ref.node, False) for ref in reversed(graph.by_name[name].inputs) if ref.node not in done]


def _line(graph: Graph, node: Node, numbers: Mapping[str, int], weights: dict[str, int]) -> str:
    parts = [node.op, *(_ref(ref, numbers) for ref in node.inputs)]
    parts += [f"{name}={show_value(value)}" for name, value in node.settings]
    if node.weights:
        parts.append(f"@{weights.setdefault(node.weights, len(weights))}")
    return " ".join([*parts, *(map(str, node.types) if node.op == "input" else ())])


def _ref(ref: Ref, numbers: Mapping[str, int]) -> str:
    return f"{numbers[ref.node]}:{ref.port}"


def _preprocessing(graph: Graph, name: str) -> str:
    how = dict(graph.preprocessing).get(name)
    return "" if how is None else " ".join(show_value(getattr(how, field.name)) for field in fields(how))
