"""What takes part in a bench."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from archdsl.runtime.bench.case import Case
from torch import Tensor


@dataclass
class Ready:
    """A contender that is ready to run.

    `run` computes one batch on inputs that lie where it wants them; `read` turns what it returned into the network's
    first output. `compile_s` is what was spent before the first call, of which `load_s` starts from a compiled file.
    """

    run: Callable[[], Any]
    read: Callable[[Any], Tensor]
    compile_s: float = 0.0
    load_s: float | None = None
    detail: str = ""


class Peer(Protocol):
    """What a user could pick instead of archdsl, at its best documented setting."""

    name: str

    def missing(self, case: Case) -> str | None:
        """Why it cannot take part in a case: with the command that installs it, where it is not installed."""

    def prepare(self, case: Case) -> Ready:
        """Compiles and loads the network."""


class Clock:
    """Seconds since it was made, or last asked."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    def lap(self) -> float:
        now = time.perf_counter()
        lap, self._start = now - self._start, now
        return lap


def first_tensor(result: Any) -> Tensor:
    """The first output of a call to a module."""
    tensor: Tensor = result if isinstance(result, Tensor) else next(iter(result.values()))
    return tensor
