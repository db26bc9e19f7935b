"""Maps in blocks of 16 channels with zeros beside their rows: what grouped convolutions read."""

from __future__ import annotations

from typing import Any

import pytest
from archdsl.runtime.engines.native.plan import planned
from archdsl.runtime.engines.native.units import Sized
from native_checks import check, filled, graph_of, needs_kernels, noise

import archdsl.ir.ops  # noqa: F401
from archdsl.ir.builder import GraphBuilder
from archdsl.ir.graph import Graph, Output, Ref


def grouped(*settings: dict[str, Any]) -> Graph:
    """A 1x1 convolution, and a grouped one for each half of its result."""

    def make(builder: GraphBuilder, inputs: list[Ref]) -> Ref:
        x = builder.add("relu", builder.add("conv", [inputs[0]], {"out": 64, "kernel": 1, "bias": True}))[0]
        halves = builder.add("split", [x], {"parts": 2})
        made = [
            builder.add("conv", [half], {"out": 32, "groups": 2, **each})[0]
            for half, each in zip(halves, settings, strict=True)
        ]
        return builder.add("concat", made)[0]

    return graph_of((20,), make)


def blocked(graph: Graph, width: int = 31) -> set[int]:
    """Margins of the maps that stand in blocks."""
    values = planned(Sized.of(graph, 1, {"H": 23, "W": width}, False), filled(graph), {}, 1).values.values()
    return {value.margin for value in values if value.block != 16}


WINDOWS: list[tuple[dict[str, Any], dict[str, Any], int]] = [
    ({"kernel": 3}, {"kernel": 3, "dilation": 4}, 4),
    ({"kernel": 3}, {"kernel": 3, "dilation": 9}, 1),
    ({"kernel": 3, "dilation": 14}, {"kernel": 3, "dilation": 30}, 0),
    ({"kernel": 3, "stride": 2}, {"kernel": 3, "stride": 2, "dilation": 2}, 2),
    ({"kernel": (1, 5)}, {"kernel": (1, 1)}, 2),
    ({"kernel": 5, "padding": (0, 7), "stride": 3}, {"kernel": 5, "padding": (0, 7), "stride": 3}, 7),
    ({"kernel": 3, "padding": 10}, {"kernel": 3, "padding": 10}, 0),
]


@needs_kernels
@pytest.mark.parametrize("width", [31, 13, 5])
@pytest.mark.parametrize(("one", "other", "margin"), WINDOWS)
def test_groups_read_blocks(one: dict[str, Any], other: dict[str, Any], margin: int, width: int) -> None:
    """Rates within the margin, beyond it, and beyond the map; strides; batches."""
    graph = grouped(one, other)
    assert max(blocked(graph, width)) <= margin if width < 31 else blocked(graph) == {margin}
    check(graph, noise(2, 20, 23, width))


@needs_kernels
def test_what_others_read_stays_pixel_by_pixel() -> None:
    """An output, an operand of a sum, and the input of a 1x1 convolution."""
    for op in ("relu", "out", "sum", "conv"):
        builder = GraphBuilder()
        x = builder.add("conv", [builder.input("x", 20)], {"out": 64, "kernel": 1})[0]
        y = builder.add("conv", [x], {"out": 64, "kernel": 3, "groups": 4})[0]
        outputs = [Output("y", builder.add("sum", [x, y])[0] if op == "sum" else y)]
        if op in ("relu", "conv"):
            settings = {"out": 8, "kernel": 1} if op == "conv" else {}
            outputs.append(Output("z", builder.add(op, [x], settings)[0]))
        if op == "out":
            outputs.append(Output("x1", builder.add("split", [x], {"parts": 2})[1]))
        graph = builder.finish("Net", outputs, {}, {})
        assert not blocked(graph)
        check(graph, noise(2, 20, 23, 31))
