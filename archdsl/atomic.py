"""Files that are whole or not there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from archdsl.diagnostics import ArchError, Diagnostic


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text so that no reader ever sees half of it. Raises ArchError E0803 when it cannot."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Writes beside the target and moves into place, keeping the target's permissions and following links.

    With `durable` the content is on the disk before it takes the place of the old. Raises ArchError E0803 when it
    cannot be written.
    """
    try:
        _replace(path.resolve(), content, durable)
    except OSError as error:
        raise ArchError([Diagnostic("E0803", f"{path} cannot be written: {error.strerror}")]) from error


def _replace(path: Path, content: bytes, durable: bool) -> None:
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
