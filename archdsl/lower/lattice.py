"""Gaussian filtering in few dimensions on the permutohedral lattice (Adams, Baek & Davis 2010, Eurographics).

Points in a space of d dimensions (position, colour) give their values to the d + 1 corners of the simplex they lie in,
neighbouring corners are blurred along d + 1 directions, and each point takes back what its corners then have. The cost
grows with the points and not with the width of the kernel. As in Krähenbühl & Koltun's code for dense CRFs (NIPS 2011).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor

_FACTOR = 0x9E3779B97F4A7C15
"""Corners go by a hash, coordinates times powers of this odd number modulo 2^64: neighbours are a constant apart."""

_LAST = torch.iinfo(torch.int64).max


@dataclass(frozen=True)
class Lattice:
    """Points in their simplices.

    `corners` [points, d + 1] says which corner of the lattice, `shares` [points, d + 1] how much of the point it gets;
    `neighbours` has for each of d + 1 directions the corners before and after each one, [count], `count` for none.
    """

    corners: Tensor
    shares: Tensor
    neighbours: tuple[tuple[Tensor, Tensor], ...]
    count: int

    def blurred(self, values: Tensor) -> Tensor:
        """Values [points, channels] under the filter, without its normalisation. Gradients reach the values."""
        directions = len(self.neighbours)
        spread = (self.shares.unsqueeze(-1) * values.unsqueeze(1)).flatten(0, 1)
        # not index_add: ONNX has ScatterND for it, which ONNX Runtime gets wrong now and then where indices repeat
        places = self.corners.view(-1, 1).expand_as(spread)
        held = values.new_zeros(self.count + 1, values.shape[1]).scatter_add(0, places, spread)
        for before, after in self.neighbours:
            blurred = held[:-1] + (held[before] + held[after]) / 2
            held = F.pad(blurred, (0, 0, 0, 1))
        back = (held[self.corners] * self.shares.unsqueeze(-1)).sum(1)
        return back / (1 + 2.0 ** -(directions - 1))


def filtered(values: Tensor, features: Tensor) -> Tensor:
    """Values [N, C, H, W] averaged with Gaussian weights of unit width over features [N, d, H, W], image by image."""
    with torch.no_grad():
        lattice = lattice_of(features)
    flat = values.permute(0, 2, 3, 1).flatten(0, 2)
    weight = lattice.blurred(torch.ones_like(flat[:, :1]))
    found = lattice.blurred(flat) / (weight + torch.finfo(torch.float64).eps)
    return found.view(values.shape[0], *values.shape[2:], -1).permute(0, 3, 1, 2)


def lattice_of(features: Tensor) -> Lattice:
    """The lattice of the points of feature maps [N, d, H, W]. Points of different images share no corner."""
    dimensions = features.shape[1]
    points = features.permute(0, 2, 3, 1).flatten(0, 2)
    origin, rank, shares = _simplices(points)
    powers = [_wrapped(pow(_FACTOR, axis, 1 << 64)) for axis in range(1, dimensions + 2)]
    image = torch.arange(features.shape[0], device=features.device).view(-1, 1, 1)
    image = (image + torch.zeros_like(features[:, 0], dtype=torch.int64)).flatten()
    # corner r of a simplex lies r steps from its origin along every axis, less d + 1 where that would leave the simplex
    steps = torch.arange(dimensions + 1, device=features.device)
    left = (rank[:, None, :] > dimensions - steps[:, None]).to(torch.int64) * (dimensions + 1)
    keys = origin[:, None, :] + steps[:, None] - left
    # added one by one: ONNX Runtime rounds when it sums large integers along an axis
    hashes = reduce(torch.add, (keys[..., axis] * powers[axis] for axis in range(dimensions)))
    hashes = hashes + (image * powers[-1])[:, None]
    corners, known = _numbered(hashes.flatten())
    shifts = [_wrapped(power * (dimensions + 1) - sum(powers[:-1])) for power in (*powers[:-1], 0)]
    neighbours = tuple((_places(known, known + shift), _places(known, known - shift)) for shift in shifts)
    return Lattice(corners.view_as(hashes), shares, neighbours, known.shape[0])


def _wrapped(number: int) -> int:
    """A number modulo 2^64 as an int64 holds it."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def _simplices(points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For points [P, d]: the simplex's origin, the order of its axes, both [P, d + 1] int64, and shares [P, d + 1]."""
    dimensions = points.shape[1]
    index = torch.arange(1, dimensions + 1, device=points.device, dtype=points.dtype)
    # a blur's standard deviation is √(2/3) (d + 1) in the lattice's coordinates (paper, section 3.1)
    scaled = points * ((2 / 3) ** 0.5 * (dimensions + 1) / (index * (index + 1)).sqrt())
    after = scaled.flip(1).cumsum(1).flip(1)
    raised = F.pad(after, (0, 1)) - F.pad(index * scaled, (1, 0))
    nearest = (raised / (dimensions + 1)).round()
    origin, moved = nearest * (dimensions + 1), nearest.sum(1, keepdim=True)
    rank = _rank(raised - origin) + moved
    back = (rank < 0).to(points.dtype) - (rank > dimensions).to(points.dtype)
    rank, origin = (rank + back * (dimensions + 1)).to(torch.int64), origin + back * (dimensions + 1)
    rest = (raised - origin) / (dimensions + 1)
    ordered = torch.zeros_like(rest).scatter(1, dimensions - rank, rest)
    shares = ordered - F.pad(ordered[:, :-1], (1, 0))
    first = 1 + ordered[:, :1] - ordered[:, -1:]
    return origin.to(torch.int64), rank, torch.cat([first, shares[:, 1:]], 1)


def _rank(rest: Tensor) -> Tensor:
    """How many of its row each value comes after, the largest first and of equal ones the earlier."""
    less, place = rest[:, :, None] < rest[:, None, :], torch.arange(rest.shape[1], device=rest.device)
    earlier = (rest[:, :, None] == rest[:, None, :]) & (place[None, :] < place[:, None])
    return (less | earlier).to(rest.dtype).sum(2)


def _numbered(hashes: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers for hashes, equal ones alike, and the hash of each number, in ascending order.

    Exporters need sizes that do not depend on values: for them there are as many numbers as hashes, and what is not
    used has the largest hash.
    """
    if not torch.compiler.is_exporting():
        known, numbers = torch.unique(hashes, return_inverse=True)
        return numbers, known
    numbers = _groups(hashes)
    return numbers, torch.full_like(hashes, _LAST).scatter(0, numbers, hashes)


def _groups(hashes: Tensor) -> Tensor:
    order = hashes.argsort()
    ascending = hashes[order]
    new = F.pad((ascending[1:] != ascending[:-1]).to(torch.int64), (1, 0))
    return torch.zeros_like(order).scatter(0, order, new.cumsum(0))


def _places(known: Tensor, wanted: Tensor) -> Tensor:
    """Where each wanted hash stands among the known ones, which ascend; their number where it does not."""
    count = known.shape[0]
    if not torch.compiler.is_exporting():
        place = torch.searchsorted(known, wanted).clamp(max=count - 1)
        return torch.where(known[place] == wanted, place, count)
    groups = _groups(torch.cat([known, wanted]))
    table = torch.full_like(groups, count).scatter(0, groups[:count], torch.arange(count, device=known.device))
    return table[groups[count:]]
