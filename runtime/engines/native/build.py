"""Compiles the kernels once per machine and loads them.

The sources ship with the package; the library is built for this machine's processor and kept in the user's cache
folder, under a hash of the sources, the flags, the compiler and the processor.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import torch
from archdsl.runtime.engines.native.descriptors import Op

KERNELS = Path(__file__).parent / "kernels"
FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-pthread")
_COMPILERS = ("g++", "clang++", "c++")
_BUILD_SECONDS = 300


class CannotBuild(RuntimeError):
    """Why there are no kernels on this machine."""


def compiler() -> list[str]:
    """The command of a C++ compiler: that of CXX, of the system, or of the `ziglang` package. Raises CannotBuild."""
    named = os.environ.get("CXX", "").split()
    if named and shutil.which(named[0]):
        return named
    for name in _COMPILERS:
        if shutil.which(name):
            return [name]
    if importlib.util.find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "c++"]
    raise CannotBuild("no C++ compiler: install g++ or clang, or `pip install ziglang`")


def why_not(dtype: torch.dtype) -> str | None:
    """Why this machine cannot have kernels for a dtype, as far as is known before building; None when it can."""
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        return "its kernels need a processor with AVX-512"
    if dtype == torch.bfloat16 and "avx512_bf16" not in _processor().split():
        return "this processor has no products of bfloat16"
    try:
        compiler()
    except CannotBuild as error:
        return str(error)
    return None


def pending() -> bool:
    """Whether kernels can be had and are still to be built, which takes some half a minute."""
    return why_not(torch.float32) is None and not _path(compiler()).exists()


@cache
def library() -> ctypes.CDLL:
    """The kernels, loaded; what does not load is built anew. Raises CannotBuild."""
    command = compiler()
    path = _path(command)
    if path.exists():
        try:
            return _loaded(path)
        except CannotBuild:
            path.unlink(missing_ok=True)
    try:
        _build(command, path)
    except OSError:  # the cache cannot be written: kernels for this process alone
        with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
            path = Path(folder) / path.name
            _build(command, path)
            return _loaded(path)
    return _loaded(path)


def _loaded(path: Path) -> ctypes.CDLL:
    try:
        return _declared(ctypes.CDLL(str(path)))
    except (OSError, AttributeError) as error:
        raise CannotBuild(f"its kernels cannot be loaded: {error}") from error


def _path(command: list[str]) -> Path:
    from archdsl.runtime.cache import cache_folder  # which needs the engines

    return cache_folder() / "native" / f"{_key(command)}.so"


def _key(command: list[str]) -> str:
    version = subprocess.run([*command, "--version"], capture_output=True, timeout=60, check=False).stdout
    digest = hashlib.sha256(repr((command, version, FLAGS, _processor())).encode())
    for source in sorted(KERNELS.iterdir()):
        if source.is_file():
            digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:32]


def _processor() -> str:
    """What -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    wanted = ("vendor_id", "cpu family", "model", "flags")
    return "\n".join(dict.fromkeys(line for line in lines if line.split("\t")[0] in wanted))


def _build(command: list[str], path: Path) -> None:
    """Raises CannotBuild, and OSError where the folder cannot be written."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        _compile([*command, *FLAGS, str(KERNELS / "native.cpp"), "-o", str(made)])
        made.replace(path)


def _compile(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise CannotBuild("its kernels did not build in time") from error
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "error" in line] or ["no message"]
        raise CannotBuild(f"its kernels do not build with {command[0]}: {errors[0]}")


def _declared(kernels: ctypes.CDLL) -> ctypes.CDLL:
    pointer, number, whole = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
    kernels.archdsl_op_size.restype = whole
    kernels.archdsl_runner.restype, kernels.archdsl_runner.argtypes = pointer, (whole, number, whole, whole)
    kernels.archdsl_free.restype, kernels.archdsl_free.argtypes = None, (pointer,)
    kernels.archdsl_run.restype, kernels.archdsl_run.argtypes = None, (pointer, pointer, pointer, whole, number)
    if kernels.archdsl_op_size() != ctypes.sizeof(Op):
        raise CannotBuild("its kernels do not fit this version")
    return kernels
