"""`archdsl search`."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archdsl.cli import exits
from archdsl.cli.options import (
    DataOption,
    DeviceOption,
    JsonOption,
    NetworkOption,
    OptOption,
    RecipeOption,
    SetOption,
    check_device,
    settings_of,
    write_json,
)
from archdsl.cli.unread import going_on_unread

if TYPE_CHECKING:
    from archdsl.search.entry import Found
    from archdsl.search.plan import Wish

METHODS = ("softmax", "gaussian", "gumbel", "fractional", "rf", "random")


@going_on_unread()
def search(
    spec: Annotated[str | None, typer.Argument(metavar="SPEC", help="The spec whose rates are searched.")] = None,
    data: DataOption = None,
    recipe: RecipeOption = None,
    opt: OptOption = None,
    method: Annotated[
        str, typer.Option("--method", metavar="|".join(METHODS), help="How rates are made differentiable.")
    ] = "softmax",
    rates: Annotated[
        str, typer.Option("--rates", metavar="marked|all", help="Those in `search(…)`, or every rate of the file.")
    ] = "marked",
    untie: Annotated[
        bool,
        typer.Option(
            "--untie", help="With --rates all: copies of a repetition and rounds of a comprehension may differ."
        ),
    ] = False,
    gap: Annotated[
        str, typer.Option("--gap", metavar="bound|exact", help="Keep RegSeg's bound, or allow what a sibling fills.")
    ] = "bound",
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="EXPR", help="For example 'latency <= 8ms', by --latency-table.")
    ] = None,
    latency_table: Annotated[
        Path | None, typer.Option("--latency-table", metavar="FILE", help="What `archdsl bench --rates FILE` wrote.")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Edit the spec in place.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help="The new spec; <name>.found.arch by default.")
    ] = None,
    run: Annotated[
        Path | None, typer.Option("--run", metavar="DIR", help="The run's folder; runs/search/<name> by default.")
    ] = None,
    resume: Annotated[Path | None, typer.Option("--resume", metavar="DIR", help="A search to go on with.")] = None,
    device: DeviceOption = None,
    json_: JsonOption = None,
    network: NetworkOption = None,
    set_: SetOption = None,
) -> None:
    """Learn dilation rates by gradient descent, and write the spec back with them, never outside the gap-free set.

    Example: archdsl search specs/regseg.arch

    Beside <name>.found.arch stand a picture (.svg), a page (.html) and the record (.json) of the search.

    On several cards: torchrun --nproc-per-node 4 -m archdsl search specs/regseg.arch --data cityscapes:data/cityscapes
    """
    check_device(device)
    wish = _wish(method, rates, untie, gap, budget, latency_table)
    for option, path in (("--out", output), ("--json", None if json_ in (None, "-") else Path(json_ or ""))):
        if path is not None:
            _check_place(path, option)
    if apply and output is not None:
        raise typer.BadParameter("the spec is edited in place, or another is written; not both", param_hint="--apply")
    if resume is not None:
        _refuse(spec=spec, recipe=recipe, opt=opt, run=run, network=network, set=set_, **_changed(wish))
        found, given = _resumed(resume, data, device, json_ == "-")
    elif spec is None:
        raise typer.BadParameter("which spec? for example: archdsl search specs/regseg.arch", param_hint="SPEC")
    else:
        given = spec
        _writable(spec, apply)
        _check_neighbours(spec, output)
        found = _searched(spec, network, settings_of(set_), data, recipe or "", opt or [], wish, run, device, json_)
    if not found.rank:
        _end(found, given, apply, output, json_)


def _wish(method: str, rates: str, untie: bool, gap: str, budget: str | None, table: Path | None) -> Wish:
    """The options, checked. Raises BadParameter."""
    from archdsl.search.latency import parse_budget
    from archdsl.search.plan import Wish

    if untie and rates != "all":
        raise typer.BadParameter("marked rates say themselves what is tied; use --rates all", param_hint="--untie")
    if (budget is None) != (table is None):
        message = "--budget and --latency-table go together; measure the table with archdsl bench SPEC --rates FILE"
        raise typer.BadParameter(message, param_hint="--budget")
    try:
        if budget is not None:
            parse_budget(budget)
        return Wish(method, rates, untie, gap, budget, None if table is None else str(table))  # type: ignore[arg-type]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _changed(wish: Wish) -> dict[str, object]:
    """The options that are not what they are by default."""
    from archdsl.search.plan import Wish

    default = asdict(Wish())
    return {name: value for name, value in asdict(wish).items() if value != default[name]}


def _refuse(**given: object) -> None:
    named = [name for name, value in given.items() if value]
    if named:
        message = f"the run says with what it goes on; not {', '.join(named)} beside it"
        raise typer.BadParameter(message, param_hint="--resume")


def _writable(spec: str, apply: bool) -> None:
    """Refuses to edit a spec in place that is not the user's own."""
    from archdsl.spec import locate

    if apply and locate(spec).shipped:
        raise typer.BadParameter(f"{spec} is shipped with archdsl; write a new one with -o", param_hint="--apply")
    if apply and Path(spec).exists() and not os.access(spec, os.W_OK):
        raise typer.BadParameter(f"{spec} may not be written; write a new one with -o", param_hint="--apply")


