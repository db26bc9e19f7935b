"""A small network for tests of compiling and of artifacts, and images for it."""

from __future__ import annotations

import torch
from archdsl.runtime import CompiledModel
from archdsl.runtime.compile import compile
from torch import Tensor

import archdsl.ir.ops  # noqa: F401
from archdsl.diagnostics import Source, Span
from archdsl.ir.builder import GraphBuilder
from archdsl.ir.dims import symbol
from archdsl.ir.graph import Graph, Origin, Output, Preprocessing
from archdsl.lower.module import build_module

H, W = symbol("H"), symbol("W")
SOURCE = Source("net.arch", "arch 1\nnetwork Net {\n  in image\n}\n")


def net(dilation: int = 6, classes: int = 5) -> Graph:
    """A network with a dilated convolution, batch normalisation, dropout, sizes by rule and an auxiliary head."""
    builder = GraphBuilder()
    image = builder.input("image", 3)
    origin = Origin(Span(SOURCE, 27, 35))
    y = builder.add("conv", [image], {"out": 8, "kernel": 3, "stride": 4}, name="s4.conv1", origin=origin)
    y = builder.add("bn", y, name="s4.bn1")
    y = builder.add("relu", y, name="s4.relu1")
    head = builder.add("conv", y, {"out": classes}, name="early.conv1")[0]
    y = builder.add("depthwise", y, {"dilation": dilation}, name="deep.depthwise1")
    y = builder.add("dropout", y, {"p": 0.5}, name="deep.dropout1")
    y = builder.add("resize", y, {"size": ((H - 1) // 4 + 1, W // 2)}, name="deep.resize1")
    y = builder.add("resize", y, {"scale": (1.5, 1 / 3)}, name="deep.resize2")
    y = builder.add("conv", y, {"out": classes, "bias": True}, name="logits.conv1")
    y = builder.add("resize", [y[0], image], name="logits.resize1")
    outputs = [Output("logits", y[0]), Output("early", head, aux=True)]
    return builder.finish("Net", outputs, {"logits": y[0]}, {"image": Preprocessing("bgr", std=(1.0, 2.0, 3.0))})


def image(height: int = 40, width: int = 52, seed: int = 0) -> Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(seed))


def compiled(**options: object) -> CompiledModel:
    return compile(build_module(net()), **options)  # type: ignore[arg-type]
