"""`archdsl compile`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archdsl.cli.exits import MissingRequirement, stop_if_terminated
from archdsl.cli.loading import Trained, Weights, load_module, load_network, read_weights_file
from archdsl.cli.options import NetworkOption, SetOption, seconds, settings_of, size
from archdsl.cli.signals import insisted_on

if TYPE_CHECKING:
    from archdsl.lower.verify import Verification
    from archdsl.network import Network
    from archdsl.runtime.compile import Description
    from archdsl.runtime.manifest import Choice, PassRecord, WeightsKind
    from archdsl.runtime.model import CompiledModel

DEFAULT_SIZE = (512, 1024)
DTYPES = ("float32", "bfloat16", "float16")
RESULTS = ("logits", "labels")


def compile_command(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="The spec to compile.")],
    folder: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="DIR", help="The artifact's folder; build/<spec> by default.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="Trained weights; random ones otherwise.")
    ] = None,
    input_: Annotated[
        list[str] | None, typer.Option("--input", metavar="HxW", help="A size it will run at; repeatable.")
    ] = None,
    dtype: Annotated[
        str, typer.Option("--dtype", metavar="|".join(DTYPES), help="The precision it runs in.")
    ] = "float32",
    device: Annotated[str, typer.Option("--device", metavar="cpu|cuda", help="Where it runs.")] = "cpu",
    engine: Annotated[
        str,
        typer.Option("--engine", metavar="auto|own|NAME", help="What runs it; auto takes the fastest, by parts too."),
    ] = "auto",
    output: Annotated[str, typer.Option("--output", metavar="|".join(RESULTS), help="What it gives.")] = "logits",
    batch: Annotated[int, typer.Option("--batch", metavar="N", min=1, max=1024, help="Images in one call.")] = 1,
    tune: Annotated[
        str, typer.Option("--tune", metavar="TIME", help="What `--engine auto` may take to try engines, e.g. 5m.")
    ] = "10s",
    network: NetworkOption = None,
    set_: SetOption = None,
) -> None:
    """Make a verified artifact of a spec: folded, held against the plain interpreter, with a report.

    Example: archdsl compile specs/dwrseg.arch --input 512x1024
    """
    one_of("--output", output, RESULTS)
    one_of("--dtype", dtype, DTYPES)
    check_engine(engine)
    sizes = [size(text) for text in input_ or ()]
    given = read_weights_file(weights)
    net = load_network(spec, network, settings_of(set_), given)
    sizes = sizes or [_default_size(net, given)]
    if device == "cpu" and engine in ("auto", "own") and dtype != "float16":
        _tell_of_building()
    with insisted_on():
        made = _compile(net, given, sizes, dtype, device, engine, output, batch, seconds("--tune", tune))
    target = folder or Path("build") / Path(spec).stem
    stop_if_terminated()
    made.save(target, _report(net, made))
    _tell(made, target)


def check_engine(name: str) -> None:
    """Raises BadParameter for what names neither an engine nor a split between engines."""
    from archdsl.runtime.engines import ENGINES, Split

    try:
        if "+" in name:
            Split.of(name)
        else:
            one_of("--engine", name, ("auto", "own", *ENGINES))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--engine") from error


def one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raises BadParameter for a value that is not among those allowed."""
    if value not in allowed:
        raise typer.BadParameter(f"{value!r} is not one of {', '.join(allowed)}", param_hint=option)


def _default_size(net: Network, weights: Weights | None) -> tuple[int, int]:
    """The size that the weights were trained for; else a usual one."""
    from archdsl.checking import nearest_size

    wanted = Trained.of(weights).size or DEFAULT_SIZE
    allowed = nearest_size(net.ir, dict(zip("HW", wanted, strict=True)))
    return allowed["H"], allowed["W"]


def _compile(
    net: Network,
    weights: Weights | None,
    sizes: list[tuple[int, int]],
    dtype: str,
    device: str,
    engine: str,
    output: str,
    batch: int,
    tune: float,
) -> CompiledModel:
    from archdsl.checking import size_errors
    from archdsl.diagnostics import ArchError, Diagnostic
    from archdsl.runtime.compile import compile
    from archdsl.runtime.engines import Unavailable

    wrong = [error for h, w in sizes for error in size_errors(net.ir, {"H": h, "W": w})]
    if wrong:
        raise ArchError(Diagnostic("E0311", message, help=help) for message, help in wrong)
    module = load_module(net, weights)
    try:
        return compile(
            module,
            sizes=sizes,
            dtype=dtype,  # type: ignore[arg-type]
            device=device,
            engine=engine,
            output=output,  # type: ignore[arg-type]
            batch=batch,
            tune=tune,
            description=_describe(weights),
        )
    except Unavailable as lacking:
        raise MissingRequirement(str(lacking)) from lacking


