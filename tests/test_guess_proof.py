"""What is proven of a guess where no order is known: nothing that is wrong, and most of what is right."""

from __future__ import annotations

import random
from collections import defaultdict
from itertools import combinations

import drawn
import pytest
import torch
from golden import name_map, network
from test_parity import RECORDS

import archdsl
from archdsl.ir.op import WeightSpec
from archdsl.ir.state import layout
from archdsl.lower.guess import propose
from archdsl.lower.guess.layers import Layer, gathered
from archdsl.lower.guess.lists import Lists
from archdsl.lower.guess.proof import unproven
from archdsl.lower.name_map import NameMap

NUMBERED = """arch 1
network Net {
  in image [3, H, W]
  a = image -> [conv(4, 3), conv(4, 3), conv(8, 3), conv(8, 3)]
  out y = a -> [conv(8, 3), conv(4, 3), conv(4, 3), conv(3, 3)]
}
"""


def test_numbers_run_as_layers_alone_of_their_kind_show() -> None:
    """A decoder that counts downwards: its ends are alone of their kind, and say so. The two in the middle are not."""
    down = {f"up{7 - place}.weight": shape for place, shape in enumerate([(8, 8), (4, 8), (4, 4), (3, 4)])}
    up = {f"down{place}.weight": shape for place, shape in enumerate([(4, 3), (4, 4), (8, 4), (8, 8)])}
    state = {name: torch.rand(*shape, 3, 3) for name, shape in sorted((down | up).items())}
    guess = propose(archdsl.loads(NUMBERED).ir, state, ordered=False)
    found = {name: rule[1][0] for name in state if (rule := NameMap.parse(guess.text).find(name))}
    assert [found[name] for name in up] == [f"a.{place}.weight" for place in range(4)]
    assert [found[name] for name in down] == [f"y.{place}.weight" for place in range(4)]
    assert guess.unsure.keys() == {"down3", "up7"}


def test_a_list_may_run_backwards() -> None:
    """Items of a `ModuleList` that begins with the last layer: those alone of their kind say so, and are believed."""
    state = {
        f"layers.{7 - place}.weight": torch.rand(*tensor.shape) for place, tensor in enumerate(numbered().values())
    }
    guess = propose(archdsl.loads(NUMBERED).ir, dict(sorted(state.items())), ordered=False)
    found = {name: rule[1][0] for name in state if (rule := NameMap.parse(guess.text).find(name))}
    assert [*found.values()] == [*numbered()] and not guess.unsure


def test_layers_alone_of_their_kind_come_before_habit() -> None:
    """A list taken upwards that layers alone of their kind prove to run downwards: all that is wrong is named."""
    theirs = gathered({f"layers.{7 - place}.weight": tensor.shape for place, tensor in enumerate(numbered().values())})
    ours = gathered({name: tensor.shape for name, tensor in numbered().items()})
    kinds = [layer.kind(statistics=True) for layer in theirs]
    same = [places for kind in set(kinds) if len(places := [i for i, k in enumerate(kinds) if k == kind]) > 1]
    backwards = {i: j for places in same for i, j in zip(places, reversed(places), strict=True)}
    match = {i: i for i in range(len(theirs))} | backwards
    assert {i for i, j in match.items() if i != j} <= unproven(theirs, ours, kinds, match).keys()


def numbered() -> dict[str, WeightSpec]:
    """The tensors of NUMBERED."""
    return layout(archdsl.loads(NUMBERED).ir)


def test_a_list_says_nothing_where_it_contradicts_itself() -> None:
    """Items whose places neither rise nor fall; upwards is believed of a block's layers, not of a network's stages."""
    layers = [Layer(path, {}) for path in ("up1", "up2", "up3", "head", "a.conv1", "a.conv2", "b.0", "b.1")]
    up, conv, items = (("", "up#", 1), ("a", "#", 1), ("b", "#", 1))
    assert Lists(layers, {0: 9, 1: 5, 2: 1}).directed(up) == (-1,)
    assert Lists(layers, {0: 5, 1: 9, 2: 1}).directed(up) is None
    bare = Lists(layers, {})
    assert bare.directed(up) is None and bare.directed(conv) == bare.directed(items) == (1,)
    assert list(Lists(layers, {0: 9, 2: 1}).between("", "up2")) == 3 * [(1, 9)]


def declared(name: str) -> tuple[list[Layer], list[Layer], dict[int, int]]:
    """A reference's layers, ours, and how the map that ships matches them."""
    spec, variant, parameters, map_ = RECORDS[name]
    rows = drawn.recorded(name)[0]["state"]
    theirs = gathered({row[0]: tuple(row[1]) for row in rows if len(row) < 5})
    ours = gathered({key: spec.shape for key, spec in layout(network(f"{spec}.arch", variant, **parameters)).items()})
    places, names = {layer.path: j for j, layer in enumerate(ours)}, name_map(map_)
    match = {}
    for i, layer in enumerate(theirs):
        rule = names.find(f"{layer.path}.{next(iter(layer.shapes))}")
        if rule is not None:
            match[i] = places[rule[1][0].rpartition(".")[0]]
    return theirs, ours, match


@pytest.mark.parametrize("name", ["bisenetv1", "ddrnet23", "fast_scnn", "linknet", "sqnet", "swiftnet"])
def test_layers_that_changed_places_are_in_doubt(name: str) -> None:
    """Two layers of one kind, or all of two containers that are alike: what is wrong is not proven."""
    theirs, ours, match = declared(name)
    kinds = [layer.kind(statistics=True) for layer in theirs]
    proven = len(match) - len(unproven(theirs, ours, kinds, match))
    assert proven >= 0.7 * len(match)
    dice = random.Random(name)
    pairs = [(i, j) for i, j in combinations(match, 2) if kinds[i] == kinds[j]]
    groups: dict[str, list[int]] = defaultdict(list)
    for i in match:
        groups[theirs[i].path.rpartition(".")[0]].append(i)
    alike = [
        list(zip(a, b, strict=True))
        for a, b in combinations(groups.values(), 2)
        if [kinds[i] for i in a] == [kinds[i] for i in b]
    ]
    exchanges = [[pair] for pair in dice.sample(pairs, 10)] + dice.sample(alike, min(5, len(alike)))
    for exchange in exchanges:
        wrong = match | {i: match[j] for pair in exchange for i, j in (pair, pair[::-1])}
        assert {i for pair in exchange for i in pair} <= unproven(theirs, ours, kinds, wrong).keys(), exchange
