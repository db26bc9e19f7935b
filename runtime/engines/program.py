"""What an engine gets to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from archdsl.ir.graph import Graph
from archdsl.lower.interpret import bind_sizes


class Unavailable(RuntimeError):
    """This machine lacks what was asked for: a device, or a package. The message says which."""


@dataclass(frozen=True)
class Program:
    """A rewritten graph and its weights on the device, in the working dtype and channels_last.

    `sizes` are the (height, width) that were declared; an engine may prepare for those alone, as long as others run.
    `batch` is how many images a call will bring, as far as is known. A part of a network is a program, too.
    """

    graph: Graph
    weights: Mapping[str, Tensor]
    dtype: torch.dtype
    device: torch.device
    sizes: tuple[tuple[int, int], ...] = ()
    batch: int = 1

    @classmethod
    def of(
        cls,
        graph: Graph,
        weights: Mapping[str, Tensor],
        dtype: torch.dtype,
        device: torch.device,
        sizes: Sequence[tuple[int, int]] = (),
        batch: int = 1,
    ) -> Program:
        """Places the weights. Raises ValueError for a size the network does not take, Unavailable for the device."""
        for height, width in sizes:
            check_size(graph, height, width)
        check_device(device)
        placed = {key: place(tensor, dtype, device) for key, tensor in weights.items()}
        return cls(graph, placed, dtype, device, tuple((int(h), int(w)) for h, w in sizes), batch)


def place(tensor: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A tensor on the device, in the dtype, and in channels_last where it has four axes."""
    layout = torch.channels_last if tensor.dim() == 4 else torch.preserve_format
    return tensor.to(device, dtype, memory_format=layout)


def check_size(graph: Graph, height: int, width: int) -> None:
    """Raises ValueError when an input of a network of one input cannot have a size, saying which it can have."""
    if len(graph.inputs) == 1:
        (node,) = graph.inputs
        bind_sizes(graph, {node.name: (node.types[0].channels, height, width)})


def check_device(device: torch.device) -> None:
    """Raises Unavailable when this machine does not have a device."""
    if device.type == "cuda" and not torch.cuda.is_available():
        raise Unavailable("no CUDA device on this machine")
