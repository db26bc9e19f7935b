"""Where the time goes, by node and so by line of the text."""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import Any

import torch
from archdsl.runtime.bench.case import Case
from archdsl.runtime.bench.result import NodeTime
from archdsl.runtime.engines import Program
from archdsl.runtime.stopwatch import timed
from torch import fx

from archdsl.ir.graph import Node
from archdsl.lower.fx import lower_fx

_ROUNDS = 5


def node_times(case: Case, program: Program) -> list[NodeTime]:
    """Median milliseconds of each node of a rewritten network, run one by one in eager PyTorch.

    Fusion across nodes is lost that way, so their sum is more than an engine takes; it is their shares that tell.
    """
    module = lower_fx(program.graph, program.weights)
    rounds = []
    with torch.no_grad():
        for _ in range(_ROUNDS + 1):
            timer = _Timer(module, program.device)
            timer.run(*case.inputs)
            rounds.append(timer.seconds)
    nodes = [node for node in program.graph.nodes if node.name in rounds[-1]]
    return [
        NodeTime(node.name, node.op, line_of(node), 1e3 * statistics.median(one[node.name] for one in rounds[1:]))
        for node in nodes
    ]


def line_of(node: Node) -> int:
    """The line of the network's own text that a node comes from, 0 for none."""
    if node.origin is None:
        return 0
    return (node.origin.frames[0].span if node.origin.frames else node.origin.span).line


def by_line(times: list[NodeTime]) -> dict[int, float]:
    """Milliseconds by line."""
    total: defaultdict[int, float] = defaultdict(float)
    for time in times:
        total[time.line] += time.ms
    return dict(sorted(total.items()))


class _Timer(fx.Interpreter):
    """Runs a module's calls one by one, adding up the seconds of each node of our graph."""

    def __init__(self, module: fx.GraphModule, device: torch.device) -> None:
        super().__init__(module)
        self.device = device
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def run_node(self, n: fx.Node) -> Any:
        node = n.meta.get("node")
        if node is None or n.op == "get_attr":
            return super().run_node(n)
        held: list[Any] = []
        self.seconds[node] += timed(lambda: held.append(super(_Timer, self).run_node(n)), self.device)
        return held[0]
