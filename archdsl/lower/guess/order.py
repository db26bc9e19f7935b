"""The order in which foreign layers are assumed to run, where their file does not keep it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from math import inf

from archdsl.lower.guess.layers import Layer, Number, numbers, unnumbered

Places = dict[str, float]
"""Where each part of a path stands among our layers, by name."""


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


@dataclass(frozen=True)
class _Known:
    """The places of the layers of ours that foreign ones are matched with, and how certain each foreign one is."""

    places: Mapping[int, int]
    certainty: Sequence[float]

    def middle(self, branch: _Branch, *, proven: bool = False) -> float:
        """The mean place of a branch's layers, certain ones counting more, or only those alone of their kind."""
        layers = (i for i in branch.layers() if i in self.places and (self.certainty[i] == 1 or not proven))
        found = [(self.certainty[i] ** 2, self.places[i]) for i in layers]
        total = sum(weight for weight, _ in found)
        return sum(weight * place for weight, place in found) / total if total else inf


Rule = Callable[[Sequence[_Branch], _Known], Mapping[str, tuple[float, ...]]]
"""Sort keys for the parts that follow one part of a path, by name."""


def orders(
    layers: Sequence[Layer], places: Mapping[int, int], certainty: Sequence[float], rules: Sequence[Rule]
) -> list[list[int]]:
    """Orders by each rule, each of all layers: what stands together stays together, and lists keep their numbers.

    `places` has ours that theirs are matched with.
    """
    root = _Branch()
    for position, layer in enumerate(layers):
        branch = root
        for part in layer.path.split("."):
            branch = branch.inner.setdefault(part, _Branch(part))
        branch.layer = position
    known = _Known(places, certainty)
    return [list(_flat(root, known, rule)) for rule in rules]


def _flat(branch: _Branch, known: _Known, rule: Rule) -> Iterator[int]:
    if branch.layer is not None:
        yield branch.layer
    parts = list(branch.inner.values())
    if all(part.name.isdigit() for part in parts):
        sign = _direction(parts, known)
        parts.sort(key=lambda part: sign * int(part.name))
    else:
        found = rule(parts, known)
        parts.sort(key=lambda part: found[part.name])
    for part in parts:
        yield from _flat(part, known, rule)


def _direction(items: Sequence[_Branch], known: _Known) -> int:
    """Which way a list runs: upwards, unless most items whose place is proven say otherwise."""
    places = {numbers(item.name): known.middle(item, proven=True) for item in items}
    proven = {number: place for number, place in places.items() if place < inf}
    return directions_of(proven)[0][0] if proven else 1


def _placed(parts: Sequence[_Branch], known: _Known) -> dict[str, tuple[float, ...]]:
    return {part.name: (known.middle(part),) for part in parts}


def _numbered(parts: Sequence[_Branch], known: _Known) -> dict[str, tuple[float, ...]]:
    """Names without a number stand before or after all that have one, as their place is early or late."""
    half = len(known.certainty) / 2
    late = {part.name: (inf,) if known.middle(part) > half else () for part in parts}
    return {part.name: (*(numbers(part.name) or late[part.name]), known.middle(part)) for part in parts}


def _directed(parts: Sequence[_Branch], known: _Known) -> dict[str, tuple[float, ...]]:
    """Items of a list whose place nothing proves stand between those of its items whose place is proven."""
    lists: dict[tuple[str, int], dict[Number, list[_Branch]]] = defaultdict(lambda: defaultdict(list))
    for part in parts:
        lists[unnumbered(part.name), len(numbers(part.name))][numbers(part.name)].append(part)
    found: dict[str, tuple[float, ...]] = {}
    for items in lists.values():
        proven = {number: min(known.middle(part, proven=True) for part in same) for number, same in items.items()}
        assumed = {number: min(known.middle(part) for part in same) for number, same in items.items()}
        between = _between({n: place for n, place in proven.items() if place < inf}, assumed)
        found |= {part.name: (*between[n], known.middle(part)) for n, same in items.items() for part in same}
    return found


def _between(proven: Mapping[Number, float], assumed: Mapping[Number, float]) -> dict[Number, tuple[float, float]]:
    """A key for every item: the place of an item that is proven, and its own turn before or after that."""
    directions = directions_of(proven)[0]
    if not proven or len(assumed) < 2:
        return {number: (place, 0.0) for number, place in assumed.items()}
    order = sorted(assumed, key=lambda number: turn(directions, number))
    anchors = [place for place, number in enumerate(order) if number in proven]
    found = {}
    for place, number in enumerate(order):
        later = [anchor for anchor in anchors if anchor >= place] or anchors[-1:]
        found[number] = proven[order[later[0]]], float(place - later[0])
    return found


def directions_of(proven: Mapping[Number, float]) -> list[tuple[int, ...]]:
    """Which way each number of a list can run, 1 or -1: all signs that agree with as many pairs of places as any do.

    Those that are the same for all numbers come first.
    """
    width = max(map(len, proven), default=0)
    pairs = list(combinations(proven.items(), 2))

    def agreement(signs: tuple[int, ...]) -> int:
        return sum((turn(signs, a) > turn(signs, b)) == (at > to) for (a, at), (b, to) in pairs)

    found = sorted(product((1, -1), repeat=width), key=lambda signs: (-agreement(signs), len({*signs})))
    return [signs for signs in found if agreement(signs) == agreement(found[0])]


def turn(signs: Sequence[int], number: Number) -> list[int]:
    """A key that sorts items of a list as their numbers run."""
    return [sign * n for sign, n in zip(signs, number, strict=True)]


HABITS: tuple[Rule, ...] = (_placed, _numbered)
PROVEN: tuple[Rule, ...] = (_directed,)
