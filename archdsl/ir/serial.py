"""A graph as JSON data and back, exactly. Plain values only: reading it executes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import archdsl.ir.ops  # noqa: F401 - registers the ops that a graph may name
from archdsl.diagnostics import Source, Span
from archdsl.ir.dims import Atom, Dim, Floor, Solutions
from archdsl.ir.graph import Graph, MapType, Node, Origin, Output, Preprocessing, Ref
from archdsl.ir.op import OPS, OpError, call_of

Json = Any
VERSION = 1


class Position(NamedTuple):
    """Where a node was written: line and column from 1."""

    path: str
    line: int
    column: int


def to_json(graph: Graph) -> dict[str, Json]:
    """The graph as dicts, lists, strings and numbers. Of a node's origin only path, line and column are kept."""
    return {
        "version": VERSION,
        "name": graph.name,
        "nodes": [_node_data(node) for node in graph.nodes],
        "outputs": [{"name": out.name, "value": list(out.value), "aux": out.aux} for out in graph.outputs],
        "names": {name: list(ref) for name, ref in graph.names},
        "preprocessing": {name: _preprocessing_data(how) for name, how in graph.preprocessing},
        "size_rules": {name: _rule_data(rule) for name, rule in graph.size_rules},
    }


def _node_data(node: Node) -> dict[str, Json]:
    data: dict[str, Json] = {
        "name": node.name,
        "op": node.op,
        "inputs": [list(ref) for ref in node.inputs],
        "settings": {name: _value_data(value) for name, value in node.settings},
        "types": [[of.kind, *map(_value_data, of.shape)] for of in node.types],
        "weights": node.weights,
    }
    if node.origin is not None:
        span = node.origin.span
        data["origin"] = [span.path, span.line, span.column]
    return data


def _preprocessing_data(how: Preprocessing) -> dict[str, Json]:
    return {"order": how.order, "mean": list(how.mean), "std": list(how.std), "scale": how.scale}


def _rule_data(rule: Solutions) -> dict[str, Json]:
    return {
        "modulus": rule.modulus,
        "remainders": list(rule.remainders),
        "minimum": rule.minimum,
        "only": None if rule.only is None else list(rule.only),
    }


def _value_data(value: Any) -> Json:
    if isinstance(value, tuple):
        return [_value_data(item) for item in value]
    if isinstance(value, Fraction):
        return {"fraction": [value.numerator, value.denominator]}
    if isinstance(value, Dim):
        return {"dim": [[_atom_data(atom), factor] for atom, factor in value.terms], "plus": value.constant}
    return value


def _atom_data(atom: Atom) -> Json:
    return atom if isinstance(atom, str) else {"floor": _value_data(atom.numerator), "by": atom.divisor}


def from_json(data: Json) -> Graph:
    """The graph that `to_json` gave as data, equal to it. Raises ValueError when the data are no well-formed graph.

    Well-formed: every value is made before it is read, every op is known and has all its settings, and the types of
    results are those that the ops give. So what runs cannot depend on more than the ops themselves.
    """
    try:
        graph = _graph(data)
        _check(graph)
    except (KeyError, TypeError, AttributeError, IndexError, OpError, ZeroDivisionError, AssertionError) as error:
        raise ValueError(f"not a graph: {error or type(error).__name__}") from error
    return graph


def _graph(data: Json) -> Graph:
    if data["version"] != VERSION:
        raise ValueError(f"graph data of version {data['version']}; this archdsl reads version {VERSION}")
    origins = _origins(Position(*node["origin"]) for node in data["nodes"] if "origin" in node)
    return Graph(
        _text(data["name"]),
        tuple(_node(node, origins) for node in data["nodes"]),
        tuple(Output(_text(out["name"]), _ref(out["value"]), bool(out["aux"])) for out in data["outputs"]),
        _pairs(data["names"], _ref),
        _pairs(data["preprocessing"], _preprocessing),
        _pairs(data["size_rules"], _rule),
    )


def _pairs(data: Json, read: Callable[[Json], Any]) -> tuple[tuple[str, Any], ...]:
    return tuple((name, read(value)) for name, value in data.items())


