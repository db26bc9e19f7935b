"""Scales and shifts per channel: what a node does to each channel, and what that does to a convolution's weights."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from archdsl.ir.graph import Graph, Node
from archdsl.passes.infra import Weights

AFFINE = ("bn", "scalar")
"""Ops that scale and shift each channel at inference; `scalar` is one but for number / map."""

INPUT_SCALED = ("conv", "depthwise")


def is_affine(node: Node) -> bool:
    return node.op == "bn" or (node.op == "scalar" and node["operator"] != "r/")


def affine_of(graph: Graph, node: Node, weights: Weights) -> tuple[Tensor, Tensor]:
    """Scale and shift per channel, float64 [C], of a node that is affine."""
    channels = node.types[0].channels
    if node.op == "bn":
        return _normalisation(node, weights)
    number = torch.full((channels,), float(cast(float, node["value"])), dtype=torch.float64)
    one, zero = torch.ones_like(number), torch.zeros_like(number)
    return {
        "+": (one, number),
        "-": (one, -number),
        "*": (number, zero),
        "/": (1 / number, zero),
        "r-": (-one, number),
    }[cast(str, node["operator"])]


def _normalisation(node: Node, weights: Weights) -> tuple[Tensor, Tensor]:
    """y = γ · (x - mean) / √(var + eps) + β, without γ and β where there are none."""
    mean, variance = (weights[f"{node.weights}.running_{what}"].double() for what in ("mean", "var"))
    gain, offset = weights.get(f"{node.weights}.weight"), weights.get(f"{node.weights}.bias")
    scale = torch.rsqrt(variance + cast(float, node["eps"]))
    if gain is not None:
        scale = scale * gain.double()
    shift = -mean * scale
    return scale, shift if offset is None else shift + offset.double()


def after(conv: Node, scale: Tensor, shift: Tensor, weights: Weights) -> dict[str, Tensor]:
    """Weight and bias, by short name, of scale · conv(x) + shift; computed in float64 and rounded once."""
    weight, bias = weights[f"{conv.weights}.weight"], weights.get(f"{conv.weights}.bias")
    moved = shift if bias is None else bias.double() * scale + shift
    scaled = weight.double() * _per_output(conv, scale, weight)
    return {"weight": scaled.to(weight.dtype), "bias": moved.to(weight.dtype)}


def _per_output(conv: Node, scale: Tensor, weight: Tensor) -> Tensor:
    """The scale of each output channel, shaped to multiply the weight."""
    if conv.op != "conv_transpose":
        return scale.view(-1, 1, 1, 1)
    groups = cast(int, conv["groups"])
    # a transposed weight is [in, out / groups, …], its input channels group after group
    return scale.view(groups, 1, -1).expand(groups, weight.shape[0] // groups, -1).reshape(*weight.shape[:2], 1, 1)


def before(conv: Node, scale: Tensor, shift: Tensor, weights: Weights) -> dict[str, Tensor]:
    """Weight and bias, by short name, of conv(scale · x + shift) with no padding, for scales of the channels read.

    The bias is there where the convolution has one or something is shifted.
    """
    weight, bias = weights[f"{conv.weights}.weight"], weights.get(f"{conv.weights}.bias")
    exact, per_input = weight.double(), by_input(conv, scale, weight)
    found = {"weight": (exact * per_input).to(weight.dtype)}
    if bias is not None or shift.any():
        moved = (exact * by_input(conv, shift, weight)).sum((1, 2, 3))
        found["bias"] = (moved if bias is None else moved + bias.double()).to(weight.dtype)
    return found


def by_input(conv: Node, values: Tensor, weight: Tensor) -> Tensor:
    """Values of the channels read, shaped to multiply the weight [out, in / groups, …] of a convolution."""
    groups = values.shape[0] // weight.shape[1]
    # output channels lie group after group, and each reads its own group's inputs
    per_output = values.view(groups, 1, -1).expand(groups, weight.shape[0] // groups, -1)
    return per_output.reshape(*weight.shape[:2], 1, 1)
