"""Inputs of a program's declared sizes, and one runner for each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from archdsl.runtime.engines.program import Program
from archdsl.runtime.engines.registry import Outputs, Runner
from torch import Tensor

from archdsl.ir.dims import value_at
from archdsl.ir.graph import Graph
from archdsl.lower.interpret import plain_symbol

Shapes = tuple[tuple[int, ...], ...]


def sample_inputs(program: Program) -> list[tuple[Tensor, ...]]:
    """Standard normal inputs at each declared size, as runners take them."""
    return [sample_at(program, size) for size in program.sizes]


def sample_at(program: Program, size: tuple[int, int], seed: int = 0) -> tuple[Tensor, ...]:
    """Standard normal inputs [batch, C, H, W] for the first input's size (height, width), in the order of the graph."""
    values = size_values(program.graph, size)
    generator = torch.Generator().manual_seed(seed)
    made = []
    for node in program.graph.inputs:
        sides = [value_at(side, values) for side in node.types[0].shape[1:]]
        noise = torch.randn(program.batch, node.types[0].channels, *sides, generator=generator)
        made.append(noise.to(program.device, program.dtype, memory_format=torch.channels_last))
    return tuple(made)


def size_values(graph: Graph, size: tuple[int, int]) -> dict[str, int]:
    """The value of each symbolic size where the first input has a size (height, width)."""
    first = graph.inputs[0].types[0]
    symbols = (plain_symbol(first.height), plain_symbol(first.width))
    return {name: n for name, n in zip(symbols, size, strict=True) if name is not None}


def shapes_of(inputs: tuple[Tensor, ...]) -> Shapes:
    """What tells one prepared runner from another."""
    return tuple(tuple(tensor.shape) for tensor in inputs)


def per_size(program: Program, compiled: Callable[[tuple[Tensor, ...]], Runner], otherwise: Runner) -> Runner:
    """A runner that has one prepared for each declared size and the program's batch, and another for all the rest."""
    return PerSize({shapes_of(inputs): compiled(inputs) for inputs in sample_inputs(program)}, otherwise)


@dataclass(frozen=True)
class PerSize:
    """Prepared runners by the shapes that they take, and another for other shapes."""

    ready: Mapping[Shapes, Runner]
    otherwise: Runner
    fixed_batch = True

    def __call__(self, *inputs: Tensor) -> Outputs:
        return self.ready.get(shapes_of(inputs), self.otherwise)(*inputs)


NO_SIZES = "it compiles for declared sizes, and there are none"
