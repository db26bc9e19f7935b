"""Random graphs: every kind of setting and size, shared weights, dead nodes, several inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import strategies as st

from archdsl.diagnostics import Diagnostics, Source
from archdsl.elaborate.files import Files
from archdsl.elaborate.network import Elaboration, elaborate
from archdsl.ir.builder import GraphBuilder
from archdsl.ir.dims import symbol
from archdsl.ir.graph import Graph, Output, Preprocessing, Ref
from archdsl.ir.op import OpError

SPECS = Path(__file__).parent.parent / "specs"
H, W = symbol("H"), symbol("W")

OPS: list[tuple[str, dict[str, Any]]] = [
    ("conv", {"out": 8, "kernel": 3, "stride": 2, "bias": True}),
    ("conv", {"out": 4, "kernel": (1, 5), "dilation": (1, 3)}),
    ("conv", {"out": 12, "kernel": 3, "groups": 2, "init": "zeros", "frozen": True}),
    ("depthwise", {}),
    ("conv_transpose", {"out": 4, "kernel": 3, "stride": 2, "padding": 1}),
    ("bn", {}),
    ("bn", {"eps": 1e-3, "affine": False}),
    ("prelu", {"init": 0.1}),
    ("relu", {}),
    ("elu", {"alpha": 2.5e-7}),
    ("max_pool", {"kernel": 2, "ceil": True, "indices": True}),
    ("avg_pool", {"kernel": 3, "stride": 2, "padding": 1, "count_pad": False}),
    ("global_pool", {"kind": "max"}),
    ("adaptive_pool", {"size": (3, 2)}),
    ("resize", {"scale": (1.5, 0.6), "mode": "bicubic"}),
    ("resize", {"size": ((H - 1) // 2 + 1, 2 * W - (W + 5) // 7)}),
    ("pad", {"amounts": (1, 2, 3, 4), "mode": "replicate"}),
    ("crop", {"size": (1, 1)}),
    ("split", {"parts": 2}),
    ("split", {"parts": [1, 3]}),
    ("pixel_shuffle", {"factor": 2}),
    ("scalar", {"operator": "r-", "value": -2.5}),
    ("scalar", {"operator": "*", "value": 1e300}),
    ("dropout", {"p": 0.25}),
]


def random_graph(seed: int) -> Graph:
    """A graph of up to 15 nodes; the same for the same seed."""
    dice, builder = Random(seed), GraphBuilder()
    values = [builder.input(name, 3) for name in (["image"], ["image", "a guide"])[dice.random() < 0.3]]
    for number in range(dice.randint(1, 12)):
        values += _step(dice, builder, values, number)
    maps = [ref for ref in values if builder.type_of(ref).kind == "map"]
    outputs = [Output("y", maps[-1]), Output("second", dice.choice(maps), aux=dice.random() < 0.5)]
    how = Preprocessing("bgr", (0.1, 0.2, 0.3), (1.0, 1.0, 1.0), dice.choice([1.0, 1 / 255]))
    name = dice.choice(["Net", "a net"])
    return builder.finish(name, outputs[: dice.randint(1, 2)], {"last": maps[-1]}, {"image": how})


def _step(dice: Random, builder: GraphBuilder, values: list[Ref], number: int) -> tuple[Ref, ...]:
    """One more op on some of the values; none where it cannot be applied."""
    name = builder.fresh(dice.choice([f"s{number}.conv{number}", f"näme {number}", f"out.{number}", f"b@{number}"]))
    kind = dice.random()
    try:
        if kind < 0.3:
            return builder.add(dice.choice(["add", "mul", "concat"]), dice.choices(values, k=2), name=name)
        if kind < 0.5:
            return _again(dice, builder, values, name)
        op, settings = dice.choice(OPS)
        return builder.add(op, [dice.choice(values)], settings, name=name)
    except OpError:
        return ()


def _again(dice: Random, builder: GraphBuilder, values: list[Ref], name: str) -> tuple[Ref, ...]:
    """A node's weights, used once more on another value."""
    owners = [node for node in builder.nodes if node.weights]
    if not owners:
        return ()
    owner = dice.choice(owners)
    channels = builder.type_of(owner.inputs[0]).channels
    fitting = [ref for ref in values if builder.type_of(ref).channels == channels]
    settings = dict(owner.settings)
    return builder.add(owner.op, [dice.choice(fitting)], settings, name=name, weights=owner.weights)


def allowed_size(graph: Graph) -> dict[str, int]:
    """An input size that the graph takes, near 25x31; just that where it takes none."""
    sizes = {"H": 25, "W": 31}
    return sizes | {name: rule.nearest(sizes[name]) or sizes[name] for name, rule in graph.size_rules}


def graphs() -> st.SearchStrategy[Graph]:
    """Random graphs for hypothesis."""
    return st.builds(random_graph, st.integers(0, 2**32))


def elaborated(text: str, network: str | None = None, **settings: Any) -> tuple[Elaboration, Diagnostics]:
    """A network of a text, and what was said about it."""
    diagnostics = Diagnostics()
    file = Files(diagnostics).load(Source("net.arch", text), None)
    elaboration = elaborate(file, network, diagnostics, settings)
    assert elaboration is not None, diagnostics.items
    return elaboration, diagnostics


def graph_of(text: str, network: str | None = None, **settings: Any) -> Graph:
    """The graph of a text without errors."""
    elaboration, diagnostics = elaborated(text, network, **settings)
    assert elaboration.graph is not None, diagnostics.items
    return elaboration.graph


def shipped_networks() -> list[tuple[str, str]]:
    """Every spec that ships, with the names of its networks."""
    files = Files(Diagnostics())
    found = []
    for path in sorted(SPECS.glob("*.arch")):
        file = files.load_path(str(path))
        assert file is not None
        found += [(path.name, name) for name, _ in file.networks()]
    return found


def shipped(spec: str, network: str | None = None, **settings: Any) -> Graph:
    """The graph of a network that ships, the first of its file by default."""
    diagnostics = Diagnostics()
    file = Files(diagnostics).load_path(str(SPECS / spec))
    assert file is not None
    elaboration = elaborate(file, network, diagnostics, settings)
    assert elaboration is not None and elaboration.graph is not None, diagnostics.items
    return elaboration.graph


def renamed(graph: Graph, names: Mapping[str, str]) -> Graph:
    """The same graph with other names of nodes, and of the weights that are named after them."""

    def moved(ref: Ref) -> Ref:
        return Ref(names.get(ref.node, ref.node), ref.port)

    nodes = tuple(
        replace(
            node,
            name=names.get(node.name, node.name),
            inputs=tuple(map(moved, node.inputs)),
            weights=node.weights and f"w.{node.weights}",
        )
        for node in graph.nodes
    )
    return replace(
        graph,
        nodes=nodes,
        outputs=tuple(replace(out, value=moved(out.value)) for out in graph.outputs),
        names=tuple((f"v{i}", moved(ref)) for i, (_, ref) in enumerate(graph.names)),
        preprocessing=tuple((names.get(name, name), how) for name, how in graph.preprocessing),
    )
