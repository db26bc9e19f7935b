"""Compiling and verifying: the same outputs, proven where a wrong rate would show, or a refusal in words."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import pytest
import torch
from archdsl.runtime import ENGINES, Program, Unavailable, register
from archdsl.runtime.compile import compile, compile_graph
from nets import compiled, image, net
from torch import Tensor

import archdsl
from archdsl.diagnostics import ArchError, InternalError
from archdsl.ir.graph import Graph
from archdsl.lower.module import build_module
from archdsl.lower.oracle import run
from archdsl.lower.verify import verification_size, verify
from archdsl.lower.weights import initial_weights
from archdsl.passes import Costs, Pass, PassResult, add, infra
from archdsl.passes.edit import Edit


def test_compiling_folds_verifies_and_keeps_the_outputs() -> None:
    module = build_module(net(), 3)
    module.train()(image())  # moves the running statistics away from their start
    model = compile(module, sizes=[(40, 52)])
    module.eval()
    torch.testing.assert_close(model(image()), module(image()))
    fired = {record.name: record.fired for record in model.manifest.passes if record.fired}
    assert fired == {
        "inference_only": ["early.conv1", "deep.dropout1"],
        "fold_batch_norm": ["s4.bn1"],
        "epilogues": ["s4.relu1"],
    }
    result = model.manifest.verification
    assert result is not None and result.passed and result.every_tap and 0 < result.error < 1e-5


@pytest.fixture
def relus() -> Iterator[Callable[[bool], None]]:
    """Adds a pass of a user's own that looks at each relu, and leaves it out if told to."""

    def added(dropped: bool) -> None:
        def rule(graph: Graph, weights: infra.Weights, costs: Costs) -> PassResult:
            edit = Edit.of(graph, weights)
            for node in graph.nodes:
                if node.op == "relu":
                    edit.fired.append(node.name)
                    if dropped:
                        edit.read_instead(node.refs[0], node.inputs[0])
            return edit.finish()

        add(Pass("relus", "", "looks at relu", "", rule))

    yield added
    infra.ADDED.remove(infra.PASSES.pop("relus"))


def test_a_pass_that_a_user_adds_runs_in_every_compile(relus: Callable[[bool], None]) -> None:
    relus(False)
    (record,) = [record for record in compiled().manifest.passes if record.name == "relus"]
    assert record.fired == ["s4.relu1"]
    with pytest.raises(ValueError, match="there is a pass relus already"):
        add(infra.PASSES["relus"])


def test_a_pass_that_a_user_adds_is_verified_like_the_others(relus: Callable[[bool], None]) -> None:
    relus(True)
    with pytest.raises(InternalError):
        compiled()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_reduced_precision_is_verified_against_its_own_error(dtype: str) -> None:
    model = compiled(dtype=dtype)
    result = model.manifest.verification
    assert result is not None and 1e-5 < result.error <= result.limit
    assert str(model(image()).dtype) == f"torch.{dtype}"  # type: ignore[union-attr]


def test_labels_are_the_classes_of_the_largest_logits() -> None:
    labels, logits = compiled(output="labels")(image()), compiled()(image())
    assert isinstance(labels, Tensor) and isinstance(logits, Tensor)
    assert labels.dtype == torch.uint8 and labels.shape == (2, 40, 52)
    assert torch.equal(labels.long(), logits.argmax(1))
    many = compile(build_module(net(classes=300)), output="labels")(image())
    assert isinstance(many, Tensor) and many.dtype == torch.int16


def test_a_wrong_dilation_is_caught_and_a_small_input_would_not_see_it() -> None:
    """Outer taps of a rate as large as the map read padding only; the size that is chosen lets all of them count."""
    graph, wrong = net(dilation=20), net(dilation=19)
    weights = initial_weights(graph)
    at = verification_size(graph)
    assert at.every_tap and at.values == {"H": 81, "W": 113}
    small = {"image": image(64, 76)[:1].double()}
    exact = {key: tensor.double() for key, tensor in weights.items()}
    assert torch.equal(run(graph, exact, small)["logits"], run(wrong, exact, small)["logits"])
    with pytest.raises(InternalError, match="differs from the oracle"):
        verify(graph, weights, lambda inputs: run(wrong, weights, inputs), torch.float32)


def test_the_cost_of_a_verification_is_capped() -> None:
    blind = verification_size(net(dilation=20), 1.5e5)
    assert not blind.every_tap and blind.values["H"] < 81


def test_a_network_that_overflows_is_told_from_a_wrong_result() -> None:
    graph = net()
    weights = {key: 1e4 * tensor for key, tensor in initial_weights(graph).items()}
    with pytest.raises(ArchError) as caught:
        compile_graph(graph, weights, dtype="float16")
    assert caught.value.diagnostics[0].code == "E0808"
    assert "float16" in caught.value.diagnostics[0].message


def test_a_size_that_was_not_declared_runs_and_says_so_once() -> None:
    model = compiled(sizes=[(40, 52)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(image())
    with pytest.warns(UserWarning, match="compiled for 40x52; 48x60 runs"):
        model(image(48, 60))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(image(48, 60))


def test_what_cannot_be_compiled_is_refused_in_words() -> None:
    graph = net()
    weights = initial_weights(graph)
    with pytest.raises(ValueError, match=r"missing, deep\.depthwise1\.weight first"):
        compile_graph(graph, {k: t for k, t in weights.items() if not k.startswith("deep")})
    with pytest.raises(ValueError, match="dtype is one of"):
        compile_graph(graph, weights, dtype="int8")
    with pytest.raises(ValueError, match="output is one of logits, labels, not classes"):
        compile_graph(graph, weights, output="classes")
    with pytest.raises(ValueError, match="device is cpu or cuda, not gpu"):
        compile_graph(graph, weights, device="gpu")
    with pytest.raises(ValueError, match="sizes are pairs"):
        compile_graph(graph, weights, sizes=(64, 64))
    with pytest.raises(ValueError, match="there is no engine warp"):
        compile_graph(graph, weights, engine="warp")
    with pytest.raises(ValueError, match="W must be"):
        compile_graph(graph, weights, sizes=[(40, 2)])
    if not torch.cuda.is_available():
        with pytest.raises(Unavailable, match="no CUDA device"):
            compile_graph(graph, weights, device="cuda")


def test_an_engine_of_ones_own_is_one_class_and_one_registration() -> None:
    class Absent:
        name, own, seconds = "absent", False, 0.0

        def available(self, program: Program) -> str | None:
            return "it is never installed"

        def prepare(self, program: Program) -> object:
            raise AssertionError

    register(Absent())  # type: ignore[arg-type]
    try:
        with pytest.raises(Unavailable, match="absent cannot run: it is never installed"):
            compiled(engine="absent")
    finally:
        del ENGINES["absent"]


@pytest.mark.parametrize("output", ["logits", "labels"])
def test_an_output_that_is_labels_already_is_verified_as_such(output: str) -> None:
    """A spec that ends in `argmax`, beside another output or alone, compiles, and its classes are the oracle's."""
    net_of = "arch 1\nnetwork N {{\n  in image [3, H, W]\n  scores = image -> conv(5, 3)\n  out {}\n}}\n"
    for outputs in ("labels = argmax(scores)", "argmax(scores), scores"):
        spec = archdsl.loads(net_of.format(outputs))
        made = compile_graph(spec.ir, initial_weights(spec.ir), output=output)
        assert made.manifest.verification is not None and made.manifest.verification.passed
