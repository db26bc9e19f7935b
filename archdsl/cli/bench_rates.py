"""`archdsl bench --rates`: how long each searched rate takes, for a search with a latency budget."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import typer

from archdsl.cli.exits import MissingRequirement
from archdsl.cli.loading import load_network
from archdsl.cli.options import write_json


def write_rates(
    specs: list[str],
    network: str | None,
    settings: dict[str, Any],
    size: tuple[int, int],
    device: str,
    dtype: str,
    target: Path,
) -> None:
    """Measures one spec's rates and writes the table. Raises BadParameter for several specs."""
    import torch

    from archdsl.cli.training_progress import Reading
    from archdsl.search.latency_table import measure
    from archdsl.search.plan import searched_rates

    if len(specs) != 1:
        raise typer.BadParameter("name the one spec whose rates are measured", param_hint="--rates")
    if device == "cuda" and not torch.cuda.is_available():
        raise MissingRequirement("no CUDA device on this machine")
    net = load_network(specs[0], network, settings)
    rates = searched_rates(net)
    reading = Reading("measuring")
    try:
        table = measure(net, rates, size, device, dtype, reading)
    finally:
        reading.close()
    write_json(table, str(target))
    layers, choices, total = len(table["nodes"]), sum(len(own) for own in table["nodes"].values()), table["total_ms"]
    of = f"{layers} layer" if layers == 1 else f"{layers} layers"
    typer.echo(f"{net.name} at {table['input']}: {total:.3g} ms; {choices} rates of {of} in {target}")
    which = [] if network is None else ["-n", network]
    budget = ["--latency-table", str(target), "--budget", f"latency <= {total:.3g}ms"]
    typer.echo("next: " + shlex.join(["archdsl", "search", specs[0], *which, *budget]))
