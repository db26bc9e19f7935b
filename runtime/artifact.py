"""The folder a compiled network is kept in. Data only: nothing in it is executed or unpickled.

`manifest.json` names every other file with its length and hash. An artifact is written to a temporary folder beside the
target and moved into place, so that a reader finds the old one, the new one or none, and never a mix.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from archdsl.runtime.manifest import FORMAT, KIND, FileRecord, Manifest
from pydantic import ValidationError

from archdsl.atomic import whole_folder
from archdsl.diagnostics import ArchError, Diagnostic

MANIFEST = "manifest.json"
FILES = ("graph.json", "weights.safetensors", "spec.arch", "report.html")
MAX_MANIFEST = 64 << 20


def _error(code: str, message: str, help: str = "") -> ArchError:
    return ArchError([Diagnostic(code, message, help=help)])


# ---------------------------------------------------------------------- write


def write(folder: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Manifest:
    """Writes an artifact of the given files, each of FILES; an artifact that is there already is replaced.

    Returns the manifest with the files in it. Raises ArchError E0807 when something else stands at the target, E0803
    when it cannot be written.
    """
    records = {name: FileRecord(bytes=len(files[name]), sha256=_hash(files[name])) for name in FILES}
    complete = manifest.model_copy(update={"files": records})
    with whole_folder(folder, _check_target) as made:
        for name, data in {**files, MANIFEST: complete.model_dump_json(indent=2).encode()}.items():
            (made / name).write_bytes(data)
    return complete


def _check_target(target: Path) -> None:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not is_artifact(target):
        raise _error("E0807", f"{target} is there already and is no artifact", "give another folder with -o")


def is_artifact(folder: Path) -> bool:
    """Whether a folder holds an artifact, of whatever format version, and no file besides."""
    if not folder.is_dir() or not {entry.name for entry in folder.iterdir()} <= {MANIFEST, *FILES}:
        return False
    try:
        data = json.loads((folder / MANIFEST).read_bytes()[:MAX_MANIFEST])
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(data, dict) and data.get("kind") == KIND


# ----------------------------------------------------------------------- read


def read(folder: Path) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest and the content of every file, each proven to be what was written.

    Raises ArchError E0806 when the folder holds no artifact or one of another format version, E0805 with the file's
    name when a file is missing, truncated or changed.
    """
    manifest = read_manifest(folder)
    for name in FILES:
        if name not in manifest.files:
            raise _error("E0806", f"{folder / MANIFEST} does not list {name}", _RECOMPILE)
    return manifest, {name: _proven(folder / name, manifest.files[name]) for name in FILES}


_RECOMPILE = "compile the spec again"


def read_manifest(folder: Path) -> Manifest:
    """The manifest alone. Raises ArchError E0806 when the folder holds no artifact that this version reads."""
    path = folder / MANIFEST
    try:
        if path.stat().st_size > MAX_MANIFEST:
            raise _error("E0806", f"{path} is too large for a manifest")
        data = json.loads(path.read_bytes())
    except OSError as error:
        help = "an artifact is a folder that `archdsl compile` wrote"
        raise _error("E0806", f"{folder} is no artifact: {MANIFEST} cannot be read", help) from error
    except (ValueError, RecursionError) as error:
        raise _error("E0806", f"{path} is damaged: it is not JSON", _RECOMPILE) from error
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise _error("E0806", f"{path} is not the manifest of an artifact")
    if data.get("format") != FORMAT:
        message = f"{folder} is an artifact of format {data.get('format')!r}; this archdsl reads format {FORMAT}"
        raise _error("E0806", message, _RECOMPILE)
    return _validated(path, data)


def _validated(path: Path, data: object) -> Manifest:
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise _error("E0806", f"{path} is damaged: {place}: {first['msg']}", _RECOMPILE) from error


def _proven(path: Path, record: FileRecord) -> bytes:
    try:
        length = path.stat().st_size
        if length != record.bytes:
            raise _error("E0805", f"{path} has {length} bytes instead of {record.bytes}", _RECOMPILE)
        content = path.read_bytes()
    except OSError as error:
        raise _error("E0805", f"{path} is missing or cannot be read", _RECOMPILE) from error
    if _hash(content) != record.sha256:
        raise _error("E0805", f"{path} was changed since it was written", _RECOMPILE)
    return content


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
