"""The least time a network can take on given hardware: by its arithmetic and by the bytes it must move.

Two floors. `op_by_op` runs each node on its own, every map written to memory and read again. `fused` keeps every map
between nodes on the chip: only the input, the weights and the outputs move. No compiler that computes convolutions
directly, loads its weights on each call and gives these outputs gets below `fused`; `assert latency(…)` speaks of it.
Convolutions by Winograd's or Fourier's transforms multiply less, and weights that stay in a cache move less.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal

from archdsl.analyses.cost import CostReport, cost
from archdsl.analyses.hardware import Hardware
from archdsl.analyses.memory import is_free, storage
from archdsl.analyses.sized import bytes_of, element_bytes, elements
from archdsl.ir.graph import Graph, Ref
from archdsl.ir.state import specs_of

Limit = Literal["compute", "memory", "launch", "nothing"]

_FOLDED = ("bn",)
"""Ops that a compiler may fold into the weights of a convolution, and whose own weights need not be loaded then."""


@dataclass(frozen=True, slots=True)
class NodeFloor:
    """The least time of one node on its own, in seconds, and what it is spent on."""

    name: str
    seconds: float
    limit: Limit


@dataclass(frozen=True)
class Floor:
    """The floors of a network on hardware at a dtype, for one image, in seconds."""

    hardware: str
    dtype: str
    rows: tuple[NodeFloor, ...]
    op_by_op: float
    fused: float
    fused_limit: Limit


def floor(graph: Graph, values: Mapping[str, int], hardware: Hardware, dtype: str) -> Floor:
    """The least time at an input size and dtype.

    Raises KeyError when a symbol of the input's size has no value, ValueError for a dtype the hardware has no rate for.
    """
    if dtype not in hardware.flops:
        raise ValueError(f"{hardware.name} states no rate for {dtype}: it has {', '.join(hardware.flops)}")
    report = cost(graph, values, dtype)
    rows = tuple(_node(graph, row.name, row.macs, row.moved, hardware, dtype) for row in report.rows)
    fused, limit = least_seconds(report.macs, _essential(graph, report, dtype), hardware, dtype)
    return Floor(hardware.name, dtype, rows, sum(row.seconds for row in rows), fused, limit)


def fastest(graph: Graph, values: Mapping[str, int], hardware: Hardware) -> Floor:
    """The floor in the dtype in which the hardware could be fastest, fused."""
    return min((floor(graph, values, hardware, dtype) for dtype in hardware.flops), key=lambda f: f.fused)


def _node(graph: Graph, name: str, macs: int, moved: int, hardware: Hardware, dtype: str) -> NodeFloor:
    if is_free(graph.by_name[name]):
        return NodeFloor(name, 0.0, "nothing")
    return NodeFloor(name, *least_seconds(macs, moved, hardware, dtype))


def least_seconds(macs: int, moved: int, hardware: Hardware, dtype: str) -> tuple[float, Limit]:
    """The largest of three times that overlap at best; a multiply-add is two operations."""
    times: dict[Limit, float] = {
        "compute": 2 * macs / hardware.flops[dtype],
        "memory": moved / hardware.bandwidth,
        "launch": hardware.launch_overhead_s,
    }
    limit = max(times, key=lambda name: times[name])
    return times[limit], limit


def floor_by_node(graph: Graph, values: Mapping[str, int], hardware: Hardware) -> tuple[dict[str, int], Limit]:
    """What each node adds to the fused floor in the dtype in which the hardware is fastest, in whole nanoseconds, and
    what that floor is set by: their arithmetic, or the bytes that have to move.

    Raises KeyError when a symbol of the input's size has no value.
    """
    least = fastest(graph, values, hardware)
    report = cost(graph, values, least.dtype)
    if least.fused_limit == "compute":
        spent = {row.name: 2 * row.macs / hardware.flops[least.dtype] for row in report.rows}
    else:
        moved = _essential_by_node(graph, report, least.dtype)
        spent = {name: count / hardware.bandwidth for name, count in moved.items()}
    return {name: round(1e9 * seconds) for name, seconds in spent.items()}, least.fused_limit


def _essential(graph: Graph, report: CostReport, dtype: str) -> int:
    """Bytes that move however much is fused: what the inputs' readers read, the weights, the outputs."""
    return sum(_essential_by_node(graph, report, dtype).values())


def _essential_by_node(graph: Graph, report: CostReport, dtype: str) -> Counter[str]:
    moved = Counter({name: bytes_of(count, dtype) for name, count in _weights_loaded(graph, report)})
    for name, count in (*_inputs_read(graph, report), *_outputs_written(graph, report)):
        moved[name] += count
    return moved


def _weights_loaded(graph: Graph, report: CostReport) -> Iterator[tuple[str, int]]:
    """Numbers of state per node; what several nodes share stands at the first of them."""
    loaded: set[tuple[str, str]] = set()
    for row in report.rows:
        node = graph.by_name[row.name]
        fresh = [spec for spec in specs_of(graph, node) if (node.weights, spec.name) not in loaded]
        if fresh and node.op not in _FOLDED:
            loaded.update((node.weights, spec.name) for spec in fresh)
            yield node.name, sum(prod(spec.shape) for spec in fresh)


def _inputs_read(graph: Graph, report: CostReport) -> Iterator[tuple[str, int]]:
    """At least the whole of each input that some node reads alone; where others join in, nothing is known."""
    for node in graph.inputs:
        readers = [report.by_name[n.name] for n in graph.users.get(node.refs[0], ()) if n.name in report.by_name]
        alone = [reader for reader in readers if len(graph.by_name[reader.name].inputs) == 1]
        if alone:
            most = max(alone, key=lambda reader: reader.read)
            yield most.name, most.read


def _outputs_written(graph: Graph, report: CostReport) -> Iterator[tuple[str, int]]:
    """Outputs that lie in one memory are written once, those that show an input not at all."""
    lies_in = storage(graph.for_inference())
    written: dict[Ref, int] = {}
    for ref in (out.value for out in graph.outputs if not out.aux):
        of, root = graph.type_of(ref).at(report.values), lies_in[ref]
        if graph.by_name[root.node].op != "input":
            written[root] = max(written.get(root, 0), elements(of) * element_bytes(of, report.dtype))
    yield from ((root.node, count) for root, count in written.items())
