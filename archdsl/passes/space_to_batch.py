"""Runs of convolutions with one dilation rate become dense ones on the phases of their map.

A convolution of rate r reads, at each position, only positions of one phase modulo r: on the r · r phases, stacked as
a batch, it is a dense convolution. TensorFlow's dilated layers ran so, by its op `space_to_batch`. Taking a map apart
and putting it together costs two copies, once for a whole run. It pays where dense kernels are faster than dilated
ones; oneDNN's are not, so that no network is rewritten for a CPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import lcm
from typing import cast

from archdsl.ir.dims import MAX_PERIOD, Size, Solutions
from archdsl.ir.graph import Graph, Node, Ref
from archdsl.ir.ops.fused import ACTIVATIONS
from archdsl.passes.affine import is_affine
from archdsl.passes.costs import Costs
from archdsl.passes.edit import Edit, is_output, made
from archdsl.passes.infra import Pass, PassResult, Weights, register
from archdsl.passes.judged import Candidate, judged

_EACH_VALUE = (*ACTIVATIONS, "elu", "prelu", "identity")
_EACH_POSITION = ("add", "sub", "mul", "div", "sum", "concat", "softmax", "log_softmax", "mean", "max")


@dataclass(frozen=True)
class _Run:
    """Nodes that can work on the phases of one value, in order; `dense` are the convolutions that become dense."""

    start: Ref
    rate: int
    nodes: tuple[Node, ...]
    dense: tuple[Node, ...]

    def left_by(self, graph: Graph) -> list[Node]:
        """The nodes whose values are read outside the run."""
        inside = {node.name for node in self.nodes}

        def read(ref: Ref) -> bool:
            return is_output(graph, ref) or any(user.name not in inside for user in graph.users.get(ref, ()))

        return [node for node in self.nodes if read(node.refs[0])]


def _candidates(graph: Graph, weights: Weights, costs: Costs) -> Iterator[Candidate]:
    for run in _runs(graph):
        names, rewrite = tuple(node.name for node in run.dense), partial(_rewritten, graph, weights, run)
        instead = "on phases, dense but for the copies,"
        yield Candidate(names, _uneven(graph, run), instead, rewrite, partial(_gain, graph, run, costs))


def _gain(graph: Graph, run: _Run, costs: Costs, last: PassResult) -> float:
    """What dense convolutions save, less the copies: of `last`, the types tell no sizes, which are of single phases."""
    copies = costs.copy(graph, run.start) + sum(costs.copy(graph, node.refs[0]) for node in run.left_by(graph))
    return costs.seconds(graph, run.dense) - replace(costs, dilated=1.0).seconds(graph, run.dense) - copies


def _uneven(graph: Graph, run: _Run) -> str:
    """Why phases are not all alike; empty when they are. What lies beyond a shorter one is no zero after a bias."""
    of = graph.type_of(run.start)
    uneven = [str(size) for size in (of.height, of.width) if not _always_multiple(graph, size, run.rate)]
    return f"{uneven[0]} is no multiple of its rate {run.rate} for every input size" if uneven else ""


def _runs(graph: Graph) -> list[_Run]:
    """The runs of a graph, the longest from each place; no convolution is in two."""
    found: list[_Run] = []
    seen: set[str] = set()
    for node in graph.nodes:
        if (rate := _rate(node)) > 1 and node.name not in seen:
            run = _grown(graph, node.inputs[0], rate)
            seen.update(dense.name for dense in run.dense)
            found.append(run)
    return found


def _rate(node: Node) -> int:
    """The rate of a dilated convolution that keeps its map's size, along each axis with several taps; 1 for others."""
    if node.op not in ("conv", "depthwise") or node["stride"] != (1, 1):
        return 1
    axes = list(zip(*(cast(tuple[int, int], node[name]) for name in ("kernel", "dilation", "padding")), strict=True))
    centred = all(kernel % 2 and 2 * padding == dilation * (kernel - 1) for kernel, dilation, padding in axes)
    rates = {dilation for kernel, dilation, _ in axes if kernel > 1}
    return rates.pop() if centred and len(rates) == 1 else 1


