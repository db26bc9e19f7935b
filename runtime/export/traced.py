"""A graph as torch.export sees it, with batch, height and width left open where the network leaves them open."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from archdsl.ir.graph import Graph
from archdsl.lower.fx import lower_fx
from archdsl.lower.interpret import plain_symbol


def traced(graph: Graph, weights: Mapping[str, Tensor], inputs: Sequence[Tensor], *, dynamic: bool) -> Any:
    """The network as an ExportedProgram. Without `dynamic`, for the shapes of `inputs` alone.

    Raises RuntimeError when torch.export cannot express it.
    """
    module = lower_fx(graph, weights).eval()
    with quiet(), torch.no_grad():
        if not dynamic:
            return torch.export.export(module, tuple(inputs))
        return torch.export.export(module, tuple(map(_two, inputs)), dynamic_shapes=_open(graph))


def _two(tensor: Tensor) -> Tensor:
    """Two images: a batch of one would be taken for a constant."""
    return torch.cat([tensor[:1]] * 2)


def _open(graph: Graph) -> tuple[dict[int, Any], ...]:
    """Per input the axes that stay open: torch.export finds out itself what range they have."""
    auto = torch.export.Dim.AUTO
    open_axes = []
    for node in graph.inputs:
        sides = (node.types[0].height, node.types[0].width)
        symbolic = {axis: auto for axis, side in enumerate(sides, start=2) if plain_symbol(side) is not None}
        open_axes.append({0: auto, **symbolic})
    return tuple(open_axes)


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
