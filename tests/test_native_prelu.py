"""PReLU and ELU on our kernels: as the end of whatever makes a map, with the slopes of the right channels."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from archdsl.runtime.engines.native.emit import TorchStep
from archdsl.runtime.engines.native.plan import planned
from archdsl.runtime.engines.native.units import Sized
from native_checks import check, filled, graph_of, needs_kernels, noise, prepared
from random_graphs import shipped

from archdsl.ir.builder import GraphBuilder
from archdsl.ir.graph import Graph, Ref
from archdsl.passes import passes_for, run_passes

Make = Callable[[GraphBuilder, Ref], Ref]


def add(builder: GraphBuilder, op: str, *inputs: Ref, **settings: object) -> Ref:
    return builder.add(op, list(inputs), settings)[0]


def _conv(**settings: object) -> Make:
    return lambda builder, x: add(builder, "conv", x, **settings)


def _normed(builder: GraphBuilder, x: Ref) -> Ref:
    return add(builder, "bn", add(builder, "relu", add(builder, "conv", x, out=20, kernel=3)))


def _concat(builder: GraphBuilder, x: Ref) -> Ref:
    parts = [add(builder, "conv", x, out=count, kernel=3, dilation=rate) for count, rate in ((12, 1), (20, 2), (6, 4))]
    return add(builder, "bn", add(builder, "concat", *parts))


def _summed(builder: GraphBuilder, x: Ref) -> Ref:
    """Sloped on both sides of the sum; one convolution has slopes of its own alone."""
    inner = add(builder, "prelu", add(builder, "conv", x, out=40, kernel=3))
    return add(builder, "add", add(builder, "conv", x, out=40), inner)


HOSTS: dict[str, Make] = {
    "winograd": _conv(out=48, kernel=3, dilation=2),
    "direct": _conv(out=50, kernel=5, bias=True),
    "few": _conv(out=5, kernel=1),
    "grouped": _conv(out=42, kernel=3, groups=2),
    "depthwise": lambda builder, x: add(builder, "depthwise", x, kernel=3, multiplier=2),
    "normed": _normed,
    "concat": _concat,
    "summed": _summed,
    "sum": lambda builder, x: add(builder, "sum", x, add(builder, "conv", x, out=40), x),
    "product": lambda builder, x: add(builder, "mul", x, add(builder, "global_pool", x)),
    "scalar": lambda builder, x: add(builder, "scalar", x, operator="+", value=0.5),
    "resize": lambda builder, x: add(builder, "resize", x, scale=2),
    "none": lambda builder, x: x,
}


def _behind(host: str, op: str, **settings: object) -> Graph:
    return graph_of((40,), lambda builder, given: add(builder, op, HOSTS[host](builder, given[0]), **settings))


def _kinds(graph: Graph) -> list[str]:
    """What runs as torch calls."""
    plan = planned(Sized.of(graph, 1, {"H": 64, "W": 96}, False), filled(graph), {}, 2)
    return [step.unit.op for step in plan.steps if isinstance(step, TorchStep)]


@needs_kernels
@pytest.mark.parametrize("host", HOSTS)
def test_slopes_end_whatever_makes_a_map(host: str) -> None:
    graph = _behind(host, "prelu")
    check(graph, noise(2, 40, 19, 23))
    assert _kinds(graph) == []


@needs_kernels
@pytest.mark.parametrize("host", ["winograd", "depthwise", "none"])
def test_one_slope_for_all_channels_and_elu(host: str) -> None:
    check(_behind(host, "prelu", shared=True), noise(1, 40, 19, 23))
    check(_behind(host, "elu"), noise(1, 40, 19, 23) * 0.3)


@needs_kernels
def test_values_that_are_no_numbers_stay_so() -> None:
    x = torch.tensor([float("nan"), float("inf"), -float("inf"), -1e-6, 100.0]).view(1, 1, 1, 5).expand(1, 40, 1, 5)
    for op in ("prelu", "elu"):
        graph = _behind("none", op)
        weights = filled(graph)
        slopes = next(iter(weights.values()), None)
        expected = torch.nn.functional.elu(x) if slopes is None else torch.nn.functional.prelu(x, slopes)
        got = prepared(graph, weights)(x.contiguous())
        torch.testing.assert_close(got, expected, equal_nan=True, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("spec", ["cgnet", "espnet", "enet"])
def test_networks_with_slopes_run_on_kernels(spec: str) -> None:
    graph = shipped(f"zoo/{spec}.arch")
    rewritten, _ = run_passes(graph, filled(graph), passes_for("labels"))
    assert not {"prelu", "relu", "bn"} & set(_kinds(rewritten.graph))
