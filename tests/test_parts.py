"""Networks in parts: where they can be cut, several engines for one network, and when that is chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from archdsl.runtime import ENGINES, Program, Unavailable, by_parts, choose, load, register, stopwatch
from archdsl.runtime.engines import Split
from archdsl.runtime.engines.eager import Eager
from archdsl.runtime.engines.parts import MAX_CROSSING, cuts, split
from archdsl.runtime.engines.registry import Outputs, Runner
from hypothesis import assume, given
from nets import compiled, image
from random_graphs import allowed_size, graphs, shipped
from torch import Tensor

from archdsl.ir.builder import GraphBuilder
from archdsl.ir.graph import Graph, Output
from archdsl.lower.weights import initial_weights
from archdsl.passes import Costs, inference_only, space_to_batch

SIZES = [(40, 52)]
NOW = [0.0]
CLOCKS = ("monotonic", "perf_counter", "process_time")


class Apt(Eager):
    """Eager that takes, on a clock of the test, some milliseconds for each node of the ops that it is bad at."""

    own = False

    def __init__(self, name: str, bad_at: str, scale: float = 1.0) -> None:
        self.name, self.bad_at, self.scale = name, bad_at, scale
        self.prepared = 0

    def prepare(self, program: Program) -> Runner:
        self.prepared += 1
        run, hard = super().prepare(program), Counter(node.op for node in program.graph.nodes)[self.bad_at]
        whole = program.graph.inputs[0].name == "image"

        def slowly(*inputs: Tensor) -> Outputs:
            NOW[0] += 0.001 + 0.01 * hard
            result = run(*inputs)
            assert isinstance(result, Tensor)
            return result if whole else result * self.scale

        return slowly


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Apt]]:
    """Two engines: one that is bad at convolutions, which come first, and one at resizing, which comes last."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    clock = SimpleNamespace(**dict.fromkeys(CLOCKS, lambda: NOW[0]), sleep=lambda seconds: None)
    monkeypatch.setattr(choose, "time", clock)
    monkeypatch.setattr(stopwatch, "time", clock)
    before = dict(ENGINES)
    ENGINES.clear()
    made = [Apt("painter", "fused_conv"), Apt("builder", "resize")]
    for engine in made:
        register(engine)
    yield made
    ENGINES.clear()
    ENGINES.update(before)


# ------------------------------------------------------------------- choosing


def test_a_network_is_split_where_several_engines_are_faster_than_one(engines: list[Apt], tmp_path: Path) -> None:
    model = compiled(sizes=SIZES)
    whole, *parts = model.manifest.engines
    assert (whole.part, whole.own) == ("all", False)
    assert set(Split.of(whole.engine).engines) == set(engines)
    assert whole.milliseconds[whole.engine] < 0.97 * min(whole.milliseconds[engine.name] for engine in engines)
    for part in parts:
        assert part.milliseconds[part.engine] == min(part.milliseconds.values())
    assert {part.engine for part in parts} == {"painter", "builder"}
    assert model.manifest.verification is not None and list(model.manifest.verification.declared) == ["40x52"]
    expected = compiled(engine="builder")(image())
    torch.testing.assert_close(model(image()[:1]), expected[:1])  # type: ignore[index]
    with pytest.warns(UserWarning, match="batch 1"):
        torch.testing.assert_close(model(image()), expected)
    again = load(model.save(tmp_path / "net"))
    assert again.engine.name == whole.engine and again.manifest.engines == model.manifest.engines
    torch.testing.assert_close(again(image()[:1]), expected[:1])  # type: ignore[index]


def test_a_split_is_remembered_and_found_again_by_its_name(engines: list[Apt]) -> None:
    first = compiled(sizes=SIZES).manifest.engines
    prepared = [engine.prepared for engine in engines]
    second = compiled(sizes=SIZES).manifest.engines
    assert second == first
    assert [engine.prepared - before for engine, before in zip(engines, prepared, strict=True)] == [1, 1]
    named, *parts = compiled(sizes=SIZES, engine=first[0].engine).manifest.engines
    assert named.engine == first[0].engine
    assert [part.engine for part in parts] == [engine.name for engine in Split.of(named.engine).engines]


def test_where_an_engine_of_a_split_is_missing_the_fastest_one_left_runs_all(
    engines: list[Apt], tmp_path: Path
) -> None:
    model = compiled(sizes=SIZES)
    folder = model.save(tmp_path / "net")
    expected = model(image()[:1])
    register(Eager())
    del ENGINES["painter"]
    with pytest.warns(UserWarning, match="there is no engine .*painter.*; builder runs it"):
        again = load(folder)
    assert again.engine.name == "builder"
    torch.testing.assert_close(again(image()[:1]), expected)


def test_own_engines_alone_are_not_split_with_others(engines: list[Apt]) -> None:
    compiled(sizes=SIZES)
    register(Eager())
    assert [choice.engine for choice in compiled(sizes=SIZES, engine="own").manifest.engines] == ["eager"]


def test_where_one_engine_is_best_at_all_parts_that_is_said_and_remembered(engines: list[Apt]) -> None:
    engines[0].bad_at, engines[1].bad_at = "resize", "nothing"
    (choice,) = compiled(sizes=SIZES).manifest.engines
    assert choice.engine == "builder"
    assert choice.skipped["parts"] == "builder is the fastest on each of 4 parts (painter tried)"
    prepared = engines[0].prepared
    (again,) = compiled(sizes=SIZES).manifest.engines
    assert again.skipped["parts"] == choice.skipped["parts"] and engines[0].prepared == prepared


