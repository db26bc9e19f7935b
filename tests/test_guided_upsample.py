"""Guided upsampling: zero offsets are a plain resize, units agree, and gradients reach the offsets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

import archdsl.ir.ops  # noqa: F401
from archdsl.ir.builder import GraphBuilder
from archdsl.ir.dims import symbol
from archdsl.ir.graph import Graph, Output
from archdsl.lower.oracle import run
from archdsl.lower.resampling import upsample_guided

COARSE = (5, 7)


def _noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def _both(size: tuple[int, int] | None, scale: float | None, flags: Mapping[str, Any]) -> Graph:
    """Guided upsampling and a resize of one map by the same rule, to the size of `like` or by a scale."""
    builder = GraphBuilder()
    coarse = builder.input("coarse", 3, *COARSE)
    likes = [builder.input("like", 1, *size)] if size else []
    settings: dict[str, Any] = {"scale": scale} if scale else {}
    plain = {name: flags[name] for name in ("mode", "align_corners") if name in flags}
    if plain.get("mode") == "nearest":
        plain.pop("align_corners", None)
    resized = builder.add("resize", [coarse, *likes], {**settings, **plain})[0]
    of = builder.type_of(resized)
    offsets = builder.input("offsets", 2, of.height, of.width)
    guided = builder.add("guided_upsample", [coarse, offsets, *likes], {**settings, **flags})[0]
    return builder.finish("Net", [Output("resized", resized), Output("guided", guided)])


def _run(graph: Graph, offsets: Tensor | None = None, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    feeds = {}
    for node in graph.inputs:
        _, height, width = node.types[0].shape
        assert isinstance(height, int) and isinstance(width, int)
        feeds[node.name] = _noise(2, node.types[0].channels, height, width).to(dtype)
    feeds["offsets"] = torch.zeros_like(feeds["offsets"]) if offsets is None else offsets
    return run(graph, {}, feeds)


TARGETS = [((20, 28), None), ((13, 10), None), ((5, 7), None), ((3, 4), None), ((1, 9), None)] + [
    (None, scale) for scale in (2, 4, 1.5, 2.7, 1 / 3)
]


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("units", ["output", "input", "normalized"])
@pytest.mark.parametrize(("size", "scale"), TARGETS)
def test_zero_offsets_are_a_bilinear_resize(
    size: tuple[int, int] | None, scale: float | None, units: str, align_corners: bool
) -> None:
    """Rises and shrinks by whole and broken factors, for both corner conventions, to 1e-12 in float64."""
    out = _run(_both(size, scale, {"units": units, "align_corners": align_corners}))
    torch.testing.assert_close(out["guided"], out["resized"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_zero_offsets_are_a_resize_in_the_working_types_too(dtype: torch.dtype) -> None:
    """Positions are kept in float32 at least: a bfloat16 could not tell two columns apart."""
    out = _run(_both((40, 61), None, {}), dtype=dtype)
    assert out["guided"].dtype == dtype
    torch.testing.assert_close(out["guided"], out["resized"])


@pytest.mark.parametrize(("size", "scale"), TARGETS)
def test_zero_offsets_are_a_nearest_resize(size: tuple[int, int] | None, scale: float | None) -> None:
    out = _run(_both(size, scale, {"mode": "nearest"}))
    assert torch.equal(out["guided"], out["resized"])


def test_zero_padding_differs_from_a_resize_at_the_edges_alone() -> None:
    """Where the centres of the corner pixels coincide, no position lies outside and nothing differs at all."""
    out = _run(_both((20, 28), None, {"padding": "zeros"}))
    torch.testing.assert_close(out["guided"][..., 2:-2, 2:-2], out["resized"][..., 2:-2, 2:-2], rtol=0, atol=1e-12)
    assert not torch.allclose(out["guided"][..., 0, :], out["resized"][..., 0, :])
    aligned = _run(_both((20, 28), None, {"padding": "zeros", "align_corners": True}))
    torch.testing.assert_close(aligned["guided"], aligned["resized"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("align_corners", [False, True])
def test_units_agree_with_one_another(align_corners: bool) -> None:
    """One input pixel is out/in output pixels, and half the extent of the map is 1 in normalized units."""
    inner = (4, 6) if align_corners else (5, 7)
    outer = (12, 29) if align_corners else (13, 30)
    offsets = _noise(2, 2, 13, 30)
    per_axis = {
        "input": (1.0, 1.0),
        "output": tuple(o / i for o, i in zip(reversed(outer), reversed(inner), strict=True)),
        "normalized": tuple(2 / i for i in reversed(inner)),
    }
    results = []
    for units, factors in per_axis.items():
        graph = _both((13, 30), None, {"units": units, "align_corners": align_corners})
        scaled = offsets * torch.tensor(factors, dtype=torch.float64).view(1, 2, 1, 1)
        results.append(_run(graph, scaled)["guided"])
    torch.testing.assert_close(results[1], results[0])
    torch.testing.assert_close(results[2], results[0])


def test_an_offset_of_one_input_pixel_reads_the_next_pixel() -> None:
    """Offsets are (dx, dy): the first channel moves along a row; at the border the last pixel is repeated."""
    coarse = torch.arange(12.0, dtype=torch.float64).view(1, 1, 3, 4)
    offsets = torch.zeros(1, 2, 3, 4, dtype=torch.float64)
    offsets[:, 0] = 1
    moved = upsample_guided(coarse, offsets, None, "input", "bilinear", "border", False)
    torch.testing.assert_close(moved, coarse[..., [1, 2, 3, 3]])
    down = upsample_guided(coarse, offsets.flip(1), None, "input", "nearest", "border", False)
    torch.testing.assert_close(down, coarse[:, :, [1, 2, 2]])
    outside = upsample_guided(coarse, offsets, None, "input", "bilinear", "zeros", False)
    assert (outside[..., -1] == 0).all()


def test_nearest_reads_the_pixel_whose_centre_is_closest() -> None:
    """GUN's nearest rule ⌊x + p + ½⌋ holds for offsets too where the factor is whole (BMVC 2018, section 3)."""
    coarse, offsets = _noise(1, 2, 5, 7), 2 * _noise(1, 2, 20, 28, seed=1)
    result = upsample_guided(coarse, offsets, None, "input", "nearest", "border", False)
    rows = ((torch.arange(20).view(-1, 1) + 0.5) / 4 + offsets[0, 1]).floor().clamp(0, 4).long()
    columns = ((torch.arange(28) + 0.5) / 4 + offsets[0, 0]).floor().clamp(0, 6).long()
    assert torch.equal(result, coarse[:, :, rows, columns])


