"""How far a contender's output is from float32 eager's."""

from __future__ import annotations

from typing import Any

from archdsl.runtime.bench.case import Case
from torch import Tensor

AGREES = {"float32": 1e-4, "bfloat16": 0.05, "float16": 0.01}
"""Root mean square of the difference, over that of the output, up to which outputs are the same but for rounding."""

LABELS_AGREE = {"float32": 1e-3, "bfloat16": 0.05, "float16": 0.01}
"""Share of pixels that may have another label, close calls included."""


def difference(case: Case, got: Tensor) -> dict[str, Any]:
    """The error fields of a row."""
    expected = case.reference
    got = got.detach().cpu()
    if case.output == "labels":
        share = float((got.reshape(expected.shape).long() != expected.long()).float().mean())
        return {"labels_differ": share, "agrees": share <= LABELS_AGREE[case.dtype]}
    off = (got.double() - expected.double()).abs()
    rms = float(off.square().mean().sqrt() / expected.double().square().mean().sqrt())
    return {"max_abs_error": float(off.max()), "rms_error": rms, "agrees": rms <= AGREES[case.dtype]}
