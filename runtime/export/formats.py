"""The formats: each writes a file, reads it back, and holds what it computes against the oracle."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from archdsl.runtime.export.deployable import Deployable, cannot
from archdsl.runtime.export.onnx import module_to_onnx
from archdsl.runtime.export.traced import quiet, traced
from archdsl.runtime.foreign import installed, openvino_compiled, openvino_core, openvino_model, ort_session
from torch import Tensor

from archdsl.atomic import whole_folder, write_bytes
from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.lower.verify import Verification

INSTALL = "pip install 'archdsl[export]'"
IR_FILES = {"model.xml", "model.bin"}


@dataclass(frozen=True)
class Exported:
    """What was written, in which dtype, and what the comparison with the oracle found."""

    format: str
    path: Path
    bytes: int
    dtype: str
    verification: Verification


@dataclass(frozen=True)
class Format:
    """`packages` are what writing and checking need; `write` raises ArchError E0803 or E0815, or InternalError."""

    name: str
    packages: tuple[str, ...]
    dtypes: tuple[torch.dtype, ...]
    write: Callable[[Deployable, Path], tuple[int, Verification]] = field(repr=False)

    def missing(self) -> str | None:
        """Why this machine cannot write the format, with the command that mends it."""
        return installed(*self.packages, install=INSTALL)

    def export(self, given: Deployable, path: Path) -> Exported:
        deployable = given.widened(self.dtypes)
        written, found = self.write(deployable, path)
        return Exported(self.name, path, written, str(deployable.dtype).removeprefix("torch."), found)


def _onnx_model(deployable: Deployable) -> bytes:
    try:
        return module_to_onnx(
            deployable.module(),
            deployable.graph,
            deployable.samples(),
            deployable.about,
            dynamic=deployable.size is None,
        )
    except (RuntimeError, NotImplementedError) as error:
        raise cannot(deployable, "ONNX", error) from error


def _write_onnx(deployable: Deployable, path: Path) -> tuple[int, Verification]:
    model = _onnx_model(deployable)
    session = ort_session(model, "cpu")
    names = [meta.name for meta in session.get_inputs()]

    def run(inputs: Sequence[Tensor]) -> list[Tensor]:
        feeds = {name: tensor.contiguous().numpy() for name, tensor in zip(names, inputs, strict=True)}
        return [torch.from_numpy(array) for array in session.run(deployable.outputs, feeds)]

    found = deployable.check(run)
    write_bytes(path, model)
    return len(model), found


def _write_torch(deployable: Deployable, path: Path) -> tuple[int, Verification]:
    try:
        program = traced(deployable.module(), deployable.graph, deployable.samples(), dynamic=deployable.size is None)
    except RuntimeError as error:
        raise cannot(deployable, "torch.export", error) from error
    buffer = io.BytesIO()
    with quiet():
        torch.export.save(program, buffer, extra_files=deployable.about)
        again = torch.export.load(io.BytesIO(buffer.getvalue())).module()

    def run(inputs: Sequence[Tensor]) -> list[Tensor]:
        with torch.no_grad():
            result = again(*inputs)
        return [result] if isinstance(result, Tensor) else [result[name] for name in deployable.outputs]

    found = deployable.check(run)
    write_bytes(path, buffer.getvalue())
    return len(buffer.getvalue()), found


def _write_openvino(deployable: Deployable, path: Path) -> tuple[int, Verification]:
    import openvino

    model: Any = openvino_model(_onnx_model(deployable))
    for key, value in deployable.about.items():
        model.set_rt_info(value, key.split("."))
    with whole_folder(path, _replaceable) as made:
        narrow = deployable.manifest.dtype == "float16"
        openvino.save_model(model, made / "model.xml", compress_to_fp16=narrow)
        size = sum(file.stat().st_size for file in made.iterdir())
        found = deployable.check(_openvino_run(made / "model.xml"))
    return size, found


def _openvino_run(file: Path) -> Callable[[Sequence[Tensor]], list[Tensor]]:
    compiled = openvino_compiled(openvino_core().read_model(file), "float32")

    def run(inputs: Sequence[Tensor]) -> list[Tensor]:
        found = compiled([tensor.float().contiguous().numpy() for tensor in inputs])
        return [torch.from_numpy(found[place].copy()) for place in range(len(compiled.outputs))]

    return run


def _replaceable(target: Path) -> None:
    """Raises ArchError E0807 when something else than an OpenVINO model stands at the target."""
    if not target.exists():
        return
    if not target.is_dir() or not {entry.name for entry in target.iterdir()} <= IR_FILES:
        message = f"{target} is there already and is no OpenVINO model"
        raise ArchError([Diagnostic("E0807", message, help="give another folder")])


FORMATS = {
    format.name: format
    for format in (
        Format("onnx", ("onnx", "onnxscript", "onnxruntime"), (torch.float32, torch.float16), _write_onnx),
        Format("torch", (), (torch.float32, torch.float16, torch.bfloat16), _write_torch),
        Format("openvino", ("onnx", "onnxscript", "openvino"), (torch.float32,), _write_openvino),
    )
}
