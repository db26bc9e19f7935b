"""What tests of the engine of our own kernels share: small networks, and a check against the oracle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from archdsl.runtime.engines import ENGINES, Program
from archdsl.runtime.engines.native import build
from torch import Tensor

import archdsl.ir.ops  # noqa: F401
from archdsl.ir.builder import GraphBuilder
from archdsl.ir.graph import Graph, Output, Ref
from archdsl.lower.oracle import run
from archdsl.lower.weights import initial_weights

_REASON = build.why_not(torch.float32)
needs_kernels = pytest.mark.skipif(_REASON is not None, reason=str(_REASON))

EXACT = 3e-6
"""Error of one op in float32 over the rms of the result; Winograd's transforms add a little to rounding."""

ROUNDED = 1.2e-2
"""The same in bfloat16, whose products are rounded to 2^-9."""

Weights = dict[str, Tensor]


def prepared(graph: Graph, weights: Weights, dtype: torch.dtype = torch.float32) -> Callable[..., Any]:
    program = Program.of(graph, weights, dtype, torch.device("cpu"))
    if reason := ENGINES["native"].available(program):
        pytest.skip(reason)
    return ENGINES["native"].prepare(program)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def filled(graph: Graph) -> Weights:
    """Weights at which nothing is one or zero by accident."""
    weights = initial_weights(graph)
    return {
        key: tensor
        + (noise(*tensor.shape, seed=len(key)).abs() if "var" in key else noise(*tensor.shape, seed=len(key)) * 0.1)
        for key, tensor in weights.items()
    }


def relative_error(got: Tensor, expected: Tensor) -> float:
    assert got.shape == expected.shape
    scale = expected.double().square().mean().sqrt().clamp(min=1e-12)
    return float((got.double() - expected.double()).square().mean().sqrt() / scale)


def check(graph: Graph, *inputs: Tensor) -> None:
    """The kernels against the oracle in float64, in both dtypes they know."""
    weights = filled(graph)
    names = [node.name for node in graph.inputs]
    for dtype, limit in ((torch.float32, EXACT), (torch.bfloat16, ROUNDED)):
        rounded = {key: tensor.to(dtype).double() for key, tensor in weights.items()}
        given = [tensor.to(dtype) for tensor in inputs]
        expected = run(graph, rounded, {name: each.double() for name, each in zip(names, given, strict=True)})
        got = prepared(graph, weights, dtype)(*given)
        named = {graph.outputs[0].name: got} if isinstance(got, Tensor) else got
        assert list(named) == list(expected)
        for name, tensor in named.items():
            assert relative_error(tensor, expected[name]) < limit, (name, dtype)


def graph_of(channels: tuple[int, ...], make: Callable[[GraphBuilder, list[Ref]], Ref]) -> Graph:
    builder = GraphBuilder()
    inputs = [builder.input(f"x{i}", count) for i, count in enumerate(channels)]
    made = make(builder, inputs)
    return builder.finish("Net", [Output("y", made)], {}, {})


def one(op: str, channels: int, **settings: Any) -> Graph:
    return graph_of((channels,), lambda builder, inputs: builder.add(op, [inputs[0]], settings)[0])
