"""`archdsl explain`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from archdsl.cli.exits import Exit
from archdsl.cli.options import use_color


def explain(
    code: Annotated[str | None, typer.Argument(help="A code such as E0302; without one, all codes are listed.")] = None,
) -> None:
    """Say what an error means, why it matters, and how it is mended.

    Example: archdsl explain E0302
    """
    from archdsl.diagnostics import pages
    from archdsl.diagnostics.suggest import did_you_mean

    if code is None:
        for known in pages.codes():
            typer.echo(f"{known}  {pages.title(known)}")
        return
    try:
        page = pages.load(code)
    except KeyError:
        help = did_you_mean(code.upper(), pages.codes()) or "`archdsl explain` lists all codes"
        print(f"archdsl: there is no code {code!r}; {help}", file=sys.stderr)
        raise typer.Exit(Exit.USAGE) from None
    typer.echo(pages.render_page(page, color=use_color(sys.stdout)))
