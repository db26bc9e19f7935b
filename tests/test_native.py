"""The engine of our own kernels: every op against its plain reference, whole networks, and how it builds and shares."""

from __future__ import annotations

import threading
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from archdsl.runtime import CompiledModel, load
from archdsl.runtime.compile import compile_graph
from archdsl.runtime.engines import ENGINES, Program
from archdsl.runtime.engines.native import build
from archdsl.runtime.engines.native.descriptors import Kind
from archdsl.runtime.engines.native.emit import Step
from archdsl.runtime.engines.native.plan import planned
from archdsl.runtime.engines.native.units import Sized
from native_checks import EXACT, check, filled, graph_of, needs_kernels, noise, one, prepared, relative_error
from random_graphs import allowed_size, random_graph, shipped
from torch import Tensor

import archdsl.ir.ops  # noqa: F401
from archdsl.ir.builder import GraphBuilder
from archdsl.ir.graph import Output, Ref
from archdsl.lower.oracle import run
from archdsl.lower.weights import initial_weights
from archdsl.passes import argmax_of_upsample, fold_batch_norm, inference_only, passes_for, run_passes

# ------------------------------------------------------------------------ ops

CONVOLUTIONS: list[tuple[int, dict[str, Any]]] = [
    (3, {"out": 8, "kernel": 3, "stride": 2, "bias": True}),
    (3, {"out": 19, "kernel": 7}),
    (5, {"out": 7, "kernel": (1, 5), "dilation": (1, 3)}),
    (32, {"out": 32, "kernel": 1, "bias": True}),
    (17, {"out": 33, "kernel": 1, "stride": 2}),
    (16, {"out": 48, "kernel": 3, "stride": 2, "groups": 1}),
    (48, {"out": 48, "kernel": 3, "groups": 3, "bias": True}),
    (48, {"out": 96, "kernel": 3, "groups": 3, "stride": 2}),
    (64, {"out": 64, "kernel": 3, "groups": 4, "dilation": 14}),
    (12, {"out": 20, "kernel": 3, "groups": 2, "dilation": 2}),
    (6, {"out": 6, "kernel": 3, "groups": 2}),
    (6, {"out": 12, "kernel": 3, "groups": 6, "dilation": 3}),
    (40, {"out": 36, "kernel": 3, "bias": True}),
    (33, {"out": 70, "kernel": 3, "dilation": 4}),
    (32, {"out": 48, "kernel": 3, "dilation": 30}),
    (32, {"out": 40, "kernel": 3, "padding": 0}),
    (32, {"out": 40, "kernel": 3, "padding": 2}),
    (130, {"out": 200, "kernel": 3, "stride": 2}),
]


@needs_kernels
@pytest.mark.parametrize(("channels", "settings"), CONVOLUTIONS)
def test_a_convolution_equals_its_reference(channels: int, settings: dict[str, Any]) -> None:
    """Channels that fill no vector, rates beyond the map, strides, groups, tails of every loop; batches."""
    check(one("conv", channels, **settings), noise(2, channels, 23, 31))


@needs_kernels
def test_weights_that_fill_the_cache_are_shared_out_by_panels() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        check(one("conv", 208, out=208, kernel=3, bias=True), noise(1, 208, 23, 31))
    finally:
        torch.set_num_threads(before)


