"""Which files a list of paths means."""

from __future__ import annotations

from pathlib import Path

_SKIPPED = {".git", ".venv", "node_modules", "__pycache__"}


def spec_paths(paths: list[str]) -> list[str]:
    """The specs named, folders searched for `*.arch`. Raises ArchError E0115 for a folder without any."""
    from archdsl.diagnostics import ArchError, Diagnostic

    found: list[str] = []
    for path in paths:
        folder = Path(path)
        if not folder.is_dir():
            found.append(path)
            continue
        inside = sorted(str(p) for p in folder.rglob("*.arch") if not _SKIPPED & set(p.parts))
        if not inside:
            raise ArchError([Diagnostic("E0115", f"the folder {path} holds no .arch file")])
        found += inside
    return list(dict.fromkeys(found))
