"""The folder of a run: what was trained, on what, with what, and what came of it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from archdsl.atomic import write_text
from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.elaborate.files import BrokenDef, SpecFile
from archdsl.network import Network

RUNS = Path("runs") / "train"
LATEST = "latest"
METRICS = "metrics.jsonl"
RUN = "run.json"
SPEC = "spec.arch"
VERSION = 1
Progress = Literal["running", "done", "stopped", "failed"]


class RunFolder:
    """Writes `run.json`, `metrics.jsonl` and the spec."""

    def __init__(self, path: Path) -> None:
        self.path = path

    # ---------------------------------------------------------------- beginning

    @classmethod
    def make(cls, wanted: Path | None, name: str, home: Path = RUNS, option: str = "-o") -> RunFolder:
        """A new folder: the one wanted, which must be empty, or NAME in `home` with a number where it is taken.

        `option` is that of the command line by which a folder is wanted. Raises ArchError E0804 for a folder that holds
        something, E0803 for one that cannot be made.
        """
        if wanted is not None and wanted.exists() and (not wanted.is_dir() or any(wanted.iterdir())):
            again = f"go on with it by --resume {wanted}, or " if (wanted / RUN).exists() else ""
            help_ = f"{again}give another folder with {option}"
            raise ArchError([Diagnostic("E0804", f"{wanted} is there already, and not empty", help=help_)])
        for path in [wanted] if wanted is not None else _free(home / name):
            try:
                path.mkdir(parents=True, exist_ok=wanted is not None)
            except FileExistsError:
                continue
            except OSError as error:
                raise ArchError([Diagnostic("E0803", f"{path} cannot be made: {error.strerror}")]) from None
            if wanted is None:
                _point(home / LATEST, path)
            return cls(path)
        raise AssertionError("there is always a free number")

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """The folder of a run to go on with. Raises ArchError E0834 where it holds none."""
        folder = cls(path)
        folder.read()
        return folder

    def read(self) -> dict[str, Any]:
        """What `run.json` says. Raises ArchError E0834."""
        try:
            content = json.loads((self.path / RUN).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            help_ = "a run is a folder that `archdsl train` or `archdsl search` made"
            message = f"{self.path} is no run: {RUN} cannot be read"
            raise ArchError([Diagnostic("E0834", message, help=help_, notes=(str(error),))]) from None
        if not isinstance(content, dict) or content.get("version") != VERSION:
            raise ArchError([Diagnostic("E0834", f"{self.path / RUN} is not of version {VERSION}")])
        return content

    def save_spec(self, net: Network) -> None:
        """Copies the spec as `spec.arch`, and the files it uses beside it."""
        write_text(self.path / SPEC, net.source)
        for name, text in used_files(net):
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            write_text(target, text)

    # -------------------------------------------------------------------- notes

    def note(self, **facts: Any) -> None:
        """Writes facts into `run.json`, beside those that are there."""
        path = self.path / RUN
        before = self.read() if path.exists() else {"version": VERSION}
        write_text(path, json.dumps({**before, **facts}, indent=2, ensure_ascii=False) + "\n")

    def record(self, line: Mapping[str, Any]) -> None:
        """Adds a line to `metrics.jsonl`. Raises ArchError E0803 where it cannot be written."""
        path = self.path / METRICS
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        except OSError as error:
            raise ArchError([Diagnostic("E0803", f"{path} cannot be written: {error.strerror}")]) from error

    def records(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`; half a line at its end is no line."""
        found = []
        with suppress(FileNotFoundError):
            for line in (self.path / METRICS).read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):
                    found.append(json.loads(line))
        return found

    def forget_after(self, step: int, *, scored: bool = True) -> None:
        """Drops the lines that will come again: about later steps, and scores at this one where it is not scored."""
        kept = [
            line
            for line in self.records()
            if line["step"] < step or (line["step"] == step and (scored or line["split"] == "train"))
        ]
        write_text(self.path / METRICS, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept))


def _free(path: Path) -> Iterator[Path]:
    yield path
    number = 2
    while True:
        yield path.with_name(f"{path.name}-{number}")
        number += 1


def _point(link: Path, target: Path) -> None:
    """Makes `latest` beside it mean the newest run, where links can be made."""
    with suppress(OSError):
        new = link.with_name(f".{link.name}.{os.getpid()}")
        new.symlink_to(target.name)
        new.replace(link)


def used_files(net: Network) -> list[tuple[str, str]]:
    """The files that a spec uses, the library's aside: their paths from the spec's folder, and their texts."""
    root = net.spec.file
    assert root is not None
    home = Path(root.source.path).parent
    seen: dict[str, str] = {}
    waiting: list[SpecFile] = [root]
    while waiting:
        for definition in waiting.pop().names.values():
            if isinstance(definition, BrokenDef):
                continue
            source = definition.file.source
            if source is root.source or source.library or source.path in seen:
                continue
            seen[source.path] = source.text
            waiting.append(definition.file)
    return [(os.path.relpath(path, home), text) for path, text in seen.items()]


def now() -> str:
    """The time, to the second, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit of the repository that a folder is in, and whether it has changes; None outside of one."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return {"commit": commit, "changed": bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