OTHERS: list[tuple[str, int, dict[str, Any]]] = [
    ("depthwise", 20, {"kernel": 3, "dilation": 5, "bias": True}),
    ("depthwise", 19, {"kernel": 3, "stride": 2}),
    ("depthwise", 24, {"kernel": 5, "multiplier": 2}),
    ("depthwise", 7, {"kernel": 3, "multiplier": 3}),
    ("bn", 21, {"eps": 1e-3}),
    ("bn", 21, {"affine": False}),
    *((name, 18, {}) for name in ("relu", "relu6", "hsigmoid", "hswish", "sigmoid", "silu", "tanh", "elu", "prelu")),
    ("prelu", 18, {"shared": True}),
    ("elu", 18, {"alpha": 0.5}),
    *(("scalar", 5, {"operator": sign, "value": 2.5}) for sign in ("+", "-", "*", "/", "r-")),
    ("softmax", 5, {}),
    ("max_pool", 20, {"kernel": 3, "stride": 2, "padding": 1}),
    ("max_pool", 20, {"kernel": 3, "stride": 2, "ceil": True}),
    ("max_pool", 20, {"kernel": 2, "stride": 1, "dilation": 3}),
    ("avg_pool", 20, {"kernel": 2, "stride": 2, "ceil": True}),
    ("avg_pool", 20, {"kernel": 3, "stride": 2, "padding": 1, "count_pad": False}),
    ("avg_pool", 20, {"kernel": 3, "stride": 2, "padding": 1, "ceil": True, "count_pad": True}),
    ("global_pool", 37, {}),
    ("global_pool", 37, {"kind": "max"}),
    ("resize", 19, {"scale": 4}),
    ("resize", 19, {"size": (61, 77), "align_corners": True}),
    ("resize", 19, {"size": (9, 7)}),
    ("resize", 19, {"size": (23, 31)}),
    ("resize", 19, {"size": (23, 31), "mode": "bicubic", "align_corners": True}),
    ("resize", 19, {"scale": (Fraction(3, 2), Fraction(1, 3))}),
    ("resize", 19, {"scale": 2, "mode": "nearest"}),
    ("resize", 19, {"size": (40, 50), "mode": "nearest"}),
    ("resize", 19, {"scale": 2, "mode": "bicubic"}),
    ("crop", 18, {"size": (7, 9), "offset": (3, 5)}),
    ("crop", 18, {"size": (7, 9)}),
    ("pixel_shuffle", 16, {"factor": 2}),
    ("prelu", 6, {}),
]


@needs_kernels
@pytest.mark.parametrize(("op", "channels", "settings"), OTHERS)
def test_an_op_equals_its_reference(op: str, channels: int, settings: dict[str, Any]) -> None:
    """On its own, and between two convolutions, where it joins them or reads what they pad."""
    check(one(op, channels, **settings), noise(2, channels, 23, 31))

    def between(builder: GraphBuilder, inputs: list[Ref]) -> Ref:
        before = builder.add("conv", [inputs[0]], {"out": channels, "kernel": 3})
        return builder.add("conv", [builder.add(op, before, settings)[0]], {"out": 10, "bias": True})[0]

    check(graph_of((4,), between), noise(2, 4, 23, 31))


@needs_kernels
@pytest.mark.parametrize("op", ["add", "sub", "mul", "div"])
@pytest.mark.parametrize("shape", [(18, 23, 31), (18, 1, 1), (1, 23, 31), (18, 1, 31), (1, 1, 1)])
def test_two_maps_combine_with_broadcasting(op: str, shape: tuple[int, int, int]) -> None:
    """Whichever operand is the one that is repeated."""
    for order in (1, -1):
        builder = GraphBuilder()
        inputs = [builder.input("x", 18, 23, 31), builder.input("other", *shape)]
        made = builder.add(op, inputs[::order])
        away_from_zero = [
            noise(2, *each, seed=i).sign() + noise(2, *each) * 0.1 for i, each in enumerate([(18, 23, 31), shape])
        ]
        check(builder.finish("Net", [Output("y", made[0])], {}, {}), *away_from_zero)


# ------------------------------------------------------------------------ what runs together


@needs_kernels
def test_maps_are_concatenated_and_split_in_place_or_by_copy() -> None:
    """Parts of odd and even widths, one of them used twice, one an input, one an output as well."""

    def make(builder: GraphBuilder, inputs: list[Ref]) -> Ref:
        x = builder.add("conv", [inputs[0]], {"out": 24, "kernel": 3})[0]
        left, middle, right = builder.add("split", [x], {"parts": [8, 7, 9]})
        parts = [
            builder.add("conv", [part], {"out": n, "kernel": 3})[0] for part, n in ((left, 8), (middle, 5), (right, 6))
        ]
        inner = builder.add("concat", parts)[0]
        whole = builder.add("concat", [inputs[0], inner, parts[0], parts[0]])[0]
        y = builder.add("conv", [whole], {"out": 33, "kernel": 3})[0]
        return builder.add("crop", [builder.add("sum", [y, y, y])[0]], {"size": (11, 12)})[0]

    check(graph_of((5,), make), noise(2, 5, 23, 31))


