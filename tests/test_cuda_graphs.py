"""The logic of CUDA graphs, on a backend that records on the CPU: buffers, threads, sizes, weights, failures."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from archdsl.runtime import Program, load
from archdsl.runtime.compile import compile
from archdsl.runtime.engines.cuda_graphs import GraphRunner
from archdsl.runtime.engines.eager import eager
from archdsl.runtime.engines.registry import ENGINES, Outputs, Runner
from archdsl.runtime.model import CompiledModel
from nets import compiled, image, net
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import archdsl
from archdsl.lower.weights import initial_weights

SIZES = [(40, 52), (48, 60)]


class FakeBackend:
    """Replays by computing anew from the captured inputs into the captured outputs, as a device would."""

    def __init__(self, refuse: tuple[int, ...] = ()) -> None:
        self.refuse = refuse
        self.busy = False
        self.captures, self.replays, self.lent = 0, 0, 0

    @contextmanager
    def on_stream(self) -> Iterator[None]:
        assert not self.busy, "two calls at once on the one stream"
        self.busy = True
        yield
        self.busy = False

    def capture(self, work: Callable[[], Any]) -> tuple[Any, Any]:
        outputs = work()
        if outputs.shape[-2] in self.refuse:
            raise RuntimeError("operation not permitted when stream is capturing\nand a trace")
        self.captures += 1
        backend = self

        class Recording:
            def replay(self) -> None:
                backend.replays += 1
                outputs.copy_(work())

        return Recording(), outputs

    def lend(self, tensor: Tensor) -> None:
        self.lent += 1

    def pool_bytes(self) -> int:
        return 1000


class Counted:
    """An inner runner that counts its calls."""

    def __init__(self, run: Runner) -> None:
        self.run, self.calls = run, 0

    def __call__(self, *inputs: Tensor) -> Outputs:
        self.calls += 1
        return self.run(*inputs)


def runner(refuse: tuple[int, ...] = ()) -> tuple[GraphRunner, FakeBackend, Program]:
    graph = net()
    program = Program.of(graph, initial_weights(graph), torch.float32, torch.device("cpu"), SIZES)
    backend = FakeBackend(refuse)
    return GraphRunner(program, eager.prepare(program), backend), backend, program


def result(run: Callable[..., Outputs], x: Tensor) -> Tensor:
    found = run(x)
    assert isinstance(found, Tensor)
    return found


def one(height: int = 40, width: int = 52, seed: int = 0) -> Tensor:
    return image(height, width, seed)[:1]


def test_declared_sizes_are_replayed_and_equal_what_was_captured() -> None:
    run, backend, program = runner()
    plain = eager.prepare(program)
    assert backend.captures == 2
    for size in SIZES:
        for seed in (1, 2):
            x = one(*size, seed)
            assert torch.equal(result(run, x), result(plain, x))
    assert backend.replays == 4 and backend.lent == 4


def test_outputs_are_the_callers_unless_borrowed() -> None:
    run, _, _ = runner()
    first = result(run, one())
    kept = first.clone()
    result(run, one(seed=1))
    assert torch.equal(first, kept)
    borrowed = result(run.borrowed, one())
    assert torch.equal(borrowed, kept)
    again = result(run.borrowed, one(seed=1))
    assert borrowed.data_ptr() == again.data_ptr() and not torch.equal(borrowed, kept)


def test_callers_cannot_corrupt_the_buffers() -> None:
    run, _, program = runner()
    plain = eager.prepare(program)
    x = one()
    result(run, x).fill_(float("nan"))
    result(run.borrowed, x).fill_(float("nan"))
    x.fill_(7)
    assert torch.equal(result(run, one(seed=3)), result(plain, one(seed=3)))


def test_a_size_or_batch_without_a_recording_runs_on_the_engine() -> None:
    run, backend, program = runner()
    plain = eager.prepare(program)
    for x in (one(44, 56), image()):
        assert torch.equal(result(run, x), result(plain, x))
    assert backend.replays == 0


def test_threads_take_turns_and_each_gets_its_own_result() -> None:
    run, backend, program = runner()
    plain = eager.prepare(program)
    images = [one(*SIZES[i % 2], seed=i) for i in range(24)]
    expected = [result(plain, x) for x in images]
    start = threading.Barrier(6)

    def work(i: int) -> Tensor:
        if i < 6:
            start.wait()
        return result(run, images[i])

    with ThreadPoolExecutor(6) as threads:
        assert all(map(torch.equal, threads.map(work, range(24)), expected))
    assert backend.replays == 24


def test_weights_changed_in_place_are_seen() -> None:
    run, backend, program = runner()
    before = result(run, one())
    with torch.no_grad():
        program.weights["logits.conv1.bias"].add_(1.0)
    assert torch.allclose(result(run, one()), before + 1, atol=1e-5) and backend.captures == 2


def test_a_capture_that_fails_is_said_once_and_costs_no_result() -> None:
    with pytest.warns(UserWarning, match="Net runs un-captured at 1x3x48x60: operation not permitted") as said:
        run, backend, program = runner(refuse=(48,))
    assert len(said) == 1
    plain = eager.prepare(program)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for size in SIZES:
            assert torch.equal(result(run, one(*size)), result(plain, one(*size)))
    assert backend.replays == 1 and not backend.busy


def test_memory_is_told_by_size() -> None:
    run, _, _ = runner()
    floats = 4 * (3 + 5)
    assert run.memory() == {
        "buffers 1x3x40x52": floats * 40 * 52,
        "buffers 1x3x48x60": floats * 48 * 60,
        "pool": 1000,
    }


def test_warm_up_comes_before_capture() -> None:
    graph = net()
    program = Program.of(graph, initial_weights(graph), torch.float32, torch.device("cpu"), [(40, 52)])
    counted = Counted(eager.prepare(program))
    GraphRunner(program, counted, FakeBackend())
    assert counted.calls == 4


class FakeGraphs:
    """The engine, on the fake backend."""

    name, own, seconds = "fake-graphs", True, 0.0

    def available(self, program: Program) -> str | None:
        return None

    def prepare(self, program: Program) -> Runner:
        return GraphRunner(program, eager.prepare(program), FakeBackend())


def test_a_batch_that_was_not_captured_is_said_once_and_runs(model: CompiledModel) -> None:
    x = image()
    with pytest.warns(UserWarning, match="Net was compiled for batch 2; a batch of 1 runs, perhaps slower") as said:
        one_by_one = [model(x[i : i + 1]) for i in range(2)]
    assert len(said) == 1
    torch.testing.assert_close(torch.cat(one_by_one), model(x))  # type: ignore[arg-type]


def test_an_artifact_is_captured_for_its_batch_again(model: CompiledModel, tmp_path: Path) -> None:
    again = load(model.save(tmp_path / "net"))
    assert again.program.batch == again.manifest.batch == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(again(image()), model(image()))  # type: ignore[arg-type]
    assert "buffers 2x3x40x52" in again.memory()


class NoWaiting(TorchDispatchMode):
    """Refuses what makes the host wait for the device, or copies from the host: neither can be captured."""

    WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "lift_fresh", "item")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func.overloadpacket.__name__ not in self.WAITS, f"{func} cannot be captured"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("output", ["logits", "labels"])
@pytest.mark.parametrize("spec", ["dwrseg", "regseg", "gun"])
def test_a_call_does_nothing_that_cannot_be_captured(spec: str, output: str) -> None:
    module = archdsl.load(f"specs/{spec}.arch").module(seed=0)
    program = compile(module, sizes=[(64, 96)], engine="eager", output=output).program  # type: ignore[arg-type]
    run = eager.prepare(program)
    with NoWaiting():
        found = run(torch.zeros(1, 3, 64, 96).contiguous(memory_format=torch.channels_last))
    assert isinstance(found, torch.Tensor) and found.shape[-2:] == (64, 96)


def test_what_cannot_be_captured_is_noticed() -> None:
    with NoWaiting(), pytest.raises(AssertionError, match="cannot be captured"):
        torch.zeros(1).item()
    with NoWaiting(), pytest.raises(AssertionError, match="cannot be captured"):
        torch.tensor([1.0, 2.0])


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> CompiledModel:
    monkeypatch.setitem(ENGINES, "fake-graphs", FakeGraphs())
    return compiled(engine="fake-graphs", sizes=SIZES, batch=2)


def test_a_compiled_model_borrows_tells_its_memory_and_takes_new_weights(model: CompiledModel) -> None:
    x = image()
    before = model(x)
    assert torch.equal(model(x, copy=False), before)
    memory = model.memory()
    assert memory["pool"] == 1000 and memory["weights"] == sum(4 * t.numel() for t in model.program.weights.values())
    other = initial_weights(net(), 5)
    model.update(other)
    expected = compiled(engine="eager", sizes=SIZES)
    expected.update(other)
    torch.testing.assert_close(model(x), expected(x))
    assert not torch.allclose(model(x), before)
    with pytest.raises(ValueError, match="missing"):
        model.update({})
    verification = model.manifest.verification
    assert verification is not None and set(verification.declared) == {"40x52", "48x60"}


def test_our_own_kernels_are_captured_too() -> None:
    graph = net()
    program = Program.of(graph, initial_weights(graph), torch.float32, torch.device("cpu"), SIZES)
    assert ENGINES["cuda-graphs-triton"].own and not ENGINES["cuda-graphs-inductor"].own
    assert ENGINES["cuda-graphs-triton"].available(program) == "it runs on CUDA devices only"


@pytest.mark.gpu
@pytest.mark.parametrize("engine", ["cuda-graphs", "cuda-graphs-triton"])
def test_on_a_gpu_replays_equal_what_was_captured(engine: str) -> None:
    """Streams, threads and borrowed outputs on the device itself."""
    graph = net()
    program = Program.of(graph, initial_weights(graph), torch.float32, torch.device("cuda"), SIZES)
    run = ENGINES[engine].prepare(program)
    plain = eager.prepare(program)

    def work(i: int) -> bool:
        x = one(*SIZES[i % 2], seed=i).cuda().to(memory_format=torch.channels_last)
        stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            found = result(run, x)
            expected = result(plain, x)
        stream.synchronize()
        return torch.allclose(found, expected, rtol=1e-3, atol=1e-3)

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(work, range(32)))
    assert run.memory()["pool"] > 0  # type: ignore[attr-defined]
