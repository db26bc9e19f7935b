"""archdsl itself as a contender: compiled, saved, and loaded back, as a user would deploy it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from archdsl.runtime.bench.case import Case
from archdsl.runtime.bench.contender import Clock, Ready, first_tensor
from archdsl.runtime.compile import Description, compile_graph
from archdsl.runtime.model import CompiledModel, load
from torch import Tensor

from archdsl.ir.graph import Graph

TUNE_SECONDS = 120.0


def prepare(case: Case, engine: str = "own") -> tuple[Ready, CompiledModel, Graph]:
    """The network compiled by an engine, "own" for the fastest of archdsl's own; and its rewritten graph, in which each
    node knows the lines that it comes from, as that of an artifact does not. Raises as `compile_graph` does.
    """
    clock = Clock()
    model = compile_graph(
        case.graph,
        case.weights,
        sizes=[case.size],
        batch=case.batch,
        dtype=case.dtype,
        device=case.device,
        engine=engine,
        output=case.output,
        tune=TUNE_SECONDS,
        description=Description(spec=case.source),
    )
    compiled = clock.lap()
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "artifact")
        clock.lap()
        again = load(Path(folder) / "artifact")
        loaded = clock.lap()
    inputs = case.inputs

    def run() -> Tensor:
        return first_tensor(again(*inputs))

    return Ready(run, lambda tensor: tensor, compiled, loaded, again.engine.name), again, model.graph
