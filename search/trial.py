"""What plain numbers of a text may become: each is tried, since a number may decide more than a dilation.

`if r == 1` gives another width where r is 1; a number that a block reads twice cannot differ by call. A mark says that
it is a rate, so that one that is not is an error; of all numbers of a file, those that cannot be searched are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from archdsl.search.space import Rate
from archdsl.search.write_back import can_hold

from archdsl.network import Network


def tied_as_needed(network: Network, rates: Sequence[Rate]) -> list[Rate]:
    """The rates, those of one number tied again where the text cannot hold them apart."""
    order = {node.name: index for index, node in enumerate(network.ir.nodes)}
    found: list[Rate] = []
    for _, own in groupby(sorted(rates, key=lambda rate: rate.span.start), key=lambda rate: rate.span.start):
        copies = list(own)
        plain = len(copies) > 1 and all(rate.variable is None for rate in copies)
        if plain and not _free(network, copies, [rate for rate in rates if rate.span.start != copies[0].span.start]):
            nodes = sorted((name for rate in copies for name in rate.nodes), key=order.__getitem__)
            copies = [replace(copies[0], nodes=tuple(nodes))]
        found += copies
    return sorted(found, key=lambda rate: order[rate.nodes[0]])


def _free(network: Network, copies: Sequence[Rate], others: Sequence[Rate]) -> bool:
    """Whether copies can differ, whatever the other rates are: a round that is written out may spell one of those."""
    apart = _apart(copies)
    if not can_hold(network, copies, apart):
        return False
    moved = {rate.span.start: [one for one in others if one.span.start == rate.span.start] for rate in others}
    if can_hold(network, [*copies, *others], [*apart, *map(_other, others)]):
        return True
    return not any(
        can_hold(network, own, [_other(rate) for rate in own])
        and not can_hold(network, [*copies, *own], [*apart, *map(_other, own)])
        for own in moved.values()
    )


def _other(rate: Rate) -> int:
    """A value that a rate does not start at, where it has one."""
    return rate.candidates[-1] if rate.candidates[-1] != rate.start else rate.candidates[0]


def _apart(copies: Sequence[Rate]) -> list[int]:
    """Values that differ from copy to copy, as far as there are enough."""
    return [rate.candidates[-1 - index % len(rate.candidates)] for index, rate in enumerate(copies)]


def rates_alone(network: Network, rates: Sequence[Rate]) -> tuple[list[Rate], list[Rate]]:
    """The rates with the candidates that change nothing but dilations, and those rates that no candidate is left of.

    Each value is tried by all plain numbers together first.
    """
    start = [rate.start for rate in rates]
    lost: dict[int, set[int]] = {}
    for value in sorted({value for rate in rates if rate.variable is None for value in rate.candidates}):
        able = [i for i, rate in enumerate(rates) if rate.variable is None and value in rate.candidates]
        if not can_hold(network, rates, _with(start, able, value)):
            for i in able:
                if not can_hold(network, rates, _with(start, [i], value)):
                    lost.setdefault(i, set()).add(value)
    kept: list[Rate] = []
    left: list[Rate] = []
    for i, rate in enumerate(rates):
        candidates = tuple(value for value in rate.candidates if value not in lost.get(i, ()))
        (kept if len(candidates) > 1 or i not in lost else left).append(replace(rate, candidates=candidates))
    return kept, left


def _with(start: Sequence[int], places: Iterable[int], value: int) -> list[int]:
    changed = set(places)
    return [value if index in changed else own for index, own in enumerate(start)]
