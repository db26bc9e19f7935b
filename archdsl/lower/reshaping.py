"""Ops that move values without computing: padding, cropping, shuffles."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from archdsl.lower.registry import Applied, lowers, whole

_PAD_MODES = {"zero": "constant", "reflect": "reflect", "replicate": "replicate"}


@lowers("pad")
def pad(call: Applied) -> Tensor:
    return F.pad(call.x, call["amounts"], mode=_PAD_MODES[call["mode"]])


@lowers("crop")
def crop(call: Applied) -> Tensor:
    size = call.inputs[1].shape[-2:] if call["size"] is None else call["size"]
    return cut_out(call.x, size, call["offset"])


@whole
def cut_out(x: Tensor, size: Sequence[int], offset: str | tuple[int, int]) -> Tensor:
    """The part of a map of a (height, width), from a (top, left) offset or its "center", rounded to the top left."""
    height, width = size
    if isinstance(offset, str):
        top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    else:
        top, left = offset
    return x[:, :, top : top + height, left : left + width]


@lowers("channel_shuffle")
def channel_shuffle(call: Applied) -> Tensor:
    return F.channel_shuffle(call.x, call["groups"])


@lowers("pixel_shuffle")
def pixel_shuffle(call: Applied) -> Tensor:
    return F.pixel_shuffle(call.x, call["factor"])


@lowers("pixel_unshuffle")
def pixel_unshuffle(call: Applied) -> Tensor:
    return F.pixel_unshuffle(call.x, call["factor"])
