"""`archdsl train`."""

from __future__ import annotations

import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archdsl.cli import exits
from archdsl.cli.loading import load_for, recipes_data
from archdsl.cli.options import (
    DataOption,
    DeviceOption,
    NetworkOption,
    OptOption,
    RecipeOption,
    SetOption,
    check_device,
    settings_of,
)
from archdsl.cli.unread import going_on_unread

if TYPE_CHECKING:
    from archdsl.network import Network
    from archdsl.training.data import Source
    from archdsl.training.train import Trained

DEFAULT_SPEC = "specs/dwrseg.arch"


@going_on_unread()
def train(
    spec: Annotated[str | None, typer.Argument(metavar="[SPEC]", help=f"The spec; {DEFAULT_SPEC} by default.")] = None,
    data: DataOption = None,
    recipe: RecipeOption = None,
    opt: OptOption = None,
    resume: Annotated[Path | None, typer.Option("--resume", metavar="DIR", help="A run to go on with.")] = None,
    check_data: Annotated[bool, typer.Option("--check-data", help="Read every file of the data set; no more.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="DIR", help="The run's folder; runs/train/<name> by default.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="A checkpoint to start from (fine-tuning).")
    ] = None,
    device: DeviceOption = None,
    network: NetworkOption = None,
    set_: SetOption = None,
) -> None:
    """Train a network. Without arguments: DWRSeg on built-in street scenes, in minutes.

    Example: archdsl train specs/regseg.arch --data camvid:data/CamVid --opt batch=16

    On several cards: torchrun --nproc-per-node 4 -m archdsl train --data cityscapes:data/cityscapes
    """
    check_device(device)
    if resume is not None:
        _refuse(resume, spec=spec, network=network, set_=set_, output=output, weights=weights, recipe=recipe)
        made = _resume(resume, data, opt or [], device)
    else:
        from archdsl.training.data import open_data

        source = open_data(data or recipes_data(recipe) or "streets")
        if check_data:
            _check(source)
            return
        net = load_for(spec or DEFAULT_SPEC, network, settings_of(set_), source)
        text = data or recipes_data(recipe) or "streets"
        made = _train(net, spec or DEFAULT_SPEC, text, recipe or "", opt or [], output, weights, device)
    _end(made)


def _train(
    net: Network,
    given: str,
    data: str,
    recipe: str,
    options: list[str],
    output: Path | None,
    weights: Path | None,
    device: str | None,
) -> Trained:
    from archdsl.cli.training_progress import Live, Reading
    from archdsl.training.train import train

    reading = Reading()
    try:
        return train(
            net,
            data,
            recipe,
            out=output,
            options=options,
            weights=weights,
            device=device,
            callbacks=[Live(reading)],
            seen=reading,
            given=given,
        )
    finally:
        reading.close()


def _refuse(resume: Path, **given: object) -> None:
    named = [name.strip("_") for name, value in given.items() if value]
    if named:
        message = f"{resume} says with what it goes on; --opt and --data alone can change that, not {', '.join(named)}"
        raise typer.BadParameter(message, param_hint="--resume")


def _resume(folder: Path, data: str | None, options: list[str], device: str | None) -> Trained:
    from archdsl.cli.training_progress import Live, Reading
    from archdsl.training.resume import resume

    reading = Reading()
    try:
        return resume(
            folder,
            data=data,
            options=options,
            device=device,
            callbacks=[Live(reading)],
            seen=reading,
            remark=lambda text: print(f"warning: {text}", file=sys.stderr),
        )
    finally:
        reading.close()


def _check(source: Source) -> None:
    """Reads all of a data set, and shows what is in it. Raises ArchError with what is wrong."""
    from archdsl.cli.training_progress import Reading
    from archdsl.diagnostics import ArchError, Diagnostic
    from archdsl.training.data.check import check_split, shortened

    problems: list[Diagnostic] = []
    reading = Reading()
    for split in source.splits:
        try:
            report = check_split(source, split, lambda done, of, split=split: reading(split, done, of))  # type: ignore[misc]
        except ArchError as error:
            problems += error.diagnostics
            continue
        finally:
            reading.close()
        problems += report.problems
        sizes = ", ".join(f"{n} of {h}x{w}" for (h, w), n in sorted(report.sizes.items())[:5])
        typer.echo(f"{source.name} {split}: {report.images} images ({sizes})")
        total = max(1, int(report.pixels.sum()))
        for name, pixels, images in zip(
            (*source.classes, "void"), report.pixels.tolist(), (*report.images_with.tolist(), None), strict=True
        ):
            where = "" if images is None else f"  in {images} images"
            typer.echo(f"  {name:<20} {100 * pixels / total:6.2f} %{where}")
    if problems:
        raise ArchError(shortened(problems))


def _end(made: Trained) -> None:
    from archdsl.cli.training_progress import score_table
    from archdsl.training.run_folder import RunFolder

    if made.rank:
        return
    if made.stopped is not None:
        again = shlex.join(["archdsl", "train", "--resume", str(made.folder)])
        typer.echo(f"stopped at step {made.steps}; go on with: {again}", err=True)
        exits.terminated = made.stopped == signal.SIGTERM
        raise KeyboardInterrupt
    if made.scores is not None:
        score_table(made.scores)
    facts = RunFolder(made.folder).read()
    overlays = sorted((made.folder / "overlays").glob("*.png"))
    typer.echo(f"best checkpoint: {made.best}   curves: {made.folder / 'metrics.jsonl'}")
    if overlays:
        typer.echo(f"confusion matrix: {made.folder / 'confusion.png'}   overlay: {overlays[0]}")
    given = facts["given"]
    name = Path(given).stem
    typer.echo(f"next: archdsl compile {given} --weights {made.best} && archdsl run build/{name}")
