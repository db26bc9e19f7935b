"""A network as torch.export sees it, with batch, height and width left open where the network leaves them open."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx

from archdsl.ir.graph import Graph
from archdsl.lower.interpret import plain_symbol


def traced(module: fx.GraphModule, graph: Graph, inputs: Sequence[Tensor], *, dynamic: bool) -> Any:
    """A graph's module as an ExportedProgram. Without `dynamic`, for the shapes of `inputs` alone.

    Raises RuntimeError when torch.export cannot express it.
    """
    with quiet(), torch.no_grad():
        if not dynamic:
            return torch.export.export(module.eval(), tuple(inputs))
        return torch.export.export(module.eval(), tuple(map(_two, inputs)), dynamic_shapes=_open(graph))


def _two(tensor: Tensor) -> Tensor:
    """Two images: a batch of one would be taken for a constant."""
    return torch.cat([tensor[:1]] * 2)


def _open(graph: Graph) -> tuple[dict[int, Any], ...]:
    """Per input the axes that stay open: torch.export finds out itself what range they have."""
    return tuple(dict.fromkeys(axes, torch.export.Dim.AUTO) for axes in open_axes(graph))


def open_axes(graph: Graph) -> list[dict[int, str]]:
    """Per input, in the order of the graph, the names of the axes that the network leaves open."""
    named = []
    for node in graph.inputs:
        sides = (node.types[0].height, node.types[0].width)
        symbols = {axis: plain_symbol(side) for axis, side in enumerate(sides, start=2)}
        named.append({0: "batch", **{axis: name for axis, name in symbols.items() if name is not None}})
    return named


@contextmanager
def quiet() -> Iterator[None]:
    """Inside, exporters keep their progress and their remarks on packages that are not needed to themselves."""
    names = ("torch.onnx", "torch.export", "torch._export", "onnxscript", "torch._dynamo")
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
