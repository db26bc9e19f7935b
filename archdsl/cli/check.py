"""`archdsl check`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archdsl.cli.exits import Exit
from archdsl.cli.options import (
    InputOption,
    JsonOption,
    NetworkOption,
    SetOption,
    settings_of,
    use_color,
    values_of,
    write_json,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from archdsl.checking import Checked
    from archdsl.diagnostics import Diagnostic

Entry = tuple[str, "Checked"]


def check(
    paths: Annotated[list[str], typer.Argument(metavar="PATH…", help="Specs, or folders of them.")],
    network: NetworkOption = None,
    set_: SetOption = None,
    input_: InputOption = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="text|json|sarif", help="What standard output is.")
    ] = "text",
    json_: JsonOption = None,
) -> None:
    """Report every error and warning of specs, and their facts: parameters, MACs, field of view, input sizes.

    MACs count multiply-adds of convolutions and matrix products only. Loads no torch.

    Example: archdsl check specs/regseg.arch --input 512x1024
    """
    if format_ not in ("text", "json", "sarif"):
        raise typer.BadParameter(f"{format_!r} is not text, json or sarif", param_hint="--format")
    from archdsl.cli.paths import spec_paths
    from archdsl.interpreter import without_collection

    values = values_of(input_)
    settings = settings_of(set_)
    # collecting between two networks, or at the end, would only look through graphs that are still needed
    with without_collection():
        entries = [entry for path in spec_paths(paths) for entry in _networks(path, network, settings, values)]
        _tell(entries, format_, json_)
    if not all(checked.ok for _, checked in entries):
        raise typer.Exit(Exit.FAULT)


def _tell(entries: list[Entry], format_: str, json_: str | None) -> None:
    content = {"version": 1, "specs": [_entry(path, checked) for path, checked in entries]}
    if json_ is not None:
        write_json(content, json_)
    if json_ != "-":
        _print(entries, content, format_)


def _networks(
    path: str, network: str | None, settings: Mapping[str, Any], values: Mapping[str, int] | None
) -> Iterator[Entry]:
    """Each network of a file, the default first; parameters given with --set reach those that have them."""
    from archdsl.checking import Checked, check_network
    from archdsl.elaborate.session import Spent
    from archdsl.spec import Spec, locate

    found = locate(path)
    if found.shipped:
        print(f"{path} is not here; taking the one shipped with archdsl", file=sys.stderr)
    spec = Spec.read(found.path)
    names = spec.networks if network is None else [network]
    if not names and (settings or not _only_blocks(spec)):
        names = [None]  # type: ignore[list-item]
    known = {name: set(spec.parameters(name)) for name in spec.networks} if settings else {}
    spent = Spent()
    for name in names:
        yield path, check_network(spec, name, _reaching(known, name, settings), values, spent)
        if spent.over:
            break
    if not names:
        yield path, Checked(None, None, spec.diagnostics, None)


def _reaching(known: Mapping[str, set[str]], network: str | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that a network has. One that no network of the file has goes to all of them, to be reported."""
    anywhere: set[str] = set().union(*known.values())
    own = known.get(network or "", anywhere)
    return {name: value for name, value in settings.items() if name in own or name not in anywhere}


def _only_blocks(spec: Any) -> bool:
    """A file of blocks for other specs to import is complete without a network."""
    return spec.file is not None and bool(spec.file.names)


def _entry(path: str, checked: Checked) -> dict[str, Any]:
    from archdsl.diagnostics.jsonform import to_json

    return {
        "path": path,
        "network": checked.network,
        "ok": checked.ok,
        "diagnostics": [to_json(d) for d in checked.diagnostics],
        "facts": checked.facts,
    }


def _print(entries: list[Entry], content: dict[str, Any], form: str) -> None:
    if form == "json":
        write_json(content, "-")
    elif form == "sarif":
        from archdsl import __version__
        from archdsl.diagnostics.sarif import to_sarif

        write_json(to_sarif(_once(entries), __version__), "-")
    else:
        _print_text(entries)


def _once(entries: Iterable[Entry]) -> list[Diagnostic]:
    """Each diagnostic once, though several networks of a file may share its place."""
    from archdsl.diagnostics import Diagnostics

    collected = Diagnostics()
    for _, checked in entries:
        for diagnostic in checked.diagnostics:
            collected.add(diagnostic)
    return collected.items


def _print_text(entries: list[Entry]) -> None:
    from archdsl.diagnostics.text import render_all

    found = _once(entries)
    if found:
        print(render_all(found, color=use_color(sys.stdout)), end="\n\n")
    for path, checked in entries:
        if checked.facts is not None:
            print("\n".join(_facts(path, checked)))


def _facts(path: str, checked: Checked) -> Iterator[str]:
    facts = checked.facts
    assert facts is not None
    verdict = "ok" if checked.ok else "failed"
    yield f"{path}  {checked.network}: {verdict}"
    ((size, macs),) = facts["macs"].items()
    training = f" ({facts['params_train']:,} in training)" if facts["params_train"] != facts["params"] else ""
    yield f"  {facts['params']:,} parameters{training}, {macs / 1e9:.3f} GMACs at {size}"
    views = (
        f"{name} {y if y == x else f'{y}x{x}'}{'*' if name in facts['context'] else ''}"
        for name, (y, x) in facts["field_of_view"].items()
    )
    star = "  (* and the whole image, through context)" if facts["context"] else ""
    yield f"  field of view: {', '.join(views)}{star}"
    yield f"  {'no gaps' if facts['gap_free'] else 'with gaps'}; input {_sizes(checked)}"


def _sizes(checked: Checked) -> str:
    assert checked.graph is not None
    rules = dict(checked.graph.size_rules)
    stated = {name: str(rules[name]) for name in ("H", "W") if name in rules and not rules[name].free}
    if not stated:
        return "of any size"
    return ", ".join(f"{'height' if name == 'H' else 'width'} {rule}" for name, rule in stated.items())
