"""What was measured before on this machine: one small JSON file per question."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from archdsl.runtime.engines import Program
from archdsl.runtime.machine import describe, versions
from archdsl.runtime.manifest import Choice

from archdsl.atomic import write_text
from archdsl.diagnostics import ArchError
from archdsl.ir.equality import semantic_hash

_VERSION = 2


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


@dataclass(frozen=True)
class Timings:
    """Milliseconds by engine; what is known of the parts of the split among them; and what came of looking for a
    split, by the engines that were tried on parts: why there is none, or nothing where there is one.
    """

    milliseconds: dict[str, float] = field(default_factory=dict)
    parts: tuple[Choice, ...] = ()
    split: dict[str, str] = field(default_factory=dict)


def remembered(key: str) -> Timings:
    """What was measured; nothing when that is not known, or the file is damaged."""
    try:
        found = json.loads(_path(key).read_bytes())
        if found["version"] != _VERSION:
            return Timings()
        taken = {str(name): float(ms) for name, ms in found["milliseconds"].items() if 0 < float(ms) < float("inf")}
        parts = tuple(Choice.model_validate(part) for part in found["parts"])
        return Timings(taken, parts, {str(tried): str(why) for tried, why in found["split"].items()})
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Timings()


def remember(key: str, timings: Timings) -> None:
    """Keeps timings for later. Where the folder cannot be written, nothing is kept."""
    content = {
        "version": _VERSION,
        "milliseconds": timings.milliseconds,
        "parts": [part.model_dump() for part in timings.parts],
        "split": timings.split,
    }
    try:
        _path(key).parent.mkdir(parents=True, exist_ok=True)
        write_text(_path(key), json.dumps(content))
    except (OSError, ArchError):
        return


def _path(key: str) -> Path:
    return cache_folder() / "engines" / f"{key}.json"
