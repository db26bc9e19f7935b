"""Numbered parts of names as lists, and where among our layers their items stand."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from archdsl.lower.guess.layers import Layer, Number, numbers, unnumbered
from archdsl.lower.guess.order import directions_of, turn

Span = tuple[float, float]
"""The first and the last place of ours that can be."""

EVERYWHERE: Span = (float("-inf"), float("inf"))

List = tuple[str, str, int]
"""What a list stands in, what its items are called, and how many numbers they have."""

_LETTERS = re.compile(r"[a-z]+")


def steps(path: str) -> Iterator[tuple[str, str, str]]:
    """What stands above each part of a path, the part, and the path as far as it."""
    parts = path.split(".")
    for depth, part in enumerate(parts):
        yield ".".join(parts[:depth]), part, ".".join(parts[: depth + 1])


class Lists:
    """The lists of a tree of names, with the places of those of their layers of which a place is `proven`."""

    def __init__(self, layers: Sequence[Layer], proven: Mapping[int, int]) -> None:
        found = {(above, part) for layer in layers for above, part, _ in steps(layer.path)}
        self.alone = _distinct(found)
        self.root = _trunk(layers)
        places: dict[List, dict[Number, list[int]]] = defaultdict(lambda: defaultdict(list))
        for i, j in proven.items():
            for above, part, _ in steps(layers[i].path):
                for key, number in self.of(above, part):
                    places[key][number].append(j)
        self.places = places
        self.signs = {key: self._signs(key) for key in places}

    def of(self, above: str, part: str) -> Iterator[tuple[List, Number]]:
        """The lists that a part of a path is an item of, and which item of each.

        Those of its name; of all names, where their numbers go on from one name to the next; and of names that begin
        alike, by their first number.
        """
        number = numbers(part)
        if not number:
            return
        yield (above, unnumbered(part), len(number)), number
        if (above, len(number)) in self.alone:
            yield (above, "*", len(number)), number
        letters = _LETTERS.match(part.lower())
        if letters:
            yield (above, letters[0] + "*", 1), number[:1]

    def _signs(self, key: List) -> tuple[int, ...] | None:
        """Which way the numbers of a list run, 0 where its proven items do not say; None where they contradict it."""
        items = self.places[key]
        found = directions_of({number: min(places) for number, places in items.items()})
        signs = tuple(one[0] if len({*one}) == 1 else 0 for one in zip(*found, strict=True))
        spans: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for number, places in items.items():
            spans[tuple(turn(signs, number))] += places
        ascending = all(max(spans[a]) < min(spans[b]) for a, b in pairwise(sorted(spans)))
        return signs if ascending else None

    def directed(self, key: List) -> tuple[int, ...] | None:
        """Which way the numbers of a list run, where that is known.

        Nothing but a name says so of a list of which less than two items are proven: items of `ModuleList` and layers
        of a block run upwards, whereas stages of a network may be counted from its end.
        """
        above, called, width = key
        habit = not called.endswith("*") and (called == "#" or above not in self.root)
        if len(self.places.get(key, ())) < 2:
            return (1,) * width if habit else None
        signs = self.signs[key]
        return tuple(sign or 1 for sign in signs) if habit and signs else signs

    def between(self, above: str, part: str) -> Iterator[Span]:
        """Where an item can stand, seen from the proven items before and after it."""
        for key, number in self.of(above, part):
            signs = self.directed(key)
            if signs is None:
                continue
            items = self.places.get(key, {})
            before = [max(places) for n, places in items.items() if turn(signs, n) < turn(signs, number)]
            after = [min(places) for n, places in items.items() if turn(signs, n) > turn(signs, number)]
            yield max(before, default=EVERYWHERE[0]), min(after, default=EVERYWHERE[1])

    def ahead(self, above: str, first: str, second: str) -> Iterator[bool]:
        """Whether one part stands before another, by every list that has both."""
        theirs = dict(self.of(above, second))
        for key, number in self.of(above, first):
            signs = self.directed(key)
            if signs is not None and key in theirs and turn(signs, number) != turn(signs, theirs[key]):
                yield turn(signs, number) < turn(signs, theirs[key])


def _trunk(layers: Sequence[Layer]) -> frozenset[str]:
    """The paths that every layer stands under."""
    common = set.intersection(*({above for above, _, _ in steps(layer.path)} for layer in layers)) if layers else ()
    return frozenset(common)


def _distinct(parts: set[tuple[str, str]]) -> set[tuple[str, int]]:
    """Under what, and with how many numbers, no two names that differ have the same ones."""
    names: dict[tuple[str, int], dict[Number, set[str]]] = defaultdict(lambda: defaultdict(set))
    for above, part in parts:
        names[above, len(numbers(part))][numbers(part)].add(unnumbered(part))
    return {key for key, items in names.items() if all(len(called) == 1 for called in items.values())}
