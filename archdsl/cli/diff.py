"""`archdsl diff`."""

from __future__ import annotations

from typing import Annotated

import typer

from archdsl.cli.options import (
    FormatOption,
    InputOption,
    JsonOption,
    NetworkOption,
    json_targets,
    values_of,
    write_json,
)


def diff(
    a: Annotated[str, typer.Argument(help="The spec before.")],
    b: Annotated[str, typer.Argument(help="The spec after.")],
    network: NetworkOption = None,
    other_network: Annotated[
        str | None, typer.Option("--other-network", help="The network of B, where its name differs.")
    ] = None,
    input_: InputOption = None,
    format_: FormatOption = "text",
    json_: JsonOption = None,
) -> None:
    """Say what changed between two specs: structure, parameters, MACs, field of view, block by block.

    Example: archdsl diff specs/regseg.arch regseg.found.arch
    """
    targets = json_targets(format_, json_)
    from archdsl.analyses.compare import compare, to_json, to_lines
    from archdsl.network import load

    before = load(a, network=network)
    after = load(b, network=other_network or network)
    comparison = compare(before.ir, after.ir, values_of(input_))
    for target in targets:
        write_json(to_json(comparison), target)
    if "-" not in targets:
        typer.echo("\n".join(to_lines(comparison)))
