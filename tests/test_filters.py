"""Gaussian filters on the permutohedral lattice, and the mean field that they serve."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_oracle import H, W, noise, one_op
from torch import Tensor, nn

import archdsl
from archdsl.ir.op import OpError
from archdsl.lower.lattice import filtered, lattice_of
from archdsl.lower.oracle import run


def positions(height: int, width: int, spread: float) -> Tensor:
    """Where pixels are, [1, 2, height, width], in units of `spread` pixels."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([columns, rows])[None].double() / spread


def gaussian(values: Tensor, features: Tensor) -> Tensor:
    """What the filter stands for, by its definition: every pair of points."""
    points = features[0].flatten(1).T
    weights = torch.exp(-torch.cdist(points, points).square() / 2)
    means = weights @ values[0].flatten(1).T / weights.sum(1, keepdim=True)
    return means.T.reshape(values.shape)


@pytest.mark.parametrize("spread", [2.0, 3.0, 8.0])
def test_the_lattice_comes_near_a_gaussian(spread: float) -> None:
    """Smooth values, wide kernels: the lattice's own error stays below a tenth of what the filter does to them."""
    values, features = positions(20, 24, 10.0).sin(), positions(20, 24, spread)
    exact = gaussian(values, features)
    away = (filtered(values, features) - exact).square().mean().sqrt()
    assert away < 0.1 * values.std() and away < 0.6 * (exact - values).square().mean().sqrt()


def test_shares_of_a_point_add_up_and_are_none_below_zero() -> None:
    lattice = lattice_of(5 * noise(2, 5, 6, 7))
    torch.testing.assert_close(lattice.shares.sum(1), torch.ones(84, dtype=torch.float64))
    assert lattice.shares.min() > -1e-9
    assert lattice.corners.max() < lattice.count


def test_a_flat_map_stays_flat_and_images_do_not_meet() -> None:
    features = 2 * noise(2, 5, 6, 7)
    torch.testing.assert_close(filtered(torch.full((2, 3, 6, 7), 4.0), features.float()), torch.full((2, 3, 6, 7), 4.0))
    values = noise(2, 3, 6, 7, seed=1)
    apart = torch.cat([filtered(values[i : i + 1], features[i : i + 1]) for i in range(2)])
    torch.testing.assert_close(filtered(values, features), apart)


def test_gradients_are_those_of_a_linear_filter() -> None:
    features = 2 * noise(1, 3, 4, 5)
    values = noise(1, 2, 4, 5, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: filtered(x, features), (values,))


class Filter(nn.Module):
    def forward(self, values: Tensor, features: Tensor) -> Tensor:
        return filtered(values, features)


def test_an_export_for_any_size_computes_the_same() -> None:
    """An exporter sees no size that depends on values, and so numbers corners in another way."""
    auto = dict.fromkeys((0, 2, 3), torch.export.Dim.AUTO)
    given = noise(2, 3, 6, 7), 2 * noise(2, 5, 6, 7, seed=1)
    program = torch.export.export(Filter(), given, dynamic_shapes=(auto, auto)).module()
    for values, features in (given, (noise(1, 3, 9, 5), noise(1, 5, 9, 5, seed=1))):
        torch.testing.assert_close(program(values, features), filtered(values, features))


def test_what_is_exported_adds_up_where_points_share_a_corner() -> None:
    """ONNX Runtime adds in ScatterND with several threads and no lock: the file has the node that it does in order."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    inputs = (noise(1, 2, 9, 12), noise(1, 5, 9, 12))
    program = torch.onnx.export(Filter().eval(), inputs, dynamo=True, verbose=False)
    assert program is not None
    adding = [
        node.op_type
        for node in program.model_proto.graph.node
        if any(a.name == "reduction" and onnx.helper.get_attribute_value(a) == b"add" for a in node.attribute)
    ]
    assert adding == ["ScatterElements"] * 2


def op(name: str, settings: dict[str, Any], *maps: Tensor) -> Tensor:
    graph = one_op(name, settings, tuple(m.shape[1] for m in maps))
    return run(graph, {}, dict(zip(("x0", "x1"), maps, strict=False)) if len(maps) > 1 else maps[0])["out0"]


def test_the_ops_filter_by_position_and_colour() -> None:
    x, image = noise(1, 4, 8, 9), 20 * noise(1, 3, 8, 9, seed=1)
    near = positions(8, 9, 3.0)
    torch.testing.assert_close(op("spatial_filter", {"position": 3}, x), filtered(x, near))
    both = torch.cat([positions(8, 9, 40.0), image / 13], 1)
    graph = one_op("bilateral_filter", {"position": 40, "color": 13}, (4, 3))
    names = [node.name for node in graph.inputs]
    found = run(graph, {}, dict(zip(names, (x, image), strict=True)))["out0"]
    torch.testing.assert_close(found, filtered(x, both))


def test_what_cannot_be_filtered_is_refused() -> None:
    with pytest.raises(OpError, match="at least"):
        one_op("spatial_filter", {"position": 0})
    with pytest.raises(OpError):
        one_op("bilateral_filter", {"position": 3, "color": 3}, (4, 3), size1=(H, W + 1))


FIELD = """arch 1

use std.crf: MeanField

network Field {
  in image [3, H, W]
  unary = image -> conv(4, bias=true)
  shared field = MeanField(unary, image, color=0.5)
  out logits = unary -> [field, field]
}
"""


def test_steps_of_a_mean_field_share_weights_and_draw_alike_pixels_together() -> None:
    """With the matrices of Potts' model, neighbours of one colour agree more after the field than before it."""
    net = archdsl.loads(FIELD)
    weighted = [node.weights for node in net.ir.nodes if node.op == "conv"]
    assert len(weighted) == 7 and len(set(weighted)) == 4
    state = {key: tensor.double() for key, tensor in net.module(seed=0).state_dict().items()}
    assert all(torch.equal(state[f"field.{name}.weight"][..., 0, 0], torch.eye(4).double()) for name in ("spatial",))
    halves = torch.ones(1, 3, 12, 16, dtype=torch.float64)
    halves[..., 8:] = -1
    result = run(net.ir, state, halves + 0.3 * noise(1, 3, 12, 16), keep=["unary.conv1"])
    before, after = (result[name].softmax(1)[..., :8].std((2, 3)).mean() for name in ("unary.conv1", "logits"))
    assert after < 0.9 * before
