"""The processes of one training: one, or several that torchrun started."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Processes:
    """This process among all. `rank` 0 writes files and talks."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, in place."""
        if self.world > 1:
            dist.all_reduce(tensor)
        return tensor

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Gives all processes what the first one has, in place."""
        if self.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def any(self, value: bool, device: torch.device) -> bool:
        """Whether it is true in any process. All must ask at the same time."""
        if self.world == 1:
            return value
        return bool(self.total(torch.tensor(int(value), device=device)).item())

    def agree(self, text: str) -> str:
        """The text of the first process, in all of them."""
        shared = [text]
        if self.world > 1:
            dist.broadcast_object_list(shared, src=0)
        return shared[0]

    def wait(self) -> None:
        """Until all processes are here."""
        if self.world > 1:
            dist.barrier()


@contextmanager
def processes(device: str | None = None) -> Iterator[tuple[Processes, torch.device]]:
    """This process and its device, under torchrun or alone; ends the group that it began.

    `device` is "cpu", "cuda" or "cuda:1"; by default CUDA where there is one, a card for each process.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    name = device or ("cuda" if torch.cuda.is_available() else "cpu")
    on = torch.device(f"cuda:{local}" if name == "cuda" and world > 1 else name)
    if on.type == "cuda":
        torch.cuda.set_device(on)
    own = world > 1 and not dist.is_initialized()
    if own:
        dist.init_process_group("nccl" if on.type == "cuda" else "gloo")
    try:
        if dist.is_initialized():
            yield Processes(dist.get_rank(), dist.get_world_size()), on
        else:
            yield Processes(), on
    finally:
        if own:
            dist.destroy_process_group()