@pytest.mark.parametrize(("placed", "copies"), [((1, 1), 0), ((1, 0), 1), ((0, 0), 2)])
def test_a_concatenation_is_written_in_place_where_the_graph_says_so(placed: tuple[int, ...], copies: int) -> None:
    builder = GraphBuilder()
    x = builder.input("x", 16)
    parts = [builder.add("conv", [x], {"out": 16, "kernel": 3})[0] for _ in range(2)]
    whole = builder.add("placed_concat", parts, {"placed": placed})[0]
    y = builder.add("max_pool", [whole], {"kernel": 3, "stride": 1})[0]
    graph = builder.finish("Net", [Output("y", y)])
    plan = planned(Sized.of(graph, 1, {"H": 16, "W": 16}, half=False), filled(graph), {}, 1)
    kinds = [step.op.kind for step in plan.steps if isinstance(step, Step)]
    assert kinds.count(Kind.AFFINE) == copies


@needs_kernels
def test_squeeze_and_excite_joins_its_convolutions() -> None:
    """Sums in the epilogue of two grouped convolutions, gates in the weights of the next one; one gate per image."""

    def make(builder: GraphBuilder, inputs: list[Ref]) -> Ref:
        parts = builder.add("split", [inputs[0]], {"parts": 2})
        rates = [
            builder.add("conv", [part], {"out": 32, "kernel": 3, "groups": 2, "dilation": d})[0]
            for part, d in zip(parts, (1, 6), strict=True)
        ]
        y = builder.add("relu", builder.add("bn", builder.add("concat", rates)))[0]
        gate = builder.add("conv", builder.add("global_pool", [y]), {"out": 12, "bias": True})
        gate = builder.add("sigmoid", builder.add("conv", builder.add("relu", gate), {"out": 64}))
        y = builder.add("conv", builder.add("mul", [y, gate[0]]), {"out": 64, "bias": True})[0]
        return builder.add("relu", builder.add("add", [y, inputs[0]]))[0]

    graph = graph_of((64,), make)
    check(graph, noise(2, 64, 23, 31))
    rewritten = run_passes(graph, filled(graph), passes_for("logits"))[0]
    assert "fused_conv" in {node.op for node in rewritten.graph.nodes}
    x = noise(2, 64, 23, 31)
    expected = run(graph, {key: tensor.double() for key, tensor in filled(graph).items()}, x.double())["y"]
    assert relative_error(prepared(rewritten.graph, rewritten.weights)(x), expected) < EXACT


@needs_kernels
@pytest.mark.parametrize("units", ["output", "input", "normalized"])
@pytest.mark.parametrize("flags", [{}, {"align_corners": True}, {"padding": "zeros"}, {"mode": "nearest"}])
def test_guided_upsampling_equals_its_reference(units: str, flags: dict[str, Any]) -> None:
    """At offsets that leave the map, too; what the kernels do not know runs as torch calls."""
    builder = GraphBuilder()
    inputs = [builder.input("coarse", 19, 9, 11), builder.input("offsets", 2, 36, 44)]
    settings = {"scale": 4, "units": units, **flags}
    graph = builder.finish("Net", [Output("y", builder.add("guided_upsample", inputs, settings)[0])], {}, {})
    x, offsets = noise(2, 19, 9, 11), noise(2, 2, 36, 44, seed=1) * (3 if units != "normalized" else 0.5)
    offsets = (offsets * 64).round() / 64
    expected = run(graph, {}, {"coarse": x.double(), "offsets": offsets.double()})["y"]
    assert relative_error(prepared(graph, {})(x, offsets), expected) < 1e-5


