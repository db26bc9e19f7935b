"""Graphs are equal, and hash alike, when they mean the same network, and not otherwise."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_graphs import graph_of, graphs, renamed, shipped, shipped_networks

from archdsl.ir.equality import canonical, same_meaning, semantic_hash
from archdsl.ir.graph import Graph, Node
from archdsl.ir.text import from_text, to_text


def net(body: str, header: str = "network Net") -> Graph:
    return graph_of(f"arch 1\n{header} {{\nin image [3, H, W]\n{body}\n}}\n")


def shuffled(graph: Graph, dice: Random) -> Graph:
    """The same nodes in another topological order."""
    waiting, done, order = list(graph.nodes), set[str](), list[Node]()
    inputs = [node for node in waiting if node.op == "input"]
    while waiting:
        ready = [n for n in waiting if n not in inputs and all(ref.node in done for ref in n.inputs)]
        ready += [n for n in inputs if n in waiting][:1]
        node = dice.choice(ready)
        waiting.remove(node)
        order.append(node)
        done.add(node.name)
    return replace(graph, nodes=tuple(order))


@settings(max_examples=100, deadline=None)
@given(graphs(), st.randoms(use_true_random=False))
def test_names_and_the_order_of_independent_nodes_mean_nothing(graph: Graph, dice: Random) -> None:
    other = shuffled(renamed(graph, {n.name: f"n{i}" for i, n in enumerate(graph.nodes)}), dice)
    other = replace(other, name="Other", size_rules=())
    assert same_meaning(graph, other)
    assert semantic_hash(graph) == semantic_hash(other)


@settings(max_examples=100, deadline=None)
@given(graphs(), st.data())
def test_any_change_of_a_live_setting_is_seen(graph: Graph, data: st.DataObject) -> None:
    live = set(canonical(graph).order)
    places = [(n, name) for n in graph.nodes if n.name in live for name, _ in n.settings]
    assume(places)
    node, name = data.draw(st.sampled_from(places))
    changed = replace(node, settings=tuple((s, other(v) if s == name else v) for s, v in node.settings))
    graph_changed = replace(graph, nodes=tuple(changed if n is node else n for n in graph.nodes))
    assert not same_meaning(graph, graph_changed)
    assert semantic_hash(graph) != semantic_hash(graph_changed)


def other(value: Any) -> Any:
    """A different value, of the same kind where there is one."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, tuple):
        return (*value[:-1], other(value[-1]))
    return value + "x" if isinstance(value, str) else value * 2 + 1


BASE = "a = image -> conv(8, 3)\nb = image -> conv(8, 1)\nout y = concat([a, b]) -> relu"


@pytest.mark.parametrize(
    "body",
    [
        "one = image -> conv(8, 3)\ntwo = image -> conv(8, 1)\nout y = concat([one, two]) -> relu",
        "b = image -> conv(8, 1)\na = image -> conv(8, 3)\nout y = concat([a, b]) -> relu",
        f"dead = image -> conv(5, 1)\n{BASE}",
        "out y = concat([image -> conv(8, (3, 3), padding=1), image -> conv(kernel=1, out=8)]) -> relu",
        "x = [image -> conv(8, k) for k in [3, 1]]\nout y = concat(x) -> relu",
    ],
)
def test_spelling_means_nothing(body: str) -> None:
    assert semantic_hash(net(body, "network Another")) == semantic_hash(net(BASE))


@pytest.mark.parametrize(
    "body",
    [
        "a = image -> conv(8, 3)\nb = image -> conv(8, 1)\nout y = concat([b, a]) -> relu",
        "a = image -> conv(8, 3)\nb = image -> conv(8, 1)\nout z = concat([a, b]) -> relu",
        "a = image -> conv(8, 3)\nb = image -> conv(8, 1)\nout y = concat([a, a]) -> relu",
        "a = image -> conv(8, 3)\nb = image -> conv(8, 1)\nout y = concat([a, b]) -> relu6",
        "a = image -> conv(8, 3)\nb = image -> conv(8, 1, frozen=true)\nout y = concat([a, b]) -> relu",
        'a = image -> conv(8, 3)\nb = image -> conv(8, 1, init="zeros")\nout y = concat([a, b]) -> relu',
        f"{BASE}\naux out x = a",
        f"{BASE}\nout x = a",
    ],
)
def test_meaning_is_seen(body: str) -> None:
    assert semantic_hash(net(body)) != semantic_hash(net(BASE))


def test_sharing_of_weights_is_seen_and_its_path_is_not() -> None:
    shared = net("shared enc = conv(3, 3)\nout y = image -> enc -> enc")
    assert same_meaning(shared, net("shared other = conv(3, 3)\nx = image -> other\nout y = x -> other"))
    assert not same_meaning(shared, net("out y = image -> conv(3, 3) -> conv(3, 3)"))


def test_the_order_of_the_outputs_is_seen() -> None:
    assert semantic_hash(net("out a = image -> relu\nout b = image -> tanh")) != semantic_hash(
        net("out b = image -> tanh\nout a = image -> relu")
    )


@pytest.mark.parametrize("other", ["bgr()", "rgb(scale=1)", "rgb(std=1)", "rgb(mean=0)"])
def test_preprocessing_is_seen(other: str) -> None:
    def spec(how: str) -> Graph:
        return graph_of(f"arch 1\nnetwork Net {{\nin image [3, H, W] = {how}\nout y = image -> relu\n}}\n")

    assert semantic_hash(spec("rgb()")) != semantic_hash(spec(other))


def test_input_channels_and_fixed_sizes_are_seen() -> None:
    def spec(shape: str) -> Graph:
        return graph_of(f"arch 1\nnetwork Net {{\nin image {shape}\nout y = image -> conv(4, 1)\n}}\n")

    hashes = {semantic_hash(spec(shape)) for shape in ("[3, H, W]", "[4, H, W]", "[3, 64, W]", "[3, 64, 64]")}
    assert len(hashes) == 4
    assert semantic_hash(spec("[3, H, W]")) == semantic_hash(spec("[3, A, B]"))


@pytest.mark.parametrize(("spec", "network"), shipped_networks())
def test_shipped_networks_keep_their_hash_through_the_text_form(spec: str, network: str) -> None:
    graph = shipped(spec, network)
    assert semantic_hash(from_text(to_text(graph))) == semantic_hash(graph)


def test_the_order_of_a_canonical_form_names_nodes_of_equal_graphs_alike() -> None:
    a = net(BASE)
    b = renamed(a, {node.name: f"n{i}" for i, node in enumerate(a.nodes)})
    pairs = dict(zip(canonical(a).order, canonical(b).order, strict=True))
    assert pairs == {node.name: f"n{i}" for i, node in enumerate(a.nodes)}
