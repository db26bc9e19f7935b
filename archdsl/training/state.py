"""Everything that a training needs to go on, in one file, written whole or not at all.

The file is safetensors: nothing in it is executed. It carries a hash of its content; the state before the last is kept
beside it, and taken where the last is damaged.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from archdsl.atomic import write_bytes
from archdsl.diagnostics import ArchError, Diagnostic

STATE = "state.safetensors"
BEFORE = "state.before.safetensors"
_KEY = "archdsl state"
_VERSION = 1


@dataclass(frozen=True)
class State:
    """Tensors by name (`module.`, `average.`, `optimizer.` before each), and what else is to be known."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors whose names begin with a word and a dot, under the rest of their names."""
        start = f"{name}."
        return {key.removeprefix(start): tensor for key, tensor in self.tensors.items() if key.startswith(start)}


def save_state(folder: Path, state: State) -> None:
    """Writes the state into a run's folder, and keeps the one before. Raises ArchError E0803 when it cannot."""
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.tensors.items()}
    header = {_KEY: json.dumps({"version": _VERSION, "sha256": _digest(plain), "facts": state.facts})}
    content = safetensors.torch.save(plain, header)
    target = folder / STATE
    try:
        if target.exists():
            before = folder / f".{BEFORE}.new"
            before.unlink(missing_ok=True)
            before.hardlink_to(target)
            before.replace(folder / BEFORE)
    except OSError as error:
        raise ArchError([Diagnostic("E0803", f"{folder / BEFORE} cannot be written: {error.strerror}")]) from error
    write_bytes(target, content, durable=True)


def load_state(folder: Path) -> State:
    """The newest whole state of a run's folder. Raises ArchError E0834 where there is none."""
    problems = []
    for name in (STATE, BEFORE):
        try:
            state = _read(folder / name)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            problems.append(f"{folder / name}: {error}")
            continue
        if problems:
            print(f"warning: {problems[0]}; going on from the state before it", file=sys.stderr)
        return state
    help_ = "a run that was stopped before its first save has none; start it anew"
    raise ArchError([Diagnostic("E0834", f"{folder} holds no state to go on from", help=help_, notes=tuple(problems))])


def _read(path: Path) -> State:
    with safe_open(path, "pt") as file:
        header = json.loads((file.metadata() or {})[_KEY])
    if header["version"] != _VERSION:
        raise ValueError(f"it is of version {header['version']}, and this archdsl reads version {_VERSION}")
    tensors = safetensors.torch.load_file(path)
    if _digest(tensors) != header["sha256"]:
        raise ValueError("it was changed since it was written")
    return State(tensors, header["facts"])


def _digest(tensors: Mapping[str, Tensor]) -> str:
    found = hashlib.sha256()
    for name in sorted(tensors):
        found.update(name.encode())
        flat = tensors[name].detach().contiguous().reshape(-1)
        found.update(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
    return found.hexdigest()
