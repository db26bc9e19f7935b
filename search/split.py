"""The two parts of a training set: one trains weights, the other judges rates."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.training.data.sample import DataSet, Sample, size_of


class Part:
    """Some samples of a split."""

    def __init__(self, data: DataSet, indices: Sequence[int]) -> None:
        self.data, self.indices = data, tuple(indices)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self.data[self.indices[index]]

    def name_of(self, index: int) -> str:
        return self.data.name_of(self.indices[index])

    def size_of(self, index: int) -> tuple[int, int] | None:
        return size_of(self.data, self.indices[index])


def split(data: DataSet) -> tuple[Part, Part]:
    """Two parts of about the same size, for weights and for rates. Raises ArchError E0833 for less than two samples.

    Frames of one sequence (names that agree up to the first `_`: `0016E5_07959.png`, `aachen_000000_000019.png`) stay
    together, since neighbours in a video are nearly the same image; where names tell no sequences apart, the parts are
    the first and the second half.
    """
    if len(data) < 2:
        raise ArchError([Diagnostic("E0833", "a search needs two training images at least")])
    sequences: dict[str, list[int]] = defaultdict(list)
    for index in range(len(data)):
        sequences[Path(data.name_of(index)).stem.partition("_")[0]].append(index)
    if not 1 < len(sequences) <= len(data) // 2:
        half = (len(data) + 1) // 2
        return Part(data, range(half)), Part(data, range(half, len(data)))
    first: list[int] = []
    second: list[int] = []
    for frames in sorted(sequences.values(), key=len, reverse=True):
        (first if len(first) <= len(second) else second).extend(frames)
    if 4 * len(second) < len(data):
        print(f"warning: sequences leave {len(second)} of {len(data)} images to judge rates on", file=sys.stderr)
    return Part(data, sorted(first)), Part(data, sorted(second))
