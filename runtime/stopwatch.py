"""Timing calls against each other, so that what disturbs the machine disturbs them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random

import torch

Work = Callable[[], object]


def timed(work: Work, device: torch.device) -> float:
    """Seconds of one call, until the device is done with it."""
    synchronize(device)
    start = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - start


def timed_alone(work: Work, device: torch.device) -> float:
    """The same, of a second call in a row, as in a stream of images: the first wakes threads and fills caches, and is
    begun when nothing that ran before it in this process runs on."""
    settle()
    work()
    return timed(work, device)


def synchronize(device: torch.device) -> None:
    """Waits until a CUDA device has done what it was given; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


_SLICE, _MOST_SLICES = 0.002, 1000
_BUSY = 0.25


def settle() -> None:
    """Waits until threads of this process that still spin after a call have gone to sleep, as pools of several runtimes
    do for milliseconds to a second: the next call would share the cores with them. At most 2 s."""
    for _ in range(_MOST_SLICES):
        before = time.process_time()
        time.sleep(_SLICE)
        if time.process_time() - before < _BUSY * _SLICE:
            return


def in_turns(names: Sequence[str], turn: int) -> list[str]:
    """The order of a round: drawn anew for each, the same whenever it is asked for, so that nobody always follows the
    same one."""
    return Random(turn).sample(names, len(names))


def interleaved(works: Mapping[str, Work], device: torch.device, rounds: int) -> Iterator[dict[str, float]]:
    """Seconds of each work by name, once a round, each when the one before it has settled."""
    for turn in range(rounds):
        yield {name: timed_alone(works[name], device) for name in in_turns(list(works), turn)}


def medians(works: Mapping[str, Work], device: torch.device, rounds: int, share: float) -> dict[str, float]:
    """Median seconds of each work over interleaved rounds, after a call to warm up.

    Rounds end when they have taken `share` seconds, after the second.
    """
    for work in works.values():
        timed(work, device)
    start, taken = time.monotonic(), []
    for one in interleaved(works, device, rounds):
        taken.append(one)
        if len(taken) >= 2 and time.monotonic() - start > share:
            break
    return {name: statistics.median(one[name] for one in taken) for name in works}
