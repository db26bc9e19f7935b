"""How much memory the maps of a network take at once, when nodes run one by one in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from archdsl.analyses.sized import SizedNode, element_bytes, elements
from archdsl.ir.graph import Graph, MapType, Node, Ref
from archdsl.ir.op import OPS

_VIEWS = frozenset({"input", "split", "identity", "crop"})


def is_free(node: Node) -> bool:
    """Whether a node moves no bytes at inference: its results are (parts of) what it reads, or come from outside."""
    return node.op in _VIEWS or OPS[node.op].training_only


@dataclass(frozen=True, slots=True)
class Peak:
    """The most bytes that maps take at once, and the node during which they do."""

    bytes: int
    node: str


def activation_peak(graph: Graph, nodes: Iterable[SizedNode], dtype: str) -> Peak:
    """The peak over nodes run in order, each map freed after its last use.

    A node needs its operands and its results at the same time: no elementwise op works in place. Results of views share
    the memory of what they show. Outputs stay to the end; an input goes after its last use.
    """
    nodes = tuple(nodes)
    lies_in = storage(at.node for at in nodes)
    frees = _frees(graph, nodes, lies_in)
    size = {ref: elements(of) * element_bytes(of, dtype) for at in nodes for ref, of in _values(at)}
    peak, live = Peak(0, ""), 0
    for at in nodes:
        live += sum(size[ref] for ref, _ in _values(at) if lies_in[ref] == ref)
        if live > peak.bytes:
            peak = Peak(live, at.node.name)
        live -= sum(size[root] for root in frees.get(at.node.name, ()))
    return peak


def _values(at: SizedNode) -> Iterable[tuple[Ref, MapType]]:
    return zip(at.node.refs, at.results, strict=True)


def storage(nodes: Iterable[Node]) -> dict[Ref, Ref]:
    """Per value, the value whose memory it lies in: views lie in what they show."""
    found: dict[Ref, Ref] = {}
    for node in nodes:
        shown = found[node.inputs[0]] if is_free(node) and node.inputs else None
        found.update({ref: shown or ref for ref in node.refs})
    return found


def _frees(graph: Graph, nodes: Iterable[SizedNode], lies_in: Mapping[Ref, Ref]) -> dict[str, list[Ref]]:
    """Per node name, the memory that nothing needs after it."""
    last: dict[Ref, str] = {}
    for at in nodes:
        read = [at.node.inputs[i] for i in at.operands_read]
        last.update({lies_in[ref]: at.node.name for ref in (*read, *at.node.refs)})
    kept = {lies_in[out.value] for out in graph.outputs if not out.aux}
    frees: dict[str, list[Ref]] = {}
    for root, name in last.items():
        if root not in kept:
            frees.setdefault(name, []).append(root)
    return frees
