"""`archdsl fmt`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archdsl.cli.exits import Exit
from archdsl.cli.paths import spec_paths


def fmt(
    paths: Annotated[list[str], typer.Argument(metavar="PATH…", help="Specs, or folders of them.")],
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit with 1 if a file would change.")] = False,
) -> None:
    """Give specs the one canonical layout; comments stay.

    Example: archdsl fmt specs/
    """
    from archdsl.atomic import write_text
    from archdsl.diagnostics import ArchError, Diagnostic, Source
    from archdsl.lang.format import format_source

    problems: list[Diagnostic] = []
    changed = 0
    for path in spec_paths(paths):
        try:
            text = read_spec(path)
            formatted = format_source(Source(path, text))
        except ArchError as error:
            problems += error.diagnostics
            continue
        if formatted != text:
            changed += 1
            typer.echo(f"{path}: {'would change' if check else 'formatted'}")
            if not check:
                write_text(Path(path), formatted)
    if problems:
        raise ArchError(problems)
    if check and changed:
        raise typer.Exit(Exit.FAULT)


def read_spec(path: str) -> str:
    """The text of a spec as it is, line ends included. Raises ArchError E0111 or E0112."""
    from archdsl.diagnostics import ArchError, Diagnostic

    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ArchError([Diagnostic("E0112", f"{path} is no UTF-8 text")]) from None
    except OSError as error:
        raise ArchError([Diagnostic("E0111", f"{path} cannot be read: {error.strerror}")]) from None