@pytest.mark.parametrize("units", ["output", "input", "normalized"])
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_gradients_reach_the_map_and_the_offsets(units: str, align_corners: bool, padding: str) -> None:
    """Against finite differences in float64, at offsets away from the kinks of the interpolation."""
    coarse = _noise(1, 2, 3, 4).requires_grad_()
    # multiples of an irrational step keep every sampled position off whole pixels
    offsets = (0.3 + 0.0371 * torch.arange(60, dtype=torch.float64)).remainder(0.9).view(1, 2, 5, 6) - 0.45
    offsets = (offsets * (0.31 if units == "normalized" else 1.0)).requires_grad_()

    def sample(x: Tensor, moved: Tensor) -> Tensor:
        result: Tensor = upsample_guided(x, moved, None, units, "bilinear", padding, align_corners)
        return result

    assert torch.autograd.gradcheck(sample, (coarse, offsets))
    sample(coarse, offsets).sum().backward()  # type: ignore[no-untyped-call]
    assert offsets.grad is not None and offsets.grad.abs().max() > 0


def test_one_graph_serves_every_input_size() -> None:
    builder = GraphBuilder()
    image = builder.input("image", 2)
    coarse = builder.add("avg_pool", [image], {"kernel": 2, "ceil": True})[0]
    guided = builder.add("guided_upsample", [coarse, image, image])[0]
    graph = builder.finish("Net", [Output("y", guided)])
    assert builder.type_of(guided).height == symbol("H")
    for size in ((8, 8), (9, 13)):
        assert run(graph, {}, _noise(1, 2, *size))["y"].shape[-2:] == size
