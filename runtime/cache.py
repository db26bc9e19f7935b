"""What was measured before on this machine: one small JSON file per question."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from archdsl.runtime.engines import Program
from archdsl.runtime.machine import describe, versions

from archdsl.atomic import write_text
from archdsl.diagnostics import ArchError
from archdsl.ir.equality import semantic_hash

_VERSION = 1


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/archdsl`, or `~/.cache/archdsl` where that is not set to an absolute path."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "archdsl"


def key_of(program: Program) -> str:
    """What a timing holds for: network, sizes, batch, dtype, device, hardware and versions, as one hash."""
    question = {
        "graph": semantic_hash(program.graph),
        "sizes": program.sizes,
        "batch": program.batch,
        "dtype": str(program.dtype),
        "device": str(program.device),
        "hardware": describe(program.device),
        "versions": versions(),
    }
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()


def remembered(key: str) -> dict[str, float]:
    """Milliseconds by engine; empty when nothing was measured, or the file is damaged."""
    try:
        found = json.loads(_path(key).read_bytes())
        if found["version"] != _VERSION:
            return {}
        return {str(name): float(ms) for name, ms in found["milliseconds"].items() if 0 < float(ms) < float("inf")}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def remember(key: str, milliseconds: dict[str, float]) -> None:
    """Keeps timings for later. Where the folder cannot be written, nothing is kept."""
    try:
        _path(key).parent.mkdir(parents=True, exist_ok=True)
        write_text(_path(key), json.dumps({"version": _VERSION, "milliseconds": milliseconds}))
    except (OSError, ArchError):
        return


def _path(key: str) -> Path:
    return cache_folder() / "engines" / f"{key}.json"
