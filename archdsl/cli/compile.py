"""`archdsl compile`."""

import typer


def compile_command() -> None:
    raise typer.Exit