@needs_kernels
@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_run_as_the_oracle_has_it(seed: int) -> None:
    """Ops with and without kernels side by side, several inputs and outputs, shared weights."""
    graph = random_graph(seed)
    weights = initial_weights(graph)
    rewritten = run_passes(graph, weights, [inference_only, fold_batch_norm])[0]
    sizes = allowed_size(graph)
    inputs = {node.name: noise(2, 3, sizes["H"], sizes["W"], seed=i) for i, node in enumerate(graph.inputs)}
    wide = {key: tensor.double() for key, tensor in weights.items()}
    expected = run(graph, wide, {name: tensor.double() for name, tensor in inputs.items()})
    got = prepared(rewritten.graph, rewritten.weights)(*inputs.values())
    named = {rewritten.graph.outputs[0].name: got} if isinstance(got, Tensor) else got
    for name, tensor in named.items():
        largest = float(expected[name].abs().max())
        if largest < 1e30:  # some of the graphs multiply by 1e300
            torch.testing.assert_close(tensor.double(), expected[name], rtol=1e-4, atol=1e-5 * largest)


# ------------------------------------------------------------------------ networks

NETWORKS = [("regseg.arch", None), ("gun.arch", None), ("dwrseg.arch", None), ("dwrseg.arch", "DWRSegR1")]


def compiled(spec: str, network: str | None, dtype: str, output: str = "logits") -> CompiledModel:
    graph = shipped(spec, network)
    return compile_graph(graph, initial_weights(graph), sizes=[(64, 96)], dtype=dtype, engine="native", output=output)  # type: ignore[arg-type]


