"""What is handed to other engines: read back, it computes the network, and it says how it is to be used."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from archdsl.runtime import CompiledModel, load
from archdsl.runtime.compile import compile
from archdsl.runtime.export import formats
from archdsl.runtime.export.deployable import Deployable, cannot
from archdsl.runtime.export.formats import FORMATS
from archdsl.runtime.export.pools import peaks_of, pooled_to
from archdsl.runtime.foreign import openvino_core
from nets import compiled, image

import archdsl
from archdsl.cli.app import _run
from archdsl.diagnostics import ArchError, InternalError

HAS = {name: form.missing() for name, form in FORMATS.items()}


def artifact(tmp_path: Path, **options: object) -> tuple[Path, CompiledModel]:
    model = compiled(**{"engine": "eager", "sizes": [(40, 52)], **options})
    return model.save(tmp_path / "net"), model


def need(name: str) -> None:
    if HAS[name] is not None:
        pytest.skip(str(HAS[name]))


def onnx_outputs(file: Path, x: torch.Tensor) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(str(file)).run(None, {"image": x.numpy()})[0]


@pytest.mark.slow
def test_onnx_computes_the_network_at_any_batch_and_size(tmp_path: Path) -> None:
    need("onnx")
    import onnx

    folder, model = artifact(tmp_path, output="labels")
    done = FORMATS["onnx"].export(Deployable.of(folder), tmp_path / "net.onnx")
    assert done.bytes == (tmp_path / "net.onnx").stat().st_size and done.verification.passed
    for x in (image(), image(48, 60)[:1]):
        found = torch.from_numpy(onnx_outputs(tmp_path / "net.onnx", x))
        torch.testing.assert_close(found, model.outputs({"image": x})["logits"], rtol=1e-4, atol=1e-5)
    read = onnx.load(tmp_path / "net.onnx")
    named = [[dim.dim_param or dim.dim_value for dim in read.graph.input[0].type.tensor_type.shape.dim]]
    assert named == [["batch", 3, "H", "W"]]
    about = {prop.key: json.loads(prop.value) for prop in read.metadata_props}
    assert about["archdsl.network"] == "Net" and about["archdsl.output"] == "labels"
    assert about["archdsl.preprocessing"]["image"] == {
        "order": "bgr",
        "mean": [0.485, 0.456, 0.406],
        "std": [1.0, 2.0, 3.0],
        "scale": pytest.approx(1 / 255),
    }


@pytest.mark.slow
def test_a_fixed_size_stands_in_the_file(tmp_path: Path) -> None:
    need("onnx")
    import onnx

    folder, _ = artifact(tmp_path)
    done = FORMATS["onnx"].export(Deployable.of(folder, (40, 52)), tmp_path / "net.onnx")
    shape = onnx.load(tmp_path / "net.onnx").graph.input[0].type.tensor_type.shape
    assert [dim.dim_value for dim in shape.dim] == [1, 3, 40, 52]
    assert done.verification.sizes == {"H": 40, "W": 52}


@pytest.mark.parametrize(("output", "dtype"), [("logits", "bfloat16"), ("labels", "float32")])
def test_torch_export_computes_the_network(tmp_path: Path, output: str, dtype: str) -> None:
    folder, model = artifact(tmp_path, output=output, dtype=dtype)
    file = tmp_path / "net.pt2"
    done = FORMATS["torch"].export(Deployable.of(folder), file)
    assert (done.dtype, done.bytes) == (dtype, file.stat().st_size)
    extra = {"archdsl.network": ""}
    again = torch.export.load(file, extra_files=extra).module()
    for x in (image(), image(48, 60)[:1]):
        x = x.to(getattr(torch, dtype), memory_format=torch.channels_last)
        torch.testing.assert_close(again(x), model.outputs({"image": x})["logits"], rtol=1e-2, atol=1e-2)
    assert json.loads(extra["archdsl.network"]) == "Net"


@pytest.mark.slow
def test_openvino_computes_the_network(tmp_path: Path) -> None:
    need("openvino")
    folder, model = artifact(tmp_path)
    target = tmp_path / "ov"
    for _ in range(2):  # the second takes the place of the first
        done = FORMATS["openvino"].export(Deployable.of(folder), target)
    assert {file.name for file in target.iterdir()} == {"model.xml", "model.bin"} and done.dtype == "float32"
    read = openvino_core().read_model(target / "model.xml")
    assert read.get_rt_info(["archdsl", "network"]).astype(str) == '"Net"'
    run = openvino_core().compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for x in (image(), image(48, 60)[:1]):
        np.testing.assert_allclose(run([x.numpy()])[0], model.outputs({"image": x})["logits"], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("spec", "to"), [("dwrseg", "onnx"), ("regseg", "torch"), ("gun", "openvino")])
def test_the_shipped_networks_go_out(tmp_path: Path, spec: str, to: str) -> None:
    """Each to one format, at a fixed size, which takes a tenth of the time."""
    need(to)
    module = archdsl.load(f"specs/{spec}.arch").module(seed=0)
    folder = compile(module, sizes=[(64, 128)], engine="eager", output="labels").save(tmp_path / spec)
    assert FORMATS[to].export(Deployable.of(folder, (64, 128)), tmp_path / "out").verification.passed


def test_an_export_that_computes_something_else_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = artifact(tmp_path)
    honest = torch.export.load

    def tampered(file: object) -> Any:
        program = honest(file)  # type: ignore[arg-type]
        with torch.no_grad():
            program.state_dict["logits.conv1.bias"].add_(0.01)
        return program

    monkeypatch.setattr(formats.torch.export, "load", tampered)
    with pytest.raises(InternalError, match="differs from the oracle"):
        FORMATS["torch"].export(Deployable.of(folder), tmp_path / "net.pt2")
    assert not (tmp_path / "net.pt2").exists()


def test_a_file_that_is_right_at_one_size_only_is_not_for_any_size(tmp_path: Path) -> None:
    folder, model = artifact(tmp_path)
    seen: list[torch.Size] = []

    def constant(inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Adds what was a part of the map where it was traced, and is none elsewhere."""
        seen.append(inputs[0].shape)
        bias = 0.0 if inputs[0].shape == seen[0] else 0.01
        return [model.outputs({"image": inputs[0]})["logits"] + bias]

    with pytest.raises(ArchError) as raised:
        Deployable.of(folder).check(constant)
    (told,) = raised.value.diagnostics
    assert told.code == "E0815" and "--input 64x96" in str(told.help) and len(set(seen)) == 2
    seen.clear()
    assert Deployable.of(folder, (40, 52)).check(constant).passed and len(seen) == 1


