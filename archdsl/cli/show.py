"""`archdsl show`."""

from __future__ import annotations


def show(spec: str) -> None:
    raise typer.Exit
