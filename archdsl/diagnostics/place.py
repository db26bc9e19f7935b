"""From a chain of block calls to where an error is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archdsl.diagnostics.model import Diagnostic, Frame, Label, Severity, Span


@dataclass(frozen=True, slots=True)
class Place:
    """The user's own place for something, the deeper library places, and the calls that led there."""

    span: Span
    trace: tuple[Frame, ...]
    labels: tuple[Label, ...]


MAX_CALLS_SHOWN = 3


def place(frames: Sequence[Frame]) -> Place:
    """Where to show what happened at the innermost of `frames` (outermost first, at least one).

    That is the innermost place in a text of the user's; what lies deeper, in the library, becomes the trace, and the
    calls outside it secondary labels.
    """
    own = max((i for i, f in enumerate(frames) if not f.span.source.library), default=len(frames) - 1)
    calls = [Label(f.span, f"in this call of {frames[i + 1].block}") for i, f in enumerate(frames[:own])]
    return Place(frames[own].span, tuple(frames[own + 1 :]), tuple(calls[-MAX_CALLS_SHOWN:]))


def diagnose(
    frames: Sequence[Frame],
    code: str,
    message: str,
    *,
    label: str = "",
    help: str = "",
    labels: Sequence[Label] = (),
    notes: Sequence[str] = (),
    severity: Severity = Severity.ERROR,
) -> Diagnostic:
    """A diagnostic for what happened at the innermost of `frames`."""
    where = place(frames)
    return Diagnostic(
        code,
        message,
        where.span,
        label,
        (*labels, *where.labels),
        where.trace,
        help,
        severity,
        tuple(notes),
    )
