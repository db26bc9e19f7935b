"""Parameters, MACs, bytes and memory of networks, and the least time they take on hardware."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from random_graphs import allowed_size, graph_of, graphs, shipped

from archdsl.analyses.cost import cost, macs, macs_by_node, parameters, parameters_by_node
from archdsl.analyses.floor import fastest, floor
from archdsl.analyses.hardware import Hardware, find_hardware, known_devices
from archdsl.analyses.memory import activation_peak
from archdsl.analyses.sized import elements, sized
from archdsl.diagnostics import ArchError
from archdsl.ir.builder import GraphBuilder
from archdsl.ir.graph import Graph, Output, Ref

CITYSCAPES = {"H": 1024, "W": 2048}
SMALL = {"H": 8, "W": 16}


def net(body: str) -> Graph:
    """A network from the statements of its body."""
    return graph_of(f"arch 1\nnetwork Net {{\n{body}\n}}\n")


# ----------------------------------------------------------------- counts


def test_regseg_has_the_counts_of_the_official_code() -> None:
    """papers.md 1.3: 3,334,951 parameters, 38.353 GMACs, fvcore's 39.077 from BN .466, pooling .049, bilinear .210."""
    graph = shipped("regseg.arch")
    report = cost(graph, CITYSCAPES)
    assert report.params == report.params_train == 3_334_951
    assert report.macs == macs(graph, CITYSCAPES) == 38_353_186_560
    assert report.fvcore == 39_077_228_288
    beside: dict[str, int] = {}
    for row in report.rows:
        op = graph.by_name[row.name].op
        beside[op] = beside.get(op, 0) + row.fvcore - row.macs
    assert {op: n for op, n in beside.items() if n} == {
        "bn": 465_567_744,
        "global_pool": 48_758_784,
        "resize": 209_715_200,
    }


def test_regseg_at_camvids_size_and_classes() -> None:
    """papers.md 1.3: 3,334,431 parameters and 12.619 GMACs with 11 classes at 720x960."""

    graph = shipped("regseg.arch", classes=11)
    assert parameters(graph) == 3_334_431
    assert round(macs(graph, {"H": 720, "W": 960}) / 1e9, 3) == 12.619


@pytest.mark.parametrize(
    ("stage", "params", "macs_at_8x16"),
    [
        ("conv(8, 3, bias=true)", 3 * 8 * 9 + 8, 3 * 8 * 9 * 128),
        ("conv(8, 3, stride=2)", 3 * 8 * 9, 3 * 8 * 9 * 32),
        ("conv(6, (1, 5), groups=3)", 6 * 5, 6 * 5 * 128),
        ("depthwise(3, multiplier=2)", 6 * 9, 6 * 9 * 128),
        ("conv_transpose(4, 3, stride=2, padding=1)", 3 * 4 * 9, 3 * 4 * 9 * 128),
        ("bn", 6, 0),
        ("prelu", 3, 0),
        ("conv(8, 1, frozen=true)", 24, 24 * 128),
        ("relu", 0, 0),
    ],
)
def test_counts_of_single_ops(stage: str, params: int, macs_at_8x16: int) -> None:
    graph = net(f"in image [3, H, W]\nout y = image -> {stage}")
    assert (parameters(graph), macs(graph, SMALL)) == (params, macs_at_8x16)


def test_shared_weights_count_once_and_are_computed_twice() -> None:
    graph = net("in image [3, H, W]\nshared enc = conv(3, 3)\nout y = image -> enc -> enc")
    assert parameters(graph) == 81
    assert sorted(parameters_by_node(graph).values()) == [0, 0, 81]
    assert sorted(macs_by_node(graph, SMALL).values()) == [0, 81 * 128, 81 * 128]


def test_auxiliary_outputs_and_dead_values_cost_training_only() -> None:
    graph = net(
        "in image [3, H, W]\nx = image -> conv(4, 1)\nunused = x -> conv(7, 1)\n"
        "aux out a = x -> conv(2, 1)\nout y = x -> relu"
    )
    assert parameters(graph) == 12
    assert parameters(graph, training=True) == 12 + 28 + 8
    assert {row.name for row in cost(graph, SMALL).rows}.isdisjoint({"a.conv1", "unused.conv1"})


def test_a_size_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        macs(net("in image [3, H, W]\nout y = image -> conv(3)"), {"H": 8})


# ----------------------------------------------------------------- bytes and memory


