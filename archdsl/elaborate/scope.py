"""The names a body sees, and what a name can mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import archdsl.ir.ops  # noqa: F401  (registers the ops)
from archdsl.elaborate.files import SpecFile
from archdsl.elaborate.paths import Paths
from archdsl.elaborate.values import MapValue
from archdsl.ir.op import OPS, in_language

BUILTINS = ("len", "zip", "enumerate", "range", "min", "max", "sum", "reversed", "shape")
ANALYSES = ("params", "params_train", "macs", "field_of_view", "gap_free", "latency")


@dataclass
class Scope:
    """One body being evaluated."""

    file: SpecFile
    values: dict[str, Any]
    paths: Paths
    binding: str = ""
    """The name that the statement under way binds, for the paths of what it applies."""
    inputs: list[MapValue] = field(default_factory=list)
    """Values given to a block and not yet taken by an `in`."""
    outputs: list[tuple[str | None, Any, bool]] = field(default_factory=list)
    is_network: bool = False
    starved: bool = False
    """Whether an `in` found no value left, which has been said."""

    def visible(self) -> list[str]:
        """Every name that means something here, for suggestions."""
        ops = [name for name in OPS if in_language(name)]
        return [*self.values, *self.file.names, *ops, *BUILTINS, *ANALYSES, "true", "false", "none"]
