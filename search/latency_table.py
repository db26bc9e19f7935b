"""How long the searched convolutions take at each rate, and the whole compiled network, on this machine."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import Any, cast

import torch
import torch.nn.functional as F
from archdsl.runtime.machine import processor
from archdsl.search.space import Rate

from archdsl.ir.dims import value_at
from archdsl.ir.graph import Graph, Node
from archdsl.network import Network

VERSION = 1
ROUNDS = 15


def measure(
    net: Network,
    rates: Iterable[Rate],
    size: tuple[int, int],
    device: str = "cpu",
    dtype: str = "float32",
    seen: Callable[[str, int, int], None] = lambda what, done, of: None,
) -> dict[str, Any]:
    """A table: `total_ms` of the compiled network at an input size (height, width), and per node the ms of each rate.

    A convolution is timed as torch runs it; medians of interleaved rounds.
    """
    values = dict(zip("HW", size, strict=True))
    nodes = [(name, rate) for rate in rates for name in rate.nodes]
    total = _total(net, size, device, dtype)
    found = {}
    for done, (name, rate) in enumerate(nodes, start=1):
        found[name] = _times(net.ir, net.ir.by_name[name], rate.candidates, values, device, dtype)
        seen("rates", done, len(nodes))
    return {
        "version": VERSION,
        "network": net.name,
        "input": f"{size[0]}x{size[1]}",
        "device": device,
        "dtype": dtype,
        "machine": torch.cuda.get_device_name(device) if device.startswith("cuda") else processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "date": str(date.today()),
        "total_ms": total,
        "nodes": found,
    }


def _total(net: Network, size: tuple[int, int], device: str, dtype: str) -> float:
    from archdsl.runtime.compile import compile

    compiled = compile(net.module(), sizes=[size], device=device, dtype=cast(Any, dtype))
    x = torch.randn(1, net.ir.inputs[0].types[0].channels, *size, device=device, dtype=getattr(torch, dtype))
    return next(_medians([lambda: compiled(x)], device))


def _times(
    graph: Graph, node: Node, rates: Iterable[int], values: dict[str, int], device: str, dtype: str
) -> dict[str, float]:
    of, result = graph.type_of(node.inputs[0]), node.types[0]
    rows, columns = cast(tuple[int, int], node["kernel"])
    groups = of.channels if node.op == "depthwise" else cast(int, node["groups"])
    shape = (1, of.channels, value_at(of.height, values), value_at(of.width, values))
    where: Any = {"device": device, "dtype": getattr(torch, dtype)}
    x = torch.randn(shape, **where).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(result.channels, of.channels // groups, rows, columns, **where)
    weight = weight.contiguous(memory_format=torch.channels_last)
    stride = cast(tuple[int, int], node["stride"])

    def at(rate: int) -> Callable[[], object]:
        padding = (rate * (rows // 2), rate * (columns // 2))
        return lambda: F.conv2d(x, weight, None, stride, padding, (rate, rate), groups)

    rates = list(rates)
    return {str(rate): ms for rate, ms in zip(rates, _medians([at(rate) for rate in rates], device), strict=True)}


def _medians(works: list[Callable[[], object]], device: str) -> Iterator[float]:
    """Milliseconds of each work."""
    from archdsl.runtime.stopwatch import interleaved

    by_number = {str(number): work for number, work in enumerate(works)}
    with torch.inference_mode():
        rounds = list(interleaved(by_number, torch.device(device), ROUNDS + 2))[2:]
    for number in by_number:
        yield 1000 * statistics.median(seconds[number] for seconds in rounds)
