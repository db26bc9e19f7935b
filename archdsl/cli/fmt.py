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
            if formatted != text and not check:
                write_text(Path(path), formatted)
        except ArchError as error:
            problems += error.diagnostics
            continue
        if formatted != text:
            changed += 1
            typer.echo(f"{path}: {'would change' if check else 'formatted'}")
    if problems:
        raise ArchError(problems)
    if check and changed:
        raise typer.Exit(Exit.FAULT)


def read_spec(path: str) -> str:
    """The text of a spec as it is, line ends included. Raises ArchError E0111, E0112 or E0901."""
    from archdsl.diagnostics import ArchError, Diagnostic
    from archdsl.elaborate.files import MAX_FILE_BYTES

    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise ArchError([Diagnostic("E0901", f"{path} has more than {MAX_FILE_BYTES:,} bytes")])
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ArchError([Diagnostic("E0112", f"{path} is no UTF-8 text")]) from None
    except OSError as error:
        raise ArchError([Diagnostic("E0111", f"{path} cannot be read: {error.strerror}")]) from None
