"""`archdsl export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archdsl.cli.exits import MissingRequirement, stop_if_terminated
from archdsl.cli.options import FormatOption, JsonOption, json_targets, size, write_json
from archdsl.cli.signals import insisted_on

if TYPE_CHECKING:
    from archdsl.runtime.export.deployable import Deployable
    from archdsl.runtime.export.formats import Exported


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A compiled network.")],
    onnx: Annotated[Path | None, typer.Option("--onnx", metavar="FILE", help="Write an ONNX model.")] = None,
    torch: Annotated[
        Path | None, typer.Option("--torch", metavar="FILE", help="Write a torch.export program (.pt2).")
    ] = None,
    openvino: Annotated[
        Path | None, typer.Option("--openvino", metavar="DIR", help="Write an OpenVINO model: model.xml and model.bin.")
    ] = None,
    input_: Annotated[
        str | None,
        typer.Option("--input", metavar="HxW", help="Fix the size and a batch of one; both stay open by default."),
    ] = None,
    format_: FormatOption = "text",
    json_: JsonOption = None,
) -> None:
    """Hand a compiled network to other engines; what each file computes is held against the plain interpreter.

    Example: archdsl export build/dwrseg --onnx dwrseg.onnx --openvino dwrseg-openvino
    """
    targets = json_targets(format_, json_)
    wanted = {name: path for name, path in (("onnx", onnx), ("torch", torch), ("openvino", openvino)) if path}
    if not wanted:
        raise typer.BadParameter("nothing to write: give --onnx, --torch or --openvino", param_hint="export")
    fixed = None if input_ is None else size(input_)
    _check_packages(list(wanted))
    deployable = _deployable(folder, fixed)
    done = []
    for name, path in wanted.items():
        with insisted_on():
            done.append(_write(deployable, name, path))
        if "-" not in targets:
            _tell(deployable, done[-1])
    for target in targets:
        write_json({"version": 1, "network": deployable.manifest.network, "exports": list(map(_record, done))}, target)


def _check_packages(formats: list[str]) -> None:
    """Before any work is done. Raises MissingRequirement."""
    from archdsl.runtime.export.formats import FORMATS

    for name in formats:
        reason = FORMATS[name].missing()
        if reason is not None:
            raise MissingRequirement(f"cannot export to {name}: {reason}")


def _deployable(folder: Path, fixed: tuple[int, int] | None) -> Deployable:
    from archdsl.checking import size_errors
    from archdsl.diagnostics import ArchError, Diagnostic
    from archdsl.runtime.export.deployable import Deployable

    found = Deployable.of(folder, fixed)
    if fixed is not None:
        wrong = size_errors(found.graph, dict(zip("HW", fixed, strict=True)))
        if wrong:
            raise ArchError(Diagnostic("E0311", message, help=help) for message, help in wrong)
    return found


def _write(deployable: Deployable, name: str, path: Path) -> Exported:
    from archdsl.runtime.export.formats import FORMATS

    stop_if_terminated()
    return FORMATS[name].export(deployable, path)


def _tell(deployable: Deployable, done: Exported) -> None:
    found = done.verification
    shape = "any batch and size" if deployable.size is None else "batch 1 at {}x{}".format(*deployable.size)
    typer.echo(f"{done.format}: {done.path}, {done.bytes / 1e6:.1f} MB, {done.dtype}, {shape}")
    if done.dtype != deployable.manifest.dtype:
        typer.echo(f"  in {done.dtype} with the weights as {deployable.manifest.dtype} has rounded them")
    at = "x".join(map(str, found.sizes.values()))
    kind = "of clear labels differ" if found.output == "labels" else "of the output's rms"
    typer.echo(
        f"  read back and held against the float64 interpreter at {at}: "
        f"error {found.error:.1e} {kind} (plain eager: {found.eager_error:.1e})"
    )


def _record(done: Exported) -> dict[str, Any]:
    found = done.verification
    return {
        "format": done.format,
        "path": str(done.path),
        "bytes": done.bytes,
        "dtype": done.dtype,
        "size": found.sizes,
        "error": found.error,
        "eager_error": found.eager_error,
    }
