"""How much memory a call needs."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import torch
from archdsl.runtime.machine import hand_back_memory

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class MemoryMeter:
    """Memory that preparing and running something takes, beside what was there before it was made.

    On a CPU it is resident memory, on Linux alone: what an allocator kept from before is handed back first, as far as
    it will. On CUDA it is what torch has allocated, which says nothing of other runtimes.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
            self._before = float(torch.cuda.memory_allocated(device))
        else:
            hand_back_memory()
            self._before = _resident("VmRSS")

    def peak_mb(self, work: Callable[[], object]) -> float | None:
        """The most MB (10^6 bytes) held during a call, above what was there at the start; None where none can tell."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            work()
            torch.cuda.synchronize(self.device)
            return (torch.cuda.max_memory_allocated(self.device) - self._before) / 1e6
        if not _reset_peak():
            return None
        work()
        return max(0.0, _resident("VmHWM") - self._before) / 1e6


def _reset_peak() -> bool:
    """Sets the process's peak to what is resident now (proc(5), clear_refs)."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True


def _resident(field: str) -> float:
    """VmRSS or VmHWM in bytes; 0 where the system does not tell."""
    try:
        lines = _STATUS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    found = (line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return 1024.0 * int(next(found, "0"))
