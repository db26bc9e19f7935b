"""Memory that is asked for once: large pages, and results that go back when their reader lets them go."""

from __future__ import annotations

import mmap
import weakref
from collections import deque

import numpy as np
import torch
from torch import Tensor

_KEPT = 4
_LARGE_PAGE = 2 << 20


def block(size: int) -> mmap.mmap:
    """Zeroed memory on large pages, where the system has them: there are fewer to set up and to look up."""
    memory = mmap.mmap(-1, max(-(-size // _LARGE_PAGE), 1) * _LARGE_PAGE)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def as_tensor(memory: mmap.mmap) -> Tensor:
    """The bytes of a block as a tensor of uint8 that keeps it alive."""
    return torch.from_numpy(np.frombuffer(memory, dtype=np.uint8))


class Recycler:
    """Hands out blocks of one size as tensors, and takes each back when no tensor uses it any more.

    A result of 40 MB from fresh memory costs as much in page faults as the whole network's last step.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        # appending and popping are atomic, so that a finaliser may run at any time, in any thread
        self._free: deque[mmap.mmap] = deque(maxlen=_KEPT)

    def take(self) -> Tensor:
        """uint8 of at least the size, with any content; the caller's until its last view is gone."""
        try:
            memory = self._free.pop()
        except IndexError:
            memory = block(self.size)
        array = np.frombuffer(memory, dtype=np.uint8)
        weakref.finalize(array, self._free.append, memory).atexit = False
        return torch.from_numpy(array)
