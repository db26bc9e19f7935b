"""What `archdsl diff` says of two networks."""

from __future__ import annotations

import json

from hypothesis import given, settings
from random_graphs import graph_of, graphs, renamed

from archdsl.analyses.compare import compare, to_json, to_lines
from archdsl.ir.diff import GraphDiff, diff
from archdsl.ir.graph import Graph

BLOCK = """block Block(width: int, rate: int = 1) {
  in x [C, H, W]
  out x -> conv(width, 3, dilation=rate) -> bn -> relu
}
"""
BODY = "s = image -> [Block(8), Block(8, 2)]\nout y = s -> conv(4, 1)"


def net(body: str = BODY, block: str = BLOCK, name: str = "Net") -> Graph:
    return graph_of(f"arch 1\n{block}network {name} {{\nin image [3, H, W]\n{body}\n}}\n")


def changes(body: str, block: str = BLOCK) -> GraphDiff:
    return diff(net(), net(body, block))


@settings(max_examples=50, deadline=None)
@given(graphs())
def test_a_graph_does_not_differ_from_itself_or_from_itself_renamed(graph: Graph) -> None:
    assert diff(graph, graph).empty and not diff(graph, graph).renamed
    fresh = {n.name: f"fresh{i}" for i, n in enumerate(graph.nodes) if n.op != "input"}
    found = diff(graph, renamed(graph, fresh))
    assert found.empty or has_twins(graph)
    assert len(found.renamed) == len(fresh) or has_twins(graph)


def has_twins(graph: Graph) -> bool:
    """Whether two nodes do the same to the same values, so that which became which cannot be told."""
    deeds = [(node.op, node.settings, node.inputs) for node in graph.nodes]
    return len(set(deeds)) < len(deeds)


def test_a_changed_setting_is_found_with_its_places() -> None:
    (change,) = changes(BODY.replace("Block(8, 2)", "Block(8, 3)")).changed
    assert change.new.name == "s.1.conv1" and not (change.op or change.wiring or change.weights)
    settings = {s.name: s for s in change.settings}
    assert set(settings) == {"dilation", "padding"}
    dilation = settings["dilation"]
    assert (dilation.old, dilation.new) == ((2, 2), (3, 3))
    assert dilation.old_span is not None and dilation.new_span is not None
    assert (dilation.old_span.text, dilation.new_span.text) == ("2", "3")


def test_added_and_removed_nodes_are_grouped_by_block() -> None:
    found = changes(BODY, BLOCK.replace(" -> relu", " -> tanh"))
    assert [node.name for node in found.removed] == ["s.0.relu1", "s.1.relu1"]
    assert [node.name for node in found.added] == ["s.0.tanh1", "s.1.tanh1"]
    assert [block.block for block in found.blocks] == ["s.0", "s.1", "y"]
    (wired,) = found.blocks[2].changed
    assert wired.wiring and wired.new.name == "y.conv1"


def test_a_chain_that_grows_keeps_its_first_part() -> None:
    found = changes(BODY.replace("[Block(8),", "[Block(8), Block(8),"))
    assert {node.name for node in found.added} == {"s.2.conv1", "s.2.bn1", "s.2.relu1"}
    assert {change.new.name for change in found.changed} == {"s.1.conv1", "y.conv1"}


def test_a_renamed_value_is_no_change() -> None:
    found = changes(BODY.replace("s = ", "deep = ").replace("y = s ", "y = deep "))
    assert found.empty
    assert found.renamed_values == (("s", "deep"),)
    assert ("s.1.bn1", "deep.1.bn1") in found.renamed


def test_a_renamed_and_changed_node_is_still_matched() -> None:
    found = changes("t = image -> [Block(8), Block(8, 3)]\nout y = t -> conv(4, 1)")
    assert not found.added and not found.removed
    assert [(c.old.name, c.new.name) for c in found.changed] == [("s.1.conv1", "t.1.conv1")]


