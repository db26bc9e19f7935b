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

TUNE_SECONDS = {"cpu": 120.0, "cuda": 600.0}
"""Enough to tune kernels for each of archdsl's own engines."""


def compiled(case: Case, engine: str = "own") -> CompiledModel:
    """A case on an engine, "own" for the fastest of archdsl's own. Raises as `compile_graph` does."""
    return compile_graph(
        case.graph,
        case.weights,
        sizes=[case.size],
        batch=case.batch,
        dtype=case.dtype,
        device=case.device,
        engine=engine,
        output=case.output,
        tune=TUNE_SECONDS[case.device],
        description=Description(spec=case.source),
    )


def prepare(case: Case, engine: str = "own") -> tuple[Ready, CompiledModel, Graph]:
    """The network as it is loaded from an artifact, and its rewritten graph, in which each node knows the lines that it
    comes from, as that of an artifact does not. Raises as `compile_graph` does.
    """
    clock = Clock()
    model = compiled(case, engine)
    took = clock.lap()
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "artifact")
        clock.lap()
        again = load(Path(folder) / "artifact")
        loaded = clock.lap()
    inputs = case.inputs

    def run() -> Tensor:
        return first_tensor(again(*inputs))

    return Ready(run, lambda tensor: tensor, took, loaded, again.engine.name), again, model.graph