def test_an_openvino_model_takes_the_place_of_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ArchError) as raised:
        formats._replaceable(tmp_path)
    assert [d.code for d in raised.value.diagnostics] == ["E0807"]


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["archdsl", "export", *map(str, arguments)])
    return _run()


def test_the_command_tells_what_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = artifact(tmp_path)
    assert command(monkeypatch, folder, "--torch", tmp_path / "net.pt2", "--json", tmp_path / "e.json") == 0
    printed = capsys.readouterr().out
    assert (
        "net.pt2" in printed and "any batch and size" in printed and "held against the float64 interpreter" in printed
    )
    (entry,) = json.loads((tmp_path / "e.json").read_text())["exports"]
    assert entry["format"] == "torch" and entry["error"] <= 2 * entry["eager_error"] + 1e-6
    assert command(monkeypatch, folder, "--torch", tmp_path / "net.pt2", "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["exports"] == [entry]
    assert load(folder).manifest.network == "Net"


def test_what_cannot_be_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = artifact(tmp_path)

    def ended(*arguments: object) -> tuple[int, str]:
        return command(monkeypatch, *arguments), capsys.readouterr().err

    assert ended(folder) == (2, ended(folder)[1]) and "give --onnx, --torch or --openvino" in ended(folder)[1]
    code, words = ended(tmp_path / "nowhere", "--torch", tmp_path / "x.pt2")
    assert code == 1 and "E0806" in words
    code, words = ended(folder, "--torch", tmp_path / "no" / "such" / "x.pt2")
    assert code == 1 and "E0803" in words
    code, words = ended(folder, "--torch", tmp_path / "x.pt2", "--input", "wide")
    assert code == 2 and "is no size" in words
    monkeypatch.setattr("archdsl.runtime.foreign.find_spec", lambda package: None)
    for name in ("onnx", "openvino"):
        code, words = ended(folder, f"--{name}", tmp_path / "x")
        assert code == 3 and "is not installed; pip install 'archdsl[export]'" in words, words


def test_an_exporters_failure_is_told_by_its_cause(tmp_path: Path) -> None:
    """Not by the advice that exporters wrap it in; where any size was asked for, one may do."""
    folder, _ = artifact(tmp_path)
    wrapped = RuntimeError("\x1b[96mThis is step 3/3\x1b[0m of exporting")
    wrapped.__cause__ = TypeError("no word for unpooling\nNext steps: none")
    for size, help in ((None, "--input HxW"), ((40, 52), "another format may take it")):
        (said,) = cannot(Deployable.of(folder, size), "ONNX", wrapped).diagnostics
        assert said.code == "E0815" and said.message.endswith("cannot be exported to ONNX: no word for unpooling")
        assert help in (said.help or "") and ("HxW" in (said.help or "")) == (size is None)


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (3, 6), (8, 4), (7, 7)])
def test_pools_that_follow_an_open_size_are_adaptive_pools(size: tuple[int, int]) -> None:
    for height, width in ((1, 1), (5, 8), (13, 30), (32, 9)):
        x = torch.rand(2, 3, height, width, dtype=torch.float64)
        expected = torch.nn.functional.adaptive_avg_pool2d(x, size)
        torch.testing.assert_close(pooled_to(x, size), expected, rtol=1e-12, atol=1e-12)
        assert torch.equal(peaks_of(-x, size), torch.nn.functional.adaptive_max_pool2d(-x, size))


@pytest.mark.slow
def test_adaptive_pools_follow_an_open_size(tmp_path: Path) -> None:
    """A pyramid's bins are those of each size, in a file that was traced at another."""
    need("onnx")
    text = """arch 1
network Net {
  in image [3, H, W]
  pooled = image -> adaptive_pool((3, 5)) -> resize(like=image)
  peaks = image -> adaptive_pool((2, 4), kind="max") -> resize(like=image)
  out y = image * (image -> global_pool(kind="max")) + pooled + peaks -> conv(4, bias=true)
}
"""
    model = compile(archdsl.loads(text).module(), sizes=[(24, 40)], engine="eager")
    done = FORMATS["onnx"].export(Deployable.of(model.save(tmp_path / "net")), tmp_path / "net.onnx")
    assert done.verification.passed
    for height, width in ((24, 40), (31, 47), (7, 60)):
        x = torch.rand(1, 3, height, width)
        found = torch.from_numpy(onnx_outputs(tmp_path / "net.onnx", x))
        torch.testing.assert_close(found, model.outputs({"image": x})["y"], rtol=1e-4, atol=1e-5)
