"""The last bilinear resize and argmax over classes in one launch: labels out, and no full-size logits anywhere."""

from __future__ import annotations

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from archdsl.runtime.kernels.triton.launch import channels_last, tuned
from torch import Tensor

from archdsl.lower.resampling import source_step


def reference(logits: Tensor, size: tuple[int, int], align_corners: bool = False) -> Tensor:
    """`logits` [N, C, h, w] to labels [N, H, W], int64: the class of the largest resized logit, lowest of equals."""
    return F.interpolate(logits, size, mode="bilinear", align_corners=align_corners).argmax(1)


@tuned(
    [{"BLOCK": 128, "num_warps": 4}, {"BLOCK": 256, "num_warps": 4}, {"BLOCK": 64, "num_warps": 2}],
    key=["out_height", "out_width", "classes"],
)
@triton.jit
def _resize_argmax(
    logits, labels,
    height, width, out_height, out_width, classes, step_rows, step_columns,
    CORNERS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row, image = tl.program_id(1), tl.program_id(2)
    column = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = column < out_width
    if CORNERS:
        y = row * step_rows
        x = column * step_columns
    else:
        y = tl.maximum((row + 0.5) * step_rows - 0.5, 0.0)
        x = tl.maximum((column + 0.5) * step_columns - 0.5, 0.0)
    above, left = tl.minimum(y.to(tl.int32), height - 1), tl.minimum(x.to(tl.int32), width - 1)
    below, right = tl.minimum(above + 1, height - 1), tl.minimum(left + 1, width - 1)
    down, over = y - above, x - left

    logits += image.to(tl.int64) * height * width * classes
    best = tl.full((BLOCK,), float("-inf"), dtype=tl.float32)
    label = tl.zeros((BLOCK,), dtype=tl.int32)
    for index in range(classes):
        a = tl.load(logits + (above * width + left) * classes + index, mask=inside, other=0.0).to(tl.float32)
        b = tl.load(logits + (above * width + right) * classes + index, mask=inside, other=0.0).to(tl.float32)
        c = tl.load(logits + (below * width + left) * classes + index, mask=inside, other=0.0).to(tl.float32)
        d = tl.load(logits + (below * width + right) * classes + index, mask=inside, other=0.0).to(tl.float32)
        value = (1.0 - down) * ((1.0 - over) * a + over * b) + down * ((1.0 - over) * c + over * d)
        better = value > best
        best = tl.where(better, value, best)
        label = tl.where(better, index, label)
    at = (image.to(tl.int64) * out_height + row) * out_width + column
    tl.store(labels + at, label.to(labels.dtype.element_ty), mask=inside)


def resize_argmax(
    logits: Tensor, size: tuple[int, int], align_corners: bool = False, dtype: torch.dtype = torch.int64
) -> Tensor:
    """As `reference`, with labels of the given dtype. Interpolates in float32 whatever the logits are stored in."""
    images, classes, height, width = logits.shape
    steps = [source_step(old, new, None, align_corners) for old, new in zip((height, width), size, strict=True)]
    labels = torch.empty(images, *size, device=logits.device, dtype=dtype)

    def grid(meta: dict[str, int]) -> tuple[int, int, int]:
        return triton.cdiv(size[1], meta["BLOCK"]), size[0], images

    _resize_argmax[grid](channels_last(logits), labels, height, width, *size, classes, *steps, CORNERS=align_corners)
    return labels
