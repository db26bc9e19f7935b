"""`archdsl bench`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archdsl.cli.bench_rates import write_rates
from archdsl.cli.compile import DTYPES, RESULTS, check_engine, one_of
from archdsl.cli.exits import Exit, MissingRequirement
from archdsl.cli.loading import load_module, load_network, read_weights_file
from archdsl.cli.options import (
    FormatOption,
    JsonOption,
    NetworkOption,
    SetOption,
    json_targets,
    seconds,
    settings_of,
    size,
    write_json,
)

if TYPE_CHECKING:
    from archdsl.runtime.bench.case import Case
    from archdsl.runtime.bench.result import Report

SHIPPED = ("specs/dwrseg.arch", "specs/regseg.arch", "specs/gun.arch")
_DTYPE = {"cpu": "float32", "cuda": "float16"}
SIZES = {"cpu": (512, 1024), "cuda": (1024, 2048)}
NO_CUDA = "no CUDA device on this machine"


@dataclass(frozen=True)
class _Wanted:
    """The options, read."""

    specs: list[str]
    network: str | None
    settings: dict[str, Any]
    weights: Path | None
    peers: list[str]
    size: tuple[int, int] | None
    dtype: str | None
    batch: int
    output: str
    engine: str
    seconds: float
    per_node: bool


def bench(
    specs: Annotated[
        list[str] | None, typer.Argument(metavar="[SPEC…]", help="What to measure; the three networks by default.")
    ] = None,
    cuda_graphs: Annotated[
        bool, typer.Option("--cuda-graphs", help="Besides the CPU, measure CUDA graphs on the CUDA device.")
    ] = False,
    peers: Annotated[
        str, typer.Option("--peers", metavar="all|none|NAME,…", help="What to measure beside archdsl.")
    ] = "all",
    input_: Annotated[
        str | None, typer.Option("--input", metavar="HxW", help="Input size; 512x1024, 1024x2048 on CUDA.")
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option("--dtype", metavar="|".join(DTYPES), help="The precision of all; float32, float16 on CUDA."),
    ] = None,
    batch: Annotated[int, typer.Option("--batch", metavar="N", min=1, max=1024, help="Images in one call.")] = 1,
    output: Annotated[
        str, typer.Option("--output", metavar="|".join(RESULTS), help="Of all; labels puts argmax into every peer.")
    ] = "logits",
    device: Annotated[str, typer.Option("--device", metavar="cpu|cuda", help="Where to measure.")] = "cpu",
    engine: Annotated[
        str, typer.Option("--engine", metavar="own|auto|NAME", help="What archdsl may choose from: its own, or all.")
    ] = "own",
    per_node: Annotated[
        bool, typer.Option("--per-node", help="Also where archdsl's time goes, by line of the spec.")
    ] = False,
    time: Annotated[
        str, typer.Option("--time", metavar="TIME", help="How long to measure each network, after preparing.")
    ] = "15s",
    require: Annotated[
        str | None, typer.Option("--require", metavar="cuda", help="End with exit code 3 when there is no such device.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="Weights; random by default.")
    ] = None,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Write a plot.")] = None,
    rates: Annotated[
        Path | None,
        typer.Option("--rates", metavar="FILE", help="Only how long each searched rate takes, for `archdsl search`."),
    ] = None,
    format_: FormatOption = "text",
    json_: JsonOption = None,
    network: NetworkOption = None,
    set_: SetOption = None,
) -> None:
    """Measure latency side by side: archdsl and its peers on this machine, same inputs, same precision, in turns.

    Example: archdsl bench specs/regseg.arch --dtype bfloat16 --peers torch.compile,openvino --json bench.json
    """
    targets = json_targets(format_, json_)
    for option, value, allowed in (("--output", output, RESULTS), ("--device", device, ("cpu", "cuda"))):
        one_of(option, value, allowed)
    if dtype is not None:
        one_of("--dtype", dtype, DTYPES)
    if require is not None:
        one_of("--require", require, ("cuda",))
    if rates is not None:
        at = SIZES[device] if input_ is None else size(input_)
        write_rates(specs or [], network, settings_of(set_), at, device, dtype or _DTYPE[device], rates)
        return
    check_engine(engine)
    wanted = _Wanted(
        specs or list(SHIPPED),
        network,
        settings_of(set_),
        weights,
        _peers(peers),
        None if input_ is None else size(input_),
        dtype,
        batch,
        output,
        engine,
        seconds("--time", time),
        per_node,
    )
    devices = _devices(device, cuda_graphs, require)
    report = _run(wanted, devices)
    _publish(report, targets, svg)
    if report.interrupted:
        raise typer.Exit(Exit.INTERRUPTED)


def _peers(text: str) -> list[str]:
    from archdsl.runtime.bench.peers import PEERS

    if text == "none":
        return []
    names = list(PEERS) if text == "all" else [name.strip() for name in text.split(",")]
    for name in names:
        one_of("--peers", name, ("all", "none", *PEERS))
    return list(dict.fromkeys(names))


def _devices(device: str, cuda_graphs: bool, require: str | None) -> list[str]:
    """Where to measure. Raises MissingRequirement for a CUDA device that was insisted on and is not there."""
    import torch

    if not torch.cuda.is_available() and (require == "cuda" or device == "cuda"):
        raise MissingRequirement(NO_CUDA)
    return list(dict.fromkeys([device, *(["cuda"] if cuda_graphs else [])]))


def _run(wanted: _Wanted, devices: list[str]) -> Report:
    import torch

    from archdsl.runtime.bench.report import new_report

    report = new_report(" ".join(["archdsl", *sys.argv[1:]]), devices)
    for device in devices:
        for spec in wanted.specs:
            case = _case(wanted, spec, device)
            if device == "cuda" and not torch.cuda.is_available():
                _mark_missing(report, case, wanted)
            elif not report.interrupted:
                _measure(report, case, wanted, _engine_on(device, devices, wanted.engine))
    return report


def _engine_on(device: str, devices: list[str], engine: str) -> str:
    """The engine asked for; where CUDA is measured besides the CPU, an engine that was named is the CPU's."""
    return engine if device == devices[0] or engine in ("own", "auto") else "own"


