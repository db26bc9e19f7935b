"""Networks and weights as commands are given them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archdsl.lower.module import ArchModule
    from archdsl.network import Network


def load_network(spec: str, network: str | None, settings: dict[str, Any]) -> Network:
    """A network that passed every check; its warnings go to standard error. Raises ArchError."""
    from archdsl.diagnostics.text import render_all
    from archdsl.network import load
    from archdsl.spec import locate

    if locate(spec).shipped:
        print(f"{spec} is not here; taking the one shipped with archdsl", file=sys.stderr)
    net = load(spec, network=network, **settings)
    if net.warnings:
        print(render_all(net.warnings, color=sys.stderr.isatty()), file=sys.stderr)
    return net


def load_module(net: Network, weights: Path | None, seed: int = 0) -> ArchModule:
    """The network's module with weights from a file, or drawn by `seed`. Raises ArchError E0810 to E0812."""
    if weights is None:
        return net.module(seed)
    from archdsl.lower.weights import read_weights

    module = net.module(seed)
    module.load_state_dict(read_weights(weights, net.ir))
    return module