@pytest.mark.parametrize(
    ("body", "node", "read", "weights", "written"),
    [
        ("out y = image -> conv(8, 3)", "y.conv1", 3 * 128, 8 * 27, 8 * 128),
        ("out y = image -> conv(8, 1, stride=2)", "y.conv1", 3 * 32, 24, 8 * 32),
        ("out y = image -> conv(8, 1) -> bn", "y.bn1", 8 * 128, 32, 8 * 128),
        ("x = image -> conv(4, 1, stride=2)\nout y = x -> resize(like=image)", "y.resize1", 4 * 32, 0, 4 * 128),
        ("out y = image -> dropout(0.5) -> relu", "y.dropout1", 0, 0, 0),
        ("a, b, c = split(image, 3)\nout y = a + b", "a.split1", 0, 0, 0),
        ("a, b, c = split(image, 3)\nout y = a + b", "y.add1", 2 * 128, 0, 128),
        ("out y = concat([image, image])", "y.concat1", 6 * 128, 0, 6 * 128),
        ("out y = image * (image -> global_pool)", "y.mul1", 3 * 128 + 3, 0, 3 * 128),
    ],
)
@pytest.mark.parametrize(("dtype", "size"), [("float32", 4), ("float16", 2)])
def test_bytes_of_single_nodes(
    body: str, node: str, read: int, weights: int, written: int, dtype: str, size: int
) -> None:
    row = cost(net(f"in image [3, H, W]\n{body}"), SMALL, dtype).by_name[node]
    assert (row.read, row.weights, row.written) == (read * size, weights * size, written * size)
    assert row.moved == (read + weights + written) * size


def test_indices_are_eight_bytes_whatever_the_dtype() -> None:
    graph = net(
        "in image [3, H, W]\nx, i = image -> max_pool(2, indices=true)\nout y = (x, i) -> unpool(2)",
    )
    pool = next(row for row in cost(graph, SMALL, "float16").rows if "max_pool" in row.name)
    assert pool.written == 3 * 32 * (2 + 8)


def test_weights_in_memory_hold_running_statistics() -> None:
    graph = net("in image [3, H, W]\nout y = image -> conv(8, 1) -> bn")
    assert cost(graph, SMALL).weight_bytes == 4 * (24 + 4 * 8)


def test_an_unknown_dtype_is_an_error() -> None:
    with pytest.raises(ValueError, match="float23"):
        cost(net("in image [3, H, W]\nout y = image -> relu"), SMALL, "float23")


@pytest.mark.parametrize(
    ("body", "maps"),
    [
        ("out y = image -> relu", 2),
        ("out y = image -> relu -> relu -> relu -> relu", 2),
        ("x = image -> relu\nout y = (x -> relu -> relu) + x", 3),
        ("x = image -> relu\ny = x -> identity -> relu\nout z = y -> relu", 2),
        ("x = image -> relu\nout y = x -> relu\nout z = y -> relu", 2),
        ("x = image -> relu\na = x -> relu\nout y = a -> relu -> resize(like=x)", 2),
    ],
)
def test_the_peak_is_the_most_maps_at_once(body: str, maps: int) -> None:
    peak = cost(net(f"in image [3, H, W]\n{body}"), SMALL).peak
    assert peak.bytes == maps * 3 * 128 * 4


def brute_force_peak(graph: Graph, values: dict[str, int]) -> int:
    """Whatever a later node still reads, or an output, is there while a node runs, with what it makes."""
    nodes = list(sized(graph, values))
    root: dict[Ref, Ref] = {}
    for at in nodes:
        view = at.node.op in ("split", "identity", "crop", "dropout")
        root.update({ref: root[at.node.inputs[0]] if view else ref for ref in at.node.refs})
    sizes = {
        ref: elements(of) * (8 if of.kind == "indices" else 4)
        for at in nodes
        for ref, of in zip(at.node.refs, at.results, strict=True)
    }
    peak = 0
    for i, at in enumerate(nodes):
        later = {root[later.node.inputs[k]] for later in nodes[i:] for k in later.operands_read}
        made_before = {root[ref] for before in nodes[:i] for ref in before.node.refs}
        kept = {root[out.value] for out in graph.outputs if not out.aux}
        live = made_before & (later | kept) | {root[ref] for ref in at.node.refs}
        peak = max(peak, sum(sizes[ref] for ref in live))
    return peak


@settings(max_examples=80, deadline=None)
@given(graphs())
def test_the_peak_agrees_with_counting_what_is_live_at_each_node(graph: Graph) -> None:
    values = allowed_size(graph)
    nodes = tuple(sized(graph, values))
    assert activation_peak(graph, nodes, "float32").bytes == brute_force_peak(graph, values)


@settings(max_examples=40, deadline=None)
@given(graphs())
def test_costs_of_a_network_are_those_of_its_nodes(graph: Graph) -> None:
    report = cost(graph, allowed_size(graph))
    assert report.params == sum(row.params for row in report.rows) == parameters(graph)
    assert report.params <= report.params_train
    assert report.fvcore >= report.macs == sum(row.macs for row in report.rows)
    assert report.peak.bytes >= max(row.written for row in report.rows)


# ----------------------------------------------------------------- hardware and floors


