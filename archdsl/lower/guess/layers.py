"""Tensors gathered into layers, and what tells layers apart."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

Shape = tuple[int, ...]
Kind = tuple[tuple[str, Shape], ...]

COUNTER = "num_batches_tracked"
"""A counter of PyTorch's batch normalisation that nothing reads where the momentum is given."""

STATISTICS = ("running_mean", "running_var")

_ALIASES = {
    "gamma": "weight",
    "scale": "weight",
    "kernel": "weight",
    "beta": "bias",
    "shift": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "moving_var": "running_var",
}
"""What other programs call a layer's tensors."""

_SYNONYMS = {"downsample": "shortcut", "skip": "shortcut", "proj": "shortcut", "norm": "bn", "batchnorm": "bn"}
_WORD = re.compile(r"[a-z]+|\d+")
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_KIND_OF_LAYER = re.compile(r"conv_transpose|depthwise|batchnorm|conv|norm|prelu|act|bn")


@dataclass(frozen=True)
class Layer:
    """The tensors under one path: their names there, and their shapes."""

    path: str
    shapes: Mapping[str, Shape]

    @cached_property
    def own_names(self) -> dict[str, str]:
        """Our short name of each tensor, by the name that it has here."""
        return {name: _ALIASES.get(name, name) for name in self.shapes}

    def kind(self, statistics: bool) -> Kind:
        """What a counterpart must have too; running statistics only where both sides keep them.

        A linear layer's weight counts as that of a 1x1 convolution.
        """
        named = ((self.own_names[name], shape) for name, shape in self.shapes.items())
        kept = ((name, shape) for name, shape in named if statistics or name not in STATISTICS)
        return tuple(sorted((name, (*shape, 1, 1) if len(shape) == 2 else shape) for name, shape in kept))

    @cached_property
    def containers(self) -> tuple[str, ...]:
        """What the layer stands in, outermost first; `conv2` and `bn2` of one path share an innermost one."""
        parts = self.path.split(".")
        around = [".".join(parts[:depth]) for depth in range(1, len(parts))]
        rest = _KIND_OF_LAYER.sub("", parts[-1].lower()).strip("_")
        return (*around, f"{'.'.join(parts[:-1])}#{rest}") if rest else tuple(around)

    @cached_property
    def words(self) -> frozenset[str]:
        """The words and numbers of the path, and its parts that have several."""
        found = _WORD.findall(_CAPITAL.sub(" ", self.path).lower())
        parts = (part for part in self.path.lower().split(".") if len(_WORD.findall(part)) > 1)
        return frozenset(_SYNONYMS.get(word, word) for word in (*found, *parts))


def gathered(shapes: Mapping[str, Shape]) -> list[Layer]:
    """Layers of tensors by name, in the order of their first tensor; counters of batches are left out."""
    found: dict[str, dict[str, Shape]] = {}
    for name, shape in shapes.items():
        path, _, own = name.rpartition(".")
        if own != COUNTER:
            found.setdefault(path, {})[own] = shape
    return [Layer(path, tensors) for path, tensors in found.items()]


def numbers(text: str) -> tuple[int, ...]:
    """The whole numbers in a text, from left to right."""
    return tuple(int(digits) for digits in re.findall(r"\d+", text))


def natural(text: str) -> list[tuple[bool, int, str]]:
    """A sort key that takes numbers in a text as numbers."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", text)]


def by_kind(kinds: Sequence[Kind]) -> dict[Kind, list[int]]:
    """The positions of each kind."""
    found: dict[Kind, list[int]] = {}
    for position, kind in enumerate(kinds):
        found.setdefault(kind, []).append(position)
    return found
