"""The costs that rewrites are judged by: what they count, and where they come from."""

from __future__ import annotations

import pytest
import torch
from archdsl.runtime import costs as of_runtime
from archdsl.runtime.costs import costs_on, slower_when_dilated
from archdsl.runtime.engines import ENGINES, Program
from pass_nets import add, random_weights

from archdsl.analyses.hardware import Hardware
from archdsl.ir.builder import GraphBuilder
from archdsl.ir.graph import Output
from archdsl.passes import Costs, space_to_batch

CPU = torch.device("cpu")


def test_cpus_are_judged_alike_and_at_the_first_size() -> None:
    assert costs_on(CPU, "bfloat16", [(128, 256), (512, 512)]) == Costs(dtype="bfloat16", size=(128, 256))
    assert costs_on(CPU, "float32") == Costs()


def test_a_cuda_device_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one here, what is measured is put in its place; that it reaches the costs is what is held."""
    found = Hardware("a gpu", {"float16": 9e14}, 4e12)
    monkeypatch.setattr(of_runtime, "_hardware", lambda device, dtype: found)
    monkeypatch.setattr(of_runtime, "slower_when_dilated", lambda device, dtype: 2.5)
    expected = Costs(found, "float16", (64, 64), dilated=2.5)
    assert costs_on(torch.device("cuda"), "float16", [(64, 64)]) == expected


def test_the_slowness_of_dilation_is_a_ratio_of_two_timings() -> None:
    assert 1.0 <= slower_when_dilated(CPU, "float32") < 20


def test_dilation_that_is_slower_costs_more() -> None:
    builder = GraphBuilder()
    x = builder.input("image", 64)
    y, z = (add(builder, "conv", x, out=64, kernel=3, dilation=d) for d in (1, 2))
    graph = builder.finish("Net", [Output("y", y), Output("z", z)])
    slow, even = Costs(dilated=3.0), Costs()
    dense, dilated = graph.nodes[1:]
    assert slow.seconds(graph, [dense]) == even.seconds(graph, [dense]) == even.seconds(graph, [dilated])
    assert slow.seconds(graph, [dilated]) == pytest.approx(3 * even.seconds(graph, [dilated]))


def test_an_engine_that_plans_for_one_batch_leaves_phases_to_others() -> None:
    builder = GraphBuilder()
    x = builder.input("image", 3, 32, 32)
    y = add(builder, "conv", x, out=64, kernel=3, dilation=2)
    graph = builder.finish("Net", [Output("y", y)])
    result = space_to_batch(graph, random_weights(graph), Costs(dilated=1e6))
    assert len(result.fired) == 1
    program = Program.of(result.graph, result.weights, torch.float32, CPU)
    assert "one batch" in str(ENGINES["native"].available(program))
    assert ENGINES["eager"].available(program) is None
