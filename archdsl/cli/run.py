"""`archdsl run`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archdsl.cli.options import NetworkOption, SetOption, settings_of
from archdsl.diagnostics import ArchError, Diagnostic

if TYPE_CHECKING:
    from archdsl.images import Pixels
    from archdsl.ir.graph import Graph, Preprocessing
    from archdsl.runtime.manifest import WeightsKind

SAMPLE_SEED = 4
SAMPLE_SIZE = (512, 1024)
SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Segmenter:
    """What turns images into labels: a network ready to run, and what is known of its input and classes."""

    name: str
    network: Any
    graph: Graph
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    sample_size: tuple[int, int]
    weights: WeightsKind


def run(
    model: Annotated[str, typer.Argument(metavar="DIR|SPEC", help="A compiled network, or a spec.")],
    images: Annotated[
        list[str] | None, typer.Argument(metavar="IMAGE|FOLDER…", help="PNG or JPEG; a street scene is drawn if none.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="DIR", help="Where results go; runs/run/<name> by default.")
    ] = None,
    weights: Annotated[Path | None, typer.Option("--weights", help="Weights for a SPEC (.safetensors).")] = None,
    network: NetworkOption = None,
    set_: SetOption = None,
) -> None:
    """Segment images: a PNG of class indices and a coloured overlay for each.

    Example: archdsl run build/dwrseg street.jpg
    """
    from archdsl.cli.segmenter import from_artifact, from_spec

    if Path(model).is_dir():
        if network is not None or set_ or weights is not None:
            message = "a compiled network has its own weights and parameters; compile the spec again to change them"
            raise typer.BadParameter(message, param_hint="--network, --set, --weights")
        segmenter = from_artifact(Path(model))
    else:
        segmenter = from_spec(model, network, settings_of(set_), weights)
    if segmenter.weights != "given":
        part = "" if segmenter.weights == "random" else "partly "
        print(f"warning: the weights are {part}random, so the labels mean nothing yet", file=sys.stderr)
    folder = output or Path("runs") / "run" / segmenter.name
    _make(folder)
    sources = list(_sources(images or [], folder, segmenter))
    _check_targets(sources, folder)
    problems = [problem for path, stem in _progress(sources) for problem in _tried(segmenter, path, folder, stem)]
    if problems:
        raise ArchError(problems)


def _tried(segmenter: Segmenter, path: Path, folder: Path, stem: str) -> tuple[Diagnostic, ...]:
    """Segments one image; what is wrong with it does not keep the others from being segmented."""
    try:
        _one(segmenter, path, folder, stem)
    except ArchError as error:
        return error.diagnostics
    return ()


def _results(folder: Path, stem: str) -> tuple[Path, Path]:
    return folder / f"{stem}.labels.png", folder / f"{stem}.overlay.png"


def _check_targets(sources: list[tuple[Path, str]], folder: Path) -> None:
    """Refuses to write a result over one of the images. Raises ArchError E0804."""
    given = {path.resolve() for path, _ in sources}
    clashes = [target for _, stem in sources for target in _results(folder, stem) if target.resolve() in given]
    if clashes:
        message = f"{clashes[0]} is one of the images, and would be overwritten by a result"
        raise ArchError([Diagnostic("E0804", message, help="give another folder with -o")])


def _make(folder: Path) -> None:
    if (folder / "manifest.json").exists():
        message = f"{folder} is a compiled network, and would not be one with results in it"
        raise ArchError([Diagnostic("E0804", message, help="give another folder with -o")])
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArchError([Diagnostic("E0803", f"{folder} cannot be made: {error.strerror}")]) from None


def _sources(images: list[str], folder: Path, segmenter: Segmenter) -> Iterator[tuple[Path, str]]:
    """The images to segment, each with a name for its results that no other has."""
    taken: set[str] = set()
    for path in _files(images) if images else [_sample(folder, segmenter)]:
        stem, number = path.stem, 1
        while stem in taken:
            number += 1
            stem = f"{path.stem}-{number}"
        taken.add(stem)
        yield path, stem


def _files(images: list[str]) -> Iterator[Path]:
    for name in images:
        path = Path(name)
        if not path.is_dir():
            yield path
            continue
        try:
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
        except OSError as error:
            raise ArchError([Diagnostic("E0801", f"{path} cannot be read: {error.strerror}")]) from None
        if not inside:
            raise ArchError([Diagnostic("E0801", f"the folder {path} holds no PNG or JPEG")])
        yield from inside


def _sample(folder: Path, segmenter: Segmenter) -> Path:
    from archdsl.images import write_rgb
    from archdsl.training.streets import scene

    height, width = segmenter.sample_size
    path = folder / "sample.png"
    write_rgb(path, scene(SAMPLE_SEED, height, width).image)
    typer.echo(f"no image given; drew a street scene: {path}")
    return path


def _progress(sources: list[tuple[Path, str]]) -> Iterable[tuple[Path, str]]:
    if len(sources) < 4 or not sys.stderr.isatty():
        return sources
    from rich.console import Console
    from rich.progress import track

    return track(sources, description="segmenting", console=Console(stderr=True))


def _one(segmenter: Segmenter, path: Path, folder: Path, stem: str) -> None:
    from archdsl.checking import nearest_size
    from archdsl.images import legend, overlay, read_rgb, write_labels, write_rgb
    from archdsl.runtime.segment import segment

    image: Pixels = read_rgb(path)
    height, width = image.shape[:2]
    allowed = nearest_size(segmenter.graph, {"H": height, "W": width})
    size = allowed["H"], allowed["W"]
    if size != (height, width):
        typer.echo(f"{path}: {height}x{width} is no size this network takes; seen at {size[0]}x{size[1]} and put back")
    result = segment(
        segmenter.network,
        image,
        segmenter.preprocessing,
        channels=segmenter.graph.inputs[0].types[0].channels,
        size=size,
    )
    labels, picture = _results(folder, stem)
    write_labels(labels, result.labels)
    blended = overlay(image, result.labels, segmenter.palette)
    write_rgb(picture, legend(blended, result.labels, segmenter.classes, segmenter.palette))
    typer.echo(f"{path}: labels {labels}, overlay {picture}")