@needs_kernels
@pytest.mark.parametrize(("spec", "network"), NETWORKS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_network_is_right(spec: str, network: str | None, dtype: str) -> None:
    """Every shipped design: no further from float64 than eager, twice that and a floor at most."""
    graph = shipped(spec, network)
    weights = initial_weights(graph)
    kind = torch.float32 if dtype == "float32" else torch.bfloat16
    rewritten = run_passes(graph, weights, passes_for("logits"))[0]
    x = noise(2, 3, 64, 96).to(kind)
    expected = run(graph, {key: tensor.double() for key, tensor in weights.items()}, x.double())["logits"]
    eager = run(graph, {key: tensor.to(kind) for key, tensor in weights.items()}, x)["logits"]
    error = relative_error(prepared(rewritten.graph, rewritten.weights, kind)(x), expected)
    limit = 1e-5 if dtype == "float32" else 2 * relative_error(eager, expected) + 8e-3
    assert error < limit


@needs_kernels
@pytest.mark.parametrize(("spec", "network"), NETWORKS[:3])
def test_labels_are_those_of_the_resized_scores(spec: str, network: str | None) -> None:
    """The fused last step differs at most where two scores are as good as equal."""
    graph = shipped(spec, network)
    weights = initial_weights(graph)
    rewritten = run_passes(graph, weights, passes_for("labels"))[0]
    x = noise(2, 3, 64, 96)
    scores = run(graph, {key: tensor.double() for key, tensor in weights.items()}, x.double())["logits"]
    top = scores.topk(2, dim=1).values
    clear = (top[:, :1] - top[:, 1:]) > 1e-5 * top[:, :1].abs()
    got = prepared(rewritten.graph, rewritten.weights)(x)
    assert got.dtype == torch.uint8 and clear.float().mean() > 0.99
    assert not ((got != scores.argmax(1, keepdim=True)) & clear).any()


@needs_kernels
def test_equal_scores_get_the_lowest_class() -> None:
    builder = GraphBuilder()
    x = builder.input("x", 20)
    made = builder.add("argmax", builder.add("resize", [x], {"scale": 4}))
    graph = builder.finish("Net", [Output("y", made[0])], {}, {})
    rewritten = run_passes(graph, {}, [*passes_for("logits"), argmax_of_upsample])[0]
    scores = torch.zeros(1, 20, 8, 12)
    scores[:, [7, 13]] = 1
    assert (prepared(rewritten.graph, {})(scores) == 7).all()


# ------------------------------------------------------------------------ memory, threads, sizes


@needs_kernels
def test_results_are_the_callers_and_their_memory_comes_back() -> None:
    model = compiled("dwrseg.arch", None, "float32")
    inputs = [noise(1, 3, 64, 96, seed=i) for i in range(3)]
    first = model(inputs[0])
    kept = first.clone()
    others = [model(x) for x in inputs[1:]]
    assert torch.equal(first, kept) and not torch.equal(others[0], others[1])
    place = first.data_ptr()
    del first
    assert place in {model(inputs[0]).data_ptr() for _ in range(3)}
    part = model(inputs[0])[0, 3, 5:9]
    expected = part.clone()
    for x in inputs:
        model(x)
    assert torch.equal(part, expected)


@needs_kernels
def test_threads_and_sizes_do_not_disturb_each_other() -> None:
    model = compiled("regseg.arch", None, "float32")
    inputs = [noise(n, 3, h, w, seed=h) for n, h, w in ((1, 64, 96), (1, 65, 97), (2, 64, 96), (1, 40, 72))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [model(x).clone() for x in inputs]
        wrong: list[int] = []

        def work(i: int) -> None:
            for _ in range(3):
                if not torch.equal(model(inputs[i]), expected[i]):
                    wrong.append(i)

        workers = [threading.Thread(target=work, args=(i,)) for i in range(len(inputs)) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert wrong == []


@needs_kernels
def test_the_number_of_threads_changes_nothing() -> None:
    model = compiled("regseg.arch", None, "float32")
    x, before = noise(1, 3, 64, 96), torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(model(x))
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        torch.testing.assert_close(result, results[0], rtol=1e-5, atol=1e-6)


@needs_kernels
def test_a_saved_model_holds_no_code_and_runs_again(tmp_path: Path) -> None:
    model = compiled("dwrseg.arch", None, "bfloat16")
    again = load(model.save(tmp_path / "net"))
    assert again.engine.name == "native"
    assert not [path for path in (tmp_path / "net").iterdir() if path.suffix in (".so", ".h", ".cpp")]
    x = noise(1, 3, 64, 96)
    assert torch.equal(again(x), model(x))


# ------------------------------------------------------------------------ building


def test_without_a_compiler_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(build.shutil, "which", lambda name: None)
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(build.CannotBuild, match="no C\\+\\+ compiler: install g\\+\\+"):
        build.compiler()
    monkeypatch.setattr(build.torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert "no C++ compiler" in str(build.why_not(torch.float32))
    monkeypatch.setattr(build.torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert "AVX-512" in str(build.why_not(torch.float32))


@needs_kernels
def test_what_does_not_build_or_load_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build, "FLAGS", ("-no-such-flag",))
    with pytest.raises(build.CannotBuild, match="do not build"):
        build.library.__wrapped__()
    assert not list(tmp_path.rglob("*.so"))
    with pytest.raises(build.CannotBuild, match="cannot be loaded"):
        build._loaded(tmp_path)


@needs_kernels
def test_it_is_known_whether_kernels_are_still_to_be_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build.library()
    assert not build.pending()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert build.pending()
    monkeypatch.setattr(build.torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert not build.pending()


@needs_kernels
def test_a_library_that_was_damaged_is_built_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Path(build.library()._name).read_bytes()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    broken = build._path(build.compiler())
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.write_bytes(whole[:100])
    monkeypatch.setattr(build, "_compile", lambda command: Path(command[-1]).write_bytes(whole))
    assert build.library.__wrapped__().archdsl_op_size() > 0
    assert broken.read_bytes() == whole


@needs_kernels
def test_where_the_cache_cannot_be_written_kernels_are_built_for_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Path(build.library()._name).read_bytes()
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(build, "_compile", lambda command: Path(command[-1]).write_bytes(whole))
    assert build.library.__wrapped__().archdsl_op_size() > 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_other_devices_and_dtypes_are_refused() -> None:
    graph = one("relu", 4)
    half = Program.of(graph, {}, torch.float16, torch.device("cpu"))
    assert "float32 and bfloat16" in str(ENGINES["native"].available(half))
