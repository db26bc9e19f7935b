"""A guess as a name map: what is applied is what is written out."""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from archdsl.ir.graph import Graph
from archdsl.ir.op import call_of
from archdsl.ir.state import layout
from archdsl.lower.guess.layers import COUNTER, STATISTICS, Layer, gathered
from archdsl.lower.guess.match import matched

MOST_SHOWN = 4
"""Of layers that one could be, so many are named."""


class Doubt(NamedTuple):
    """What a foreign layer was taken for, others of ours that fit as well, and the shapes of the tensors in it."""

    ours: str
    others: tuple[str, ...]
    shapes: str

    def __str__(self) -> str:
        shown = " or ".join(self.others[:MOST_SHOWN])
        more = f", or one of {len(self.others) - MOST_SHOWN} more" if len(self.others) > MOST_SHOWN else ""
        return f"{shown}{more}: {'both' if len(self.others) == 1 else 'all'} are {self.shapes}"


@dataclass(frozen=True)
class Proposal:
    """A name map's text, and how far it can be trusted.

    `layers` were matched, `alone` of them because nothing else has their shapes; `unsure` are those of which nothing
    proves that they are what they were taken for.
    """

    text: str
    layers: int
    alone: int
    ordered: bool
    unsure: Mapping[str, Doubt]


def propose(graph: Graph, foreign: Mapping[str, Tensor], *, ordered: bool) -> Proposal:
    """The map that brings most of a checkpoint's tensors to a network.

    `ordered` says whether `foreign` has its tensors in the order they were made in, as a pickled state dict has and a
    .safetensors file has not.
    """
    repeated = _repeated(foreign)
    shapes = {name: tuple(tensor.shape) for name, tensor in foreign.items() if name not in repeated}
    theirs = gathered(shapes)
    ours = gathered({name: spec.shape for name, spec in layout(graph).items()})
    found = matched(theirs, ours, _auxiliary(graph, ours), ordered=ordered)
    pairs = [(theirs[i], ours[j]) for i, j in sorted(found.pairs.items(), key=lambda pair: pair[1])]
    unsure = {
        theirs[i].path: Doubt(ours[found.pairs[i]].path, tuple(ours[j].path for j in others), _shapes(theirs[i]))
        for i, others in found.unsure.items()
    }
    text = "\n".join(_lines(graph, pairs, repeated, unsure)) + "\n"
    return Proposal(text, len(pairs), len(found.alone), ordered, unsure)


def _shapes(layer: Layer) -> str:
    """The shapes of a layer, each once."""
    return ", ".join(dict.fromkeys(str(list(shape)) for shape in layer.shapes.values()))


def _repeated(foreign: Mapping[str, Tensor]) -> list[str]:
    """Names of tensors that stand under an earlier name already. Those of one value are never taken for each other."""
    seen: set[object] = set()
    found = []
    for name, tensor in foreign.items():
        if tensor.numel() < 2 or bool((tensor == tensor.flatten()[0]).all()):
            continue
        content = tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()
        key = tensor.dtype, tensor.shape, hashlib.sha1(content, usedforsecurity=False).digest()
        if key in seen:
            found.append(name)
        seen.add(key)
    return found


def _auxiliary(graph: Graph, ours: list[Layer]) -> frozenset[int]:
    """Layers that only training needs."""
    needed = {layer.path for layer in gathered(dict.fromkeys(layout(graph, graph.for_inference()), ()))}
    return frozenset(position for position, layer in enumerate(ours) if layer.path not in needed)


def _lines(
    graph: Graph,
    pairs: list[tuple[Layer, Layer]],
    repeated: Iterable[str],
    unsure: Mapping[str, Doubt],
) -> Iterator[str]:
    yield f"# Proposed by `archdsl weights import --guess` for {graph.name}."
    if unsure:
        yield f"# In doubt: {len(unsure)} of {len(pairs)} layers, each marked with others of ours that fit as well."
    yield ""
    yield f"ignore = {json.dumps([f'*.{COUNTER}', *map(glob.escape, repeated)])}"
    yield from _fill(graph, pairs)
    yield ""
    yield "[names]"
    for theirs, ours in pairs:
        doubt = unsure.get(theirs.path)
        remark = f"  # or {doubt}" if doubt else ""
        for rule in _rules(theirs, ours):
            yield rule + remark


def _rules(theirs: Layer, ours: Layer) -> Iterator[str]:
    """One rule for a layer whose tensors have our names; else one for each tensor."""
    linear = [name for name, shape in theirs.shapes.items() if len(shape) == 2]
    if not linear and all(name == own for name, own in theirs.own_names.items()) and theirs.path:
        yield f"{json.dumps(theirs.path + '.{what}')} = {json.dumps(ours.path + '.{what}')}"
        return
    for name, own in theirs.own_names.items():
        target = json.dumps(f"{ours.path}.{own}")
        form = f"{{ to = {target}, from_linear = true }}" if name in linear else target
        yield f"{json.dumps(f'{theirs.path}.{name}' if theirs.path else name)} = {form}"


def _fill(graph: Graph, pairs: list[tuple[Layer, Layer]]) -> Iterator[str]:
    """Statistics that change nothing, for normalisations that have a scale and a shift alone."""
    bare = {ours.path for theirs, ours in pairs if not {*STATISTICS} & {*theirs.own_names.values()}}
    kept = {node.weights: node for node in graph.nodes if node.op == "bn" and node.weights in bare}
    if not kept:
        return
    yield ""
    yield "[fill] # these checkpoints normalise by a scale and a shift alone"
    yield '"*.running_mean" = 0.0'
    for path, node in kept.items():
        yield f"{json.dumps(path + '.running_var')} = {1 - call_of(node.settings, ())['eps']!r}"
