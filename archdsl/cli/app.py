"""The `archdsl` command: its subcommands, and what each way of ending means to the shell."""

from __future__ import annotations

import io
import os
import sys
import warnings

import typer

from archdsl.cli import (
    bench,
    check,
    compile,
    diff,
    evaluate,
    exits,
    explain,
    export,
    fmt,
    new,
    run,
    search,
    show,
    signals,
    train,
    weights,
    zoo,
)
from archdsl.cli.exits import Exit, MissingRequirement
from archdsl.cli.options import use_color
from archdsl.cli.unread import to_nowhere

app = typer.Typer(
    name="archdsl",
    help="A language and a compiler for real-time segmentation networks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from archdsl import __version__

        typer.echo(f"archdsl {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """A language and a compiler for real-time segmentation networks."""


app.command()(check.check)
app.command()(show.show)
app.command()(fmt.fmt)
app.command()(explain.explain)
app.command()(diff.diff)
app.command()(new.new)
app.command(name="compile")(compile.compile_command)
app.command()(run.run)
app.command()(bench.bench)
app.command()(train.train)
app.command(name="eval")(evaluate.evaluate)
app.command()(export.export)
app.command()(zoo.zoo)
app.command()(search.search)
app.add_typer(weights.app, name="weights", help="Bring foreign checkpoints in.")


# typer has its own copy of click or depends on click, by version; both derive BadParameter from ClickException
_Misuse: type[Exception] = typer.BadParameter.__mro__[2]


def main() -> None:
    """Runs the command line and ends the process with the exit code that `Exit` documents."""
    signals.end_in_order()
    _accept_any_text()
    warnings.showwarning = _show_warning
    code = _run()
    signals.end_at_once()
    code = _flush(code)
    if exits.terminated or exits.interrupted:
        code = Exit.TERMINATED if exits.terminated else Exit.INTERRUPTED
    signals.ignore_from_now_on()
    if "torch" in sys.modules:
        sys.exit(code)
    # without torch nothing needs an orderly end, and taking every graph apart would be a tenth of `check`
    os._exit(code)


def _accept_any_text() -> None:
    """No character of a spec, a path or our own is refused by a terminal or a file that has another encoding."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            unicode = stream.encoding.lower().replace("-", "") == "utf8"
            # undecodable bytes of a path go out as they came in
            stream.reconfigure(errors="surrogateescape" if unicode else "backslashreplace")


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """A library's warning as a user reads it: no file of ours, no line of its source."""
    print(f"warning: {message}", file=sys.stderr)


def _flush(code: int) -> int:
    """Writes out what is buffered. A reader that has gone is no fault; a full disk is."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except BrokenPipeError:
            to_nowhere(stream)
        except OSError as error:
            to_nowhere(stream)
            code = code or _cannot_write(error)
    return code


def _run() -> int:
    from archdsl.diagnostics import ArchError

    try:
        code = app(standalone_mode=False)
        # typer makes an exit code of its own of Ctrl-C, and gives it back without a word
        return _interrupted() if code == Exit.INTERRUPTED else code if isinstance(code, int) else Exit.DONE
    except typer.Exit as ended:
        return int(ended.exit_code)
    except SystemExit as ended:
        # typer's own way of ending when the reader of our output has gone (`archdsl … | head`)
        return Exit.DONE if isinstance(ended.__context__, BrokenPipeError) else Exit.FAULT
    except _Misuse as misuse:
        misuse.show()  # type: ignore[attr-defined]
        return Exit.USAGE
    except ArchError as error:
        _show(error)
        return Exit.FAULT
    except MissingRequirement as missing:
        print(f"archdsl: {missing}", file=sys.stderr)
        return Exit.MISSING
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except signals.Terminated:
        return _terminated()
    except BrokenPipeError:
        return Exit.DONE
    except OSError as error:
        return _cannot_write(error)
    except Exception as error:
        if exits.terminated or exits.interrupted:
            return _terminated() if exits.terminated else _interrupted()
        return _internal(error)


def _terminated() -> int:
    print("archdsl: terminated", file=sys.stderr)
    return Exit.TERMINATED


def _interrupted() -> int:
    print("archdsl: interrupted", file=sys.stderr)
    return Exit.INTERRUPTED


def _cannot_write(error: OSError) -> int:
    name = f"{error.filename}: " if error.filename else ""
    print(f"archdsl: {name}{error.strerror or error}", file=sys.stderr)
    return Exit.FAULT


def _show(error: Exception) -> None:
    from archdsl.diagnostics import ArchError
    from archdsl.diagnostics.text import render_all

    assert isinstance(error, ArchError)
    print(render_all(error.diagnostics, color=use_color(sys.stderr)), file=sys.stderr)


def _internal(error: Exception) -> int:
    import traceback

    from archdsl import __version__

    traceback.print_exception(error, file=sys.stderr)
    print(
        f"\narchdsl {__version__}: this is a fault of archdsl, not of your spec. Please report it with the lines\n"
        "above and the smallest spec that shows it.",
        file=sys.stderr,
    )
    return Exit.INTERNAL
