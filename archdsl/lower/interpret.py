"""The walk over a graph that the oracle, the module and torch.fx share: every node once, in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from torch import Tensor

from archdsl.ir.dims import Dim, Size, value_at
from archdsl.ir.graph import Graph, Node, Ref
from archdsl.ir.settings import at_size
from archdsl.lower.ops import LOWERINGS, Applied, Lowering

State = Callable[[Node], Mapping[str, Tensor]]
Inputs = Tensor | Mapping[str, Tensor]
_NONE: Mapping[str, Lowering] = {}


def execute(
    nodes: Iterable[Node],
    feeds: Mapping[str, Tensor],
    state: State,
    sizes: Mapping[str, int],
    *,
    training: bool,
    keep: Collection[Ref],
    lowerings: Mapping[str, Lowering] = _NONE,
    still: Collection[str] = (),
) -> dict[Ref, Tensor]:
    """Runs nodes in order and returns the values of `keep`; others are let go after their last use.

    `state` gives a node's weights by their short names, `sizes` the value of each symbolic size. `lowerings`, by node
    name, take the place of the ops' own. Nodes named in `still` run as in evaluation though the others train.
    """
    nodes = tuple(nodes)
    unread = Counter(ref for node in nodes for ref in node.inputs)
    unread.update(keep)
    values: dict[Ref, Tensor] = {}
    for node in nodes:
        operands = tuple(values[ref] for ref in node.inputs)
        trains = training and node.name not in still
        values.update(_results(node, operands, feeds, state, sizes, trains, lowerings.get(node.name)))
        unread.subtract(node.inputs)
        for ref in (*node.inputs, *node.refs):
            if unread[ref] <= 0:
                values.pop(ref, None)
    return values


def _results(
    node: Node,
    operands: tuple[Tensor, ...],
    feeds: Mapping[str, Tensor],
    state: State,
    sizes: Mapping[str, int],
    training: bool,
    lowering: Lowering | None,
) -> Mapping[Ref, Tensor]:
    if node.op == "input":
        return {Ref(node.name): feeds[node.name]}
    call = Applied(operands, node.types, at_size(dict(node.settings), sizes), state(node), training)
    result: Any = (lowering or LOWERINGS[node.op])(call)
    if len(node.types) == 1:
        return {Ref(node.name): result}
    return {ref: result[ref.port] for ref in node.refs}


def live_nodes(graph: Graph, refs: Iterable[Ref]) -> tuple[Node, ...]:
    """The nodes that the given values are computed from, and all inputs, in order."""
    needed = graph.reaching(*refs)
    return tuple(node for node in graph.nodes if node.name in needed or node.op == "input")


def feeds_of(graph: Graph, inputs: Inputs) -> dict[str, Tensor]:
    """The tensors given for a network, by input name; a lone tensor is its one input.

    Raises ValueError when an input is missing or unknown, or has the wrong number of axes.
    """
    names = [node.name for node in graph.inputs]
    if isinstance(inputs, Tensor):
        if len(names) != 1:
            raise ValueError(f"{graph.name} has the inputs {', '.join(names)}: give them by name")
        inputs = {names[0]: inputs}
    if sorted(inputs) != sorted(names):
        raise ValueError(f"{graph.name} has the inputs {', '.join(names)}, not {', '.join(inputs)}")
    for name, tensor in inputs.items():
        if tensor.dim() != 4:
            raise ValueError(f"{name} must be [batch, channels, height, width], and has shape {list(tensor.shape)}")
    return dict(inputs)


def bind_sizes(graph: Graph, shapes: Mapping[str, tuple[int, int, int]]) -> dict[str, int]:
    """The value of each symbolic size, from the shapes [C, H, W] of the inputs by name.

    Raises ValueError when a shape is not what the network takes, saying which sizes it does take.
    """
    declared = [(node.name, node.types[0].shape, shapes[node.name]) for node in graph.inputs]
    found: dict[str, int] = {}
    for _, wanted, given in declared:
        for size, value in zip(wanted[1:], given[1:], strict=True):
            if (name := plain_symbol(size)) is not None:
                found.setdefault(name, value)
    for name, wanted, given in declared:
        expected = tuple(value_at(size, found) for size in wanted)
        if expected != tuple(given):
            raise ValueError(f"{name} must be [{', '.join(map(str, wanted))}], and is {list(given)}")
    for name, rule in graph.size_rules:
        if name in found and not rule.allows(found[name]):
            raise ValueError(f"{graph.name} does not take {name} = {found[name]}: {name} must be {rule}")
    return found


def plain_symbol(size: Size) -> str | None:
    """The symbol that a size consists of, or None when it is a number or a longer form."""
    if isinstance(size, Dim) and size.constant == 0 and len(size.terms) == 1:
        atom, factor = size.terms[0]
        return atom if isinstance(atom, str) and factor == 1 else None
    return None


def shape_of(tensor: Tensor) -> tuple[int, int, int]:
    """Channels, height and width."""
    _, channels, height, width = tensor.shape
    return channels, height, width
