"""Steps that run by turns over strips of the image: every kind of neighbour, and what must not be joined."""

from __future__ import annotations

import pytest
import torch
from archdsl.runtime.engines.native import strips
from archdsl.runtime.engines.native.descriptors import Kind
from archdsl.runtime.engines.native.plan import Plan, planned
from archdsl.runtime.engines.native.units import Sized
from native_checks import check, filled, graph_of, needs_kernels, noise

import archdsl.ir.ops  # noqa: F401
from archdsl.ir.builder import GraphBuilder
from archdsl.ir.graph import Graph, Ref


@pytest.fixture(autouse=True)
def small_maps_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strips, "_SAVED_BYTES", 0)
    monkeypatch.setattr(strips, "_LEAST_ROWS", 8)
    monkeypatch.setattr(strips, "_AGAIN", 3.0)


def plan_of(graph: Graph, height: int = 61, width: int = 37) -> Plan:
    return planned(Sized.of(graph, 1, {"H": height, "W": width}, False), filled(graph), {}, 2)


def members_of(plan: Plan) -> list[list[str]]:
    """Kinds of the steps that run by turns, group by group."""
    found = [getattr(step, "members", []) for step in plan.steps]
    return [[Kind(each.op.kind).name for each in members] for members in found if members]


def chain(builder: GraphBuilder, inputs: list[Ref]) -> Ref:
    """Strides, rates, groups, a pool, a resize and a sum: steps read further than those before them have come."""
    x = builder.add("conv", [inputs[0]], {"out": 32, "kernel": 3, "stride": 2, "bias": True})[0]
    y = builder.add("conv", [x], {"out": 32, "kernel": 3, "groups": 2, "dilation": 3})[0]
    y = builder.add("depthwise", [y], {"kernel": 5, "padding": 2})[0]
    y = builder.add("relu", builder.add("add", [y, x]))[0]
    z = builder.add("max_pool", [y], {"kernel": 3, "stride": 2, "padding": 1})[0]
    z = builder.add("conv", [z], {"out": 16, "kernel": 1})[0]
    z = builder.add("silu", builder.add("resize", [z], {"size": (31, 19)}))[0]
    return builder.add("concat", [z, builder.add("conv", [y], {"out": 16, "kernel": (3, 1)})[0]])[0]


@needs_kernels
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("threads", [1, 3])
def test_what_runs_by_turns_equals_the_reference(batch: int, threads: int) -> None:
    graph = graph_of((5,), chain)
    assert sum(len(members) for members in members_of(plan_of(graph))) >= 7
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        check(graph, noise(batch, 5, 61, 37))
        check(graph, noise(batch, 5, 62, 38))
    finally:
        torch.set_num_threads(before)


def summed(builder: GraphBuilder, inputs: list[Ref]) -> Ref:
    x = builder.add("conv", [inputs[0]], {"out": 32, "kernel": 3, "stride": 2})[0]
    x = builder.add("conv", [x], {"out": 32, "kernel": 3, "groups": 2})[0]
    mean = builder.add("global_pool", [x])[0]
    return builder.add(
        "mul", [builder.add("conv", [x], {"out": 32, "kernel": 3, "groups": 2, "dilation": 2})[0], mean]
    )[0]


@needs_kernels
def test_what_is_summed_is_made_once() -> None:
    """The mean counts no row of a seam twice, although a convolution beside it reads across seams."""
    check(graph_of((5,), summed), noise(2, 5, 61, 37))


def added(builder: GraphBuilder, inputs: list[Ref]) -> Ref:
    parts = [builder.add("conv", [inputs[0]], {"out": 32, "kernel": 3, "dilation": rate})[0] for rate in (1, 2, 3)]
    pools = [builder.add("max_pool", [part], {"kernel": 3, "stride": 1})[0] for part in parts]
    return builder.add("max_pool", [builder.add("sum", pools)[0]], {"kernel": 5, "stride": 1})[0]


@needs_kernels
def test_a_sum_in_place_stays_whole() -> None:
    """Where two threads made the same row, one would undo what the other adds."""
    graph = graph_of((5,), added)
    members = [each for step in plan_of(graph).steps for each in getattr(step, "members", [])]
    assert members and all(each.read.buffer is not each.made.buffer for each in members)
    check(graph, noise(2, 5, 61, 37))
