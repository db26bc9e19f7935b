"""`archdsl weights import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archdsl.cli.options import NetworkOption, SetOption

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _weights() -> None:
    """Bring foreign checkpoints in."""


@app.command("import")
def import_(
    spec: Annotated[str, typer.Argument(help="The spec the weights are for.")],
    checkpoint: Annotated[Path, typer.Argument(help="A .safetensors, .pth or .pt file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where to write our weights (.safetensors).")],
    map_: Annotated[
        str | None, typer.Option("--map", help="TOML rules from foreign names to ours; a shipped map by its name.")
    ] = None,
    guess: Annotated[
        bool, typer.Option("--guess", help="Match by order and shape, where that is unambiguous.")
    ] = False,
    partial: Annotated[bool, typer.Option("--partial", help="Accept that some names do not match.")] = False,
    network: NetworkOption = None,
    set_: SetOption = None,
) -> None:
    """Read a foreign checkpoint into our names; everything that did not match is listed.

    Example: archdsl weights import specs/regseg.arch official.pth --map regseg -o regseg.safetensors
    """
