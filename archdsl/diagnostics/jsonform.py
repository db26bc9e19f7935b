"""Diagnostics for programs: the objects of `check --json`."""

from __future__ import annotations

from typing import Any

from archdsl.diagnostics.model import Diagnostic, Span


def to_json(diagnostic: Diagnostic) -> dict[str, Any]:
    """One diagnostic as plain data. Without a span, `path` and the positions are null."""
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        **_stretch(diagnostic.span),
        "label": diagnostic.label,
        "labels": [{"text": label.text, **_stretch(label.span)} for label in diagnostic.labels],
        "help": diagnostic.help,
        "notes": list(diagnostic.notes),
        "trace": [{"block": frame.block, **_start(frame.span)} for frame in diagnostic.trace],
    }


def _start(span: Span) -> dict[str, Any]:
    return {"path": span.path, "line": span.line, "column": span.column}


def _stretch(span: Span | None) -> dict[str, Any]:
    if span is None:
        return dict.fromkeys(("path", "line", "column", "end_line", "end_column"))
    return {**_start(span), "end_line": span.end_line, "end_column": span.end_column}