def test_every_device_that_ships_can_be_read() -> None:
    assert {"t4", "h200-sxm", "jetson-agx-orin-64gb"} <= set(known_devices())
    for name in known_devices():
        device = find_hardware(name)
        assert device.flops["float32"] > 1e12 and device.bandwidth > 1e11


def test_a_device_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'name = "Mine"\nbandwidth = 1e9\nlaunch_overhead_s = 1e-6\n[flops]\nfloat32 = 1\n'
    )
    (tmp_path / "mine.json").write_text('{"name": "Mine", "bandwidth": 1e9, "flops": {"float32": 1}}')
    assert find_hardware("mine.toml", tmp_path) == Hardware("Mine", {"float32": 1.0}, 1e9, 1e-6)
    assert find_hardware("mine.json", tmp_path) == Hardware("Mine", {"float32": 1.0}, 1e9)


@pytest.mark.parametrize(
    ("name", "text", "message", "help"),
    [
        ("t44", None, "no machine is called `t44`", "did you mean `t4`?"),
        ("gone.toml", None, "cannot be read: No such file", ""),
        ("a.toml", "name = ", "cannot be read", ""),
        ("a.json", "[]", "no table", ""),
        ("a.toml", 'name = "A"\nbandwith = 1\n', "`bandwith` is no key", "did you mean `bandwidth`?"),
        ("a.toml", 'name = "A"\nbandwidth = 1\n', "does not say `flops`", "it needs name, flops, bandwidth"),
        ("a.toml", 'name = "A"\nbandwidth = 1\nflops = 3\n', "`flops` is a table", "for example"),
        (
            "a.toml",
            'name = "A"\nbandwidth = 1\n[flops]\nfloat23 = 1\n',
            "`float23` is no dtype",
            "did you mean `float32`?",
        ),
        (
            "a.toml",
            'name = "A"\nbandwidth = -1\n[flops]\nfloat32 = 1\n',
            "`bandwidth` is a positive number, not -1",
            "",
        ),
        ("a.toml", 'name = "A"\nbandwidth = 1\n[flops]\nfloat32 = true\n', "`flops.float32` is a positive number", ""),
    ],
)
def test_a_faulty_description_is_an_error(tmp_path: Path, name: str, text: str | None, message: str, help: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ArchError) as caught:
        find_hardware(name, tmp_path)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E0820" and message in diagnostic.message and help in diagnostic.help


def machine(**given: Any) -> Hardware:
    return Hardware("Machine", given.pop("flops", {"float32": 1e9}), **{"bandwidth": 1e9, **given})


def test_a_node_takes_the_longer_of_computing_and_moving() -> None:
    graph = net("in image [3, H, W]\nout y = image -> conv(8, 3) -> relu")
    rows = {row.name: row for row in floor(graph, SMALL, machine(), "float32").rows}
    assert (rows["y.conv1"].limit, rows["y.conv1"].seconds) == ("compute", 2 * 8 * 27 * 128 / 1e9)
    assert (rows["y.relu1"].limit, rows["y.relu1"].seconds) == ("memory", 2 * 8 * 128 * 4 / 1e9)
    assert rows["image"].seconds == 0


def test_a_launch_takes_its_time_except_for_views() -> None:
    graph = net("in image [3, H, W]\na, b, c = split(image, 3)\nout y = a + b")
    found = floor(graph, SMALL, machine(launch_overhead_s=1.0), "float32")
    assert found.op_by_op == found.fused == 1.0
    assert found.fused_limit == "launch"


def test_fused_moves_input_weights_and_output_only() -> None:
    graph = net("in image [3, H, W]\nout y = image -> conv(8, 3) -> bn -> relu")
    slow = machine(flops={"float32": 1e18})
    assert floor(graph, SMALL, slow, "float32").fused == pytest.approx((3 * 128 + 8 * 27 + 8 * 128) * 4 / 1e9)


@settings(max_examples=40, deadline=None)
@given(graphs())
def test_fused_is_never_above_op_by_op(graph: Graph) -> None:
    for device in (find_hardware("t4"), machine(launch_overhead_s=1e-6)):
        for dtype in device.flops:
            found = floor(graph, allowed_size(graph), device, dtype)
            assert found.fused <= max(found.op_by_op * (1 + 1e-12), device.launch_overhead_s)


def test_the_fastest_dtype_decides_the_floor_of_an_assert() -> None:
    graph = shipped("regseg.arch")
    found = fastest(graph, CITYSCAPES, find_hardware("t4"))
    assert found.dtype == "float16"
    assert found.fused == pytest.approx(2 * 38_353_186_560 / 65e12)


def test_a_dtype_without_a_rate_is_an_error() -> None:
    graph = GraphBuilder()
    x = graph.input("x", 3)
    with pytest.raises(ValueError, match="states no rate for float64"):
        floor(graph.finish("Net", [Output("y", x)]), SMALL, machine(), "float64")
