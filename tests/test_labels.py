"""Labels instead of logits: the classes of upsample-then-argmax, without the upsampled scores ever being there."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import pytest
import torch
from archdsl.runtime import load
from archdsl.runtime.bench.memory import MemoryMeter
from archdsl.runtime.compile import compile
from archdsl.runtime.engines import ENGINES, Program
from archdsl.runtime.engines.native.emit import Step
from archdsl.runtime.engines.native.plan import planned
from archdsl.runtime.engines.native.units import Sized
from nets import image, net
from pass_nets import add, between, noise, plain_weights, random_weights, reasons
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from archdsl.ir.builder import GraphBuilder
from archdsl.ir.dims import symbol
from archdsl.ir.graph import Graph, Output, Ref
from archdsl.lower.module import build_module
from archdsl.lower.oracle import run
from archdsl.lower.verify import CLEAR
from archdsl.passes import argmax_of_upsample, as_scores, labels, passes_for, run_passes

H, W = symbol("H"), symbol("W")


def _net(resize: dict[str, Any] | None, classes: int = 7, guided: dict[str, Any] | None = None) -> Graph:
    """Scores at a coarse size, and an upsampling of them."""
    builder = GraphBuilder()
    x = builder.input("scores", classes)
    if guided is None:
        return builder.finish("Net", [Output("y", builder.add("resize", [x], resize, name="up")[0])])
    offsets = builder.input("offsets", 2, *(4 * size for size in (H, W)))
    y = builder.add("guided_upsample", [x, offsets], {"scale": 4, **guided}, name="up")[0]
    return builder.finish("Net", [Output("y", y)])


def _labels(graph: Graph, inputs: dict[str, Tensor]) -> Tensor:
    last, each = run_passes(graph, {}, [labels, argmax_of_upsample])
    assert len(each["argmax_of_upsample"].fired) == 1
    return run(last.graph, {}, inputs)["y"]


def _agree(found: Tensor, scores: Tensor, dtype: torch.dtype) -> None:
    """Labels are those of float64 scores wherever the two largest are clearly apart, which is nearly everywhere."""
    top = scores.topk(2, 1).values
    clear = (top[:, :1] - top[:, 1:]) > CLEAR[dtype] * top[:, :1].abs()
    assert clear.double().mean() > 0.97
    assert torch.equal(found[clear].long(), scores.argmax(1, keepdim=True)[clear])


RESIZES = [
    {"scale": 8},
    {"scale": (3, 5)},
    {"scale": (1.7, 2.3)},
    {"scale": 2 / 3},
    {"scale": 4, "align_corners": True},
    {"size": (41, 37)},
    {"size": (41, 37), "align_corners": True},
    {"size": (1, 1)},
    {"size": (H, 3 * W)},
]


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_labels_are_those_of_resize_then_argmax(resize: dict[str, Any], dtype: torch.dtype) -> None:
    graph, x = _net(resize), noise(2, 7, 9, 13).to(dtype)
    _agree(_labels(graph, {"scores": x}), run(graph, {}, {"scores": x.double()})["y"], dtype)


@pytest.mark.parametrize("guided", [{}, {"units": "input", "align_corners": True}])
def test_labels_are_those_of_guided_upsampling_then_argmax(guided: dict[str, Any]) -> None:
    graph, inputs = _net(None, guided=guided), _guided_inputs()
    _agree(_labels(graph, inputs), run(graph, {}, _double(inputs))["y"], torch.float32)


def test_where_a_guided_upsampling_reads_zeros_the_lowest_class_is_given() -> None:
    graph, inputs = _net(None, guided={"padding": "zeros", "units": "normalized"}), _guided_inputs()
    scores = run(graph, {}, _double(inputs))["y"]
    outside = (scores == 0).all(1, keepdim=True)
    assert 0.1 < outside.double().mean() < 0.9
    expected = torch.where(outside, 0, scores.argmax(1, keepdim=True))
    assert torch.equal(_labels(graph, inputs).long(), expected)


def _guided_inputs() -> dict[str, Tensor]:
    return {"scores": noise(2, 7, 9, 13).float(), "offsets": noise(2, 2, 36, 52, seed=1).float()}


def _double(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.double() for name, tensor in inputs.items()}


def test_many_blocks_of_rows_meet_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archdsl.lower.labels._BLOCK_BYTES", 1)
    graph, x = _net({"scale": 8}), noise(1, 7, 9, 13).float()
    _agree(_labels(graph, {"scores": x}), run(graph, {}, {"scores": x.double()})["y"], torch.float32)


def test_the_lowest_of_equal_classes_is_given() -> None:
    x = noise(1, 6, 5, 4).float()
    x[:, 4] = x[:, 1] = x.amax(1)
    labels_of = _labels(_net({"scale": 4}, classes=6), {"scores": x})
    assert labels_of.dtype == torch.uint8 and (labels_of == 1).all()
    flat = _labels(_net({"scale": 4}, classes=300), {"scores": torch.zeros(1, 300, 5, 4)})
    assert flat.dtype == torch.int16 and (flat == 0).all()


INCREASING: list[tuple[str, dict[str, Any]]] = [
    ("sigmoid", {}), ("tanh", {}), ("softmax", {}), ("log_softmax", {}), ("elu", {}),
]  # fmt: skip


def _block(builder: GraphBuilder, x: Ref, dice: random.Random) -> tuple[Ref, int]:
    y = add(builder, "relu", add(builder, "bn", between(builder, x, dice)))
    return add(builder, "concat", add(builder, "relu", between(builder, y, dice)), y), 1


def _scored(seed: int) -> tuple[Graph, int]:
    """A random network that ends in scores, an upsampling, and functions that change no order; and how many these."""
    dice, builder = random.Random(seed), GraphBuilder()
    x = builder.input("image", 3)
    y = add(builder, "conv", x, out=8, kernel=3, stride=2)
    for _ in range(2):
        y, _ = _block(builder, y, dice)
    y = add(builder, "conv", y, out=5, bias=True)
    like, scaled = ([y, x], {}), ([y], {"scale": dice.choice([2, 3.5, (2, 5)]), "align_corners": dice.random() < 0.5})
    operands, settings = dice.choice([like, scaled])
    y = add(builder, "resize", *operands, **settings)
    scores = y
    functions = dice.choices(INCREASING, k=dice.choice([0, 1, 2]))
    for op, given in functions:
        y = add(builder, op, y, **given)
    return builder.finish("Net", [Output("y", y)], {"scores": scores}), len(functions)


@pytest.mark.parametrize("seed", range(8))
def test_labels_of_random_networks_are_those_of_their_scores(seed: int) -> None:
    """Everything that compiling runs, in float64; of the scores before functions that saturate."""
    graph, functions = _scored(seed)
    weights, x = random_weights(graph), noise(2, 3, 19, 23)
    last, each = run_passes(graph, weights, passes_for("labels"))
    assert len(each["argmax_of_upsample"].fired) == 1 and len(each["monotone_argmax"].fired) == functions
    scores = run(graph, weights, x, keep=["scores"])["scores"]
    _agree(run(last.graph, last.weights, x)["y"], scores, torch.float32)


class _Largest(TorchDispatchMode):
    """The most bytes of any tensor that torch made."""

    bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                _Largest.bytes = max(self.bytes, tensor.numel() * tensor.element_size())
        return result


@pytest.mark.parametrize("guided", [False, True])
def test_the_full_scores_are_never_there(guided: bool) -> None:
    graph = _net(None, 19, {}) if guided else _net({"scale": 4}, 19)
    inputs = {"scores": torch.randn(1, 19, 96, 160)}
    if guided:
        inputs["offsets"] = torch.randn(1, 2, 384, 640)
    _Largest.bytes = 0
    with _Largest():
        _labels(graph, inputs)
    assert 0 < _Largest.bytes < 19 * 384 * 640 * 4 / 4


FULL = 19 * 1024 * 2048
"""How many scores there are of 19 classes at 1024x2048: 80 MB in float16."""


def _segmenter(output: str) -> tuple[Graph, dict[str, Tensor]]:
    builder = GraphBuilder()
    x = builder.input("image", 3)
    y = add(builder, "resize", add(builder, "conv", x, out=19, kernel=3, stride=8), x)
    graph = builder.finish("Net", [Output("logits", y)])
    last, _ = run_passes(graph, plain_weights(graph), passes_for(output))
    return last.graph, last.weights


def test_a_call_never_holds_the_full_scores() -> None:
    """Resident memory at the peak of a call; that of the same network giving logits shows that the meter sees them."""
    image, peaks = torch.randn(1, 3, 1024, 2048).contiguous(memory_format=torch.channels_last), dict[str, float]()
    for output in ("labels", "logits"):
        graph, weights = _segmenter(output)
        run_once = ENGINES["eager"].prepare(Program.of(graph, weights, torch.float32, torch.device("cpu")))
        peak = MemoryMeter(torch.device("cpu")).peak_mb(partial(run_once, image))
        if peak is None:
            pytest.skip("no peak of resident memory is told here")
        peaks[output] = 1e6 * peak
    assert peaks["labels"] < FULL < 3.6 * FULL < peaks["logits"]


def test_a_plan_of_our_kernels_has_no_room_for_the_full_scores() -> None:
    graph, weights = _segmenter("labels")
    plan = planned(Sized.of(graph, 1, {"H": 1024, "W": 2048}, half=False), weights, {}, 1)
    assert [result.layout for result in plan.results.values()] == ["labels"]
    assert 0 < plan.arena + sum(step.scratch for step in plan.steps if isinstance(step, Step)) < FULL


def test_a_resize_that_is_read_otherwise_or_not_bilinear_stays() -> None:
    builder = GraphBuilder()
    x = builder.input("x", 4)
    up = builder.add("resize", [x], {"scale": 2}, name="up")[0]
    near = builder.add("resize", [x], {"scale": 2, "mode": "nearest"}, name="near")[0]
    ends = [builder.add("argmax", [ref], name=f"{ref}.argmax")[0] for ref in (up, near, x)]
    graph = builder.finish("Net", [Output(f"y{i}", ref) for i, ref in enumerate(ends)] + [Output("up", up)])
    result = argmax_of_upsample(graph, {})
    assert result.fired == () and reasons(result) == {
        "up.argmax": "the value of up before it is an output",
        "near.argmax": "near is no plain bilinear resize",
        "x.argmax": "it reads x, which is input and no resize",
    }


def test_an_output_that_is_classes_already_stays_and_is_held_against_its_scores() -> None:
    builder = GraphBuilder()
    y = add(builder, "conv", builder.input("image", 3), out=5)
    graph = builder.finish("Net", [Output("logits", y), Output("labels", add(builder, "argmax", y))])
    result = labels(graph, random_weights(graph))
    assert result.fired == ("logits.argmax",)
    assert {out.value for out in as_scores(result.graph).outputs} == {y}


def test_no_argmax_stands_before_a_resize() -> None:
    """Labels that are resized are another network, however fast."""
    graph = net()
    last, _ = run_passes(graph, random_weights(graph), passes_for("labels"))
    for node in last.graph.nodes:
        if "argmax" in node.op:
            assert node.refs[0] not in last.graph.users


def test_a_compiled_network_gives_labels_and_an_artifact_keeps_them(tmp_path: Any) -> None:
    module = build_module(net())
    model = compile(module, output="labels")
    assert [node.op for node in model.graph.nodes][-1] == "resize_argmax"
    assert model.manifest.output == "labels"
    result = model.manifest.verification
    assert result is not None and result.output == "labels" and result.passed
    found = model(image())
    assert isinstance(found, Tensor) and found.dtype == torch.uint8 and found.shape == (2, 40, 52)
    assert torch.equal(load(model.save(tmp_path / "net"))(image()), found)  # type: ignore[arg-type]
    _agree(found[:, None], build_module(net(), dtype=torch.float64).eval()(image().double()), torch.float32)
