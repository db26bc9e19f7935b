"""The order in which foreign layers are assumed to run, where their file does not keep it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from archdsl.lower.guess.layers import Layer, numbers


@dataclass
class _Branch:
    """What stands under one path, by the next part of the path: a layer's position, or another branch."""

    name: str = ""
    layer: int | None = None
    inner: dict[str, _Branch] = field(default_factory=dict)

    def layers(self) -> Iterator[int]:
        if self.layer is not None:
            yield self.layer
        for branch in self.inner.values():
            yield from branch.layers()


def orders(layers: Sequence[Layer], places: Mapping[int, int], certainty: Sequence[float]) -> list[list[int]]:
    """Orders worth a try, each of all layers: what stands together stays together, and lists keep their numbers.

    Other parts of a path follow each other as the layers of ours do that theirs are matched with (`places`), or by the
    numbers in their names.
    """
    root = _Branch()
    for position, layer in enumerate(layers):
        branch = root
        for part in layer.path.split("."):
            branch = branch.inner.setdefault(part, _Branch(part))
        branch.layer = position
    return [list(_flat(root, places, certainty, by_number)) for by_number in (False, True)]


def _flat(branch: _Branch, places: Mapping[int, int], certainty: Sequence[float], by_number: bool) -> Iterator[int]:
    if branch.layer is not None:
        yield branch.layer
    parts = list(branch.inner.values())
    if all(part.name.isdigit() for part in parts):
        parts.sort(key=lambda part: int(part.name))
    else:
        middles = {part.name: _middle(part, places, certainty) for part in parts}
        half = len(certainty) / 2
        parts.sort(
            key=lambda part: (_numbered(part.name, middles[part.name] > half) if by_number else (), middles[part.name])
        )
    for part in parts:
        yield from _flat(part, places, certainty, by_number)


def _numbered(name: str, late: bool) -> tuple[float, ...]:
    """Names without a number stand before or after all that have one, as their place is early or late."""
    return numbers(name) or ((float("inf"),) if late else ())


def _middle(branch: _Branch, places: Mapping[int, int], certainty: Sequence[float]) -> float:
    """The mean place of a branch's layers, the certain ones counting more."""
    found = [(certainty[i] ** 2, places[i]) for i in branch.layers() if i in places]
    total = sum(weight for weight, _ in found)
    return sum(weight * place for weight, place in found) / total if total else float("inf")
