"""What the steps of a compiled network took on a machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Step:
    """Seconds of one step of an engine, named after a node of the rewritten graph; its line in the text, 0 for none."""

    node: str
    op: str
    line: int
    seconds: float


@dataclass(frozen=True)
class Measured:
    """A call of one image, in seconds, and its steps run one by one, on the engine that ran them."""

    engine: str
    dtype: str
    call: float
    steps: tuple[Step, ...]
    source: str = ""
    """The text that the lines are of."""

    @property
    def total(self) -> float:
        """What the steps add up to. More than a call takes, as each step is waited for."""
        return sum(step.seconds for step in self.steps)

    def by_line(self) -> dict[int, float]:
        """Seconds by line of the text."""
        found: dict[int, float] = {}
        for step in self.steps:
            found[step.line] = found.get(step.line, 0.0) + step.seconds
        return dict(sorted(found.items()))

    def under(self, path: str, line: int) -> float:
        """Seconds of the steps of a line that belong to the part of a path."""
        within = (step for step in self.steps if step.line == line and f"{step.node}.".startswith(f"{path}."))
        return sum(step.seconds for step in within)

    def text(self, line: int) -> str:
        """A line of the text, empty where there is none."""
        lines = self.source.splitlines()
        return lines[line - 1].strip() if 0 < line <= len(lines) else ""

    def json(self) -> dict[str, Any]:
        """Milliseconds of a call, by line, and by step."""
        return {
            "engine": self.engine,
            "dtype": self.dtype,
            "call_ms": 1e3 * self.call,
            "lines": [{"line": n, "text": self.text(n), "ms": 1e3 * took} for n, took in self.by_line().items()],
            "steps": [{"node": s.node, "op": s.op, "line": s.line, "ms": 1e3 * s.seconds} for s in self.steps],
        }
