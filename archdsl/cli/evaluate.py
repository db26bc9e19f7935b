"""`archdsl eval`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archdsl.cli.options import JsonOption, NetworkOption, SetOption, check_device, settings_of, size, write_json

if TYPE_CHECKING:
    import torch

    from archdsl.ir.graph import Graph
    from archdsl.training.data import DataSet, Source
    from archdsl.training.evaluate import Scores
    from archdsl.training.predict import Predictor, Views
    from archdsl.training.processes import Processes


def evaluate(
    model: Annotated[str, typer.Argument(metavar="DIR|SPEC", help="A compiled network, or a spec with --weights.")],
    data: Annotated[str, typer.Option("--data", metavar="KIND:PATH", help="What to score it on.")] = "streets",
    split: Annotated[str, typer.Option("--split", help="Which part of the data set.")] = "val",
    weights: Annotated[Path | None, typer.Option("--weights", metavar="FILE", help="Weights for a SPEC.")] = None,
    scale: Annotated[
        list[float] | None, typer.Option("--scale", help="An input scale; several are averaged; repeatable.")
    ] = None,
    flip: Annotated[bool, typer.Option("--flip", help="Average with the mirrored image.")] = False,
    window: Annotated[
        str | None, typer.Option("--window", metavar="HxW", help="Slide a window over the image.")
    ] = None,
    boundary: Annotated[int, typer.Option("--boundary", min=0, help="Pixels within which a boundary is found.")] = 3,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Images seen at once.")] = 1,
    device: Annotated[str | None, typer.Option("--device", metavar="cpu|cuda", help="Where it runs.")] = None,
    confusion: Annotated[
        Path | None, typer.Option("--confusion", metavar="FILE", help="Draw the confusion matrix.")
    ] = None,
    network: NetworkOption = None,
    set_: SetOption = None,
    json_: JsonOption = None,
) -> None:
    """Score a network: mIoU, IoU per class, boundary F1, confusion matrix, at the labels' own size.

    Void labels do not count; a prediction of no class is a miss. Several processes (torchrun) share the images.

    Example: archdsl eval build/regseg --data camvid:data/CamVid --split test
    """
    from archdsl.training.data import open_data
    from archdsl.training.predict import Views
    from archdsl.training.processes import processes

    if min(scale or [1.0]) <= 0:
        raise typer.BadParameter("a scale is above 0", param_hint="--scale")
    views = Views(tuple(scale or (1.0,)), flip, None if window is None else size(window))
    check_device(device)
    source = open_data(data)
    samples = source.split(split)
    with processes(device) as (among, on):
        made = _predictor(model, network, settings_of(set_), weights, source, views, on)
        found = _scored(made, samples, source, batch, boundary, among)
    if among.first:
        _tell(found, json_, confusion)


def _predictor(
    model: str,
    network: str | None,
    settings: dict[str, Any],
    weights: Path | None,
    source: Source,
    views: Views,
    device: torch.device,
) -> Predictor:
    from archdsl.diagnostics import ArchError, Diagnostic
    from archdsl.training.predict import Predictor

    if Path(model).is_dir():
        if network is not None or settings or weights is not None:
            message = "a compiled network has its own weights and parameters; compile the spec again to change them"
            raise typer.BadParameter(message, param_hint="--network, --set, --weights")
        made, graph, classes = _artifact(model, device)
        if views != type(views)() and made.manifest.output == "labels":
            message = "a network compiled for labels has no logits to average; compile it for logits"
            raise typer.BadParameter(message, param_hint="--scale, --flip, --window")
    else:
        made, graph, classes = _spec(model, network, settings, weights, source, device)
    known = len(source.classes)
    if classes not in (known, known + 1):
        message = f"{graph.name} tells {classes} classes apart, and {source.name} has {known}"
        raise ArchError([Diagnostic("E0836", message)])
    if classes == known + 1:
        print(f"{graph.name} tells void from the {known} classes: predicting it is a miss", file=sys.stderr)
    return Predictor(made, graph, device, views)


def _artifact(folder: str, device: torch.device) -> tuple[Any, Graph, int]:
    from archdsl.cli.exits import MissingRequirement
    from archdsl.cli.segmenter import class_count
    from archdsl.runtime import Unavailable, load

    try:
        made = load(folder, device=str(device))
    except Unavailable as lacking:
        raise MissingRequirement(str(lacking)) from lacking
    _warn(made.manifest.weights)
    return _Quiet(made), made.graph, class_count(made.graph)


class _Quiet:
    """A compiled model that says nothing about sizes it was not compiled for: images have the size they have."""

    def __init__(self, model: Any) -> None:
        self.model, self.manifest = model, model.manifest

    def __call__(self, inputs: torch.Tensor) -> Any:
        found = self.model.outputs({self.model.graph.inputs[0].name: inputs})
        return next(iter(found.values()))


def _spec(
    spec: str, network: str | None, settings: dict[str, Any], path: Path | None, source: Source, device: torch.device
) -> tuple[Any, Graph, int]:
    from archdsl.cli.loading import load_for, load_module, read_weights_file
    from archdsl.cli.segmenter import class_count

    given = read_weights_file(path)
    net = load_for(spec, network, settings, source, given)
    _warn("random" if given is None else "partial" if given.metadata.get("random") else "given")
    return load_module(net, given).to(device).eval(), net.ir, class_count(net.ir)


def _warn(weights: str) -> None:
    if weights != "given":
        part = "" if weights == "random" else "partly "
        print(f"warning: the weights are {part}random, so the scores mean nothing yet", file=sys.stderr)


def _scored(predictor: Predictor, data: DataSet, source: Source, batch: int, boundary: int, among: Processes) -> Scores:
    from archdsl.cli.training_progress import Reading
    from archdsl.training.evaluate import evaluate

    progress = Reading("scoring")
    try:
        return evaluate(
            predictor,
            data,
            source.classes,
            batch=batch,
            tolerance=boundary,
            among=among,
            seen=lambda done, of: progress("images", done, of) if among.first else None,
        )
    finally:
        progress.close()


def _tell(found: Scores, json_: str | None, confusion: Path | None) -> None:
    from archdsl.cli.training_progress import score_table

    if confusion is not None:
        from archdsl.images import write_rgb
        from archdsl.training.pictures import confusion_picture

        write_rgb(confusion, confusion_picture(found.confusion.matrix(), found.classes))
    if json_ is not None:
        write_json({"version": 1, **found.as_json()}, json_)
    if json_ != "-":
        score_table(found)
