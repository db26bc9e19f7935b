"""Holes as diagnostics that teach: what was seen before the layer, how far its taps lie apart, and the mend."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING

from archdsl.diagnostics import Diagnostic, Frame, Severity
from archdsl.diagnostics.place import diagnose

if TYPE_CHECKING:
    from archdsl.analyses.gaps import GapFinding

_CODES = {Severity.ERROR: "E0603", Severity.WARNING: "W0701"}


def diagnostics(findings: Iterable[GapFinding], severity: Severity = Severity.WARNING) -> list[Diagnostic]:
    """One diagnostic each: E0603 or W0701 by `severity` for a hole, the note N0702 for one that a branch fills."""
    return [_diagnostic(finding, severity) for finding in findings]


def _diagnostic(gap: GapFinding, severity: Severity) -> Diagnostic:
    code, severity = ("N0702", Severity.NOTE) if gap.filled else (_CODES[severity], severity)
    message, label, notes = _message(gap), _label(gap), tuple(_notes(gap))
    help = "" if gap.filled else _help(gap)
    if gap.node.origin is None:
        return Diagnostic(code, message, label=label, help=help, notes=notes, severity=severity)
    frames = gap.node.origin.frames or (Frame("", gap.node.origin.span),)
    return diagnose(frames, code, message, label=label, help=help, notes=notes, severity=severity)


def _message(gap: GapFinding) -> str:
    where = "" if len(gap.axes) == 2 else " along rows" if gap.axes == ("y",) else " along columns"
    if not gap.taps:
        return f"the results of {gap.node.op} read places apart, with holes {_pixels(gap.width)} wide{where}"
    if gap.filled:
        return f"rate {gap.rate} is over the bound of {gap.bound}{where}, and a parallel branch fills the hole"
    return f"{gap.node.op} with rate {gap.rate} leaves holes {_pixels(gap.width)} wide{where} in what it sees"


def _label(gap: GapFinding) -> str:
    return f"its taps lie {_pixels(gap.rate * gap.s)} apart, and each sees {gap.k}" if gap.taps else ""


def _help(gap: GapFinding) -> str:
    if not gap.taps:
        return "pad or crop the maps alike, so that they read around the same place"
    if gap.largest:
        return f"the largest rate that leaves no hole here is {gap.largest}; or add a parallel branch that fills it"
    return "no rate leaves no hole here: see more before it, or stride and shrink less"


def _notes(gap: GapFinding) -> Iterable[str]:
    if gap.taps:
        rule = f"so the bound is ⌊{gap.k} / {gap.s}⌋ = {gap.bound}"
        yield f"before it the field of view is {gap.k} and the stride {gap.s}, {rule}"
    if gap.nominal:
        yield "worked out with the ratio of the strides; state the input's size for an exact answer"


def _pixels(count: Fraction | int) -> str:
    return "1 input pixel" if count == 1 else f"{count} input pixels"
