"""One error model for every step: codes, spans, notes and help, and how they are shown."""

from archdsl.diagnostics.model import (
    ArchError,
    Diagnostic,
    Diagnostics,
    Frame,
    InternalError,
    Label,
    Severity,
    Source,
    Span,
)

__all__ = [
    "ArchError",
    "Diagnostic",
    "Diagnostics",
    "Frame",
    "InternalError",
    "Label",
    "Severity",
    "Source",
    "Span",
]
