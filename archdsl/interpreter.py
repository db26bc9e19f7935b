"""Two settings of the Python interpreter that building large trees and graphs needs changed for a while."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """No cycle collection inside: what is under construction holds no garbage, and scanning it takes half the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@contextmanager
def recursion_of(depth: int) -> Iterator[None]:
    """Python's recursion limit raised to `depth` where it is lower."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, depth))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
