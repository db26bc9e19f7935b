"""What a bench found, as `bench --json` says it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from archdsl.runtime.bench.measured import Measured


@dataclass
class Row:
    """One contender on one case. Times are of one batch; errors are against float32 eager on the same input.

    `max_abs_error` is of logits, `labels_differ` the share of pixels with another label. `agrees` says whether the
    output is the network's, up to the rounding of the dtype.
    """

    network: str
    engine: str
    device: str
    dtype: str
    batch: int
    input: str
    output: str
    median_ms: float | None = None
    p5_ms: float | None = None
    p95_ms: float | None = None
    rounds: int = 0
    images_s: float | None = None
    max_abs_error: float | None = None
    rms_error: float | None = None
    labels_differ: float | None = None
    agrees: bool | None = None
    peak_mb: float | None = None
    compile_s: float | None = None
    load_s: float | None = None
    first_call_s: float | None = None
    detail: str = ""
    skipped: str | None = None


@dataclass
class Against:
    """A peer's milliseconds over ours, over paired rounds, with the 95 % interval."""

    ratio: float
    low: float
    high: float


@dataclass
class Ratio:
    """archdsl against the best peer, as in `Against`; and against every peer whose output is the network's.

    `of_limit` is the part of archdsl's time that the machine's measured rates make unavoidable, `floor_ms`;
    `passed_over` says of engines that archdsl could not run or did not choose why.
    """

    network: str
    device: str
    dtype: str
    batch: int
    input: str
    output: str
    chosen: str
    own: bool
    best_peer: str | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    against: dict[str, Against] = field(default_factory=dict)
    floor_ms: float | None = None
    of_limit: float | None = None
    passed_over: dict[str, str] = field(default_factory=dict)


@dataclass
class Report:
    """Everything, in the order it was measured."""

    hardware: dict[str, Any]
    versions: dict[str, str]
    limits: dict[str, Any]
    date: str
    command: str
    rows: list[Row] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    nodes: dict[str, Measured] = field(default_factory=dict)
    interrupted: bool = False

    def json(self) -> dict[str, Any]:
        content = {"version": 1, **asdict(self)}
        return {
            **content,
            "rows": [_rounded(r) for r in content["rows"]],
            "ratios": [_rounded(r) for r in content["ratios"]],
            "nodes": {case: _rounded(found.json()) for case, found in self.nodes.items()},
        }


def _rounded(record: Any) -> Any:
    """Five significant digits: more than a clock is good for."""
    if isinstance(record, dict):
        return {key: _rounded(value) for key, value in record.items()}
    if isinstance(record, list):
        return [_rounded(value) for value in record]
    return float(f"{record:.5g}") if isinstance(record, float) else record
