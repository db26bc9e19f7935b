"""Which files a list of paths means."""

from __future__ import annotations

from pathlib import Path

_SKIPPED = {".git", ".venv", "node_modules", "__pycache__"}


def _is_source(path: Path) -> bool:
    """Whether a file found in a folder is somebody's spec: not a folder, and not the copy inside an artifact."""
    return path.is_file() and not _SKIPPED & set(path.parts) and not (path.parent / "manifest.json").is_file()


def spec_paths(paths: list[str]) -> list[str]:
    """The specs named, folders searched for `*.arch`. Raises ArchError E0115 for a folder without any."""
    from archdsl.diagnostics import ArchError, Diagnostic

    found: list[str] = []
    for path in paths:
        folder = Path(path)
        if not folder.is_dir():
            found.append(path)
            continue
        inside = sorted(str(p) for p in folder.rglob("*.arch") if _is_source(p))
        if not inside:
            raise ArchError([Diagnostic("E0115", f"the folder {path} holds no .arch file")])
        found += inside
    return list(dict.fromkeys(found))
