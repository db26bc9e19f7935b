"""Files and folders that are whole or not there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


@contextmanager
def whole_folder(path: Path, check: Callable[[Path], None]) -> Iterator[Path]:
    """Gives an empty folder beside a target, and moves it into the target's place when the block ends well.

    Readers find the old folder, the new one or none, and never a mix. `check` raises where what stands at the target
    may not be replaced; it is asked before anything is written, and again before the old folder goes. Raises ArchError
    E0803 when it cannot be written.
    """
    target = path.resolve()
    check(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".new", dir=target.parent))
        try:
            made.chmod(0o777 & ~_umask())
            yield made
            _sync_all(made)
            _exchange(made, target, check)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as error:
        raise ArchError([Diagnostic("E0803", f"{path} cannot be written: {error.strerror}")]) from error


def _exchange(made: Path, target: Path, check: Callable[[Path], None]) -> None:
    """Puts a finished folder in place of the target; what stood there is put back when that fails."""
    old = made.with_suffix(".old")
    if target.exists():
        check(target)
        target.rename(old)
    try:
        made.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
    _sync(target.parent)


def _sync_all(folder: Path) -> None:
    for file in folder.iterdir():
        _sync(file)
    _sync(folder)


def _sync(path: Path) -> None:
    """Waits until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
