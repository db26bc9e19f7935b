"""Timing calls against each other, so that what disturbs the machine disturbs them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping

import torch

Work = Callable[[], object]


def timed(work: Work, device: torch.device) -> float:
    """Seconds of one call, until the device is done with it."""
    synchronize(device)
    start = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - start


def synchronize(device: torch.device) -> None:
    """Waits until a CUDA device has done what it was given; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def interleaved(works: Mapping[str, Work], device: torch.device, rounds: int) -> Iterator[dict[str, float]]:
    """Seconds of each work by name, once a round; the order turns by one from round to round."""
    names = list(works)
    for turn in range(rounds):
        first = turn % len(names)
        yield {name: timed(works[name], device) for name in (*names[first:], *names[:first])}


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
