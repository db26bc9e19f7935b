"""`archdsl weights import`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archdsl.cli.options import NetworkOption, SetOption, settings_of, use_color

if TYPE_CHECKING:
    from archdsl.lower.import_weights import ImportReport
    from archdsl.lower.name_map import NameMap
    from archdsl.network import Network

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _weights() -> None:
    """Bring foreign checkpoints in."""


@app.command("import")
def import_(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="The spec the weights are for.")],
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="A .safetensors, .pth or .pt file.")],
    output: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="Where to write ours (.safetensors).")],
    map_: Annotated[
        str | None, typer.Option("--map", metavar="FILE", help="TOML rules from their names to ours; or a shipped map.")
    ] = None,
    guess: Annotated[
        bool, typer.Option("--guess", help="Propose a map by shape, order and name; apply it and write it out.")
    ] = False,
    map_out: Annotated[
        Path | None,
        typer.Option("--map-out", metavar="FILE", help="Where a guess is written; OUT.map.toml by default."),
    ] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Accept that some names do not match.")] = False,
    network: NetworkOption = None,
    set_: SetOption = None,
) -> None:
    """Read a foreign checkpoint into our names; everything that did not match is listed.

    Example: archdsl weights import specs/regseg.arch official.pth --map specs/maps/regseg.toml -o regseg.safetensors
    """
    if map_ is not None and guess:
        raise typer.BadParameter("a map says what --guess would find out; give one of them", param_hint="--guess")
    if map_out is not None and not guess:
        raise typer.BadParameter("only a guess is written out; add --guess", param_hint="--map-out")
    _check_target(output, checkpoint)
    proposed = map_out or output.with_suffix(".map.toml")
    if guess and proposed.exists():
        message = f"{proposed} is there already, and may have been edited: use it with --map, or name another file"
        raise typer.BadParameter(message, param_hint="--map-out")
    from archdsl.cli.loading import load_network
    from archdsl.lower.import_weights import UnmatchedWeights, import_weights

    net = load_network(spec, network, settings_of(set_))
    name_map = None if map_ is None else _read_map(map_)
    try:
        report = import_weights(net.ir, checkpoint, name_map=name_map, guess=guess, partial=partial)
    except UnmatchedWeights as error:
        _propose(error.report, proposed)
        if network is None and not set_:
            _hint(spec, net.name, checkpoint, name_map)
        raise
    _propose(report, proposed)
    _write(net, report, output, checkpoint, partial)
    _tell(report, output)


def _propose(report: ImportReport, path: Path) -> None:
    """Writes a guess out, and says how far it can be trusted."""
    from archdsl.atomic import write_text

    guess = report.proposal
    if guess is None:
        return
    write_text(path, guess.text)
    alike = guess.layers - guess.alone
    by = "order, place and name" if guess.ordered else "place and name"
    print(f"{path}: {guess.layers:,} layers, {guess.alone:,} by their shape, {alike:,} by {by}", file=sys.stderr)
    if alike and not guess.ordered:
        message = "a .safetensors file does not keep the order of its tensors; a .pth file would make the guess surer"
        print(f"warning: {message}", file=sys.stderr)
    for theirs, doubt in guess.unsure.items():
        print(f"warning: {theirs} was taken for {doubt.ours}, and could as well be {doubt}", file=sys.stderr)
    if guess.unsure:
        layers = "1 layer is" if len(guess.unsure) == 1 else f"{len(guess.unsure):,} layers are"
        message = f"{layers} in doubt and may be wrong: look at the remarks in {path}, mend it, and import with --map"
        print(f"warning: {message}", file=sys.stderr)


def _hint(spec: str, tried: str, checkpoint: Path, name_map: NameMap | None) -> None:
    """Says which other network of the file the weights are for, if any."""
    from archdsl.lower.import_weights import UnmatchedWeights, import_weights
    from archdsl.network import load
    from archdsl.spec import Spec, locate

    for name in Spec.read(locate(spec).path).networks:
        if name == tried:
            continue
        try:
            import_weights(load(spec, network=name).ir, checkpoint, name_map=name_map)
        except UnmatchedWeights:
            continue
        print(f"these are weights of {name}: give --network {name}", file=sys.stderr)


def _check_target(output: Path, checkpoint: Path) -> None:
    if output.suffix != ".safetensors":
        raise typer.BadParameter(f"{output} should end in .safetensors, which is what is written", param_hint="--out")
    if output.resolve() == checkpoint.resolve():
        raise typer.BadParameter(f"{output} is the checkpoint itself", param_hint="--out")


def _read_map(given: str) -> NameMap:
    from archdsl.lower.name_map import NameMap
    from archdsl.spec import shipped_map

    path = Path(given)
    if not path.exists() and (shipped := shipped_map(given)) is not None:
        print(f"{given} is not here; taking the one shipped with archdsl", file=sys.stderr)
        path = shipped
    return NameMap.read(path)


def _write(net: Network, report: ImportReport, output: Path, checkpoint: Path, partial: bool) -> None:
    from archdsl.lower.checkpoints import write_weights

    # what a partial import lacks starts as it would in training, so that the file is whole
    state = {**net.module().state_dict(), **report.state} if partial else report.state
    write_weights(
        output,
        state,
        {
            "network": net.name,
            "parameters": net.parameters,
            "preprocessing": asdict(net.preprocessing),
            "imported_from": checkpoint.name,
            "random": [*report.missing, *(mismatch.ours for mismatch in report.shape_mismatches)],
        },
    )


def _tell(report: ImportReport, output: Path) -> None:
    from archdsl.diagnostics import Severity
    from archdsl.diagnostics.text import render_all

    remarks = report.diagnostics(Severity.WARNING)
    if remarks:
        print(render_all(remarks, color=use_color(sys.stderr)), file=sys.stderr)
    if report.fresh:
        print(f"{len(report.fresh):,} tensors of auxiliary heads start anew", file=sys.stderr)
    how = "by a guess" if report.proposal else "by name"
    typer.echo(f"{len(report.matched):,} tensors matched {how}, {len(report.ignored):,} passed over: {output}")
