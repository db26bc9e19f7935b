"""What this machine can do: the rates that a floor in time is worked out from."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable

import torch
from archdsl.runtime.stopwatch import timed

from archdsl.analyses.hardware import Hardware

_SIDE = {"cpu": 1536, "cuda": 8192}
_BYTES = {"cpu": 1 << 28, "cuda": 1 << 30}
_ROUNDS = 7

CPU = torch.device("cpu")


def _best_seconds(work: Callable[[], object], device: torch.device) -> float:
    """The shortest of several runs: a bound on what is possible wants the least disturbed one."""
    return min(timed(work, device) for _ in range(_ROUNDS))


def _matmul_rate(dtype: torch.dtype, device: torch.device) -> float:
    """FLOP/s of a square matrix product, two per multiply-add."""
    side = _SIDE[device.type]
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2 * side**3 / _best_seconds(lambda: a @ b, device)


def _copy_rate(device: torch.device) -> float:
    """Bytes/s moved by a copy that fits no cache: each byte is read and written."""
    size = _BYTES[device.type]
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / _best_seconds(lambda: target.copy_(source), device)


def measure_this(device: torch.device = CPU, dtypes: Iterable[str] = ("float32", "bfloat16")) -> Hardware:
    """This machine's CPU or CUDA device, measured for about a second: matrix products by dtype, and a large copy."""
    with torch.inference_mode():
        flops = {dtype: _matmul_rate(getattr(torch, dtype), device) for dtype in dtypes}
        bandwidth = _copy_rate(device)
    name = f"this machine ({platform.machine()}, {torch.get_num_threads()} threads)"
    return Hardware(torch.cuda.get_device_name(device) if device.type == "cuda" else name, flops, bandwidth)