def test_another_op_under_the_same_name_is_a_change() -> None:
    a = net("out y = image -> conv(3, 3) as mix")
    (change,) = diff(a, net("out y = image -> depthwise(3) as mix")).changed
    assert change.op and (change.old.op, change.new.op) == ("conv", "depthwise")


def test_weights_that_are_shared_now_are_a_change() -> None:
    a = net("out y = image -> conv(3, 3) as one -> conv(3, 3) as two")
    b = net("shared enc = conv(3, 3)\nx = image -> enc as one\nout y = x -> enc as two")
    found = diff(a, b)
    assert [change.weights for change in found.changed] == [True, True]


def test_outputs_and_values_and_preprocessing() -> None:
    found = changes("s = image -> Block(8)\nout y = s -> conv(5, 1)\nout z = s")
    assert found.outputs == ("z",)
    assert {v.name: (v.old is None, v.new is None) for v in found.values} == {
        "s": (False, False),
        "y": (False, False),
        "z": (True, False),
    }
    assert found.prepared == ()
    a, b = (
        graph_of(f"arch 1\nnetwork N {{\nin image [3, H, W] = {how}\nout y = image\n}}") for how in ("rgb()", "bgr()")
    )
    assert diff(a, b).prepared == ("image",)


def test_a_comparison_has_counts_and_fields_of_view() -> None:
    comparison = compare(net(), net(BODY.replace("Block(8, 2)", "Block(16, 3)"), name="Wide"))
    assert (comparison.params.old, comparison.params.new) == (856, 1480)
    assert comparison.size == {"H": 1024, "W": 2048}
    assert comparison.field_of_view["s"].old == (7, 7)
    assert comparison.field_of_view["s"].new == (9, 9)
    assert not comparison.same


def test_a_comparison_as_text() -> None:
    lines = to_lines(compare(net(), net(BODY.replace("Block(8, 2)", "Block(8, 3)"), name="Wide")))
    assert lines == [
        "Net → Wide",
        "parameters: 856, unchanged",
        "MACs at 1024x2048: 1,728,053,248, unchanged",
        "field of view of s: 7 → 9",
        "field of view of y: 7 → 9",
        "in s.1:",
        "  ~ conv1 padding 2x2 → 3x3 (net.arch:4), dilation 2x2 → 3x3 (net.arch:8)",
    ]


def test_blocks_that_change_alike_are_named_together() -> None:
    lines = to_lines(compare(net(), net(BODY, BLOCK.replace("bn ->", "bn(eps=1e-3) ->"))))
    assert lines[-2:] == ["in s.0, s.1:", "  ~ bn1 eps 1e-05 → 0.001 (net.arch:4)"]


def test_equal_networks_are_said_to_be_the_same() -> None:
    assert to_lines(compare(net(), net(name="Other"))) == ["Net → Other: the same network"]
    lines = to_lines(compare(net(), net(BODY.replace("s = ", "deep = ").replace("y = s ", "y = deep "))))
    assert lines[:2] == ["Net → Net: the same network", "s is called deep now"]


def test_size_rules_are_compared() -> None:
    body = "x = image -> avg_pool(2) -> resize(scale=2)\nout y = x + image"
    comparison = compare(net("out y = image -> relu"), net(body))
    assert "height of the input: any size → 2n" in to_lines(comparison)
    assert comparison.size == {"H": 1024, "W": 2048}


def test_a_comparison_as_data() -> None:
    data = json.loads(json.dumps(to_json(compare(net(), net(BODY.replace("Block(8, 2)", "Block(8, 3)"))))))
    assert data["params"] == [856, 856]
    assert data["field_of_view"]["s"] == [[7, 7], [9, 9]]
    (block,) = data["blocks"]
    assert block["block"] == "s.1"
    (change,) = block["changed"]
    assert change["settings"]["dilation"]["values"] == ["2x2", "3x3"]
    assert change["settings"]["dilation"]["places"][1] == {"path": "net.arch", "line": 8, "column": 34}
