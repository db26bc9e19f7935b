"""Recording what a call launches on a device, and launching it again: what CUDA graphs need of CUDA, and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor


class Recording(Protocol):
    """What was captured; it reads and writes the same addresses each time."""

    def replay(self) -> None: ...


class Backend(Protocol):
    """A device that captures. Everything happens on one stream of its own, so that replays cannot overlap."""

    def on_stream(self) -> Any:
        """A context: work inside comes after the caller's stream has come this far, and that goes on after it."""

    def capture(self, work: Callable[[], Any]) -> tuple[Recording, Any]:
        """Runs work while recording it, its memory from the pool that all recordings share, and gives its result.

        Raises RuntimeError for work that cannot be captured.
        """

    def lend(self, tensor: Tensor) -> None:
        """Keeps a tensor's memory from being given away before the caller's stream is done with it."""

    def pool_bytes(self) -> int:
        """Bytes of device memory in the shared pool."""


class CudaBackend:
    """CUDA. Not yet run on a GPU."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self.pool = torch.cuda.graph_pool_handle()

    @contextmanager
    def on_stream(self) -> Iterator[None]:
        caller = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(caller)
        with torch.cuda.stream(self.stream):
            yield
        caller.wait_stream(self.stream)

    def capture(self, work: Callable[[], Any]) -> tuple[Recording, Any]:
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize(self.device)
        # thread_local: what other threads do meanwhile, such as allocate, is not for this recording to forbid
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local"):
            result = work()
        return graph, result

    def lend(self, tensor: Tensor) -> None:
        tensor.record_stream(torch.cuda.current_stream(self.device))

    def pool_bytes(self) -> int:
        segments = torch.cuda.memory_snapshot()  # type: ignore[no-untyped-call]
        return sum(s["total_size"] for s in segments if tuple(s.get("segment_pool_id", ())) == tuple(self.pool))
