"""The text form of a graph: one node a line, to be read by people and read back exactly.

    ir 1
    graph Net
    prepare image: order="rgb" mean=(0.485, 0.456, 0.406) std=(0.229, 0.224, 0.225) scale=0.00392156862745098
    image: [3, H, W] = input() channels=3
    s2.conv1: [32, ⌈H/2⌉, ⌈W/2⌉] = conv(image) out=32 kernel=3x3 stride=2x2 padding=1x1 @
    name s2 = s2.conv1
    out logits = s2.conv1

`name: types = op(values) settings @weights`. A value is a node's name, with `:1` for its second result. Settings that
have their default are left out, unless the op is written `op!`: then just those that are written are there. `@` alone
says that the weights lie under the node's own name. `allow H: …` states sizes of the input; `aux out` an auxiliary
output. Names that are no plain words stand in double quotes. `#` begins a comment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields
from fractions import Fraction
from typing import Any

import archdsl.ir.ops  # noqa: F401  (registers the ops)
from archdsl.ir.dims import Solutions
from archdsl.ir.graph import Graph, MapType, Node, Output, Preprocessing, Ref
from archdsl.ir.op import OPS, REQUIRED, Op
from archdsl.ir.settings import defaults as completed_defaults

VERSION = 1
PLAIN_NAME = r"[^\W\d][\w.@]*"

_PLAIN = re.compile(PLAIN_NAME)


def to_text(graph: Graph) -> str:
    """The graph as text, from which `from_text` makes an equal graph; origins are left out."""
    return "".join(f"{line}\n" for line in _lines(graph))


def from_text(text: str, path: str = "<graph>") -> Graph:
    """The graph that a text describes; `path` is what errors call it.

    Raises ArchError E0821, with the place, when the text is none that `to_text` could have given.
    """
    from archdsl.ir.text_reader import read_graph

    return read_graph(text, path)


def _lines(graph: Graph) -> Iterator[str]:
    yield f"ir {VERSION}"
    yield f"graph {show_name(graph.name)}"
    for name, how in graph.preprocessing:
        yield f"prepare {show_name(name)}: {_pairs_text(_preprocessing(how))}"
    for symbol, rule in graph.size_rules:
        yield f"allow {show_name(symbol)}: {_pairs_text(_rule(rule))}"
    yield from map(_node, graph.nodes)
    for name, ref in graph.names:
        yield f"name {show_name(name)} = {_ref(ref)}"
    yield from map(_output, graph.outputs)


def _preprocessing(how: Preprocessing) -> dict[str, Any]:
    return {field.name: getattr(how, field.name) for field in fields(how)}


def _rule(rule: Solutions) -> dict[str, Any]:
    stated = {field.name: (getattr(rule, field.name), field.default) for field in fields(rule)}
    return {name: value for name, (value, default) in stated.items() if value != default or name == "minimum"}


def _output(out: Output) -> str:
    return f"{'aux ' if out.aux else ''}out {show_name(out.name)} = {_ref(out.value)}"


def _node(node: Node) -> str:
    left_out = _left_out(node)
    written = {name: value for name, value in node.settings if name not in (left_out or ())}
    lists = [spec.name for spec in OPS[node.op].settings if spec.kind == "sizes"] if node.op in OPS else []
    exactly = "!" if left_out is None else ""
    parts = [
        f"{show_name(node.name)}: {', '.join(map(_type, node.types))} = {node.op}{exactly}"
        f"({', '.join(map(_ref, node.inputs))})",
        _pairs_text(written, lists),
        _weights(node),
    ]
    return " ".join(filter(None, parts))


def _weights(node: Node) -> str:
    if not node.weights:
        return ""
    return "@" if node.weights == node.name else f"@{show_name(node.weights)}"


def _left_out(node: Node) -> set[str] | None:
    """The settings that have their default; None where a reader could not tell which ones to fill in."""
    op = OPS.get(node.op)
    if op is None or [name for name, _ in node.settings] != [spec.name for spec in op.settings]:
        return None
    known = defaults(op)
    return {name for name, value in node.settings if name in known and show_value(value) == show_value(known[name])}


def defaults(op: Op) -> Mapping[str, Any]:
    """The settings of an op that need not be given, in the form that nodes hold."""
    return {name: value for name, value in completed_defaults(op).items() if value is not REQUIRED}


# ----------------------------------------------------------------- parts of a line


def _pairs_text(pairs: Mapping[str, Any], lists: Collection[str] = ()) -> str:
    return " ".join(f"{name}={show_value(value, extent=name not in lists)}" for name, value in pairs.items())


def show_name(name: str) -> str:
    """A name as it stands in the text: in quotes where it is no plain word."""
    return name if _PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _ref(ref: Ref) -> str:
    return show_name(ref.node) if ref.port == 0 else f"{show_name(ref.node)}:{ref.port}"


def _type(of: MapType) -> str:
    return f"{'indices' if of.kind == 'indices' else ''}[{of.channels}, {of.height}, {of.width}]"


def show_value(value: Any, *, extent: bool = True) -> str:
    """A setting's value as it stands in the text; different values, or kinds of value, never look alike.

    A pair of counts is written `3x3`, or as any tuple where `extent` is false.
    """
    if isinstance(value, tuple):
        return _tuple(value, extent)
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    return str(int(value)) if isinstance(value, int) else str(value)


def _tuple(items: tuple[Any, ...], extent: bool) -> str:
    if extent and len(items) == 2 and all(isinstance(i, int) and not isinstance(i, bool) and i >= 0 for i in items):
        return f"{items[0]}x{items[1]}"
    return f"({', '.join(map(show_value, items))}{',' if len(items) == 1 else ''})"