def _node(data: Json, origins: Mapping[Position, Origin]) -> Node:
    return Node(
        _text(data["name"]),
        _text(data["op"]),
        tuple(_ref(ref) for ref in data["inputs"]),
        _pairs(data["settings"], _value),
        tuple(_type(of) for of in data["types"]),
        _text(data["weights"]),
        origins[Position(*data["origin"])] if "origin" in data else None,
    )


def _origins(positions: Iterable[Position]) -> dict[Position, Origin]:
    """Spans at the given positions, in sources of which nothing but the shape is known: blank lines."""
    by_path: dict[str, list[Position]] = {}
    for position in dict.fromkeys(positions):
        by_path.setdefault(_text(position.path), []).append(position)
    found = {}
    for path, here in by_path.items():
        widths = [1] * max(_count(p.line) for p in here)
        for p in here:
            widths[p.line - 1] = max(widths[p.line - 1], _count(p.column))
        source = Source(path, "\n".join(" " * width for width in widths))
        for p in here:
            start = source.line_starts[p.line - 1] + p.column - 1
            found[p] = Origin(Span(source, start, start))
    return found


def _count(value: Json) -> int:
    """A line or column number, within what a text could have."""
    if not 1 <= _int(value) <= 1_000_000:
        raise ValueError(f"{value} is no place in a text")
    return int(value)


def _int(value: Json) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is no whole number")
    return value


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _ref(data: Json) -> Ref:
    node, port = data
    return Ref(_text(node), _int(port))


def _type(data: Json) -> MapType:
    kind, channels, height, width = data
    if kind not in ("map", "indices"):
        raise ValueError(f"{kind!r} is no kind of value")
    return MapType(_int(channels), _value(height), _value(width), kind)


def _preprocessing(data: Json) -> Preprocessing:
    return Preprocessing(data["order"], tuple(data["mean"]), tuple(data["std"]), data["scale"])


def _rule(data: Json) -> Solutions:
    only = None if data["only"] is None else tuple(map(_int, data["only"]))
    return Solutions(_int(data["modulus"]), tuple(map(_int, data["remainders"])), _int(data["minimum"]), only)


def _value(data: Json) -> Any:
    if isinstance(data, list):
        return tuple(map(_value, data))
    if not isinstance(data, dict):
        return data
    if "fraction" in data:
        return Fraction(*map(_int, data["fraction"]))
    return Dim(tuple((_atom(atom), _int(factor)) for atom, factor in data["dim"]), _int(data["plus"]))


def _atom(data: Json) -> Atom:
    if isinstance(data, str):
        return data
    numerator = _value(data["floor"])
    if not isinstance(numerator, Dim) or _int(data["by"]) < 2:
        raise ValueError("a rounded size needs a symbol and a divisor")
    return Floor(numerator, data["by"])


def _check(graph: Graph) -> None:
    made: dict[Ref, MapType] = {}
    for node in graph.nodes:
        _check_node(node, made)
        made.update(zip(node.refs, node.types, strict=True))
    if len(graph.by_name) != len(graph.nodes):
        raise ValueError("two nodes have one name")
    for ref in (*(out.value for out in graph.outputs), *(ref for _, ref in graph.names)):
        if ref not in made:
            raise ValueError(f"there is no value {ref}")


def _check_node(node: Node, made: Mapping[Ref, MapType]) -> None:
    op = OPS.get(node.op)
    if op is None:
        raise ValueError(f"there is no op {node.op}")
    if [name for name, _ in node.settings] != [spec.name for spec in op.settings]:
        raise ValueError(f"{node.name} does not have the settings of {node.op}")
    least, most = op.arity
    if not least <= len(node.inputs) <= (len(node.inputs) if most is None else most):
        raise ValueError(f"{node.name} reads {len(node.inputs)} values")
    call = call_of(node.settings, [made[ref] for ref in node.inputs])
    if node.op != "input" and op.shape(call) != node.types:
        raise ValueError(f"{node.name} does not give what its types say")
    if bool(op.weights(call)) != bool(node.weights):
        raise ValueError(f"{node.name} has weights without a path, or a path without weights")
