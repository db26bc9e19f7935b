"""Networks and weights as commands are given them."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.cli.options import use_color

if TYPE_CHECKING:
    from torch import Tensor

    from archdsl.lower.module import ArchModule
    from archdsl.network import Network
    from archdsl.training.data import Source


@dataclass(frozen=True)
class Weights:
    """Tensors by our names, and what their file says of where they come from."""

    path: Path
    state: dict[str, Tensor]
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trained:
    """What weights know of the data set they were trained on; None for what they do not."""

    class_names: tuple[str, ...] | None = None
    palette: tuple[tuple[int, int, int], ...] | None = None
    size: tuple[int, int] | None = None
    """Height and width at which the network saw the images."""

    @classmethod
    def of(cls, weights: Weights | None) -> Trained:
        """Raises ArchError E0812 where a file says it in another form."""
        from archdsl.diagnostics import ArchError, Diagnostic

        if weights is None:
            return cls()
        names, palette, size = (weights.metadata.get(key) for key in ("class_names", "palette", "size"))
        try:
            return cls(
                tuple(str(name) for name in names) if names else None,
                tuple((int(r), int(g), int(b)) for r, g, b in palette) if palette else None,
                (int(size[0]), int(size[1])) if size else None,
            )
        except (TypeError, ValueError, IndexError, KeyError) as error:
            message = f"the header of {weights.path} is damaged: {error}"
            raise ArchError([Diagnostic("E0812", message)]) from error


def read_weights_file(path: Path | None) -> Weights | None:
    """A weights file, None for none given. Raises ArchError E0812."""
    if path is None:
        return None
    from archdsl.lower.checkpoints import read_weights

    state, metadata = read_weights(path)
    return Weights(path, state, metadata)


def load_network(spec: str, network: str | None, settings: dict[str, Any], weights: Weights | None = None) -> Network:
    """A network that passed every check; its warnings go to standard error.

    Weights remember the network and the parameters that they were made with; those apply where the command gives none.
    Raises ArchError.
    """
    from archdsl.diagnostics.text import render_all
    from archdsl.network import load
    from archdsl.spec import locate

    if locate(spec).shipped:
        print(f"{spec} is not here; taking the one shipped with archdsl", file=sys.stderr)
    if weights is not None:
        network = network or weights.metadata.get("network")
        settings = {**weights.metadata.get("parameters", {}), **settings}
    net = load(spec, network=network, **settings)
    if net.warnings:
        print(render_all(net.warnings, color=use_color(sys.stderr)), file=sys.stderr)
    return net


def load_for(
    spec: str, network: str | None, settings: dict[str, Any], source: Source, weights: Weights | None = None
) -> Network:
    """A network for a data set: `classes` is the data set's, unless given or known to the weights. Raises ArchError."""
    from archdsl.spec import Spec, locate

    read = Spec.read(locate(spec).path)
    named = network or next(iter(read.networks), None)
    known = {} if weights is None else weights.metadata.get("parameters", {})
    if "classes" not in {*settings, *known} and named in read.networks and "classes" in read.parameters(named or ""):
        settings = {**settings, "classes": len(source.classes)}
    return load_network(spec, network, settings, weights)


def recipes_data(recipe: str | None) -> str | None:
    """The data set that a recipe is for, where it says one. Raises ArchError."""
    if recipe is None:
        return None
    from archdsl.training.recipes import read_recipe

    return read_recipe(recipe).data_set


def load_module(net: Network, weights: Weights | None, seed: int = 0) -> ArchModule:
    """The network's module with the weights given, or random ones drawn by `seed`.

    Raises ArchError: E0810 for names and E0811 for shapes that are not the network's, E0814 for values not finite.
    """
    module = net.module(seed)
    if weights is not None:
        _check(net, weights)
        module.load_state_dict(weights.state)
    return module


def _check(net: Network, weights: Weights) -> None:
    """Refuses weights that are not exactly the network's. Raises ArchError E0810, E0811 or E0814."""
    from archdsl.diagnostics import ArchError
    from archdsl.ir.state import layout
    from archdsl.lower.import_weights import ImportReport, ShapeMismatch, check_finite

    wanted = layout(net.ir)
    shared = [name for name in wanted if name in weights.state]
    mismatches = tuple(
        ShapeMismatch(name, name, tuple(weights.state[name].shape), wanted[name].shape)
        for name in shared
        if tuple(weights.state[name].shape) != wanted[name].shape
    )
    missing = tuple(name for name in wanted if name not in weights.state)
    unexpected = tuple(name for name in weights.state if name not in wanted)
    report = ImportReport(weights.state, tuple((n, n) for n in shared), missing, unexpected, mismatches)
    if not report.complete:
        help = "is it another network's? a checkpoint of another program comes in with `archdsl weights import`"
        raise ArchError(report.diagnostics(help=help))
    check_finite(weights.state, weights.path)
