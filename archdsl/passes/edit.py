"""Changing a graph: what passes share."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from archdsl.ir.graph import Graph, MapType, Node, Origin, Ref
from archdsl.ir.op import OPS, call_of
from archdsl.ir.settings import complete
from archdsl.ir.state import layout
from archdsl.passes.infra import Declined, PassResult, Weights


def redirect(graph: Graph, instead: Mapping[Ref, Ref]) -> Graph:
    """Every read of a key of `instead`, by nodes, outputs and names, becomes a read of its value."""

    def final(ref: Ref) -> Ref:
        while ref in instead:
            ref = instead[ref]
        return ref

    return replace(
        graph,
        nodes=tuple(replace(node, inputs=tuple(map(final, node.inputs))) for node in graph.nodes),
        outputs=tuple(replace(out, value=final(out.value)) for out in graph.outputs),
        names=tuple((name, final(ref)) for name, ref in graph.names),
    )


def replace_nodes(graph: Graph, changed: Mapping[str, Node], dropped: Collection[str] = ()) -> Graph:
    """The graph with some nodes changed, by name, and others gone; names of values that are gone go too."""
    return replace(
        graph,
        nodes=tuple(changed.get(node.name, node) for node in graph.nodes if node.name not in dropped),
        names=tuple((name, ref) for name, ref in graph.names if ref.node not in dropped),
    )


def without_dead(graph: Graph) -> Graph:
    """The graph without the nodes that no output needs; inputs stay."""
    live = graph.reaching(*(out.value for out in graph.outputs))
    return replace_nodes(graph, {}, {n.name for n in graph.nodes if n.name not in live and n.op != "input"})


def needed_weights(graph: Graph, weights: Weights) -> dict[str, Tensor]:
    """The weights that nodes of the graph read."""
    return {key: weights[key] for key in layout(graph)}


def made(
    name: str,
    op: str,
    inputs: Sequence[Ref],
    types: Sequence[MapType],
    settings: Mapping[str, Any] | None = None,
    *,
    weights: str = "",
    origin: Origin | None = None,
) -> Node:
    """A node with its settings completed and its types worked out. Raises OpError when the op cannot be applied."""
    declared = OPS[op]
    call = call_of(complete(declared, settings or {}), types)
    declared.normalize(call)
    results = declared.shape(call)
    path = (weights or name) if declared.weights(call) else ""
    return Node(name, op, tuple(inputs), tuple(call.settings.items()), results, path, origin)


def with_settings(node: Node, **changed: Any) -> Node:
    """A node with some of its settings changed, its types left as they are."""
    return replace(node, settings=tuple((name, changed.get(name, value)) for name, value in node.settings))


def is_output(graph: Graph, ref: Ref) -> bool:
    return any(out.value == ref for out in graph.outputs)


def lone_reader(graph: Graph, ref: Ref) -> Node | None:
    """The one node that reads a value, once; None where there are more or none, or the value is an output."""
    users = graph.users.get(ref, ())
    alone = len(users) == 1 and users[0].inputs.count(ref) == 1 and not is_output(graph, ref)
    return users[0] if alone else None


def why_not_alone(graph: Graph, ref: Ref, reader: Node) -> str:
    """Why a value is not for one reader alone; empty when it is."""
    if is_output(graph, ref):
        return f"the value of {ref} before it is an output"
    others = [user.name for user in graph.users[ref] if user.name != reader.name]
    return f"the value of {ref} before it is read by {others[0]} too" if others else ""


@dataclass
class Edit:
    """Changes to one graph, collected and then made at once.

    Places that were changed are taken: a rule must not change them, or count on them, in the same sweep.
    """

    graph: Graph
    weights: dict[str, Tensor]
    fired: list[str] = field(default_factory=list)
    declined: list[Declined] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    _placed: dict[str, tuple[Node, ...]] = field(default_factory=dict)
    _instead: dict[Ref, Ref] = field(default_factory=dict)
    _gone: set[str] = field(default_factory=set)
    _names: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, graph: Graph, weights: Weights) -> Edit:
        return cls(graph, dict(weights))

    def free(self, *nodes: Node) -> bool:
        """Whether none of the nodes has been changed in this sweep."""
        return not any(node.name in self.taken for node in nodes)

    def decline(self, node: Node, reason: str) -> None:
        self.declined.append(Declined(node.name, reason))

    def fresh(self, name: str) -> str:
        """A name that no node has."""
        chosen, number = name, 2
        while chosen in self.graph.by_name or chosen in self._names:
            chosen, number = f"{name}@{number}", number + 1
        self._names.add(chosen)
        return chosen

    def own_path(self, node: Node) -> str:
        """A path for weights of this node alone: its present one where no other node has it."""
        used = {other.weights for other in self.graph.nodes if other.name != node.name}
        path, number = node.weights or node.name, 2
        while path in used:
            path, number = f"{node.name}@{number}", number + 1
        return path

    def put(self, at: Node, *nodes: Node) -> None:
        """Places nodes where `at` stands, in its stead, or beside it where it is among them."""
        self._placed[at.name] = nodes
        self.taken.update((at.name, *(node.name for node in nodes)))

    def read_instead(self, old: Ref, new: Ref) -> None:
        """Readers of one value read another."""
        self._instead[old] = new

    def rename_away(self, *nodes: Node) -> None:
        """Names of these nodes' values go: what the nodes give has changed."""
        self._gone.update(node.name for node in nodes)

    def take(self, *nodes: Node) -> None:
        self.taken.update(node.name for node in nodes)

    def finish(self) -> PassResult:
        """The changed graph, without what has become dead, and the weights it needs."""
        if not self._placed and not self._instead:
            return PassResult(self.graph, dict(self.weights), tuple(self.fired), tuple(self.declined))
        kept = replace(self.graph, names=tuple((n, ref) for n, ref in self.graph.names if ref.node not in self._gone))
        nodes = [new for node in kept.nodes for new in self._placed.get(node.name, (node,))]
        result = without_dead(_known_names(redirect(replace(kept, nodes=tuple(nodes)), self._instead)))
        return PassResult(result, needed_weights(result, self.weights), tuple(self.fired), tuple(self.declined))


def _known_names(graph: Graph) -> Graph:
    values = {ref for node in graph.nodes for ref in node.refs}
    return replace(graph, names=tuple((name, ref) for name, ref in graph.names if ref in values))
