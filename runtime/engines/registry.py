"""What an engine is, and the table of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from archdsl.runtime.engines.program import Program
from torch import Tensor

Outputs = Tensor | dict[str, Tensor]

Runner = Callable[..., Outputs]
"""Takes the inputs in the order of the graph; gives the output, or a dict by name where there are several.

Inputs come on the program's device, in its dtype and in channels_last. Outputs are the caller's: no later call changes
them. A runner may have more, for those who ask: `memory() -> dict[str, int]`, the bytes it holds by what they are for;
`profile(*inputs) -> dict[str, float]`, the seconds of each step of a call, by the node that the step is named after;
`borrowed(*inputs)`, outputs that the next call overwrites; `fixed_batch`, whether only the program's batch is fast.
"""


class Engine(Protocol):
    """Something that runs programs. `own` tells engines of archdsl from those of others.

    `seconds` is what `prepare` typically takes for a network of this field: automatic choice begins with a candidate
    only when that much is left of its time. What an engine does once per machine, as compiling its kernels, it may do
    in `once()`, which automatic choice calls before its time begins.
    """

    name: str
    own: bool
    seconds: float

    def available(self, program: Program) -> str | None:
        """Why the engine cannot run a program on this machine, or None when it can. Quick, and imports nothing big."""

    def prepare(self, program: Program) -> Runner:
        """Makes ready to run: any thread, any size the network takes, without gradients."""


ENGINES: dict[str, Engine] = {}


def register(engine: Engine) -> Engine:
    """Makes an engine known by its name. Raises ValueError when the name is taken."""
    if engine.name in ENGINES or engine.name in ("auto", "own"):
        raise ValueError(f"there is an engine {engine.name} already")
    ENGINES[engine.name] = engine
    return engine
