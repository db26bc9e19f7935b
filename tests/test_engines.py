"""Engines that are others' work: each computes the network at a declared size, at any other, and in any thread."""

from __future__ import annotations

import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from archdsl.runtime import ENGINES, Unavailable, load
from archdsl.runtime.engines import Program
from archdsl.runtime.engines.samples import NO_SIZES, per_size
from nets import compiled, image, net
from torch import Tensor

from archdsl.lower.weights import initial_weights

SIZES = [(40, 52)]
OTHERS = ["onnxruntime", "openvino", "inductor"]


def program(dtype: torch.dtype = torch.float32, sizes: list[tuple[int, int]] | None = None) -> Program:
    graph = net()
    return Program.of(graph, initial_weights(graph), dtype, torch.device("cpu"), SIZES if sizes is None else sizes)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", OTHERS)
def test_an_engine_of_others_computes_the_network(name: str, dtype: str, tmp_path: object) -> None:
    reason = ENGINES[name].available(program(getattr(torch, dtype)))
    if reason is not None:
        pytest.skip(reason)
    model, eager = (compiled(engine=engine, dtype=dtype, sizes=SIZES, batch=2) for engine in (name, "eager"))
    verification = model.manifest.verification
    assert verification is not None and list(verification.declared) == ["40x52"]
    close = {"rtol": 0.05, "atol": 0.05} if dtype == "bfloat16" else {"rtol": 1e-4, "atol": 1e-5}
    expected = eager(image())
    with ThreadPoolExecutor(4) as threads:
        for found in threads.map(lambda _: model(image()), range(8)):
            torch.testing.assert_close(found, expected, **close)
    kept = model(image())
    model(image(seed=1))
    torch.testing.assert_close(kept, expected, **close)
    with pytest.warns(UserWarning, match="48x60 runs"):
        torch.testing.assert_close(model(image(48, 60)), _silently(eager, image(48, 60)), **close)
    again = load(model.save(f"{tmp_path}/net"))
    assert again.engine.name == name
    torch.testing.assert_close(again(image()[:1]), model(image()[:1]), **close)
    assert model.manifest.engines[0].own is False


@pytest.mark.slow
def test_onnxruntime_leaves_the_cores_to_others_after_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its threads would spin for some 30 ms of processor time otherwise."""
    if (reason := ENGINES["onnxruntime"].available(program())) is not None:
        pytest.skip(reason)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        run = ENGINES["onnxruntime"].prepare(program(sizes=[(200, 260)]))
        spent = []
        for _ in range(5):
            run(torch.zeros(1, 3, 200, 260))
            start = time.process_time()
            time.sleep(0.1)
            spent.append(time.process_time() - start)
    finally:
        torch.set_num_threads(before)
    assert sorted(spent)[2] < 0.01


INTERRUPTED = """
import gc, signal, time
from nets import image
from test_engines import ENGINES, program

runs = [ENGINES["openvino"].prepare(program()) for _ in range(2)]
for run in runs:
    run(image())
del run
while runs:
    del runs[0]
    gc.collect()
signal.signal(signal.SIGALRM, lambda *_: print("heard"))
signal.setitimer(signal.ITIMER_REAL, 0.05)
time.sleep(0.2)
"""


@pytest.mark.slow
def test_signals_arrive_after_models_of_openvino_are_gone() -> None:
    """Its plugin sets a signal stack; when two cores had come and gone, Ctrl-C was a segmentation fault."""
    if (reason := ENGINES["openvino"].available(program())) is not None:
        pytest.skip(reason)
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], cwd=Path(__file__).parent, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


def _silently(model: object, x: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model(x)  # type: ignore[operator]


def test_engines_say_what_they_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archdsl.runtime.foreign.find_spec", lambda package: object())
    for name in OTHERS:
        assert ENGINES[name].available(program(sizes=[])) == NO_SIZES
    assert "float32 only" in str(ENGINES["onnxruntime"].available(program(torch.bfloat16)))
    assert ENGINES["cuda-graphs"].available(program()) == "it runs on CUDA devices only"
    monkeypatch.setattr("archdsl.runtime.foreign.find_spec", lambda package: None)
    for name in ("onnxruntime", "openvino"):
        assert str(ENGINES[name].available(program())).endswith(f"pip install 'archdsl[{name}]'")
    with pytest.raises(Unavailable, match="openvino cannot run: openvino is not installed"):
        compiled(engine="openvino", sizes=SIZES)


def test_inductor_says_that_it_needs_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "no C++ compiler: there is no no-such-compiler" in str(ENGINES["inductor"].available(program()))


def test_one_runner_per_declared_size_and_another_for_the_rest() -> None:
    made = program(sizes=[(40, 52), (44, 52)])
    run = per_size(made, lambda inputs: lambda x: x + inputs[0].shape[2], lambda x: -x)
    assert run(torch.zeros(1, 3, 40, 52)).unique() == 40  # type: ignore[union-attr]
    assert run(torch.zeros(1, 3, 44, 52)).unique() == 44  # type: ignore[union-attr]
    assert run(torch.ones(1, 3, 41, 52)).unique() == -1  # type: ignore[union-attr]
    assert run(torch.ones(2, 3, 40, 52)).unique() == -1  # type: ignore[union-attr]
