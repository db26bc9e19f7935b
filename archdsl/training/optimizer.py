"""Optimisers, and which parameters get what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.diagnostics.suggest import did_you_mean
from archdsl.lower.module import ArchModule
from archdsl.training.recipes.schema import Group, Norm, Optimizer

NORMS = ("bn", "group_norm")


def make_optimizer(module: ArchModule, settings: Optimizer) -> torch.optim.Optimizer:
    """The optimiser of a recipe over a module's trainable parameters; each group has its factor on the rate in `scale`.

    Raises ArchError E0833 for a group that no parameter is in.
    """
    for group in settings.groups:
        _check(module, group)
    found: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            key = (_scale(name, settings), _decays(module, name, parameter, settings))
            found.setdefault(key, []).append(parameter)
    groups = [
        {"params": params, "scale": scale, "weight_decay": settings.weight_decay if decays else 0.0}
        for (scale, decays), params in found.items()
    ]
    if settings.kind == "adamw":
        return torch.optim.AdamW(groups, lr=settings.lr, betas=settings.betas, fused=True)
    return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum, nesterov=settings.nesterov, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Gives every group the learning rate times its factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]


def freeze(module: ArchModule, settings: Optimizer, norm: Norm) -> None:
    """Freezes groups with a factor of 0, and the statistics of norms in them, or of all where the recipe says so."""
    frozen = tuple(group.prefix for group in settings.groups if group.lr == 0)
    for name, parameter in module.named_parameters():
        if frozen and name.startswith(frozen):
            parameter.requires_grad_(False)
    module.still = frozenset(
        node.name
        for node in module.graph.nodes
        if node.op in NORMS and (norm.freeze or (frozen and node.weights.startswith(frozen)))
    )


def norm_weights(module: ArchModule) -> set[str]:
    """The paths of the weights of norms."""
    return {node.weights for node in module.graph.nodes if node.op in NORMS}


def _scale(name: str, settings: Optimizer) -> float:
    """The factor of the group with the longest prefix of a name."""
    fitting = [group for group in settings.groups if name.startswith(group.prefix)]
    return max(fitting, key=lambda group: len(group.prefix)).lr if fitting else 1.0


def _decays(module: ArchModule, name: str, parameter: nn.Parameter, settings: Optimizer) -> bool:
    if settings.no_decay == "nothing":
        return True
    norm = name.rpartition(".")[0] in norm_weights(module)
    return not norm and (settings.no_decay == "norms" or parameter.ndim > 1)


def _check(module: ArchModule, group: Group) -> None:
    if any(name.startswith(group.prefix) for name, _ in module.named_parameters()):
        return
    known = sorted({part for name, _ in module.named_parameters() for part in _heads(name)})
    help_ = did_you_mean(group.prefix, known) or "parameters are named after the values of the text: " + ", ".join(
        sorted({name.partition(".")[0] for name, _ in module.named_parameters()})
    )
    raise ArchError([Diagnostic("E0833", f"no parameter's name begins with {group.prefix!r}", help=help_)])


def _heads(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[: i + 1]) for i in range(len(parts)))


def tensors_of(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Everything an optimiser remembers, by number of the parameter and name."""
    found: dict[str, torch.Tensor] = {}
    for index, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            if value is not None:
                found[f"{index}.{name}"] = torch.as_tensor(value)
    return found


def restore(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """Puts back what `tensors_of` gave."""
    state: dict[int, dict[str, Any]] = {}
    for key, tensor in tensors.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    for parameter, own in optimizer.state.items():
        for name, value in own.items():
            if value.shape == parameter.shape:
                # fused kernels walk through memory, so that moments must lie as their weights do
                own[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
