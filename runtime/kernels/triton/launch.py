"""What all kernels share: layout checks, tuning, and whether they can run at all."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def missing(device: torch.device) -> str | None:
    """Why the kernels cannot run on a device; None where they can."""
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed"
    if device.type != "cuda" and not interpreting():
        return f"Triton kernels need a CUDA device, not {device.type}"
    return None


def interpreting() -> bool:
    """Whether Triton runs its kernels in Python, on the CPU."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def tuned(choices: list[dict[str, int]], key: list[str]) -> Callable[[Any], Any]:
    """A decorator: of the launch parameters in `choices` (`num_warps` and `num_stages` among them), the fastest.

    Measured at the first call for each value of the arguments named by `key`, and kept on disk. Interpreted, the first.
    """
    import triton

    configurations = [_configuration(dict(choice)) for choice in (choices[:1] if interpreting() else choices)]
    return triton.autotune(configurations, key=key, cache_results=True)


def _configuration(choice: dict[str, int]) -> Any:
    import triton

    launch = {name: choice.pop(name) for name in ("num_warps", "num_stages") if name in choice}
    return triton.Config(choice, **launch)


def channels_last(x: Tensor) -> Tensor:
    """The map [N, C, H, W] with its channels innermost, copied only where they are not."""
    return x.contiguous(memory_format=torch.channels_last)


def empty_map(like: Tensor, channels: int, height: int, width: int, dtype: torch.dtype | None = None) -> Tensor:
    """A channels_last map [N, channels, height, width] for a kernel to fill."""
    shape = (like.shape[0], channels, height, width)
    return torch.empty(shape, device=like.device, dtype=dtype or like.dtype, memory_format=torch.channels_last)