def _measure(report: Report, case: Case, wanted: _Wanted, engine: str) -> None:
    from archdsl.runtime.bench.report import add_case

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    add_case(report, case, wanted.peers, engine, wanted.seconds, wanted.per_node, tell)


def _mark_missing(report: Report, case: Case, wanted: _Wanted) -> None:
    from archdsl.runtime.bench.rounds import OURS, row_of

    report.rows += [row_of(case, name, NO_CUDA) for name in (OURS, *wanted.peers)]


def _case(wanted: _Wanted, spec: str, device: str) -> Case:
    """A spec as something to measure, at the size that was asked for, or the allowed one next to the usual."""
    from archdsl.checking import nearest_size, size_errors
    from archdsl.diagnostics import ArchError, Diagnostic
    from archdsl.runtime.bench.case import Case

    given = read_weights_file(wanted.weights)
    net = load_network(spec, wanted.network, wanted.settings, given)
    asked = wanted.size
    if asked is None:
        allowed = nearest_size(net.ir, dict(zip("HW", SIZES[device], strict=True)))
        asked = allowed["H"], allowed["W"]
    wrong = size_errors(net.ir, dict(zip("HW", asked, strict=True)))
    if wrong:
        raise ArchError(Diagnostic("E0311", message, help=help) for message, help in wrong)
    state = {key: tensor.detach() for key, tensor in load_module(net, given).state_dict().items()}
    dtype: Any = wanted.dtype or ("float16" if device == "cuda" else "float32")
    output: Any = wanted.output
    return Case(net.ir, state, asked, dtype, device, wanted.batch, output, net.source)


def _publish(report: Report, targets: list[str], svg: Path | None) -> None:
    if "-" not in targets:
        from archdsl.runtime.bench.markdown import markdown

        typer.echo(markdown(report))
    for target in targets:
        write_json(report.json(), target)
    if svg is not None:
        from archdsl.atomic import write_text
        from archdsl.runtime.bench.plot import svg as drawn

        write_text(svg, drawn(report))