def _tell_of_building() -> None:
    from archdsl.runtime.engines.native import build

    if build.pending():
        print("building archdsl's kernels for this machine, which is done once", file=sys.stderr, flush=True)


def _describe(weights: Weights | None) -> Description:
    from archdsl.runtime.compile import Description

    if weights is None:
        return Description(weights="random")
    kind: WeightsKind = "partial" if weights.metadata.get("random") else "given"
    trained = Trained.of(weights)
    return Description(weights=kind, class_names=trained.class_names, palette=trained.palette)


def _report(net: Network, made: CompiledModel) -> str:
    from archdsl.report.html import render_html

    height, width = made.manifest.sizes[0]
    return render_html(net, values={"H": height, "W": width}, manifest=made.manifest)


_RANDOM = {
    "random": "no --weights were given, so the weights are random",
    "partial": "the weights were imported in part; the rest is random",
}


def _tell(made: CompiledModel, target: Path) -> None:
    manifest = made.manifest
    sizes = ", ".join(f"{h}x{w}" for h, w in manifest.sizes)
    typer.echo(
        f"{manifest.network} for {sizes} in {manifest.dtype} on {manifest.device}, engine {manifest.engines[0].engine}"
    )
    for line in (*_choice(manifest.engines[0], manifest.device), *_parts(manifest.engines[1:])):
        typer.echo(f"  {line}")
    for line in _rewrites(manifest.passes):
        typer.echo(f"  {line}")
    if manifest.verification is not None:
        typer.echo(f"  {_proof(manifest.verification)}")
    if manifest.weights != "given":
        print(f"warning: {_RANDOM[manifest.weights]}", file=sys.stderr)
    typer.echo(f"artifact: {target}   report: {target / 'report.html'}")


def _rewrites(passes: Sequence[PassRecord]) -> Iterator[str]:
    """How often each rewrite was made, and how many were looked at and left."""
    fired = [f"{record.name} {len(record.fired)}" for record in passes if record.fired]
    yield f"rewrites: {', '.join(fired) or 'none'}"
    if declined := sum(len(record.declined) for record in passes):
        yield f"looked at and left: {declined}; manifest.json says where and why"


def _choice(choice: Choice, device: str) -> Iterator[str]:
    """What was measured, and what was not tried or did not do, or why our own kernels for CPUs cannot run.

    What cannot run besides is in the manifest.
    """
    from archdsl.runtime.by_parts import LATE
    from archdsl.runtime.choose import FAILED, PARTS, REJECTED
    from archdsl.runtime.engines.native import NAME as OURS

    if choice.milliseconds:
        ranked = sorted(choice.milliseconds.items(), key=lambda item: item[1])
        yield "measured here: " + ", ".join(f"{name} {ms:.3g} ms" for name, ms in ranked)
    late = [name for name, reason in choice.skipped.items() if reason.startswith(LATE)]
    if late:
        yield f"not tried, for want of time: {', '.join(late)} (--tune 5m gives it)"
    for name, reason in choice.skipped.items():
        if reason.startswith((FAILED, REJECTED)):
            yield f"{name} {reason}"
        elif name == OURS and device == "cpu" and name not in late:
            yield f"{name} cannot run here: {reason}"
        elif name == PARTS and name not in late:
            yield f"one engine for the whole: {reason}"


def _parts(choices: Sequence[Choice]) -> Iterator[str]:
    """Which engine runs which part, and what each that was tried on it took."""
    for choice in choices:
        took = ", ".join(f"{name} {ms:.3g} ms" for name, ms in choice.milliseconds.items())
        yield f"{choice.part}: {choice.engine}" + (f" ({took})" if took else "")


def _proof(found: Verification) -> str:
    size = "x".join(str(n) for n in found.sizes.values())
    of = "of the clear pixels' labels" if found.output == "labels" else "of the output's rms"
    blind = "" if found.every_tap else ", where some taps only see padding"
    return (
        f"verified against the float64 interpreter at {size}{blind}: error {found.error:.1e} {of} "
        f"(plain eager: {found.eager_error:.1e})"
    )
