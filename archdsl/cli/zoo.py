"""`archdsl zoo`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from archdsl.cli.options import InputOption, JsonOption, use_color, values_of, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archdsl.zoo import Entry, Facts

    Row = tuple[Entry, Facts]

_WIDTH = 160
"""Columns of the table where there is no terminal."""

_HEADS = ("network", "paper", "params", "GMACs", "view", "gap", "verified", "against")
_NUMBERS = _HEADS[2:6]


def zoo(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]…", help="Parts of names of networks or files; all without.")
    ] = None,
    input_: InputOption = None,
    format_: Annotated[str, typer.Option("--format", metavar="text|json", help="What standard output is.")] = "text",
    json_: JsonOption = None,
) -> None:
    """List the networks that ship: paper, parameters, MACs, field of view, largest gap, and how each was verified.

    MACs are at 1024x2048, or the nearest size that a network takes. Loads no torch.

    Example: archdsl zoo bisenet ddrnet
    """
    if format_ not in ("text", "json"):
        raise typer.BadParameter(f"{format_!r} is neither text nor json", param_hint="--format")
    rows = list(_rows(names or [], values_of(input_)))
    if not rows:
        raise typer.BadParameter(f"no network that ships is called {' or '.join(names or ())}", param_hint="NAME")
    content = {"version": 1, "networks": [asdict(entry) | asdict(found) for entry, found in rows]}
    if json_ is not None:
        write_json(content, json_)
    if json_ != "-" and format_ == "json":
        write_json(content, "-")
    elif json_ != "-":
        _print(rows)


def _rows(names: list[str], values: dict[str, int] | None) -> Iterator[Row]:
    from archdsl.checking import FACTS_SIZE
    from archdsl.interpreter import without_collection
    from archdsl.zoo import facts, networks

    with without_collection():
        for entry, graph in networks():
            known = f"{entry.network} {entry.path}".lower()
            if not names or any(name.lower() in known for name in names):
                yield entry, facts(graph, values or FACTS_SIZE)


def _print(rows: list[Row]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from archdsl.zoo import VERIFIED

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for head in _HEADS:
        table.add_column(head, justify="right" if head in _NUMBERS else "left", no_wrap=head in _NUMBERS)
    for row in rows:
        table.add_row(*_cells(*row))
    console = Console(
        no_color=not use_color(sys.stdout), highlight=False, width=None if sys.stdout.isatty() else _WIDTH
    )
    console.print(table)
    console.print("\nview: field of view in input pixels, * and the whole image besides; gap: the widest hole in it")
    for word in [word for word in VERIFIED if any(entry.verified == word for entry, _ in rows)]:
        console.print(f"{word}: {VERIFIED[word]}")
    for note in _notes(rows):
        console.print(note)


def _cells(entry: Entry, found: Facts) -> tuple[str, ...]:
    rows, columns = found.field_of_view
    return (
        entry.network,
        entry.paper.short + (f", {entry.paper.arxiv}" if entry.paper.arxiv else ""),
        f"{found.params:,}",
        f"{found.macs / 1e9:,.1f}",
        (f"{rows}" if rows == columns else f"{rows}x{columns}").removeprefix("0") + ("*" if found.context else ""),
        str(found.largest_gap or "-"),
        entry.verified,
        entry.reference.partition(" ")[0],
    )


def _notes(rows: list[Row]) -> Iterator[str]:
    """What the table has no room for: sizes of their own, and counts that disagree, with the reason."""
    sizes = [found.size for _, found in rows]
    usual = max(set(sizes), key=sizes.count)
    yield f"GMACs: convolutions and matrix products at {usual}"
    for entry, found in rows:
        if found.size != usual:
            yield f"{entry.network}: GMACs at {found.size}"
        if entry.differs:
            yield f"{entry.network}, of the reference's {entry.reference_params:,} parameters without: {entry.differs}"
        if entry.published:
            yield f"{entry.network}, published: {entry.published}"