def test_a_gain_on_parts_that_the_whole_does_not_show_is_none(
    engines: list[Apt], monkeypatch: pytest.MonkeyPatch
) -> None:
    compare = choose._compare
    handed_over = iter([None, (10.0, 9.9)])
    monkeypatch.setattr(choose, "_compare", lambda *given: next(handed_over) or compare(*given))
    (choice,) = compiled(sizes=SIZES).manifest.engines
    assert choice.skipped["parts"].endswith(
        "took 9.9 ms where painter took 10 ms, and must be 3% faster to be worth it"
    )


def test_a_split_that_is_wrong_is_not_taken(engines: list[Apt]) -> None:
    engines[0].scale = 1.1
    (choice,) = compiled(sizes=SIZES).manifest.engines
    assert choice.engine == "painter" and "rejected: Net as compiled differs" in choice.skipped["parts"]


def test_parts_are_tried_in_the_time_given_only(engines: list[Apt]) -> None:
    for engine in engines:
        engine.seconds = 5.0
    (choice,) = compiled(sizes=[(44, 52)], tune=5.3).manifest.engines
    assert choice.skipped["parts"] == by_parts.LATE


# ------------------------------------------------------------------- by name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("eager+eager", "there is no engine eager[+]eager"),
        ("eager:y+warp", "there is no engine eager:y[+]warp"),
        ("eager:y+eager:z", "there is no engine"),
        ("eager:y", "there is no engine"),
    ],
)
def test_what_names_no_split_is_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compiled(sizes=SIZES, engine=name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("eager:nowhere+eager", "no node nowhere in the rewritten network"),
        ("eager:logits.resize1+eager", "no node logits.resize1 in the rewritten network that could end a part"),
        ("eager:logits.conv1+eager:s4.conv1+eager", "follow one another"),
        ("eager:s4.conv1+cuda-graphs", "cuda-graphs: it runs on CUDA devices only"),
    ],
)
def test_a_split_that_cannot_be_says_why(name: str, message: str) -> None:
    with pytest.raises(Unavailable, match=message):
        compiled(sizes=SIZES, engine=name)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["eager", "native", "onnxruntime", "openvino", "inductor"])
def test_real_engines_share_a_network(engine: str) -> None:
    """The last part reads the image for its size alone."""
    whole = compiled(engine="eager")
    if (reason := ENGINES[engine].available(compiled(sizes=SIZES, engine="eager").program)) is not None:
        pytest.skip(reason)
    for name in (f"eager:s4.conv1+{engine}:deep.resize1+eager", f"eager:deep.resize1+{engine}"):
        model = compiled(sizes=SIZES, engine=name, batch=2)
        torch.testing.assert_close(model(image()), whole(image()), rtol=1e-4, atol=1e-5)


# ------------------------------------------------------------------- cutting


@given(graphs())
def test_the_parts_of_any_network_make_what_the_whole_makes(graph: Graph) -> None:
    assume(len(graph.inputs) == 1)
    values = allowed_size(graph)
    size = values.get("H", 1), values.get("W", 1)
    assume(set(values) == {"H", "W"})
    assume(all(rule.allows(values[name]) for name, rule in graph.size_rules))
    weights = {key: tensor.double() for key, tensor in initial_weights(graph).items()}
    kept = inference_only(graph, weights)
    program = Program.of(kept.graph, kept.weights, torch.float64, torch.device("cpu"), [size])
    x = torch.randn(1, graph.inputs[0].types[0].channels, *size, dtype=torch.float64)
    whole = Eager().prepare(program)(x)
    behind = [cut.behind for cut in cuts(program, size, Costs())]
    assume(behind)
    run = Split([Eager()] * (len(behind) + 1), behind).prepare(program)
    torch.testing.assert_close(run(x), whole, equal_nan=True)


def test_cuts_of_the_shipped_networks_are_narrow_and_spread_over_the_work() -> None:
    for spec in ("dwrseg", "regseg", "gun"):
        graph = shipped(f"{spec}.arch")
        program = Program(graph, initial_weights(graph), torch.float32, torch.device("cpu"), ((256, 512),))
        found = cuts(program, (256, 512), Costs())
        assert all(cut.crossing <= MAX_CROSSING for cut in found)
        assert [cut.before for cut in found] == sorted(cut.before for cut in found)
        assert len(by_parts._spread(program)) == by_parts.PARTS - 1
        one = split(program, [found[0].behind], (256, 512))
        assert len(one[1].reads) <= found[0].crossing + 1


def test_indices_and_phases_do_not_cross() -> None:
    builder = GraphBuilder()
    x = builder.input("image", 3)
    y = builder.add("conv", [x], {"out": 4, "kernel": 3}, name="first")
    pooled, indices = builder.add("max_pool", y, {"kernel": 2, "stride": 2, "indices": True}, name="pool")
    z = builder.add("relu", [pooled], name="relu")
    back = builder.add("unpool", [z[0], indices], {"kernel": 2, "stride": 2}, name="unpool")
    y = builder.add("resize", back, {"scale": 4}, name="larger")
    y = builder.add("conv", y, {"out": 4, "kernel": 3, "dilation": 4}, name="one")
    y = builder.add("conv", y, {"out": 4, "kernel": 3, "dilation": 4}, name="two")
    graph = builder.finish("Net", [Output("y", y[0])])
    result = space_to_batch(graph, initial_weights(graph), Costs(dilated=1000.0))
    assert result.fired
    program = Program(result.graph, result.weights, torch.float32, torch.device("cpu"), ((64, 64),))
    places = [cut.behind for cut in cuts(program, (64, 64), Costs())]
    assert {"first", "larger"} <= set(places)
    assert not {"pool", "relu", "one"} & set(places)
