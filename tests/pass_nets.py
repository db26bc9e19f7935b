"""What tests of passes share: random networks that give a pass something to do, and its proof against the oracle."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from archdsl.ir.builder import GraphBuilder
from archdsl.ir.graph import Graph, Output, Ref
from archdsl.ir.state import layout
from archdsl.ir.text import from_text, to_text
from archdsl.lower.oracle import run
from archdsl.passes import Costs, Pass, PassResult

Step = Callable[[GraphBuilder, Ref, random.Random], tuple[Ref, int]]
"""Adds a pattern to a network after a value; gives the new value and how often a pass must fire in the pattern."""


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers in float64."""
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def random_weights(graph: Graph) -> dict[str, Tensor]:
    """Weights with statistics of all kinds: negative scales, means away from zero, variances near zero."""
    weights = {key: noise(*spec.shape, seed=seed) for seed, (key, spec) in enumerate(layout(graph).items())}
    return {key: tensor.square() if key.endswith("running_var") else tensor for key, tensor in weights.items()}


def plain_weights(graph: Graph) -> dict[str, Tensor]:
    """One value everywhere, and no memory: for how often a rewrite fires, which is not to hang on shifts of zero."""
    return {key: torch.full((1,), 0.5).expand(spec.shape) for key, spec in layout(graph).items()}


def random_net(seed: int, steps: Sequence[Step], length: int = 5) -> tuple[Graph, int]:
    """Steps in random order on an image of 3 channels, and how often a pass must fire.

    Before each stands a convolution: dense or in groups, its kernel square or not.
    """
    dice, builder, expected = random.Random(seed), GraphBuilder(), 0
    x = builder.input("image", 3)
    for _ in range(length):
        x = between(builder, x, dice)
        x, fires = dice.choice(steps)(builder, x, dice)
        # no pattern of one step goes on in the next
        x = add(builder, "max_pool", x, kernel=3, stride=1, padding=1)
        expected += fires
    return builder.finish("Net", [Output("y", x)], {"y": x}), expected


KERNELS = [1, 3, (1, 3), (3, 1), (5, 3), (1, 5)]


def between(builder: GraphBuilder, x: Ref, dice: random.Random) -> Ref:
    """A convolution of 4 or 8 channels that keeps the map's size."""
    groups = dice.choice([g for g in (1, 2, 4) if builder.type_of(x).channels % g == 0])
    return add(builder, "conv", x, out=dice.choice([4, 8]), kernel=dice.choice(KERNELS), padding="same", groups=groups)


def add(builder: GraphBuilder, op: str, *inputs: Ref, **settings: object) -> Ref:
    """One op with one result."""
    return builder.add(op, inputs, settings)[0]


def proven(
    rewrite: Pass,
    graph: Graph,
    *,
    weights: Mapping[str, Tensor] | None = None,
    size: tuple[int, int] = (19, 17),
    batch: int = 2,
    costs: Costs | None = None,
    tolerance: float = 1e-9,
) -> PassResult:
    """The result of a pass, after its outputs and named values were compared with the oracle's in float64.

    Weights that were given stay as they are, those that come out are what the graph needs, and its text reads back.
    """
    given = dict(weights or random_weights(graph))
    before = {key: tensor.clone() for key, tensor in given.items()}
    result = rewrite(graph, given, costs)
    assert all(torch.equal(given[key], before[key]) for key in before)
    assert set(result.weights) == set(layout(result.graph))
    assert from_text(to_text(result.graph)) == result.graph
    agree(graph, given, result, size=size, batch=batch, tolerance=tolerance)
    return result


def agree(
    graph: Graph,
    weights: Mapping[str, Tensor],
    result: PassResult,
    *,
    size: tuple[int, int],
    batch: int = 2,
    tolerance: float = 1e-9,
) -> None:
    """Asserts that a rewritten graph gives every output, and every named value it still has, as the oracle does."""
    names = [name for name, _ in result.graph.names]
    inputs = {node.name: noise(batch, node.types[0].channels, *size, seed=i) for i, node in enumerate(graph.inputs)}
    expected = run(graph, weights, inputs, keep=names)
    got = run(result.graph, result.weights, inputs, keep=names)
    assert set(got) == set(expected)
    for name, tensor in expected.items():
        scale = max(1.0, float(tensor.abs().max()))
        torch.testing.assert_close(got[name].to(tensor.dtype), tensor, rtol=tolerance, atol=tolerance * scale)


def reasons(result: PassResult) -> dict[str, str]:
    """Why a pass declined, by place."""
    return {declined.place: declined.reason for declined in result.declined}
