"""Which nodes of a rewritten graph become one launch, and what is launched for them.

Joined nodes are replaced by one of op `kernel`, whose lowering is a closure over packed weights; what is not
recognised stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from archdsl.runtime.engines.program import Program
from archdsl.runtime.engines.triton import depthwise_merge, multi_rate, pointwise, upsampling
from archdsl.runtime.engines.triton.work import Joined, Work

from archdsl.ir.graph import Graph, Node, Ref
from archdsl.lower.registry import Lowering

_RULES: dict[str, list[Callable[[Work, Node], Joined | None]]] = {
    "concat": [multi_rate.concatenated],
    "placed_concat": [multi_rate.concatenated],
    "conv": [depthwise_merge.merged, multi_rate.alone],
    "fused_conv": [depthwise_merge.merged, pointwise.gated, multi_rate.alone],
    "resize_argmax": [upsampling.labelled],
    "guided_upsample": [upsampling.guided],
}


def joined(program: Program) -> tuple[Graph, dict[str, Lowering]]:
    """The graph with kernels in place of what they compute, and the kernels' lowerings by node name."""
    work = Work(program)
    # readers first: what takes its operands' work over leaves them nothing to become
    found = {}
    for node in reversed(program.graph.nodes):
        if node.name in work.taken:
            continue
        for rule in _RULES.get(node.op, []):
            kernel = rule(work, node)
            if kernel is not None:
                found[node.name] = kernel
                work.taken |= kernel.covers
                break
    return _replaced(program.graph, found), {name: kernel.lowering for name, kernel in found.items()}


def _replaced(graph: Graph, found: Mapping[str, Joined]) -> Graph:
    renamed = {ref: new for kernel in found.values() for ref, new in kernel.instead.items()}
    gone = {name for kernel in found.values() for name in kernel.covers}
    nodes = []
    for node in graph.nodes:
        kernel = found.get(node.name)
        if kernel is not None:
            nodes.append(Node(node.name, "kernel", _read(kernel.inputs, renamed), (), kernel.types, origin=node.origin))
        elif node.name not in gone:
            nodes.append(replace(node, inputs=_read(node.inputs, renamed)))
    return replace(graph, nodes=tuple(nodes))


def _read(inputs: tuple[Ref, ...], renamed: Mapping[Ref, Ref]) -> tuple[Ref, ...]:
    return tuple(renamed.get(ref, ref) for ref in inputs)
