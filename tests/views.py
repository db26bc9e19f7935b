"""Graphs for the tests of fields of view, and what they read according to PyTorch's gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from math import gcd
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

import archdsl.ir.ops  # noqa: F401  (registers the ops)
from archdsl.ir.builder import GraphBuilder
from archdsl.ir.dims import Size
from archdsl.ir.graph import Graph, MapType, Output, Ref
from archdsl.ir.state import layout
from archdsl.lower import oracle

Rates = tuple[int, ...]

BODIES: dict[str, tuple[list[Rates], int]] = {
    "exp48": ([(1,), (1, 2), *4 * [(1, 4)], *7 * [(1, 14)]], 3807),
    "exp43": ([(1,), (1, 2), (1, 4), (1, 6), (1, 8), (1, 10), *7 * [(1, 12)]], 3743),
    "exp50": ([(1,), (1, 2), (1, 4), (1, 6), (1, 8), (1, 10), *7 * [(1, 3, 6, 12)]], 3743),
    "exp46": ([(1,), (1, 2), (1, 4), (1, 6), (1, 8), *8 * [(1, 10)]], 3295),
    "exp49": ([(1,), (1, 2), *6 * [(1, 4)], *5 * [(1, 6, 12, 18)]], 3807),
    "exp52": ([(1,), (1, 2), (1, 4), *10 * [(1, 6)]], 2207),
    "exp47": ([(1,), (1, 2), (1, 4), (1, 6), (1, 8), (1, 10), (1, 12), *6 * [(1, 14)]], 4127),
    "exp30": ([*5 * [(1, 4)], *8 * [(1, 10)]], 3263),
    "exp51": ([(1,), (1, 2), (1, 4), (1, 6), (1, 8), (1, 10), *7 * [(1, 4, 8, 12)]], 3743),
}
"""RegSeg's ablation (arXiv 2111.09957, and its code): rates after the first 1/16 block; field of view."""


def extent(of: MapType) -> tuple[int, int]:
    """Height and width of a map whose size is no symbol."""
    assert isinstance(of.height, int) and isinstance(of.width, int)
    return of.height, of.width


class Net:
    """A graph under construction, one value at a time."""

    def __init__(self, height: Size | None = None, width: Size | None = None, channels: int = 3) -> None:
        self.builder = GraphBuilder()
        self.image = self.builder.input("image", channels, height, width)

    def add(self, op: str, *inputs: Ref, **settings: Any) -> Ref:
        return self.builder.add(op, inputs, settings)[0]

    def split(self, x: Ref, parts: int) -> tuple[Ref, ...]:
        return self.builder.add("split", [x], {"parts": parts})

    def channels(self, x: Ref) -> int:
        return self.builder.type_of(x).channels

    def conv(self, x: Ref, kernel: Any = 3, out: int = 0, **settings: Any) -> Ref:
        """A convolution, keeping the channels unless told otherwise."""
        return self.add("conv", x, out=out or self.channels(x), kernel=kernel, **settings)

    def finish(self, *outputs: Ref, **names: Ref) -> Graph:
        return self.builder.finish("Net", [Output(f"out{i}", ref) for i, ref in enumerate(outputs)], names)


def conv_bn_relu(net: Net, x: Ref, out: int, kernel: int = 1, stride: int = 1) -> Ref:
    return net.add("relu", net.add("bn", net.conv(x, kernel, out, stride=stride)))


def squeeze_excite(net: Net, x: Ref, width: int) -> Ref:
    gate = net.add("relu", net.conv(net.add("global_pool", x), 1, width))
    return net.add("mul", x, net.add("sigmoid", net.conv(gate, 1, net.channels(x))))


