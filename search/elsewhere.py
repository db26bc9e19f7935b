"""Rates that `--rates all` cannot take, as they stand in another file than the spec; and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable

from archdsl.diagnostics import Frame, Source
from archdsl.elaborate.files import BlockDef
from archdsl.ir.graph import Node
from archdsl.lang import tree as t
from archdsl.network import Network

_NAMES = ("dilation", "rate", "rates")
"""What parameters of the library that are rates are called where they have no type."""


def elsewhere(network: Network, nodes: Iterable[Node]) -> list[str]:
    """A line for each call in the spec's file whose layers have their rates from another."""
    assert network.spec.file is not None
    own = network.spec.file.source
    said = [_said(network, node, own) for node in nodes]
    return list(dict.fromkeys(said))


def _said(network: Network, node: Node, own: Source) -> str:
    frames = () if node.origin is None else node.origin.frames
    here = max((i for i, frame in enumerate(frames) if frame.span.source is own), default=None)
    if here is None:
        return f"{node.name} has its rate from another file"
    span = frames[here].span
    call = own.text[span.start : span.end].replace("\n", " ")
    return f"line {span.line}: `{call}` has its rate from elsewhere; {_mend(network, frames[here + 1 :], node)}"


def _mend(network: Network, inner: tuple[Frame, ...], node: Node) -> str:
    definition = None if not inner or network.spec.file is None else network.spec.file.names.get(inner[0].block)
    if not isinstance(definition, BlockDef):
        return f"write its dilation as a number ({node.op} of {node.name})"
    for param in definition.tree.params:
        if param.default is not None and (_is_rate(param.type) or param.name.text in _NAMES):
            span = param.default.span
            return f"write `{param.name.text}={span.source.text[span.start : span.end]}` in the call to search it"
    return f"{inner[0].block} has no argument for it"


def _is_rate(type_: t.TypeExpr | None) -> bool:
    if not isinstance(type_, t.NamedType):
        return False
    return type_.name == "rate" or any(_is_rate(inner) for inner in type_.arguments)
