"""How the weights of a network start. Which tensors it has, under which keys, is `layout`."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from archdsl.diagnostics import InternalError
from archdsl.ir.graph import Graph
from archdsl.ir.op import WeightSpec
from archdsl.ir.state import layout, specs_of

__all__ = ["initial_weights", "layout", "specs_of"]


def initial_weights(graph: Graph, seed: int = 0, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Fresh weights by key. The values of a key depend on the seed, the key and its shape alone, not on the rest.

    Convolutions start as the papers' code has them: Kaiming normal over fan-out with the gain of ReLU (He et al. 2015).
    """
    return {key: _fresh(key, spec, seed).to(dtype) for key, spec in layout(graph).items()}


def _fresh(key: str, spec: WeightSpec, seed: int) -> Tensor:
    how, _, number = spec.init.partition(" ")
    weight = torch.zeros(spec.shape)
    if how == "constant":
        return weight.fill_(float(number))
    if how == "ones":
        return weight.fill_(1)
    if how == "kaiming":
        generator = torch.Generator().manual_seed(_key_seed(key, seed))
        return torch.nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu", generator=generator)
    if how in _KERNELS:
        return _on_diagonal(weight, _KERNELS[how](spec.shape[2], spec.shape[3]))
    if how != "zeros":
        raise InternalError(f"{key} starts in an unknown way, {spec.init}")
    return weight


def _key_seed(key: str, seed: int) -> int:
    digest = hashlib.blake2b(f"{seed}:{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def _on_diagonal(weight: Tensor, kernel: Tensor) -> Tensor:
    """One kernel from each channel to itself and zero between channels; within each group where there are groups."""
    first = torch.arange(weight.shape[0])
    weight[first, first % weight.shape[1]] = kernel
    return weight


def _bilinear(height: int, width: int) -> Tensor:
    """The transposed convolution that is bilinear upsampling, as FCN (Long et al. 2015) fills it."""
    return torch.outer(_triangle(height), _triangle(width))


def _triangle(size: int) -> Tensor:
    half = (size + 1) // 2
    return 1 - (torch.arange(size) - (size - 1) / 2).abs() / half


def _centre(height: int, width: int) -> Tensor:
    kernel = torch.zeros(height, width)
    kernel[height // 2, width // 2] = 1
    return kernel


_KERNELS = {"bilinear": _bilinear, "identity": _centre}
