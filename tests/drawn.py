"""Weights and inputs that follow from names and shapes alone, so that a file of samples can stand for a reference.

numpy's RandomState is frozen by numpy's policy: the same names give the same numbers on every machine.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FOLDER = Path(__file__).parent / "data" / "parity"
SAMPLES = 512


def _dice(key: str) -> np.random.RandomState:
    return np.random.RandomState(zlib.crc32(key.encode()))


_RANGES = {"scale": (0.5, 1.5), "variance": (0.5, 1.5), "slope": (0.05, 0.45)}
_SPREADS = {"bias": 0.1, "shift": 0.2, "mean": 0.2}


def tensor(name: str, shape: Sequence[int], kind: str, fan: int, gain: float) -> Tensor:
    """A tensor of a state dict.

    `kind` is "weight" of a convolution (normal, gain over the root of `fan`), "bias", "slope" of a PReLU, or of batch
    normalisation "scale", "shift", "mean" or "variance"; "count" is zero.
    """
    if kind == "count":
        return torch.zeros(tuple(shape), dtype=torch.int64)
    dice = _dice(name)
    if kind in _RANGES:
        drawn = dice.uniform(*_RANGES[kind], shape)
    else:
        drawn = dice.standard_normal(shape) * (gain / np.sqrt(fan) if kind == "weight" else _SPREADS[kind])
    return torch.from_numpy(np.asarray(drawn, np.float32))


def state(rows: Iterable[Sequence[Any]], gain: float) -> dict[str, Tensor]:
    """A state dict from [name, shape, kind, fan] rows; a fifth field names the earlier tensor that a row repeats."""
    return {row[0]: tensor(row[-1] if len(row) > 4 else row[0], *row[1:4], gain) for row in rows}


def image(height: int, width: int, spread: float = 1.0) -> NDArray[np.float32]:
    """Normal numbers around zero, [1, 3, height, width]."""
    drawn = _dice(f"image {height}x{width}").standard_normal((1, 3, height, width))
    return (spread * drawn).astype(np.float32)


def places(elements: int) -> NDArray[np.intp]:
    """The flat positions of an output that are kept."""
    return np.sort(_dice(f"places {elements}").randint(0, elements, SAMPLES))


@cache
def recorded(name: str) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
    """What is known of a reference, and samples of its output by size."""
    with np.load(FOLDER / f"{name}.npz") as file:
        samples = {key: file[key] for key in file.files if key != "meta"}
        return json.loads(file["meta"].tobytes()), samples
