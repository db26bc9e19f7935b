"""Guessed name maps held against declared ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from archdsl.ir.graph import Graph
from archdsl.lower.guess import propose
from archdsl.lower.name_map import NameMap


def told_apart(rows: Iterable[Sequence[Any]]) -> dict[str, Tensor]:
    """Tensors by name, no two alike, of [name, shape, …] rows: a guess looks at no more of their values.

    A fifth field of a row names the earlier tensor that it repeats.
    """
    rows = list(rows)
    state = {row[0]: torch.zeros(row[1]) for row in rows}
    for value, row in enumerate(rows):
        state[row[0]].flatten()[-1:] = value + 1
    return state | {row[0]: state[row[4]] for row in rows if len(row) > 4}


def misplaced(
    graph: Graph, rows: Iterable[Sequence[Any]], declared: NameMap, *, ordered: bool
) -> tuple[set[str], set[str]]:
    """As if no map shipped: layers that a guess sends elsewhere than a declared map, and those it is unsure of.

    Of one that goes elsewhere it is unsure only if the right place is among those that it names. Without an
    order, tensors are sorted by name, as they are in a .safetensors file.
    """
    state = told_apart(rows)
    guess = propose(graph, state if ordered else dict(sorted(state.items())), ordered=ordered)
    guessed = NameMap.parse(guess.text)
    wrong, unsure = set(), set(guess.unsure)
    for key in state:
        found, known = (None if given.ignores(key) else given.find(key) for given in (guessed, declared))
        if found is not None and known is not None and known[1] != found[1]:
            layer, place = (path.rpartition(".")[0] for path in (key, known[1][0]))
            wrong.add(layer)
            if layer in unsure and place not in guess.unsure[layer].others:
                unsure.remove(layer)
    return wrong, unsure
