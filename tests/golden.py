"""Golden files: weights drawn by rule under a reference's names, and what the reference computes from them in float64.

They lie outside the repository (`../shared/golden`, or `$ARCHDSL_SHARED/golden`).
"""

from __future__ import annotations

import importlib.util
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import archdsl
from archdsl.ir.graph import Graph
from archdsl.lower.name_map import NameMap

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("ARCHDSL_SHARED", ROOT.parent / "shared"))
GOLDEN = SHARED / "golden"

needs_golden = pytest.mark.skipif(
    not (GOLDEN / "goldenlib.py").is_file(), reason=f"the golden files are not at {GOLDEN} (set ARCHDSL_SHARED)"
)


@cache
def golden_lib() -> Any:
    spec = importlib.util.spec_from_file_location("goldenlib", GOLDEN / "goldenlib.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def golden(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = golden_lib().load(name)
    return loaded


@cache
def checkpoint(name: str, folder: Path) -> Path:
    """The golden weights as the reference would have saved them."""
    path = folder / f"{name}.pth"
    state = {key: torch.from_numpy(array) for key, array in golden_lib().weights(golden(name)).items()}
    torch.save({"model": state}, path)
    return path


def network(path: str, name: str | None = None, **parameters: Any) -> Graph:
    return archdsl.load(str(ROOT / "specs" / path), network=name, **parameters).ir


def name_map(name: str) -> NameMap:
    return NameMap.read(ROOT / "specs" / "maps" / f"{name}.toml")


def golden_input(size: str) -> Tensor:
    height, width = map(int, size.split("x"))
    return torch.from_numpy(golden_lib().make_input(1, 3, height, width))


def check(name: str, size: str, out: str, result: Tensor) -> None:
    """Holds a result to the golden rule: max(1e-4, 20 x the reference's own float32 noise) of the output's rms."""
    verdict = golden_lib().compare(golden(name), size, out, result.numpy())
    assert verdict["ok"], verdict
    assert verdict.get("argmax_equal", 1.0) > 0.9999, verdict
