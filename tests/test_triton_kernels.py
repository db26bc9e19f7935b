"""Every Triton kernel against its plain reference: through Triton's interpreter where there is no GPU."""

from __future__ import annotations

import os

import pytest
import torch
from torch import Tensor

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

pytest.importorskip("triton")

from archdsl.runtime.kernels.triton import (
    guided_upsample as guided,
)
from archdsl.runtime.kernels.triton import (
    launch,
)
from archdsl.runtime.kernels.triton import (
    multi_rate_conv as grouped,
)
from archdsl.runtime.kernels.triton import (
    multi_rate_depthwise as depthwise,
)
from archdsl.runtime.kernels.triton import (
    resize_argmax as labels,
)
from archdsl.runtime.kernels.triton import (
    scaled_pointwise as pointwise,
)

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
TOLERANCE = {torch.float32: 1e-5, torch.float16: 2e-3}
DTYPES = list(TOLERANCE)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def drawn(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape).to(DEVICE, dtype)


def close(found: Tensor, wanted: Tensor, dtype: torch.dtype) -> bool:
    """Whether the largest difference, relative to the result's rms, is rounding."""
    assert found.shape == wanted.shape
    error = (found.double() - wanted.double()).abs().max()
    return bool(error <= TOLERANCE[dtype] * 10 * wanted.double().square().mean().sqrt())


def doubles(*tensors: Tensor) -> list[Tensor]:
    return [tensor.double() for tensor in tensors]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    "size, rates, stride, kernel", [((7, 13), [1, 4], 1, 3), ((9, 8), [1, 30], 2, 3), ((5, 17), [2, 2], 1, 5)]
)
def test_multi_rate_conv(dtype: torch.dtype, size: tuple[int, int], rates: list[int], stride: int, kernel: int) -> None:
    x, weight, bias = drawn(2, 32, *size, dtype=dtype), drawn(32, 16, kernel, kernel, dtype=dtype), drawn(32)
    y, mean = grouped.multi_rate_conv(
        x, grouped.pack(weight, 2), bias, torch.tensor(rates, dtype=torch.int32, device=DEVICE), stride
    )
    wanted, wanted_mean = grouped.reference(*doubles(x, weight, bias), rates, stride)
    assert y.dtype == dtype and y.is_contiguous(memory_format=torch.channels_last)
    assert close(y, wanted, dtype)
    assert close(mean, wanted_mean, dtype)


def test_multi_rate_conv_without_relu_keeps_negative_values() -> None:
    x, weight, bias = drawn(1, 16, 4, 4), drawn(16, 16, 3, 3), drawn(16)
    rates = torch.tensor([1], dtype=torch.int32, device=DEVICE)
    y, _ = grouped.multi_rate_conv(x, grouped.pack(weight, 1), bias, rates, relu=False)
    assert close(y, grouped.reference(*doubles(x, weight, bias), [1], relu=False)[0], torch.float32)
    assert y.min() < 0


@pytest.mark.parametrize(
    "widths, taken", [((16, 16, 3), True), ((24, 24, 3), False), ((8, 8, 3), False), ((32, 16, 2), False)]
)
def test_multi_rate_conv_says_what_it_takes(widths: tuple[int, int, int], taken: bool) -> None:
    assert grouped.fits(*widths) is taken


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size, channels, outputs", [((7, 11), 48, 19), ((3, 5), 20, 70)])
@pytest.mark.parametrize("scaled, added, relu", [(True, True, True), (False, False, False), (True, False, True)])
def test_scaled_pointwise(
    dtype: torch.dtype, size: tuple[int, int], channels: int, outputs: int, scaled: bool, added: bool, relu: bool
) -> None:
    x, weight, bias = drawn(2, channels, *size, dtype=dtype), drawn(outputs, channels, dtype=dtype), drawn(outputs)
    scale = drawn(2, channels).sigmoid() if scaled else None
    residual = drawn(2, outputs, *size, dtype=dtype) if added else None
    y = pointwise.scaled_pointwise(x, weight, bias, scale, residual, relu)
    optional = [None if t is None else t.double() for t in (scale, residual)]
    assert close(y, pointwise.reference(*doubles(x, weight, bias), *optional, relu), dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("added", [True, False])
def test_multi_rate_depthwise(dtype: torch.dtype, added: bool) -> None:
    source, rates = [0, 0, 1, 1, *range(2, 20)], [1] * 4 + [3] * 9 + [5] * 9
    x, taps, offsets = drawn(2, 20, 6, 13, dtype=dtype), drawn(22, 3, 3, dtype=dtype), drawn(22)
    merge, bias = drawn(70, 22, dtype=dtype), drawn(70)
    residual = drawn(2, 70, 6, 13, dtype=dtype) if added else None
    places = [torch.tensor(values, dtype=torch.int32, device=DEVICE) for values in (source, rates)]
    y = depthwise.multi_rate_depthwise(x, taps, offsets, *places, merge, bias, residual)
    wide = doubles(x, taps, offsets)
    wanted = depthwise.reference(
        *wide, source, rates, *doubles(merge, bias), None if residual is None else residual.double()
    )
    assert close(y, wanted, dtype)


@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("small, large", [((3, 5), (24, 40)), ((4, 9), (13, 33)), ((1, 1), (3, 2)), ((8, 8), (3, 5))])
def test_resize_argmax(corners: bool, small: tuple[int, int], large: tuple[int, int]) -> None:
    logits = drawn(2, 19, *small)
    wide = torch.nn.functional.interpolate(logits.double(), large, mode="bilinear", align_corners=corners)
    top = wide.topk(2, 1).values
    clear = top[:, 0] - top[:, 1] > 1e-5 * top[:, 0].abs()
    found = labels.resize_argmax(logits, large, corners, dtype=torch.uint8)
    assert found.dtype == torch.uint8
    assert clear.float().mean() > 0.99
    assert torch.equal(found[clear].long(), wide.argmax(1)[clear])


def test_resize_argmax_takes_the_lowest_of_equal_classes() -> None:
    logits = torch.ones(1, 7, 3, 3, device=DEVICE)
    logits[:, 2] = logits[:, 5] = 2.0
    assert torch.equal(labels.resize_argmax(logits, (9, 9)), torch.full((1, 9, 9), 2, device=DEVICE))


@pytest.mark.parametrize("units", ["output", "input", "normalized"])
@pytest.mark.parametrize("padding", ["border", "zeros"])
@pytest.mark.parametrize("corners", [False, True])
def test_guided_upsample(units: str, padding: str, corners: bool) -> None:
    coarse, offsets = drawn(2, 19, 5, 7), 3 * drawn(2, 2, 11, 28)
    found = guided.guided_upsample(coarse, offsets, units, padding, corners)
    wanted = guided.reference(coarse.double(), offsets.double(), None, units, "bilinear", padding, corners)
    assert close(found, wanted, torch.float32)


def test_offsets_far_outside_read_the_border_or_nothing() -> None:
    coarse, offsets = drawn(1, 3, 4, 4), torch.full((1, 2, 8, 8), 1e9, device=DEVICE)
    corner = coarse[:, :, -1:, -1:].expand(1, 3, 8, 8)
    assert torch.equal(guided.guided_upsample(coarse, offsets, padding="border"), corner)
    assert not guided.guided_upsample(coarse, offsets, padding="zeros").any()


def test_kernels_say_why_they_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    assert launch.missing(torch.device("cpu")) == "Triton kernels need a CUDA device, not cpu"
    assert launch.missing(torch.device("cuda")) is None
