"""What is wrong with a data set, before the first step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.training.data.sample import VOID, DataSet, Source, size_of

_MOST = 20
"""Problems that are shown; the rest is counted."""
_THREADS = 8
Counts = npt.NDArray[np.int64]


@dataclass
class SplitReport:
    """What reading a whole split found."""

    images: int
    pixels: Counts
    """Per class, and void last."""
    sizes: dict[tuple[int, int], int] = field(default_factory=dict)
    images_with: Counts = field(default_factory=lambda: np.zeros(0, np.int64))
    """In how many images each class is."""
    problems: list[Diagnostic] = field(default_factory=list)

    def add(self, one: SplitReport) -> None:
        """Adds what was found in one of its images."""
        self.pixels += one.pixels
        self.images_with += one.images_with
        self.problems += one.problems
        for size, number in one.sizes.items():
            self.sizes[size] = self.sizes.get(size, 0) + number


def check_sizes(data: DataSet) -> None:
    """Reads the headers of every file of a split. Raises ArchError with all that cannot be used."""
    with ThreadPoolExecutor(_THREADS) as pool:
        raise_all(pool.map(lambda i: _problems(lambda: size_of(data, i)), range(len(data))))


def check_split(source: Source, split: str, seen: Callable[[int, int], None] = lambda done, of: None) -> SplitReport:
    """Decodes every sample of a split. Problems are collected, not raised; `seen` is told of each sample."""
    data, classes = source.split(split), len(source.classes)
    report = SplitReport(len(data), np.zeros(classes + 1, np.int64), images_with=np.zeros(classes, np.int64))
    with ThreadPoolExecutor(_THREADS) as pool:
        for done, one in enumerate(pool.map(lambda i: _counted(data, i, classes), range(len(data))), start=1):
            report.add(one)
            seen(done, len(data))
    return report


def _counted(data: DataSet, index: int, classes: int) -> SplitReport:
    """The report of one sample."""
    found = SplitReport(1, np.zeros(classes + 1, np.int64), images_with=np.zeros(classes, np.int64))
    try:
        labels = data[index].labels
    except ArchError as error:
        found.problems += error.diagnostics
        return found
    found.pixels = label_counts(labels, classes)
    found.images_with = (found.pixels[:-1] > 0).astype(np.int64)
    found.sizes = {(labels.shape[0], labels.shape[1]): 1}
    if found.pixels.sum() != labels.size:
        wrong = sorted(set(np.unique(labels).tolist()) - {*range(classes), VOID})
        message = f"{data.name_of(index)} has labels {wrong}, and there are {classes} classes"
        found.problems.append(Diagnostic("E0832", message))
    return found


def label_counts(labels: npt.NDArray[np.uint8], classes: int) -> Counts:
    """Pixels of each class, and of void last; others are not counted."""
    counts = np.bincount(labels.ravel(), minlength=256)
    return np.append(counts[:classes], counts[VOID])


def _problems(read: Callable[[], object]) -> tuple[Diagnostic, ...]:
    try:
        read()
    except ArchError as error:
        return error.diagnostics
    return ()


def raise_all(found: Iterable[Iterable[Diagnostic]]) -> None:
    """Raises ArchError with the first problems, and how many more there are, where there are any."""
    problems = [problem for several in found for problem in several]
    if problems:
        raise ArchError(shortened(problems))


def shortened(problems: list[Diagnostic]) -> Iterator[Diagnostic]:
    """The first problems, the last of them with a note of how many more there are."""
    yield from problems[: _MOST - 1]
    rest = problems[_MOST - 1 :]
    if rest:
        more = f"and {len(rest) - 1} more like these" if len(rest) > 1 else ""
        last = rest[0]
        yield Diagnostic(last.code, last.message, help=last.help, notes=(*last.notes, more) if more else last.notes)
