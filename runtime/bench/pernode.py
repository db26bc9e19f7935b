"""Where the time goes, by step and so by line of the text."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from archdsl.runtime.bench.measured import Measured, Step
from archdsl.runtime.engines import Program
from archdsl.runtime.model import CompiledModel
from archdsl.runtime.stopwatch import timed
from torch import Tensor, fx

from archdsl.ir.graph import Graph, Node
from archdsl.lower.fx import lower_fx

_ROUNDS = 7


def measured(model: CompiledModel, graph: Graph, inputs: tuple[Tensor, ...], source: str = "") -> Measured:
    """A call of a compiled model, and its steps one by one: those of its engine, or, where that cannot tell, each node
    in eager PyTorch, which loses what the engine fuses, so that it is the shares that tell.

    `graph` is the rewritten one as it was compiled, in which nodes know their lines.
    """
    device = model.program.device
    call = statistics.median(timed(lambda: model(*inputs), device) for _ in range(_ROUNDS))
    told = [model.profile(*inputs) for _ in range(_ROUNDS + 1)]
    engine = model.engine.name
    if told[0] is None:
        told, engine = [dict(one) for one in _eagerly(model.program, inputs)], "eager"
    steps = tuple(_steps(graph, [one for one in told[1:] if one is not None]))
    return Measured(engine, model.manifest.dtype, call, steps, source)


def _steps(graph: Graph, rounds: list[dict[str, float]]) -> Iterator[Step]:
    """The median of each step over rounds."""
    for node in graph.nodes:
        if node.name in rounds[0]:
            yield Step(node.name, node.op, line_of(node), statistics.median(one[node.name] for one in rounds))


def line_of(node: Node) -> int:
    """The line of the network's own text that a node comes from, 0 for none."""
    if node.origin is None:
        return 0
    return (node.origin.frames[0].span if node.origin.frames else node.origin.span).line


def _eagerly(program: Program, inputs: tuple[Tensor, ...]) -> Iterator[dict[str, float]]:
    module = lower_fx(program.graph, program.weights)
    with torch.no_grad():
        for _ in range(_ROUNDS + 1):
            timer = _Timer(module, program.device)
            timer.run(*inputs)
            yield timer.seconds


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
