"""What this machine is: for reports, and to know whether a measurement still holds."""

from __future__ import annotations

import ctypes
import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

PACKAGES = ("archdsl", "torch", "triton", "onnx", "onnxruntime", "onnxruntime-gpu", "openvino", "tensorrt")
"""What the speed of an engine hangs on."""


@cache
def processor() -> str:
    """The CPU's name, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def describe(device: torch.device | None = None) -> dict[str, str | int]:
    """Processor, cores, threads in use, memory in MB, system, and the name of the CUDA device where it is asked for."""
    found: dict[str, str | int] = {
        "processor": processor(),
        "isa": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "memory_mb": _memory_mb(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    if device is not None and device.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
    return found


def _memory_mb() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    except (ValueError, OSError):
        return 0


def versions() -> dict[str, str]:
    """Versions of Python and of the packages here that speed hangs on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def hand_back_memory() -> None:
    """Hands memory that was freed back to the system, where the C library can: it keeps hundreds of MB otherwise."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        return
