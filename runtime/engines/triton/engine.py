"""Running a program whose nodes were joined into kernels, node after node."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from archdsl.runtime.engines.program import Program
from archdsl.runtime.engines.registry import Outputs, Runner, register
from torch import Tensor

from archdsl.ir.graph import Node
from archdsl.ir.state import specs_of
from archdsl.lower.interpret import bind_sizes, execute, feeds_of, shape_of


class TritonEngine:
    """Keeps no state between calls. Kernels are tuned for a size at its first call, and that is kept on disk."""

    name, own, seconds = "triton", True, 60.0

    def available(self, program: Program) -> str | None:
        from archdsl.runtime.kernels.triton.launch import missing

        return missing(program.device)

    def prepare(self, program: Program) -> Runner:
        from archdsl.runtime.engines.triton.join import joined

        graph, kernels = joined(program)
        states = {node.name: _state(program, node) for node in program.graph.nodes}
        wanted = {out.name: out.value for out in graph.outputs if not out.aux}

        def run(*inputs: Tensor) -> Outputs:
            feeds = feeds_of(graph, dict(zip((node.name for node in graph.inputs), inputs, strict=True)))
            sizes = bind_sizes(graph, {name: shape_of(tensor) for name, tensor in feeds.items()})
            keep = set(wanted.values())
            with torch.no_grad():
                values = execute(
                    graph.nodes,
                    feeds,
                    lambda node: states.get(node.name, {}),
                    sizes,
                    training=False,
                    keep=keep,
                    lowerings=kernels,
                )
            results = {name: values[ref] for name, ref in wanted.items()}
            return results if len(results) > 1 else next(iter(results.values()))

        return run


def _state(program: Program, node: Node) -> Mapping[str, Tensor]:
    return {spec.name: program.weights[f"{node.weights}.{spec.name}"] for spec in specs_of(program.graph, node)}


triton_engine = register(TritonEngine())
