"""Tensors gathered into layers, and what tells layers apart."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

Shape = tuple[int, ...]
Kind = tuple[tuple[str, Shape], ...]

Number = tuple[int, ...]
"""Which item of a list: the numbers in its name."""

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
_SAYS_NOTHING = re.compile(r"(?:(?:conv|bn|norm|prelu|relu|act|layer|block|unit|module)[\d_.]*)+|\d+")
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

    @cached_property
    def terms(self) -> frozenset[str]:
        """The words of the path that say more than what kind of layer it is, or which of several."""
        return frozenset(word for word in self.words if not _SAYS_NOTHING.fullmatch(word))


def gathered(shapes: Mapping[str, Shape]) -> list[Layer]:
    """Layers of tensors by name, in the order of their first tensor; counters of batches are left out."""
    found: dict[str, dict[str, Shape]] = {}
    for name, shape in shapes.items():
        path, _, own = name.rpartition(".")
        if own != COUNTER:
            found.setdefault(path, {})[own] = shape
    return [Layer(path, tensors) for path, tensors in found.items()]


def is_whole(word: str) -> bool:
    """Whether it is a name with several words or numbers in it, as Layer.words has them beside their parts."""
    return len(_WORD.findall(word)) > 1


def containers(layers: Sequence[Layer]) -> list[tuple[str, ...]]:
    """For each layer, what it stands in."""
    return [layer.containers for layer in layers]


def lists(layers: Sequence[Layer]) -> dict[tuple[str, str], dict[Number, list[int]]]:
    """The numbered lists in the tree of names, by where they stand and what they are called: layers of each item."""
    found: dict[tuple[str, str], dict[Number, list[int]]] = {}
    for position, layer in enumerate(layers):
        parts = layer.path.split(".")
        for depth in range(1, len(parts) + 1):
            if item := _item(".".join(parts[:depth])):
                found.setdefault(item[:2], {}).setdefault(item[2], []).append(position)
    return found


def _item(path: str) -> tuple[str, str, Number] | None:
    """Where the list stands that the last part of a path is an item of, what it is called, and which item that is."""
    parent, _, name = path.rpartition(".")
    if name.isdigit():
        above, _, called = parent.rpartition(".")
        return above, called, (int(name),)
    return (parent, re.sub(r"\d+", "#", name), numbers(name)) if numbers(name) else None


def alike(first: Mapping[Number, object], second: Mapping[Number, object]) -> bool:
    """Whether two lists have nearly the same numbers."""
    shared, all_ = first.keys() & second.keys(), first.keys() | second.keys()
    return len(first) > 1 and 3 * len(shared) >= 2 * len(all_)


def cousins(layers: Sequence[Layer]) -> list[list[str]]:
    """For each layer, groups of those with its numbers in lists beside its own of like numbers: `in.0` and `out.0`."""
    found: list[list[str]] = [[] for _ in layers]
    known = lists(layers)
    for (parent, _), items in known.items():
        names = [name for (above, name), other in known.items() if above == parent and alike(other, items)]
        for number, members in items.items():
            for position in members:
                found[position] += [f"{parent}:{name}:{number}" for name in names]
    return found


def unnumbered(part: str) -> str:
    """What the list is called that a part of a path is an item of: `conv12d` and `bn12d` are items of one."""
    return re.sub(r"\d+", "#", _KIND_OF_LAYER.sub("", part.lower()))


def numbers(text: str) -> Number:
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