def _check_place(path: Path, option: str) -> None:
    """Refuses now what could not be written when the search has ended."""
    if not path.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent}", param_hint=option)
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a folder", param_hint=option)
    if not os.access(path.parent, os.W_OK):
        raise typer.BadParameter(f"the folder {path.parent} may not be written", param_hint=option)


def _check_neighbours(spec: str, output: Path | None) -> None:
    """Refuses to write a spec away from the files that it uses."""
    from archdsl.spec import Spec, locate

    path = Path(locate(spec).path)
    if output is not None and output.parent.resolve() != path.parent.resolve() and Spec.read(str(path)).uses_neighbours:
        message = f"{spec} uses files beside it, which a spec in {output.parent} would not find"
        raise typer.BadParameter(message, param_hint="--out")


def _searched(
    spec: str,
    network: str | None,
    settings: dict[str, Any],
    data: str | None,
    recipe: str,
    options: list[str],
    wish: Wish,
    folder: Path | None,
    device: str | None,
    json_: str | None,
) -> Found:
    from archdsl.cli.loading import load_for, recipes_data
    from archdsl.cli.search_progress import SearchProgress
    from archdsl.cli.training_progress import Reading
    from archdsl.search.entry import run
    from archdsl.training.data import open_data

    text = data or recipes_data(recipe or None) or "streets"
    net = load_for(spec, network, settings, open_data(text))
    reading = Reading()
    progress = SearchProgress(reading, quiet=json_ == "-")
    try:
        return run(
            net,
            text,
            recipe,
            wish=wish,
            out=folder,
            options=options,
            device=device,
            tell=progress,
            seen=reading,
            given=spec,
        )
    finally:
        progress.close()


def _resumed(folder: Path, data: str | None, device: str | None, quiet: bool) -> tuple[Found, str]:
    from archdsl.cli.search_progress import SearchProgress
    from archdsl.cli.training_progress import Reading
    from archdsl.search.entry import resume

    reading = Reading()
    progress = SearchProgress(reading, quiet=quiet)
    warn = lambda text: print(f"warning: {text}", file=sys.stderr)  # noqa: E731
    try:
        return resume(folder, data=data, device=device, tell=progress, seen=reading, remark=warn)
    finally:
        progress.close()


def _end(found: Found, given: str, apply: bool, output: Path | None, json_: str | None) -> None:
    if found.stopped is not None:
        step = "" if found.step is None else f" at step {found.step}"
        again = shlex.join(["archdsl", "search", "--resume", str(found.folder)])
        typer.echo(f"stopped{step}; go on with: {again}", err=True)
        exits.terminated = found.stopped == signal.SIGTERM
        raise KeyboardInterrupt
    assert found.text is not None
    target = _target(given, apply, output, found)
    _write(found, target)
    if json_ is not None:
        write_json(found.record, json_)
    if json_ != "-":
        _say(found, given, target)


def _target(given: str, apply: bool, output: Path | None, found: Found) -> Path:
    """Where the answer goes. Raises ArchError E0803 for a spec that was edited since the search began."""
    from archdsl.diagnostics import ArchError, Diagnostic

    if not apply:
        return output or _default_target(given, found.source)
    path = Path(given)
    try:
        now = path.read_bytes()
    except OSError as error:
        now, happened = b"", f"cannot be read any more: {error.strerror}"
    else:
        happened = "was edited since the search began, and is left as it is"
    if now != found.source.encode("utf-8"):
        again = shlex.join(["archdsl", "search", "--resume", str(found.folder), "-o", f"{path.stem}.found.arch"])
        raise ArchError([Diagnostic("E0803", f"{path} {happened}", help=again)])
    return path


def _default_target(given: str, source: str) -> Path:
    """In the present folder; a spec that uses files beside it stays with them."""
    from archdsl.spec import Spec, locate

    name = f"{Path(given).stem}.found.arch"
    stays = Spec.parse(source).uses_neighbours and not locate(given).shipped
    return Path(given).with_name(name) if stays else Path(name)


def _write(found: Found, target: Path) -> None:
    from archdsl.atomic import write_text
    from archdsl.report.trajectory import search_html, trajectory_svg

    assert found.text is not None
    beside = target.with_name(target.name.removesuffix(".arch").removesuffix(".found") + ".found")
    write_text(beside.with_name(beside.name + ".svg"), trajectory_svg(found.record))
    write_text(beside.with_name(beside.name + ".html"), search_html(found.record))
    write_json(found.record, str(beside.with_name(beside.name + ".json")))
    write_text(target, found.text)


def _say(found: Found, given: str, target: Path) -> None:
    from archdsl.cli.search_progress import found_table
    from archdsl.spec import Spec

    found_table(found.record)
    for remark in found.record["remarks"]:
        typer.echo(f"- {remark}")
    cost = found.record["discretisation_gap"]
    if cost is not None:
        typer.echo(f"- deciding cost {cost:.2f} points of mIoU, with the weights of the search and no retraining")
    name = target.name.removesuffix(".arch").removesuffix(".found")
    typer.echo(f"wrote {target}, with {name}.found.html, .svg and .json beside it")
    if target != Path(given):
        network = found.record["network"]
        which = [] if network == Spec.parse(found.source).networks[0] else ["-n", network]
        typer.echo("next: " + shlex.join(["archdsl", "diff", given, str(target), *which]))
