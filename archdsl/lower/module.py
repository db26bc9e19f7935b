"""A graph as a trainable torch.nn.Module: plain eager, with the weight names of the text."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from archdsl.ir.graph import Graph, Node
from archdsl.ir.state import layout, specs_of
from archdsl.lower.interpret import bind_sizes, execute, feeds_of, live_nodes, shape_of
from archdsl.lower.registry import Lowering
from archdsl.lower.weights import initial_weights


class WeightTree(nn.Module):
    """Tensors under dotted names: a module for each step, so that `state_dict` shows the path of the text."""

    def at(self, path: str) -> WeightTree:
        """The tree at a dotted path, made where it is missing."""
        tree = self
        for step in path.split("."):
            # not add_module: a value of the text may be called `half` or `train`, like a method of nn.Module
            child = tree._modules.setdefault(step, WeightTree())
            assert isinstance(child, WeightTree)
            tree = child
        return tree

    def put(self, key: str, tensor: Tensor, *, trainable: bool, buffer: bool) -> None:
        """Adds a tensor under a dotted key, as a parameter or a buffer."""
        path, _, name = key.rpartition(".")
        if buffer:
            self.at(path).register_buffer(name, tensor)
        else:
            self.at(path).register_parameter(name, nn.Parameter(tensor, requires_grad=trainable))


class Described(Protocol):
    """What a compiled model keeps of the spec it came from: its text, and the values of the network's parameters."""

    source: str
    parameters: dict[str, Any]


class ArchModule(WeightTree):
    """A network that runs in eager PyTorch and can be trained.

    `forward` takes the inputs [N, C, H, W] in the order of the graph. It returns the output where there is one, else a
    dict by output name; auxiliary outputs join in training mode. `state_dict` has exactly the keys of
    `archdsl.lower.weights.layout`.
    """

    def __init__(self, graph: Graph, weights: Mapping[str, Tensor], network: Described | None = None) -> None:
        super().__init__()
        self._graph = graph
        self._network = network
        self.still: frozenset[str] = frozenset()
        """Nodes that run as in evaluation though the module trains: norms that keep their statistics, for example."""
        for key, spec in layout(graph).items():
            self.put(key, weights[key], trainable=spec.trainable, buffer=spec.buffer)
        self._state = {
            node.name: (self.at(node.weights), tuple(spec.name for spec in specs_of(graph, node)))
            for node in graph.nodes
            if node.weights
        }
        self._lowerings: dict[str, Lowering] = {}
        """By node name, what runs instead of the op's own lowering."""
        self._live = {training: self._needed(training) for training in (False, True)}

    @property
    def graph(self) -> Graph:
        """The graph this module runs."""
        return self._graph

    @property
    def network(self) -> Described | None:
        """The network of a spec that this was made from, where there is one."""
        return self._network

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        memo.update((id(data), data) for data in (self._graph, self._network, self._live))
        copied = self.__class__.__new__(self.__class__)
        memo[id(self)] = copied
        copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return copied

    def _needed(self, training: bool) -> tuple[Node, ...]:
        return live_nodes(self._graph, (out.value for out in self._graph.outputs if training or not out.aux))

    def _weights_of(self, node: Node) -> dict[str, Tensor]:
        if node.name not in self._state:
            return {}
        tree, names = self._state[node.name]
        return {name: getattr(tree, name) for name in names}

    def forward(self, *inputs: Tensor) -> Tensor | dict[str, Tensor]:
        """Runs the network. Raises ValueError for inputs that it does not take."""
        names = [node.name for node in self._graph.inputs]
        if len(inputs) != len(names):
            raise ValueError(f"{self._graph.name} takes {len(names)} inputs ({', '.join(names)}), not {len(inputs)}")
        feeds = feeds_of(self._graph, dict(zip(names, inputs, strict=True)))
        sizes = bind_sizes(self._graph, {name: shape_of(tensor) for name, tensor in feeds.items()})
        wanted = {out.name: out.value for out in self._graph.outputs if self.training or not out.aux}
        values = execute(
            self._live[self.training],
            feeds,
            self._weights_of,
            sizes,
            training=self.training,
            keep=set(wanted.values()),
            lowerings=self._lowerings,
            still=self.still,
        )
        if len(wanted) == 1:
            return values[next(iter(wanted.values()))]
        return {name: values[ref] for name, ref in wanted.items()}

    def extra_repr(self) -> str:
        return f"{self._graph.name}, {len(self._graph.nodes)} nodes"


def build_module(
    graph: Graph,
    seed: int = 0,
    *,
    weights: Mapping[str, Tensor] | None = None,
    dtype: torch.dtype = torch.float32,
    network: Described | None = None,
) -> ArchModule:
    """A trainable module with fresh weights drawn by `seed`, or with copies of the given ones, which hold every key.

    `network` is where the graph came from, for what is compiled from the module to say so.
    """
    given = initial_weights(graph, seed, dtype) if weights is None else weights
    return ArchModule(graph, {key: tensor.detach().clone() for key, tensor in given.items()}, network)
