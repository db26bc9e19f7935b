"""The trainable module and its torch.fx form: names, sharing, modes, types, and equality with the oracle."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

import archdsl.ir.ops  # noqa: F401
from archdsl.diagnostics import InternalError
from archdsl.ir.builder import GraphBuilder
from archdsl.ir.graph import Graph, Output
from archdsl.lower.fx import attribute_path, lower_fx
from archdsl.lower.module import build_module
from archdsl.lower.oracle import run
from archdsl.lower.weights import initial_weights, layout


def small_net(*, aux: bool = True) -> Graph:
    """An encoder applied at two resolutions with one set of weights, a decoder, and an auxiliary head."""
    builder = GraphBuilder()
    image = builder.input("image", 3)
    half = builder.add("resize", [image], {"scale": 0.5}, name="half")[0]
    ends = []
    for x, place in ((image, "full"), (half, "low")):
        y = builder.add("conv", [x], {"out": 8, "kernel": 3, "stride": 2}, name=f"{place}.conv1", weights="enc.0.conv1")
        z = builder.add("bn", y, {"momentum": 0.25}, name=f"{place}.bn1", weights="enc.0.bn1")
        ends.append(builder.add("relu", z, name=f"{place}.relu1")[0])
    low = builder.add("resize", [ends[1], ends[0]], name="low.resize1")[0]
    y = builder.add("concat", [ends[0], low], name="half.concat1")[0]
    y = builder.add("depthwise", [y], {"dilation": 2, "bias": True}, name="half.depthwise1")[0]
    y = builder.add("conv", [y], {"out": 4, "bias": True, "frozen": True}, name="logits.conv1")[0]
    logits = builder.add("resize", [y, image], name="logits.resize1")[0]
    outputs = [Output("logits", logits)]
    if aux:
        head = builder.add("conv", [ends[1]], {"out": 4}, name="early.conv1")[0]
        outputs.append(Output("early", head, aux=True))
    return builder.finish("Net", outputs, {"low": ends[1], "logits": logits})


def _image(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


KEYS = [
    *(f"enc.0.{name}" for name in ("conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var")),
    *(
        "half.depthwise1.weight",
        "half.depthwise1.bias",
        "logits.conv1.weight",
        "logits.conv1.bias",
        "early.conv1.weight",
    ),
]


def test_state_dict_has_the_names_of_the_text_and_shared_weights_once() -> None:
    graph = small_net()
    module = build_module(graph, 0)
    assert list(layout(graph)) == KEYS
    assert sorted(module.state_dict()) == sorted(KEYS)
    assert module.graph is graph
    trainable = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    assert trainable == {key for key in KEYS if "running" not in key and not key.startswith("logits")}


def test_the_module_equals_the_oracle_bit_for_bit_in_both_modes() -> None:
    module = build_module(small_net(), 1).double()
    x = _image(2, 3, 21, 30).double()
    for training in (True, False):
        module.train(training)
        expected = run(small_net(), module.state_dict(), x, training=training)
        got = module(x)
        assert isinstance(got, dict) == training
        for name, tensor in got.items() if training else [("logits", got)]:
            assert torch.equal(tensor, expected[name])


def test_training_moves_running_statistics_by_the_momentum() -> None:
    """A shared batch normalisation moves once for each place that uses it."""
    module = build_module(small_net(), 0)
    x = _image(2, 3, 16, 16)
    inner = run(small_net(), module.state_dict(), x, training=True, keep=["full.conv1", "low.conv1"])
    module.train()(x)
    expected = torch.zeros(8)
    for place in ("full.conv1", "low.conv1"):
        expected = 0.75 * expected + 0.25 * inner[place].mean(dim=(0, 2, 3))
    torch.testing.assert_close(module.state_dict()["enc.0.bn1.running_mean"], expected)


def test_one_step_of_descent_lowers_the_loss() -> None:
    module = build_module(small_net(aux=False), 0).train()
    optimizer = torch.optim.SGD((p for p in module.parameters() if p.requires_grad), lr=0.05)
    x, target = _image(2, 3, 16, 16), torch.randint(4, (2, 16, 16), generator=torch.Generator().manual_seed(0))
    losses = []
    for _ in range(3):
        loss = nn.functional.cross_entropy(module(x), target)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[2] < losses[0]


def test_copies_are_independent_and_dtypes_and_layouts_carry_over() -> None:
    module = build_module(small_net(), 0).eval()
    x = _image(1, 3, 20, 17)
    clone = copy.deepcopy(module)
    with torch.no_grad():
        next(clone.parameters()).zero_()
        assert not torch.equal(clone(x), module(x))
        expected = module(x)
        torch.testing.assert_close(module.to(memory_format=torch.channels_last)(x), expected)
        with torch.autocast("cpu", torch.bfloat16):
            assert module(x).dtype == torch.bfloat16
        assert module.half()(x.half()).dtype == torch.float16
        torch.testing.assert_close(module.double()(x.double()).float(), expected, rtol=0.05, atol=0.05)


def test_a_state_dict_goes_round() -> None:
    a, b = build_module(small_net(), 0).eval(), build_module(small_net(), 1).eval()
    x = _image(1, 3, 16, 16)
    assert not torch.equal(a(x), b(x))
    b.load_state_dict(a.state_dict())
    assert torch.equal(a(x), b(x))


def test_weights_follow_from_seed_and_name_alone() -> None:
    """Adding a head elsewhere must not change how the rest starts; float64 starts from the same numbers."""
    with_head, without = initial_weights(small_net(), 5), initial_weights(small_net(aux=False), 5)
    assert all(torch.equal(with_head[key], tensor) for key, tensor in without.items())
    assert not torch.equal(with_head["enc.0.conv1.weight"], initial_weights(small_net(), 6)["enc.0.conv1.weight"])
    double = initial_weights(small_net(), 5, torch.float64)["enc.0.conv1.weight"]
    assert double.dtype == torch.float64 and torch.equal(double.float(), with_head["enc.0.conv1.weight"])


def test_convolutions_start_with_the_spread_of_the_papers_code() -> None:
    """Kaiming normal over fan-out: the variance is 2 / (output channels · taps), groups or not."""
    builder = GraphBuilder()
    y = builder.add("conv", [builder.input("x", 64)], {"out": 128, "kernel": 3, "groups": 4, "bias": True}, name="c")[0]
    weights = initial_weights(builder.finish("Net", [Output("y", y)]))
    assert weights["c.weight"].std() == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.02)
    assert (weights["c.bias"] == 0).all()


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(4, 2, 1), (16, 8, 4), (3, 2, 1)])
@pytest.mark.parametrize("groups", [1, 6])
def test_a_bilinear_start_upsamples_bilinearly(kernel: int, stride: int, padding: int, groups: int) -> None:
    builder = GraphBuilder()
    settings = {"out": 6, "kernel": kernel, "stride": stride, "padding": padding, "groups": groups, "init": "bilinear"}
    y = builder.add("conv_transpose", [builder.input("x", 6)], settings)[0]
    graph = builder.finish("Net", [Output("y", y)])
    plane = torch.arange(8.0).view(1, 1, 8, 1) + 3 * torch.arange(9.0).view(1, 1, 1, 9)
    result = run(graph, initial_weights(graph), plane.expand(1, 6, 8, 9).contiguous())["y"][0]
    inner = result[:, kernel:-kernel, kernel:-kernel]
    for axis, slope in ((1, 1 / stride), (2, 3 / stride)):
        torch.testing.assert_close(inner.diff(dim=axis), torch.full_like(inner.diff(dim=axis), slope))


def test_an_identity_start_changes_nothing() -> None:
    builder = GraphBuilder()
    y = builder.add("conv", [builder.input("x", 5)], {"out": 5, "kernel": 3, "init": "identity"})[0]
    graph = builder.finish("Net", [Output("y", y)])
    x = _image(1, 5, 6, 7)
    assert torch.equal(run(graph, initial_weights(graph), x)["y"], x)


def test_nodes_that_share_weights_must_agree_on_their_shape() -> None:
    builder = GraphBuilder()
    y = builder.add("conv", [builder.input("x", 4)], {"out": 8}, weights="w")[0]
    z = builder.add("conv", [y], {"out": 8}, weights="w")[0]
    with pytest.raises(InternalError, match=r"w\.weight"):
        layout(builder.finish("Net", [Output("z", z)]))


def test_fx_code_reads_like_the_text_and_equals_the_oracle_at_any_size() -> None:
    graph = small_net()
    weights = initial_weights(graph, 2, torch.float64)
    lowered = lower_fx(graph, weights)
    needed = [key for key in KEYS if not key.startswith("early")]
    assert sorted(lowered.state_dict()) == sorted(map(attribute_path, needed))
    for line in ("full_conv1 = torch.conv2d(image, ", "low_bn1 = torch.nn.functional.batch_norm(low_conv1, "):
        assert line in lowered.code
    assert lowered.code.count("enc_0_conv1_weight = getattr(") == 1
    assert "shape" in lowered.code
    for size in ((16, 16), (33, 18)):
        x = _image(2, 3, *size).double()
        assert torch.equal(lowered(x), run(graph, weights, x)["logits"])


def test_fx_keeps_values_called_like_methods_of_a_module() -> None:
    """`half` is a value of the text and a method of torch: its weights move to `half_`, all others keep their key."""
    graph = small_net()
    lowered = lower_fx(graph, initial_weights(graph))
    assert {"half_.depthwise1.weight", "enc.0.conv1.weight"} <= set(lowered.state_dict())
    x = _image(1, 3, 16, 16)
    assert torch.equal(copy.deepcopy(lowered)(x), lowered(x))
    assert lowered.half()(x.half()).dtype == torch.float16


def test_fx_in_training_gives_auxiliary_outputs_too() -> None:
    graph = small_net()
    weights = initial_weights(graph)
    x = _image(2, 3, 16, 16)
    expected = run(graph, weights, x, training=True)
    got = lower_fx(graph, weights, training=True)(x)
    assert all(torch.equal(got[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize(("op", "settings"), [("depthwise", {}), ("conv", {"out": 64, "kernel": 3, "group_width": 4})])
def test_dilated_weight_gradients_in_bfloat16_are_right(op: str, settings: dict[str, int]) -> None:
    """torch 2.13 on the CPU reads uninitialised memory for narrow groups in bfloat16 and channels_last."""
    builder = GraphBuilder()
    y = builder.add(op, [builder.input("x", 64)], {"dilation": 4, **settings})[0]
    graph = builder.finish("Net", [Output("y", y)])
    x = _image(2, 64, 40, 40)
    grads = []
    for dtype in (torch.float32, torch.bfloat16):
        module = build_module(graph).to(dtype, memory_format=torch.channels_last).train()
        module(x.to(dtype, memory_format=torch.channels_last)).square().sum().backward()
        grads.append(next(module.parameters()).grad.float())
    assert (grads[1] - grads[0]).norm() < 0.02 * grads[0].norm()
