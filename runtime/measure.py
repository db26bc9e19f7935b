"""What this machine can do: the rates that a floor in time is worked out from."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable

import torch

from archdsl.analyses.hardware import Hardware

_SIDE = 1536
_BYTES = 1 << 28
_ROUNDS = 7


def _best_seconds(work: Callable[[], object]) -> float:
    """The shortest of several runs: a bound on what is possible wants the least disturbed one."""
    times = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def _matmul_rate(dtype: torch.dtype) -> float:
    """FLOP/s of a square matrix product, two per multiply-add."""
    a, b = (torch.randn(_SIDE, _SIDE).to(dtype) for _ in range(2))
    return 2 * _SIDE**3 / _best_seconds(lambda: a @ b)


def _copy_rate() -> float:
    """Bytes/s moved by a copy that fits no cache: each byte is read and written."""
    source = torch.zeros(_BYTES, dtype=torch.uint8)
    target = torch.empty_like(source)
    return 2 * _BYTES / _best_seconds(lambda: target.copy_(source))


def measure_this() -> Hardware:
    """This machine's CPU, measured for about a second: matrix products in float32 and bfloat16, and a large copy."""
    with torch.inference_mode():
        flops = {"float32": _matmul_rate(torch.float32), "bfloat16": _matmul_rate(torch.bfloat16)}
        bandwidth = _copy_rate()
    name = f"this machine ({platform.machine()}, {torch.get_num_threads()} threads)"
    return Hardware(name, flops, bandwidth)
