"""Diagnostics for continuous integration: one SARIF 2.1.0 log."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from archdsl.diagnostics import pages
from archdsl.diagnostics.model import Diagnostic, Span

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def to_sarif(diagnostics: Iterable[Diagnostic], tool_version: str) -> dict[str, Any]:
    """A SARIF log with one run: the results in order, and a rule, from its page, for each code among them."""
    found = list(diagnostics)
    codes = sorted({diagnostic.code for diagnostic in found})
    driver = {"name": "archdsl", "version": tool_version, "rules": [_rule(code) for code in codes]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(diagnostic, codes.index(diagnostic.code)) for diagnostic in found],
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: str) -> dict[str, Any]:
    try:
        page = pages.load(code)
    except KeyError:
        return {"id": code}
    return {
        "id": code,
        "shortDescription": {"text": page.title},
        "help": {"text": pages.render_page(page, color=False), "markdown": page.text},
    }


def _result(diagnostic: Diagnostic, rule_index: int) -> dict[str, Any]:
    related = [(label.text, label.span) for label in diagnostic.labels]
    related += [(f"raised in block {frame.block}, here", frame.span) for frame in diagnostic.trace]
    return {
        "ruleId": diagnostic.code,
        "ruleIndex": rule_index,
        "level": diagnostic.severity.value,
        "message": {"text": _message(diagnostic)},
        "locations": [_location(diagnostic.span)] if diagnostic.span else [],
        "relatedLocations": [
            {"id": number, **_location(span), "message": {"text": text}} for number, (text, span) in enumerate(related)
        ],
    }


def _message(diagnostic: Diagnostic) -> str:
    lines = [diagnostic.message]
    lines += [diagnostic.label] if diagnostic.label else []
    lines += [f"help: {diagnostic.help}"] if diagnostic.help else []
    lines += [f"note: {note}" for note in diagnostic.notes]
    return "\n".join(lines)


def _location(span: Span) -> dict[str, Any]:
    where: dict[str, Any] = {"artifactLocation": {"uri": _uri(span.path)}}
    if span.source.text:
        where["region"] = {
            "startLine": span.line,
            "startColumn": span.column,
            "endLine": span.end_line,
            "endColumn": span.end_column,
        }
    return {"physicalLocation": where}


def _uri(path: str) -> str:
    """Relative to the working folder where that holds the file, since CI looks for it in the repository."""
    place = Path(path)
    if place.is_absolute() and place.is_relative_to(Path.cwd()):
        place = place.relative_to(Path.cwd())
    return place.as_uri() if place.is_absolute() else quote(os.fsencode(place.as_posix()))
