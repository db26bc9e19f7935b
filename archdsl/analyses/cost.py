"""What a network costs: parameters, multiply-adds, bytes moved, memory kept. For one image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, partial
from math import prod

from archdsl.analyses.memory import Peak, activation_peak, is_free
from archdsl.analyses.sized import SizedNode, bytes_of, element_bytes, elements, sized
from archdsl.ir.access import Window
from archdsl.ir.graph import Graph, Kind, Node
from archdsl.ir.op import OPS, OpCall, call_of, no_macs
from archdsl.ir.settings import at_size
from archdsl.ir.state import specs_of, specs_of_kind

# ----------------------------------------------------------------- parameters


def parameters_by_node(graph: Graph, *, training: bool = False) -> dict[str, int]:
    """Parameters per node name, frozen ones included, buffers not; shared weights stand at the first node with them.

    Only nodes that the outputs need are counted, or with `training` every node, those of auxiliary outputs included.
    """
    owners: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    sizes = cache(lambda kind: {s.name: prod(s.shape) for s in specs_of_kind(kind) if not s.buffer})
    for node in graph.nodes if training else graph.for_inference():
        if not node.weights:
            counts[node.name] = 0
            continue
        found = sizes(graph.kind_of(node))
        owned = owners.setdefault(node.weights, set())
        counts[node.name] = sum(size for name, size in found.items() if name not in owned)
        owned.update(found)
    return counts


def parameters(graph: Graph, *, training: bool = False) -> int:
    """The number of parameters: `params` in the language, and with `training` its `params_train`."""
    return sum(parameters_by_node(graph, training=training).values())


def state_elements(graph: Graph, nodes: Iterable[Node]) -> int:
    """Numbers in the state of some nodes, buffers included, shared weights once."""
    state = {(n.weights, s.name): prod(s.shape) for n in nodes for s in specs_of(graph, n)}
    return sum(state.values())


# ----------------------------------------------------------------- multiply-adds


def macs_by_node(graph: Graph, values: Mapping[str, int]) -> dict[str, int]:
    """Multiply-adds of convolutions and matrix products, per node that the outputs need, at an input size.

    Raises KeyError when a symbol of the input's size has no value.
    """
    of_kind = cache(partial(_macs_of_kind, values=values))
    return {node.name: of_kind(graph.kind_of(node)) for node in graph.for_inference()}


def _macs_of_kind(kind: Kind, values: Mapping[str, int]) -> int:
    op = OPS[kind.op]
    if op.macs is no_macs:
        return 0
    call = call_of(at_size(dict(kind.settings), values), [of.at(values) for of in kind.inputs])
    return op.macs(call, [of.at(values) for of in kind.types])


def macs(graph: Graph, values: Mapping[str, int]) -> int:
    """Multiply-adds of the whole network at an input size: `macs(h, w)` in the language."""
    return sum(macs_by_node(graph, values).values())


def _macs(at: SizedNode) -> int:
    return OPS[at.node.op].macs(at.call, at.results)


def _batch_norm(at: SizedNode) -> int:
    return elements(at.results[0]) * (2 if at.call["affine"] else 1)


def _averaged(at: SizedNode) -> int:
    return elements(at.call.inputs[0]) if at.call["kind"] == "avg" else 0


def _resized(at: SizedNode) -> int:
    per_output = {"bilinear": 4, "nearest": 1}.get(at.call["mode"], 0)
    return per_output * elements(at.results[0])


_FVCORE: dict[str, Callable[[SizedNode], int]] = {
    "bn": _batch_norm,
    "group_norm": lambda at: 5 * elements(at.results[0]),
    "global_pool": _averaged,
    "adaptive_pool": _averaged,
    "resize": _resized,
    "guided_upsample": lambda at: 4 * elements(at.results[0]),
}
"""Costs beside multiply-adds, as the handles of fvcore 0.1.5 (`fvcore/nn/flop_count.py`) count them in eval mode."""


def _fvcore(at: SizedNode) -> int:
    beside = _FVCORE.get(at.node.op)
    return _macs(at) + (beside(at) if beside else 0)


# ----------------------------------------------------------------- bytes


def _read(at: SizedNode, dtype: str) -> int:
    """Bytes of the operands that are read at least."""
    return sum(_touched(at, i) * element_bytes(at.call.inputs[i], dtype) for i in at.operands_read)


def _touched(at: SizedNode, operand: int) -> int:
    """Elements of an operand that the windows of the result touch: a stride over the kernel leaves some out."""
    of, result, area = at.call.inputs[operand], at.results[0], 1
    for axis, (extent, windows) in enumerate(zip(of.shape[1:], result.shape[1:], strict=True)):
        access = OPS[at.node.op].access(at.call, axis)[operand]
        assert isinstance(extent, int) and isinstance(windows, int)
        area *= min(extent, windows * access.kernel) if isinstance(access, Window) else extent
    return of.channels * area


@dataclass(frozen=True, slots=True)
class NodeCost:
    """One node's cost: counts, and bytes that it reads of its operands, reads of its weights, and writes."""

    name: str
    params: int
    macs: int
    fvcore: int
    read: int
    weights: int
    written: int

    @property
    def moved(self) -> int:
        """Bytes to and from memory when the node runs on its own."""
        return self.read + self.weights + self.written


