"""What a data set is: splits of samples, and names and colours for their classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Palette = tuple[tuple[int, int, int], ...]

VOID = 255
"""The label of pixels that neither training nor scoring looks at."""


@dataclass(frozen=True, slots=True)
class Sample:
    """An image RGB [H, W, 3] and its labels [H, W]: class indices, or `VOID`."""

    image: Pixels
    labels: Pixels


class DataSet(Protocol):
    """One split. Any Python class with these two methods and `name_of` will do."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample:
        """The sample of an index. Raises ArchError, naming the file, for one that cannot be used."""

    def name_of(self, index: int) -> str:
        """What a message calls a sample: its file, for example."""


class Source(Protocol):
    """A data set with its splits."""

    name: str
    """What runs and messages call it: the kind."""
    classes: tuple[str, ...]
    palette: Palette
    splits: tuple[str, ...]
    recipe: str
    """The recipe that trains on it where none is given."""

    def split(self, name: str) -> DataSet:
        """The samples of a split. Raises ArchError E0830 for one that is not there."""


class Joined:
    """Several splits one after the other."""

    def __init__(self, parts: Sequence[DataSet]) -> None:
        self.parts = tuple(parts)

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def __getitem__(self, index: int) -> Sample:
        part, inside = self._place(index)
        return part[inside]

    def name_of(self, index: int) -> str:
        part, inside = self._place(index)
        return part.name_of(inside)

    def size_of(self, index: int) -> tuple[int, int] | None:
        part, inside = self._place(index)
        return size_of(part, inside)

    def _place(self, index: int) -> tuple[DataSet, int]:
        for part in self.parts:
            if index < len(part):
                return part, index
            index -= len(part)
        raise IndexError(index)


def size_of(data: DataSet, index: int) -> tuple[int, int] | None:
    """Height and width of a sample where the data set knows them without decoding (a method `size_of`), else None."""
    known = getattr(data, "size_of", None)
    return None if known is None else known(index)