def _grown(graph: Graph, start: Ref, rate: int) -> _Run:
    """All that can follow a value on its phases, without what no convolution of the run leads to or needs."""
    known, nodes = {start}, list[Node]()
    for node in graph.nodes:
        if node.inputs and set(node.inputs) <= known and _local(graph, node, rate):
            nodes.append(node)
            known.update(node.refs)
    dense = tuple(node for node in nodes if _rate(node) == rate)
    needed, after = graph.reaching(*(node.refs[0] for node in dense)), {node.name for node in dense}
    for node in nodes:
        if any(ref.node in after for ref in node.inputs):
            after.add(node.name)
    useful = needed | after
    return _Run(start, rate, tuple(node for node in nodes if node.name in useful), dense)


def _local(graph: Graph, node: Node, rate: int) -> bool:
    """Whether a node gives, phase by phase, what it gives on the whole map."""
    if node.op == "conv" and node["kernel"] == (1, 1):
        return node["stride"] == (1, 1) and node["padding"] == (0, 0)
    if node.op in _EACH_POSITION:
        return len({(of.height, of.width) for of in graph.input_types(node)}) == 1
    return _rate(node) == rate or is_affine(node) or node.op in _EACH_VALUE


def _always_multiple(graph: Graph, size: Size, rate: int) -> bool:
    """Whether every input size that the network takes makes a size a multiple of the rate."""
    if isinstance(size, int):
        return size % rate == 0
    if len(size.symbols) > 1:
        return False
    (name,) = size.symbols
    rule = dict(graph.size_rules).get(name, Solutions())
    if rule.only is not None:
        return all(size.at({name: n}) % rate == 0 for n in rule.only)
    period = lcm(size.period * rate, rule.modulus)
    allowed = (n for n in range(rule.minimum, rule.minimum + period) if rule.allows(n))
    return period <= MAX_PERIOD and all(size.at({name: n}) % rate == 0 for n in allowed)


def _rewritten(graph: Graph, weights: Weights, run: _Run) -> PassResult:
    edit, first = Edit.of(graph, weights), run.nodes[0]
    factor: dict[str, object] = {"factor": run.rate}
    apart = made(
        edit.fresh(f"{run.start.node}.phases"), "space_to_batch", [run.start], [graph.type_of(run.start)], factor
    )
    moved, left = {run.start: apart}, {node.name for node in run.left_by(graph)}
    for node in run.nodes:
        part = moved[node.refs[0]] = _on_phases(edit, node, moved, run.rate)
        placed = [apart, part] if node is first else [part]
        if node.name in left:
            size = {"size": (node.types[0].height, node.types[0].width)}
            placed.append(made(node.name, "batch_to_space", part.refs, part.types, factor | size, origin=node.origin))
        edit.put(node, *placed)
    return edit.finish()


def _on_phases(edit: Edit, node: Node, moved: Mapping[Ref, Node], rate: int) -> Node:
    inputs, settings = [moved[ref] for ref in node.inputs], dict(node.settings)
    if _rate(node) == rate:
        kernel = cast(tuple[int, int], node["kernel"])
        settings |= {"dilation": (1, 1), "padding": (kernel[0] // 2, kernel[1] // 2)}
    return made(
        edit.fresh(f"{node.name}.phases"),
        node.op,
        [part.refs[0] for part in inputs],
        [part.types[0] for part in inputs],
        settings,
        weights=node.weights,
        origin=node.origin,
    )


space_to_batch = register(
    Pass(
        "space_to_batch",
        needs="sizes that the rate divides at every input size, and dense kernels faster than dilated ones",
        rewrites="runs of convolutions of one rate, with what acts on each position between, to dense ones on phases",
        promises="the same sums, in the order that dense kernels have",
        rule=judged(_candidates),
    )
)