def block(net: Net, x: Ref, width: int, rates: Rates = (1,), stride: int = 1, *, pool: bool = True) -> Ref:
    """RegSeg's D block; without `pool`, RegNet's Y block, whose shortcut is a strided convolution."""
    y = conv_bn_relu(net, x, width)
    parts = net.split(y, len(rates)) if len(rates) > 1 else (y,)
    convs = [net.conv(p, stride=stride, dilation=r, group_width=16) for p, r in zip(parts, rates, strict=True)]
    y = net.add("relu", net.add("bn", net.add("concat", *convs)))
    y = net.add("bn", net.conv(squeeze_excite(net, y, net.channels(x) // 4), 1, width))
    if stride != 1 or net.channels(x) != width:
        pooled = net.add("avg_pool", x, kernel=2, stride=2, ceil=True) if stride != 1 and pool else x
        x = net.add("bn", net.conv(pooled, 1, width, stride=1 if pool else stride))
    return net.add("relu", net.add("add", y, x))


def regseg(rates: Sequence[Rates], *, pool: bool = True) -> Graph:
    """RegSeg's encoder: names `s4`, `s8`, `s16` and, for the blocks after the strided one at 1/16, `b1`, `b2`, …"""
    net = Net()
    s4 = block(net, conv_bn_relu(net, net.image, 32, 3, 2), 48, stride=2, pool=pool)
    s8 = block(net, s4, 128, stride=2, pool=pool)
    s8 = block(net, block(net, s8, 128, pool=pool), 128, pool=pool)
    values = [block(net, s8, 256, stride=2, pool=pool)]
    for rate in rates:
        values.append(block(net, values[-1], 256, rate, pool=pool))
    blocks = {f"b{i}": value for i, value in enumerate(values)}
    return net.finish(values[-1], s4=s4, s8=s8, s16=values[-1], **blocks)


SIDE = 64
MIN_SIDE, MAX_SIDE = 12, 96
_MODES = [("nearest", False), ("bilinear", False), ("bilinear", True)]
_SCALES = [2.0, 3.0, 0.5, 0.25, 1.5, (1.0, 2.0), (0.5, 1.0)]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Graph, Ref]:
    """Small graphs of every kind of access, and their last value, on images of SIDE x SIDE pixels."""
    net = Net(SIDE, SIDE, 4)
    values = [net.image]
    for _ in range(draw(st.integers(1, 4))):
        x = draw(st.sampled_from(values[-3:]))
        made = draw(st.sampled_from(_STEPS))(draw, net, x, values)
        if all(MIN_SIDE <= side <= MAX_SIDE for side in extent(net.builder.type_of(made))):
            values.append(made)
    return net.finish(values[-1]), values[-1]


def _pair(draw: st.DrawFn, low: int, high: int) -> tuple[int, int]:
    return draw(st.integers(low, high)), draw(st.integers(low, high))


def _groups(draw: st.DrawFn, net: Net, x: Ref) -> int:
    return gcd(draw(st.sampled_from([1, 2, 4])), net.channels(x))


def _conv(draw: st.DrawFn, net: Net, x: Ref, values: list[Ref]) -> Ref:
    groups, kernel = _groups(draw, net, x), _pair(draw, 1, 4)
    shape = {"stride": _pair(draw, 1, 2), "dilation": _pair(draw, 1, 3), "padding": _pair(draw, 0, 3)}
    return net.conv(x, kernel, draw(st.sampled_from([4, 8])), groups=groups, **shape)


def _depthwise(draw: st.DrawFn, net: Net, x: Ref, values: list[Ref]) -> Ref:
    multiplier = 1 if net.channels(x) > 8 else draw(st.integers(1, 2))
    return net.add("depthwise", x, kernel=3, dilation=_pair(draw, 1, 4), multiplier=multiplier)


def _pool(draw: st.DrawFn, net: Net, x: Ref, values: list[Ref]) -> Ref:
    settings = {"kernel": _pair(draw, 1, 4), "stride": _pair(draw, 1, 3), "ceil": draw(st.booleans())}
    return net.add("avg_pool", x, **settings)


def _resize(draw: st.DrawFn, net: Net, x: Ref, values: list[Ref]) -> Ref:
    mode, antialias = draw(st.sampled_from(_MODES))
    return net.add("resize", x, scale=draw(st.sampled_from(_SCALES)), mode=mode, antialias=antialias)


def _transposed(draw: st.DrawFn, net: Net, x: Ref, values: list[Ref]) -> Ref:
    shape = {"stride": _pair(draw, 1, 3), "dilation": _pair(draw, 1, 2), "padding": _pair(draw, 0, 1)}
    return net.add("conv_transpose", x, out=4, kernel=_pair(draw, 1, 4), groups=_groups(draw, net, x), **shape)


def _branches(draw: st.DrawFn, net: Net, x: Ref, values: list[Ref]) -> Ref:
    parts = net.split(x, 2) if net.channels(x) % 2 == 0 else (x, x)
    return net.add("concat", net.conv(parts[0], dilation=_pair(draw, 1, 3)), net.conv(parts[1], 1))


def _half(draw: st.DrawFn, net: Net, x: Ref, values: list[Ref]) -> Ref:
    part = net.split(x, 2)[draw(st.integers(0, 1))] if net.channels(x) % 2 == 0 else x
    return net.add("depthwise", part, kernel=3, dilation=_pair(draw, 1, 2))


def _merge(draw: st.DrawFn, net: Net, x: Ref, values: list[Ref]) -> Ref:
    other = draw(st.sampled_from(values))
    sizes = [extent(net.builder.type_of(v)) for v in (x, other)]
    size = tuple(map(min, *sizes))
    cropped = [net.add("crop", v, size=size, offset=(0, 0)) for v in (x, other)]
    same = net.channels(x) == net.channels(other)
    return net.add("add" if same and draw(st.booleans()) else "concat", *cropped)


def _resize_like(draw: st.DrawFn, net: Net, x: Ref, values: list[Ref]) -> Ref:
    return net.add("concat", net.add("resize", x, net.image, mode="bilinear"), net.image)


_STEPS = [_conv, _conv, _depthwise, _pool, _resize, _transposed, _branches, _half, _merge, _resize_like]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Maps this small take many times longer on several threads, where other tests run beside this one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@cache
def _weights(graph: Graph) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        key: torch.rand(spec.shape, generator=generator, dtype=torch.float64) + 0.5
        for key, spec in layout(graph).items()
    }


class Gradients:
    """Which input pixels the positions of a value read: those with a gradient, all weights above zero."""

    def __init__(self, graph: Graph, ref: Ref, values: Mapping[str, int] | None = None) -> None:
        (node,) = graph.inputs
        of = node.types[0].at(values or {})
        self.image = torch.rand(1, of.channels, *extent(of), dtype=torch.float64, requires_grad=True)
        with _one_thread():
            self.value = oracle.run(graph, _weights(graph), self.image, keep=[str(ref)])[str(ref)]

    def pixels(self, at: tuple[int, int]) -> Tensor:
        """True where position `at` (row, column) reads the image, in any channel."""
        total = self.value[0, :, at[0], at[1]].sum()
        with _one_thread():
            (gradient,) = torch.autograd.grad(total, self.image, retain_graph=True)
        strength = gradient[0].abs().sum(0)
        return strength > strength.max() * 1e-12
