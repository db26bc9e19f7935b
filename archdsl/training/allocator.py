"""Memory that a process keeps between steps."""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""Parameters of glibc's mallopt(3)."""
_NEVER = 2**31 - 1
_STEP = 64 << 20


def keep_memory() -> bool:
    """Lets this process keep freed memory for its next step, and says whether it does; glibc only.

    By default glibc takes every large tensor from the system and gives it back, so that a step on the CPU spends a
    tenth of its time on pages that come back zeroed.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # mmap goes last: without it, and without the others, memory would only move between system and heap
    wanted = ((_TRIM_THRESHOLD, _NEVER), (_TOP_PAD, _STEP), (_MMAP_MAX, 0))
    return all(mallopt(name, value) == 1 for name, value in wanted)
