"""Weights in the order the kernels read them, with what was normalised after them folded in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any, cast

import torch
import torch.nn.functional as F
from archdsl.runtime.engines.native.units import Unit
from torch import Tensor

LANES = 16

_POINTS = {2: (0.0, 1.0, -1.0), 4: (0.0, 0.75, -0.75, 1.25, -1.25)}
"""Where the transforms for tiles of so many results evaluate polynomials, besides infinity."""


@dataclass(frozen=True)
class Shape:
    """How a convolution's weights are cut up.

    Panels of `vectors` times 16 output channels, `panels` per group; `run` input elements per tap, where a row of the
    kernel is one tap if `merged`; `channels` of the input that a group reads, with padding.
    """

    groups: int
    vectors: int
    panels: int
    run: int
    channels: int
    merged: bool = False

    @classmethod
    def of(cls, groups: int, made: int, channels: int, run: int, merged: bool) -> Shape:
        """For `made` output channels per group."""
        needed = -(-made // LANES)
        vectors = 1 if needed == 1 else 3 if needed % 3 == 0 and needed % 2 else 2
        return cls(groups, vectors, -(-needed // vectors), run, channels, merged)

    @property
    def panel(self) -> int:
        return self.vectors * LANES


def folded(unit: Unit, weights: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Weight [out, in / groups, kh, kw] and bias [out] of a convolution in float64, normalisations included."""
    weight = weights[f"{unit.node.weights}.weight"].double()
    given = weights.get(f"{unit.node.weights}.bias")
    has_bias = given is not None and bool(unit.settings["bias"])
    bias = cast(Tensor, given).double() if has_bias else weight.new_zeros(weight.shape[0])
    for part in unit.norms:
        scale, shift = (each[part.first : part.first + len(bias)] for each in affine(part.node, weights))
        weight, bias = weight * scale.view(-1, 1, 1, 1), bias * scale + shift
    return weight, bias


def affine(norm: Any, weights: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Scale and shift per channel that batch normalisation comes to, in float64."""
    path = norm.weights
    mean, variance = weights[f"{path}.running_mean"].double(), weights[f"{path}.running_var"].double()
    scale = 1 / torch.sqrt(variance + norm["eps"])
    if norm["affine"]:
        scale = scale * weights[f"{path}.weight"].double()
        return scale, weights[f"{path}.bias"].double() - mean * scale
    return scale, -mean * scale


def packed(weight: Tensor, shape: Shape, dtype: torch.dtype) -> Tensor:
    """[group, panel, tap, run / wide, panel channel, wide]: `wide` channels are multiplied at once, of bfloat16 two."""
    out, read, high, broad = weight.shape
    made = out // shape.groups
    by_group = weight.view(shape.groups, made, read, high, broad)
    by_group = F.pad(by_group, (0, 0, 0, 0, 0, shape.channels - read, 0, shape.panels * shape.panel - made))
    taps = by_group.permute(0, 1, 3, 4, 2)  # group, out, kh, kw, in
    taps = taps.reshape(shape.groups, -1, high if shape.merged else high * broad, shape.run)
    return _in_lines(taps, shape, dtype)


def weight_transform(tile: int) -> Tensor:
    """[tile + 2, 3] in float64: the transform of 3 weights for `tile` results (Lavin & Gray 2016, section 4)."""
    points = _POINTS[tile]
    rows = [[1.0, point, point**2] for point in points]
    factors = [prod(point - other for other in points if other != point) for point in points]
    scaled = [[each / factor for each in row] for row, factor in zip(rows, factors, strict=True)]
    # the kernels give the first position of tiles of 2 the other sign
    return torch.tensor([*scaled, [0.0, 0.0, 1.0]], dtype=torch.float64) * (
        torch.tensor([[-1.0], [1.0], [1.0], [1.0]], dtype=torch.float64) if tile == 2 else 1.0
    )


def packed_winograd(weight: Tensor, shape: Shape, dtype: torch.dtype, tile: int) -> Tensor:
    """The same layout for 3x3 weights in the transformed domain: (tile + 2)² positions instead of 9 taps."""
    transform, panels = weight_transform(tile), []
    # a panel at a time: in float64, the transformed weights of a deep layer would be eight times what it keeps
    for part in torch.split(weight, shape.panel):
        moved = torch.einsum("ia,ocab,jb->oijc", transform, part, transform).flatten(1, 2)
        moved = F.pad(moved, (0, shape.run - moved.shape[-1], 0, 0, 0, shape.panel - len(moved)))
        panels.append(_in_lines(moved[None], replace(shape, panels=1), dtype))
    return torch.cat(panels, dim=1)


def _in_lines(taps: Tensor, shape: Shape, dtype: torch.dtype) -> Tensor:
    """[group, out, tap, run] in lines."""
    wide = 2 if dtype == torch.bfloat16 else 1
    cut = taps.reshape(shape.groups, shape.panels, shape.panel, taps.shape[2], shape.run // wide, wide)
    return cut.permute(0, 1, 3, 4, 2, 5).to(dtype).contiguous()


def packed_bias(bias: Tensor, shape: Shape) -> Tensor:
    """[group, panel, panel channel] in float32."""
    by_group = bias.view(shape.groups, -1)
    return F.pad(by_group, (0, shape.panels * shape.panel - by_group.shape[1])).float().contiguous()


def packed_depthwise(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Taps [kh · kw, channels] and bias, in float32 and whole vectors."""
    more = -len(bias) % LANES
    taps = F.pad(weight.flatten(1).T, (0, more))
    return taps.float().contiguous(), F.pad(bias, (0, more)).float().contiguous()


def columns(low: Tensor, high: Tensor, share: Tensor) -> Tensor:
    """The table of a planar resize: per 16 results the first column read, then both columns from there, and the share.

    `low`, `high` are column numbers and `share` the weight of the higher, all [width]. int32, the floats as their bits.
    """
    more = -len(low) % LANES
    low, high, share = (torch.cat([each, each[-1:].expand(more)]) for each in (low, high, share))
    first = low.view(-1, LANES)[:, 0]
    from_first = (each.view(-1, LANES) - first[:, None] for each in (low, high))
    parts = [first, *(each.flatten() for each in from_first)]
    return torch.cat([*(part.int() for part in parts), share.float().view(torch.int32)])


def pixels(low: Tensor, high: Tensor, share: Tensor, pixel: int) -> Tensor:
    """The table of a resize pixel by pixel: where both columns stand, and the share as its bits. int32 [width, 3]."""
    return torch.stack([(low * pixel).int(), (high * pixel).int(), share.float().view(torch.int32)], dim=1).contiguous()