@dataclass(frozen=True)
class CostReport:
    """The cost of a network at an input size and dtype, for one image; `rows` has the nodes that the outputs need.

    `fvcore` counts as fvcore does, one per multiply-add; `peak` assumes no elementwise op in place; `weight_bytes` is
    everything that inference loads, running statistics included.
    """

    values: Mapping[str, int]
    dtype: str
    rows: tuple[NodeCost, ...]
    params: int
    params_train: int
    weight_bytes: int
    peak: Peak

    @cached_property
    def by_name(self) -> Mapping[str, NodeCost]:
        return {row.name: row for row in self.rows}

    @cached_property
    def macs(self) -> int:
        return sum(row.macs for row in self.rows)

    @cached_property
    def fvcore(self) -> int:
        return sum(row.fvcore for row in self.rows)

    @cached_property
    def moved(self) -> int:
        """Bytes moved when every node runs on its own."""
        return sum(row.moved for row in self.rows)


def cost(graph: Graph, values: Mapping[str, int], dtype: str = "float32") -> CostReport:
    """Every cost of a network for given input sizes (`{"H": 1024, "W": 2048}`) and a dtype of its maps and weights.

    Raises KeyError when a symbol has no value, ValueError for an unknown dtype. Whether the size rules allow the sizes
    is not asked.
    """
    params = parameters_by_node(graph)
    nodes = tuple(sized(graph, values))
    return CostReport(
        dict(values),
        dtype,
        tuple(_row(graph, at, params[at.node.name], dtype) for at in nodes),
        sum(params.values()),
        parameters(graph, training=True),
        bytes_of(state_elements(graph, (at.node for at in nodes)), dtype),
        activation_peak(graph, nodes, dtype),
    )


def cost_of(graph: Graph, node: Node, values: Mapping[str, int], dtype: str) -> NodeCost:
    """The cost of one node alone, where it need not count what others share with it; `params` is 0.

    Raises KeyError and ValueError as `cost` does.
    """
    operands = tuple(of.at(values) for of in graph.input_types(node))
    call = OpCall(at_size(dict(node.settings), values), operands)
    return _row(graph, SizedNode(node, call, tuple(of.at(values) for of in node.types)), 0, dtype)


def _row(graph: Graph, at: SizedNode, params: int, dtype: str) -> NodeCost:
    free = is_free(at.node)
    return NodeCost(
        at.node.name,
        params,
        _macs(at),
        _fvcore(at),
        0 if free else _read(at, dtype),
        bytes_of(state_elements(graph, [at.node]), dtype),
        0 if free else sum(elements(of) * element_bytes(of, dtype) for of in at.results),
    )
