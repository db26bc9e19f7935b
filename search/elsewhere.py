"""Rates that `--rates all` cannot take, as they stand in another file or decide more; and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archdsl.search.space import Rate, written

from archdsl.diagnostics import Frame, Source, Span
from archdsl.elaborate.files import BlockDef
from archdsl.ir.graph import Node
from archdsl.network import Network


def elsewhere(network: Network, nodes: Iterable[Node]) -> list[str]:
    """A line for each call in the spec's file whose layers have their rates from another."""
    assert network.spec.file is not None
    said: dict[str, list[str]] = {}
    for node in nodes:
        said.setdefault(_said(network, node, network.spec.file.source), []).append(node.name)
    return [f"{line} ({_some(names)})" for line, names in said.items()]


def decides_more(rates: Iterable[Rate]) -> list[str]:
    """A line for each number of the spec's file that is a rate and something else besides."""
    return [f"line {one.span.line}: `{one.start}` decides more than dilations ({_some(one.nodes)})" for one in rates]


def _some(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _said(network: Network, node: Node, own: Source) -> str:
    frames = () if node.origin is None else node.origin.frames
    here = max((i for i, frame in enumerate(frames) if frame.span.source is own), default=None)
    if here is None:
        return "its rate is from another file"
    span = frames[here].span
    call = " ".join(own.text[span.start : span.end].split())
    return f"line {span.line}: `{call}` has its rate from elsewhere; {_mend(network, node, frames[here + 1 :])}"


def _mend(network: Network, node: Node, inner: tuple[Frame, ...]) -> str:
    definition = None if not inner or network.spec.file is None else network.spec.file.names.get(inner[0].block)
    if not isinstance(definition, BlockDef):
        return "write its `dilation=…` as a number to search it"
    number = written(node)
    for param in definition.tree.params:
        if param.default is not None and number is not None and _contains(param.default.span, number):
            span = param.default.span
            return f"write `{param.name.text}={span.source.text[span.start : span.end]}` in the call to search it"
    return f"{inner[0].block} has no argument for it"


def _contains(outer: Span, inner: Span) -> bool:
    return outer.source is inner.source and outer.start <= inner.start and inner.end <= outer.end
