"""The oracle: every op does in torch what its declaration says, at odd sizes and in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import archdsl.ir.ops  # noqa: F401
from archdsl.ir.builder import GraphBuilder
from archdsl.ir.dims import symbol
from archdsl.ir.graph import Graph, Output, Ref
from archdsl.ir.op import OPS, OpError
from archdsl.lower.fx import lower_fx
from archdsl.lower.ops import LOWERINGS
from archdsl.lower.oracle import run
from archdsl.lower.weights import initial_weights

H, W = symbol("H"), symbol("W")


def one_op(op: str, settings: dict[str, Any] | None = None, channels: tuple[int, ...] = (8,), **sizes: Any) -> Graph:
    """A network of one op whose inputs have the given channels, and all of whose results are outputs."""
    builder = GraphBuilder()
    inputs = [builder.input(f"in{i}", c, *sizes.get(f"size{i}", ())) for i, c in enumerate(channels)]
    results = builder.add(op, inputs, settings, name="node")
    return builder.finish("Net", [Output(f"out{ref.port}", ref) for ref in results])


def apply(graph: Graph, *inputs: Tensor, weights: dict[str, Tensor] | None = None, training: bool = False) -> Any:
    given = initial_weights(graph, 0, torch.float64) if weights is None else weights
    named = {node.name: tensor for node, tensor in zip(graph.inputs, inputs, strict=True)}
    results = tuple(run(graph, given, named, training=training).values())
    return results[0] if len(results) == 1 else results


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("conv", {"out": 6, "kernel": 3, "stride": 2, "dilation": 2, "bias": True}),
    ("conv", {"out": 8, "kernel": (1, 5), "group_width": 2}),
    ("conv", {"out": 8, "kernel": 4, "stride": 3, "padding": 1}),
    ("depthwise", {"kernel": 5, "stride": 2, "multiplier": 2, "bias": True}),
    ("conv_transpose", {"out": 6, "kernel": 3, "stride": 2, "padding": 1, "output_padding": 1, "groups": 2}),
    ("conv_transpose", {"out": 8, "kernel": 4, "stride": 2, "dilation": 2, "bias": True, "init": "bilinear"}),
    ("bn", {}),
    ("bn", {"affine": False, "eps": 1e-3}),
    ("group_norm", {"groups": 4}),
    *((name, {}) for name in ("relu", "relu6", "sigmoid", "hsigmoid", "hswish", "silu", "gelu", "tanh", "identity")),
    ("elu", {"alpha": 0.7}),
    ("prelu", {}),
    ("prelu", {"shared": True, "init": 0.1}),
    ("softmax", {}),
    ("log_softmax", {}),
    ("dropout", {"p": 0.5}),
    ("dropout2d", {"p": 0.5}),
    ("max_pool", {"kernel": 3, "stride": 2, "padding": 1}),
    ("max_pool", {"kernel": 2, "ceil": True, "indices": True}),
    ("max_pool", {"kernel": 3, "stride": 1, "dilation": 2, "padding": 1}),
    ("avg_pool", {"kernel": 2, "ceil": True}),
    ("avg_pool", {"kernel": 3, "stride": 2, "padding": 1, "count_pad": False}),
    ("global_pool", {}),
    ("global_pool", {"kind": "max"}),
    ("adaptive_pool", {"size": (3, 2)}),
    ("adaptive_pool", {"size": 3, "kind": "max"}),
    ("resize", {"scale": 2}),
    ("resize", {"scale": 1 / 3, "antialias": True}),
    ("resize", {"scale": (1.5, 0.6), "mode": "bicubic"}),
    ("resize", {"scale": 2.7, "mode": "nearest"}),
    ("resize", {"size": ((H - 1) // 2 + 1, W * 2), "align_corners": True}),
    ("pad", {"amounts": (1, 2, 3, 4)}),
    ("pad", {"amounts": 2, "mode": "reflect"}),
    ("pad", {"amounts": 1, "mode": "replicate"}),
    ("crop", {"size": (5, (W - 1) // 2)}),
    ("crop", {"size": (4, 3), "offset": (1, 2)}),
    ("channel_shuffle", {"groups": 4}),
    ("pixel_shuffle", {"factor": 2}),
    *(("scalar", {"operator": operator, "value": 2.5}) for operator in ("+", "-", "*", "/", "r-", "r/")),
    ("split", {"parts": 4}),
    ("split", {"parts": 1}),
    ("split", {"parts": [1, 2, 5]}),
    ("mean", {}),
    ("max", {}),
    ("argmax", {}),
]


@pytest.mark.parametrize(("op", "settings"), SETTINGS, ids=lambda value: value if isinstance(value, str) else "")
def test_the_results_have_the_shapes_that_the_op_declares(op: str, settings: dict[str, Any]) -> None:
    """One torch.fx lowering serves all sizes, and computes the same as the oracle."""
    graph = one_op(op, settings)
    weights = initial_weights(graph, 0, torch.float64)
    lowered = lower_fx(graph, weights)
    for height, width in ((11, 14), (12, 9)):
        x = noise(2, 8, height, width)
        expected = run(graph, weights, x)
        got = lowered(x) if len(expected) > 1 else {"out0": lowered(x)}
        for port, of in enumerate(graph.by_name["node"].types):
            result = expected[f"out{port}"]
            assert tuple(result.shape) == (2, *of.at({"H": height, "W": width}).shape)
            assert torch.equal(got[f"out{port}"], result)


def test_every_op_but_input_has_a_lowering() -> None:
    assert set(OPS) - {"input"} == set(LOWERINGS)


def test_a_dense_convolution_is_the_sum_of_its_definition() -> None:
    graph = one_op("conv", {"out": 4, "kernel": 3, "dilation": 2, "stride": 2, "groups": 2, "bias": True}, (4,))
    weights = {"node.weight": noise(4, 2, 3, 3), "node.bias": noise(4)}
    x = noise(1, 4, 9, 7)
    padded = F.pad(x, (2, 2, 2, 2))
    expected = weights["node.bias"].view(1, 4, 1, 1).repeat(1, 1, 5, 4)
    for i in range(3):
        for j in range(3):
            window = padded[:, :, 2 * i : 2 * i + 9 : 2, 2 * j : 2 * j + 7 : 2]
            for o in range(4):
                group = window[:, o // 2 * 2 : o // 2 * 2 + 2]
                expected[:, o] += (group * weights["node.weight"][o, :, i, j].view(1, 2, 1, 1)).sum(1)
    torch.testing.assert_close(apply(graph, x, weights=weights), expected)


def test_deformable_convolution_without_offsets_is_a_convolution() -> None:
    settings = {"out": 6, "kernel": 3, "stride": 2, "dilation": 2, "groups": 2, "bias": True}
    graph = one_op("deform_conv", settings, (4, 36), size1=((H - 1) // 2 + 1, (W - 1) // 2 + 1))
    weights = initial_weights(graph, 3, torch.float64)
    x = noise(2, 4, 11, 8)
    expected = F.conv2d(x, weights["node.weight"], weights["node.bias"], 2, 2, 2, 2)
    torch.testing.assert_close(apply(graph, x, x.new_zeros(2, 36, 6, 4), weights=weights), expected)


def test_offset_groups_are_those_of_the_offsets_unless_stated() -> None:
    """The number of offset groups is worked out from the offsets, or checked against them and the mask."""
    inferred = one_op("deform_conv", {"out": 2, "kernel": 3}, (4, 36), size1=(H, W))
    stated = one_op("deform_conv", {"out": 2, "kernel": 3, "offset_groups": 2}, (4, 36), size1=(H, W))
    assert dict(inferred.by_name["node"].settings)["offset_groups"] == 2
    assert inferred.by_name["node"].settings == stated.by_name["node"].settings
    for groups, channels, code in ((1, (4, 36), "E0307"), (4, (4, 36), "E0307"), (3, (4, 54), "E0303")):
        with pytest.raises(OpError) as caught:
            one_op("deform_conv", {"out": 2, "kernel": 3, "offset_groups": groups}, channels, size1=(H, W))
        assert caught.value.code == code
    with pytest.raises(OpError, match="mask needs 18 channels, and has 9"):
        one_op("deform_conv", {"out": 2, "kernel": 3}, (4, 36, 9), size1=(H, W), size2=(H, W))


def _tap(x: Tensor, row: float, column: float) -> float:
    """Bilinear value of a plane at a fractional position, zero outside: the definition in torchvision's kernel."""
    total = 0.0
    for i in (int(row // 1), int(row // 1) + 1):
        for j in (int(column // 1), int(column // 1) + 1):
            if 0 <= i < x.shape[0] and 0 <= j < x.shape[1]:
                total += float(x[i, j]) * (1 - abs(row - i)) * (1 - abs(column - j))
    return total


def test_deformable_convolution_samples_each_tap_where_its_offset_says() -> None:
    """Offsets are (dy, dx) per tap, per offset group; the mask scales taps (torchvision's DeformConv2d, version 2)."""
    graph = one_op(
        "deform_conv", {"out": 2, "kernel": (3, 2), "padding": 1}, (4, 24, 12), size1=(H, W + 1), size2=(H, W + 1)
    )
    weights = {"node.weight": noise(2, 4, 3, 2)}
    x, offsets, mask = noise(1, 4, 5, 4), 2 * noise(1, 24, 5, 5, seed=1), noise(1, 12, 5, 5, seed=2)
    result = apply(graph, x, offsets, mask, weights=weights)
    for row, column in ((0, 0), (2, 3), (4, 4)):
        expected = torch.zeros(2, dtype=torch.float64)
        for c in range(4):
            for tap in range(6):
                slot = c // 2 * 6 + tap
                dy, dx = (float(offsets[0, 2 * slot + axis, row, column]) for axis in (0, 1))
                value = _tap(x[0, c], row - 1 + tap // 2 + dy, column - 1 + tap % 2 + dx)
                expected += weights["node.weight"][:, c, tap // 2, tap % 2] * value * mask[0, slot, row, column]
        torch.testing.assert_close(result[0, :, row, column], expected)


def _pool_and_back(kernel: int, stride: int, like: bool) -> Graph:
    builder = GraphBuilder()
    x = builder.input("x", 1)
    pooled, indices = builder.add("max_pool", [x], {"kernel": kernel, "stride": stride, "indices": True})
    scaled = builder.add("scalar", [pooled], {"operator": "+", "value": 0.0})[0]
    back = builder.add("unpool", [scaled, indices, *([x] if like else [])], {"kernel": kernel, "stride": stride})[0]
    return builder.finish("Net", [Output("y", back)])


def test_unpool_puts_values_back_where_the_first_maximum_stood() -> None:
    x = torch.tensor([[[[5.0, 5.0, 1.0, 2.0], [5.0, 0.0, 3.0, 3.0]]]], dtype=torch.float64)
    expected = torch.tensor([[[[5.0, 0, 0, 0], [0, 0, 3.0, 0]]]], dtype=torch.float64)
    assert torch.equal(apply(_pool_and_back(2, 2, like=False), x), expected)


def test_unpool_finds_the_place_in_a_map_of_another_width() -> None:
    """Without `like`, the result of an odd input is a column narrower; torch's flat indices would shear it."""
    x = noise(1, 1, 5, 7)
    full = apply(_pool_and_back(2, 2, like=True), x)
    assert torch.equal(apply(_pool_and_back(2, 2, like=False), x), full[:, :, :4, :6])


def test_a_cell_that_unpool_writes_twice_keeps_the_later_value() -> None:
    builder = GraphBuilder()
    x, y = builder.input("x", 1), builder.input("y", 1, H - 1, W - 1)
    _, indices = builder.add("max_pool", [x], {"kernel": 2, "stride": 1, "indices": True})
    back = builder.add("unpool", [y, indices], {"kernel": 2, "stride": 1})[0]
    graph = builder.finish("Net", [Output("back", back)])
    peak = torch.zeros(1, 1, 3, 3, dtype=torch.float64)
    peak[0, 0, 1, 1] = 1
    values = torch.arange(1.0, 5.0, dtype=torch.float64).view(1, 1, 2, 2)
    assert torch.equal(apply(graph, peak, values), 4 * peak)


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_a_scale_reads_at_its_own_step_and_never_loses_a_pixel_to_rounding(mode: str) -> None:
    x = noise(1, 8, 49, 98)
    assert apply(one_op("resize", {"scale": 1 / 49, "mode": mode}), x).shape[-2:] == (1, 2)
    y = noise(1, 8, 10, 7)
    torch.testing.assert_close(
        apply(one_op("resize", {"scale": 1.3, "mode": mode}), y), F.interpolate(y, scale_factor=1.3, mode=mode)
    )


def test_a_resize_takes_the_size_of_another_map() -> None:
    graph = one_op("resize", {"align_corners": True}, (8, 3), size0=(4, 5))
    y = noise(1, 8, 4, 5)
    expected = F.interpolate(y, (11, 14), mode="bilinear", align_corners=True)
    assert torch.equal(apply(graph, y, noise(1, 3, 11, 14)), expected)


def test_the_lowest_channel_wins_where_several_are_equal() -> None:
    x = torch.zeros(1, 8, 3, 3, dtype=torch.float64)
    x[0, 2], x[0, 5] = 1, 1
    assert (apply(one_op("argmax"), x) == 2).all()


def test_maps_broadcast_and_sums_take_any_number() -> None:
    x, gate, plane = noise(2, 8, 4, 5), noise(2, 8, 1, 1, seed=1), noise(2, 1, 4, 5, seed=2)
    assert torch.equal(apply(one_op("mul", None, (8, 8), size1=(1, 1)), x, gate), x * gate)
    total = apply(one_op("sum", None, (8, 8, 1), size1=(1, 1)), x, gate, plane)
    torch.testing.assert_close(total, x + gate + plane)
    assert torch.equal(apply(one_op("concat", None, (8, 1)), x, plane), torch.cat([x, plane], 1))
    assert torch.equal(apply(one_op("div", None, (8, 8)), x, x + 9), x / (x + 9))


def test_training_uses_batch_statistics_and_leaves_the_given_weights_alone() -> None:
    graph = one_op("bn")
    weights = initial_weights(graph, 0, torch.float64)
    before = {key: tensor.clone() for key, tensor in weights.items()}
    out = apply(graph, 3 * noise(2, 8, 6, 5) + 1, weights=weights, training=True)
    assert out.mean(dim=(0, 2, 3)).abs().max() < 1e-12
    assert all(torch.equal(weights[key], before[key]) for key in before)


def _with_names() -> Graph:
    builder = GraphBuilder()
    image = builder.input("image", 3)
    a, b = builder.add("split", [image], {"parts": [1, 2]}, name="parts")
    y = builder.add("relu", [b], name="s2.relu1")[0]
    aux = builder.add("relu", [a], name="aux.relu1")[0]
    return builder.finish("Net", [Output("y", y), Output("early", aux, aux=True)], {"s2": y, "first": a})


def test_named_values_can_be_kept_and_auxiliary_outputs_are_for_training() -> None:
    x = noise(1, 3, 4, 4)
    assert set(run(_with_names(), {}, x)) == {"y"}
    assert set(run(_with_names(), {}, x, training=True)) == {"y", "early"}
    kept = run(_with_names(), {}, x, keep=["first", "parts:1", "s2.relu1"])
    assert torch.equal(kept["first"], x[:, :1])
    assert torch.equal(kept["parts:1"], x[:, 1:])
    assert torch.equal(kept["s2.relu1"], kept["y"])
    with pytest.raises(KeyError, match="s3"):
        run(_with_names(), {}, x, keep=["s3"])


def test_inputs_that_the_network_does_not_take_are_refused_in_words() -> None:
    graph = one_op("pixel_unshuffle", {"factor": 4})
    with pytest.raises(ValueError, match="H must be 4n"):
        apply(graph, noise(1, 8, 6, 8))
    with pytest.raises(ValueError, match=r"in0 must be \[8, H, W\]"):
        apply(graph, noise(1, 7, 8, 8))
    with pytest.raises(ValueError, match="batch"):
        apply(graph, noise(8, 8, 8))
    with pytest.raises(ValueError, match="by name"):
        run(one_op("add", None, (8, 8)), {}, noise(1, 8, 4, 4))
    with pytest.raises(ValueError, match="not wrong"):
        run(graph, {}, {"wrong": noise(1, 8, 8, 8)})


def test_a_size_in_the_settings_is_worked_out_from_the_input_at_hand() -> None:
    builder = GraphBuilder()
    image = builder.input("image", 1)
    pooled = builder.add("adaptive_pool", [image], {"size": ((H + 1) // 2, 3)})[0]
    assert builder.type_of(Ref(pooled.node)).at({"H": 9, "W": 4}).shape == (1, 5, 3)
    graph = builder.finish("Net", [Output("y", pooled)])
    assert apply(graph, noise(1, 1, 9, 4)).shape == (1, 1, 5, 3)
