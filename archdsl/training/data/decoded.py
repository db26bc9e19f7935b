"""A split decoded once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.training.data.check import raise_all
from archdsl.training.data.sample import DataSet, Pixels, Sample

_THREADS = 8


class Decoded:
    """Every sample of a split, in memory."""

    def __init__(self, data: DataSet, seen: Callable[[int, int], None] = lambda done, of: None) -> None:
        """Decodes all of it; `seen` is told of each sample. Raises ArchError with what cannot be used."""
        self.samples: list[Sample] = []
        self._name_of = data.name_of
        problems: list[tuple[Diagnostic, ...]] = []
        with ThreadPoolExecutor(_THREADS) as pool:
            for done, found in enumerate(pool.map(lambda i: _tried(data, i), range(len(data))), start=1):
                if isinstance(found, Sample):
                    self.samples.append(found)
                else:
                    problems.append(found)
                seen(done, len(data))
        raise_all(problems)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]

    def labels_of(self, index: int) -> Pixels:
        return self.samples[index].labels

    def name_of(self, index: int) -> str:
        return self._name_of(index)

    def size_of(self, index: int) -> tuple[int, int]:
        height, width = self.samples[index].labels.shape
        return height, width


def _tried(data: DataSet, index: int) -> Sample | tuple[Diagnostic, ...]:
    try:
        return data[index]
    except ArchError as error:
        return error.diagnostics
