"""A module in the form that torch.compile takes whole."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from archdsl.lower.fx import attribute_path, lower_fx
from archdsl.lower.module import ArchModule


def compiled(module: ArchModule, **options: Any) -> nn.Module:
    """The module through torch.compile, for training; `options` are torch's.

    What is compiled is torch.fx code over the same parameters and buffers, in one piece: the walk over the graph that
    the module does would be taken apart op by op. Norms that keep their statistics are not in that code, so that a
    module with some is compiled as it is.
    """
    return cast(nn.Module, torch.compile(module if module.still else one_graph(module), **options))


def one_graph(module: ArchModule) -> nn.Module:
    """The training forward of a module as torch.fx code; its parameters and buffers are the module's own."""
    tensors: dict[str, Tensor] = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    made = lower_fx(module.graph, tensors, training=True)
    for name, parameter in module.named_parameters():
        path, _, last = attribute_path(name).rpartition(".")
        made.get_submodule(path).register_parameter(last, parameter)
    return made
