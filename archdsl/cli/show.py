"""`archdsl show`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from archdsl.cli.options import (
    FormatOption,
    InputOption,
    JsonOption,
    NetworkOption,
    SetOption,
    json_targets,
    seconds,
    settings_of,
    values_of,
    write_json,
)

if TYPE_CHECKING:
    from archdsl.analyses.hardware import Hardware
    from archdsl.network import Network
    from archdsl.runtime.bench.measured import Measured

DTYPES = ("float32", "bfloat16", "float16", "tf32", "int8")


def show(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="The spec to show.")],
    network: NetworkOption = None,
    set_: SetOption = None,
    input_: InputOption = None,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Write the network as a picture.")] = None,
    reach: Annotated[
        str | None, typer.Option("--reach", metavar="VALUE", help="Draw what a named value reads of the input.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write one page with everything.")] = None,
    ir: Annotated[bool, typer.Option("--ir", help="Print the graph as text that reads back.")] = False,
    hardware: Annotated[
        str | None,
        typer.Option("--hardware", metavar="FILE|NAME|this", help="Show the floor in time on a machine, line by line."),
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="TIME", help="Hold the floor against a time, e.g. 8ms.")
    ] = None,
    dtype: Annotated[str, typer.Option("--dtype", metavar="DTYPE", help="For bytes and the floor.")] = "float32",
    measured: Annotated[
        bool, typer.Option("--measured", help="Compile it and show the time that each line takes on this machine.")
    ] = False,
    format_: FormatOption = "text",
    json_: JsonOption = None,
) -> None:
    """Show a network line by line: shapes, field of view, gap headroom, parameters, MACs, floor in time.

    Example: archdsl show specs/regseg.arch --input 1024x2048 --hardware t4 --dtype float16 --budget 30ms
    """
    targets = json_targets(format_, json_)
    if "-" in targets and ir:
        raise typer.BadParameter("standard output is either the graph's text or JSON", param_hint="--ir")
    if dtype not in DTYPES:
        raise typer.BadParameter(f"{dtype!r} is not one of {', '.join(DTYPES)}", param_hint="--dtype")
    from archdsl.cli.loading import load_network

    if budget is not None and hardware is None:
        raise typer.BadParameter("a budget needs a machine to be held against: --hardware", param_hint="--budget")
    values = values_of(input_)
    limit = None if budget is None else seconds("--budget", budget)
    net = load_network(spec, network, settings_of(set_))
    _check_size(net, values)
    machine = None if hardware is None else _machine(hardware, dtype)
    values, found = _measure(net, values, dtype) if measured else (values, None)
    timed = {} if found is None else {"measured": found.json()}
    _draw(net, values, svg, reach, html, machine, dtype, limit)
    for target in targets:
        write_json({"version": 1, "network": net.name, "facts": net.facts(*_pair(values)), **timed}, target)
    if "-" in targets:
        return
    if ir:
        from archdsl.ir.text import to_text

        typer.echo(to_text(net.ir))
    else:
        _table(net, values, machine, dtype, limit, reach, found)


def _pair(values: dict[str, int] | None) -> tuple[int | None, int | None]:
    return (None, None) if values is None else (values["H"], values["W"])


def _check_size(net: Network, values: dict[str, int] | None) -> None:
    from archdsl.checking import size_errors
    from archdsl.diagnostics import ArchError, Diagnostic

    errors = size_errors(net.ir, values or {})
    if errors:
        raise ArchError(Diagnostic("E0311", message, help=help) for message, help in errors)


def _machine(name: str, dtype: str) -> Hardware:
    from archdsl.analyses.hardware import find_hardware

    if name == "this":
        from archdsl.runtime.measure import measure_this

        machine = measure_this()
    else:
        machine = find_hardware(name)
    if dtype not in machine.flops:
        known = ", ".join(machine.flops)
        raise typer.BadParameter(f"{machine.name} has no rate for {dtype}; it has {known}", param_hint="--dtype")
    return machine


def _measure(net: Network, values: dict[str, int] | None, dtype: str) -> tuple[dict[str, int], Measured]:
    """Random weights: what they are makes no difference to the time."""
    from archdsl.checking import nearest_size
    from archdsl.cli.compile import DEFAULT_SIZE
    from archdsl.runtime.bench.archdsl import compiled
    from archdsl.runtime.bench.case import Case
    from archdsl.runtime.bench.pernode import measured
    from archdsl.runtime.model import DTYPES as RUNS_IN

    if dtype not in RUNS_IN:
        raise typer.BadParameter(f"nothing here runs in {dtype}; measure in {', '.join(RUNS_IN)}", param_hint="--dtype")
    at = values or nearest_size(net.ir, dict(zip("HW", DEFAULT_SIZE, strict=True)))
    print(f"compiling and measuring {net.name} at {at['H']}x{at['W']}", file=sys.stderr)
    weights = {key: tensor.detach() for key, tensor in net.module().state_dict().items()}
    case = Case(net.ir, weights, (at["H"], at["W"]), dtype=cast(Any, dtype), source=net.source)
    model = compiled(case)
    return at, measured(model, model.graph, case.inputs, net.source)


def _draw(
    net: Network,
    values: dict[str, int] | None,
    svg: Path | None,
    reach: str | None,
    html: Path | None,
    machine: Hardware | None,
    dtype: str,
    budget: float | None,
) -> None:
    from archdsl.atomic import write_text

    if reach is not None:
        _known_value(net, reach)
    if svg is not None:
        write_text(svg, _picture(net, values, reach))
        typer.echo(f"picture: {svg}", err=True)
    if html is not None:
        from archdsl.report.html import render_html

        page = render_html(net, values=values, hardware=machine, dtype=dtype, budget=budget)
        write_text(html, page)
        typer.echo(f"page: {html}", err=True)


def _known_value(net: Network, value: str) -> None:
    from archdsl.diagnostics.suggest import did_you_mean

    names = dict(net.ir.names)
    if value not in names:
        help = did_you_mean(value, names) or "it has " + ", ".join(names)
        raise typer.BadParameter(f"{net.name} has no value named {value!r}; {help}", param_hint="--reach")


def _picture(net: Network, values: dict[str, int] | None, reach: str | None) -> str:
    if reach is not None:
        from archdsl.report.reach_svg import reach_svg

        return reach_svg(net.ir, reach, values=values)
    from archdsl.report.svg import network_svg

    return network_svg(net.ir, values=values)


def _table(
    net: Network,
    values: dict[str, int] | None,
    machine: Hardware | None,
    dtype: str,
    budget: float | None,
    reach: str | None,
    measured: Measured | None,
) -> None:
    from archdsl.analyses.planar import planar
    from archdsl.report.rows import network_rows
    from archdsl.report.strips import plane_line, plane_remarks, strip_lines, strips
    from archdsl.report.table import write_table

    given: dict[str, Any] = {"values": values, "hardware": machine, "dtype": dtype, "budget": budget}
    write_table(network_rows(net.elaboration, **given, measured=measured), sys.stdout)
    if reach is not None:
        typer.echo("\n".join(strip_lines(strips(net.ir, reach, values=values))))
        typer.echo(plane_line(planar(net.ir, dict(net.ir.names)[reach], values=values)))
        return
    for line in plane_remarks(net.ir, values):
        typer.echo(line)
