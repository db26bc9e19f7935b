"""Maps that are resized alike and then added are added first and resized once.

A resize is linear in the values. DWRSeg's reading R1 brings four maps from two stages up to 1/8 and adds them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from archdsl.ir.graph import Graph, Node, Ref
from archdsl.passes.commuting import RESAMPLING
from archdsl.passes.costs import Costs
from archdsl.passes.edit import Edit, lone_reader, made
from archdsl.passes.infra import Pass, PassResult, Weights, register
from archdsl.passes.judged import Candidate, judged


def _candidates(graph: Graph, weights: Weights, costs: Costs) -> Iterator[Candidate]:
    for node in graph.nodes:
        for alike in _alike(graph, node) if node.op in ("add", "sum") else ():
            rewrite = partial(_merged, graph, weights, node, alike)
            yield Candidate((node.name,), "", "at the size that is read", rewrite)


def _alike(graph: Graph, node: Node) -> list[list[Node]]:
    """Groups of operands that are resized alike, from one size and to one size, for this sum alone."""
    groups: dict[Any, list[Node]] = {}
    for ref in node.inputs:
        resize = graph.by_name[ref.node]
        if resize.op in RESAMPLING and lone_reader(graph, ref) is node and resize.types[0].shape == node.types[0].shape:
            read = graph.type_of(resize.inputs[0])
            key = resize.op, resize.settings, resize.inputs[1:], read.shape, resize.types
            groups.setdefault(key, []).append(resize)
    return [group for group in groups.values() if len(group) > 1]


def _merged(graph: Graph, weights: Weights, node: Node, alike: list[Node]) -> PassResult:
    edit = Edit.of(graph, weights)
    coarse = [resize.inputs[0] for resize in alike]
    first = alike[-1]
    name = edit.fresh(f"{node.name}.coarse")
    total = made(name, "sum", coarse, [graph.type_of(ref) for ref in coarse], origin=node.origin)
    gone = {resize.name for resize in alike}
    rest = [ref for ref in node.inputs if ref.node not in gone]
    if rest:
        resized = replace(first, name=edit.fresh(f"{node.name}.resized"), inputs=(total.refs[0], *first.inputs[1:]))
        operands: list[Ref] = [*rest, resized.refs[0]]
        types = [*(graph.type_of(ref) for ref in rest), resized.types[0]]
        edit.put(node, total, resized, made(node.name, "sum", operands, types, origin=node.origin))
    else:
        edit.put(node, total, replace(first, name=node.name, inputs=(total.refs[0], *first.inputs[1:])))
    return edit.finish()


merge_resizes = register(
    Pass(
        "merge_resizes",
        needs="nothing",
        rewrites="resize(a) + resize(b) to resize(a + b), for equal sizes and settings, where that is less work",
        promises="equal outputs up to rounding",
        rule=judged(_candidates),
    )
)
