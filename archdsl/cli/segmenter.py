"""What `archdsl run` runs: a compiled artifact, or a spec as it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.cli.loading import Trained, load_module, load_network, read_weights_file
from archdsl.cli.run import SAMPLE_SIZE, Segmenter
from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.images import CITYSCAPES_NAMES, default_palette

if TYPE_CHECKING:
    from archdsl.ir.graph import Graph

MAX_CLASSES = 255
"""What a label PNG of one byte per pixel holds, one value being kept for void."""


def from_artifact(folder: Path) -> Segmenter:
    """The network in an artifact's folder. Raises ArchError for a damaged one, or one that does not segment."""
    from archdsl.runtime import load

    model = load(folder)
    manifest = model.manifest
    spec_names = manifest.class_names
    count = class_count(model.graph)
    return Segmenter(
        folder.name,
        model,
        model.graph,
        model.graph.preprocessing[0][1],
        spec_names or class_names(count),
        manifest.palette or default_palette(count),
        manifest.sizes[0] if manifest.sizes else SAMPLE_SIZE,
        manifest.weights,
    )


def from_spec(spec: str, network: str | None, settings: dict[str, Any], weights: Path | None) -> Segmenter:
    """A spec's network in plain eager PyTorch. Raises ArchError for a spec or weights at fault."""
    given = read_weights_file(weights)
    net = load_network(spec, network, settings, given)
    count = class_count(net.ir)
    module = load_module(net, given).eval()
    trained = Trained.of(given)
    return Segmenter(
        Path(spec).stem,
        module,
        net.ir,
        net.preprocessing,
        trained.class_names or class_names(count),
        trained.palette or default_palette(count),
        trained.size or SAMPLE_SIZE,
        "random" if given is None else "partial" if given.metadata.get("random") else "given",
    )


def class_count(graph: Graph) -> int:
    """How many classes the one output tells apart. Raises ArchError E0809 where that is not clear."""
    outputs = [out for out in graph.outputs if not out.aux]
    if len(outputs) != 1 or len(graph.inputs) != 1:
        message = (
            f"{graph.name} has {len(graph.inputs)} inputs and {len(outputs)} outputs; to segment it needs one each"
        )
        raise ArchError([Diagnostic("E0809", message)])
    node = graph.by_name[outputs[0].value.node]
    counted = node.inputs[0] if node.op == "argmax" else outputs[0].value
    count = graph.type_of(counted).channels
    if count > MAX_CLASSES:
        raise ArchError(
            [Diagnostic("E0809", f"{graph.name} tells {count} classes apart; a label image holds {MAX_CLASSES}")]
        )
    return count


def class_names(count: int) -> tuple[str, ...]:
    """Names of classes that nobody named: Cityscapes' for 19, numbers otherwise."""
    return tuple(CITYSCAPES_NAMES) if count == len(CITYSCAPES_NAMES) else tuple(f"class {i}" for i in range(count))
