"""What runs a compiled network. An engine is one small class and one registration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from archdsl.ir.graph import Graph
from archdsl.lower.interpret import bind_sizes


class Unavailable(RuntimeError):
    """This machine lacks what was asked for: a device, or a package. The message says which."""


@dataclass(frozen=True)
class Program:
    """What an engine gets: a rewritten graph and its weights on the device, in the working dtype and channels_last."""

    graph: Graph
    weights: Mapping[str, Tensor]
    dtype: torch.dtype
    device: torch.device
    sizes: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(
        cls,
        graph: Graph,
        weights: Mapping[str, Tensor],
        dtype: torch.dtype,
        device: torch.device,
        sizes: Sequence[tuple[int, int]] = (),
    ) -> Program:
        """Places the weights. Raises ValueError for a size the network does not take, Unavailable for the device."""
        for height, width in sizes:
            check_size(graph, height, width)
        check_device(device)
        placed = {key: place(tensor, dtype, device) for key, tensor in weights.items()}
        return cls(graph, placed, dtype, device, tuple((int(h), int(w)) for h, w in sizes))


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


Runner = Callable[..., Tensor | dict[str, Tensor]]
"""Takes the inputs in the order of the graph; gives the output, or a dict by name where there are several."""


class Engine(Protocol):
    """`own` tells engines of archdsl from those of others."""

    name: str
    own: bool

    def available(self, program: Program) -> str | None:
        """Why the engine cannot run a program on this machine, or None when it can."""

    def prepare(self, program: Program) -> Runner:
        """Makes ready to run: any thread, any size the network takes, without gradients."""


ENGINES: dict[str, Engine] = {}


def register(engine: Engine) -> Engine:
    """Makes an engine known by its name. Raises ValueError when the name is taken."""
    if engine.name in ENGINES or engine.name == "auto":
        raise ValueError(f"there is an engine {engine.name} already")
    ENGINES[engine.name] = engine
    return engine


@dataclass(frozen=True)
class Chosen:
    """An engine, and why each other that was looked at is not it."""

    engine: Engine
    skipped: dict[str, str]


def choose(name: str, program: Program) -> Chosen:
    """The engine of a name; "auto" takes the first that can run the program, in the order they were registered.

    Raises ValueError for an unknown name, Unavailable when the engine asked for cannot run here.
    """
    if name != "auto" and name not in ENGINES:
        raise ValueError(f"there is no engine {name}; there are auto, {', '.join(ENGINES)}")
    skipped: dict[str, str] = {}
    for engine in ENGINES.values() if name == "auto" else [ENGINES[name]]:
        reason = engine.available(program)
        if reason is None:
            return Chosen(engine, skipped)
        skipped[engine.name] = reason
    raise Unavailable("; ".join(f"{engine} cannot run: {reason}" for engine, reason in skipped.items()))
