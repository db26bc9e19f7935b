"""A graph as a torch.fx GraphModule whose printed code can be read beside the text of the network."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, fx, nn

from archdsl.ir.graph import Graph, Node, Ref
from archdsl.ir.state import layout, specs_of
from archdsl.lower.interpret import execute, live_nodes, plain_symbol
from archdsl.lower.module import WeightTree

# attributes of every module, which the code could not tell from values of the text with the same name
_TAKEN = frozenset((*dir(fx.GraphModule), *dir(nn.Module())))


class _Recorder(fx.Tracer):
    """Records calls on proxies, each named after the node of our graph that it belongs to, as its `meta` says, too."""

    def __init__(self) -> None:
        super().__init__()
        self.graph = fx.Graph()
        self.root = nn.Module()
        self.place = ""

    def create_node(
        self,
        kind: str,
        target: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        name: str | None = None,
        type_expr: Any = None,
    ) -> fx.Node:
        if kind.startswith("call"):
            name = self._name(target, args)
        made = super().create_node(kind, target, args, kwargs, name, type_expr)
        if kind.startswith("call"):
            made.meta["node"] = self.place
        return made

    def _name(self, target: Any, args: tuple[Any, ...]) -> str | None:
        if target is getattr:
            return "shape"
        if target is operator.getitem:
            return "size" if args[0].target is getattr else f"{self.place}_{args[1]}"
        return self.place


def lower_fx(graph: Graph, weights: Mapping[str, Tensor], *, training: bool = False) -> fx.GraphModule:
    """The network as torch calls: `forward` takes its inputs in the order of the graph, at any size the network takes.

    The result is that of `ArchModule`. State keys are those of the layout that the outputs need, spelt as
    `attribute_path` says; the tensors are those given, not copies. With `training`, auxiliary outputs join, dropout
    drops and batch statistics are used.
    """
    wanted = {out.name: out.value for out in graph.outputs if training or not out.aux}
    live = live_nodes(graph, wanted.values())
    recorder = _Recorder()
    feeds = {node.name: recorder.create_proxy("placeholder", node.name, (), {}) for node in graph.inputs}
    values: dict[Ref, Any] = execute(
        live,
        cast(Mapping[str, Tensor], feeds),
        _WeightReads(graph, recorder),
        _symbolic_sizes(graph, feeds, recorder),
        training=training,
        keep=set(wanted.values()),
    )
    results = {name: values[ref] for name, ref in wanted.items()}
    recorder.create_proxy("output", "output", (results if len(results) > 1 else next(iter(results.values())),), {})
    recorder.graph.eliminate_dead_code()
    return _module(graph, live, weights, recorder.graph)


class _WeightReads:
    """Records the reading of a node's weights, each tensor once however many nodes share it."""

    def __init__(self, graph: Graph, recorder: _Recorder) -> None:
        self.graph, self.recorder = graph, recorder
        self.read: dict[str, Any] = {}

    def __call__(self, node: Node) -> dict[str, Tensor]:
        self.recorder.place = node.name
        return {spec.name: self._tensor(f"{node.weights}.{spec.name}") for spec in specs_of(self.graph, node)}

    def _tensor(self, key: str) -> Any:
        if key not in self.read:
            self.read[key] = self.recorder.create_proxy("get_attr", attribute_path(key), (), {})
        return self.read[key]


def attribute_path(key: str) -> str:
    """The attributes that lead to a weight: its key, where steps that name an attribute of a module end in `_`."""
    return ".".join(f"{step}_" if step in _TAKEN else step for step in key.split("."))


class _Sizes(dict[str, Any]):
    """The input's height and width as expressions of the code, for settings that are computed from them."""

    def __init__(self, recorder: _Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def __getitem__(self, symbol: str) -> Any:
        self.recorder.place = "size"
        return super().__getitem__(symbol)


def _symbolic_sizes(graph: Graph, feeds: Mapping[str, Any], recorder: _Recorder) -> dict[str, int]:
    found = _Sizes(recorder)
    for node in graph.inputs:
        for axis, size in ((-2, node.types[0].height), (-1, node.types[0].width)):
            name = plain_symbol(size)
            if name is not None and name not in found:
                found[name] = feeds[node.name].shape[axis]
    return found


def _module(graph: Graph, live: tuple[Node, ...], weights: Mapping[str, Tensor], code: fx.Graph) -> fx.GraphModule:
    tree = WeightTree()
    for key, spec in layout(graph, live).items():
        tree.put(attribute_path(key), weights[key], trainable=spec.trainable, buffer=spec.buffer)
    return fx.GraphModule(tree, code, graph.name)
