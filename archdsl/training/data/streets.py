"""`streets[:N][@HxW]`: the built-in street scenes, N of them to train on, drawn at a size."""

from __future__ import annotations

import re

from archdsl.training.data.pairs import missing, no_split
from archdsl.training.data.sample import DataSet, Sample
from archdsl.training.streets import CLASSES, PALETTE, scene

COUNT = 400
HELD_OUT = 60
"""Scenes to validate on, and as many to test on."""
SIZE = (192, 384)
_SMALLEST = 32
_SEEDS = {"train": 1_000_000, "val": 2_000_000, "test": 3_000_000}
"""First seeds; far apart, and far from the small seeds that examples show."""
_FORM = re.compile(r"(\d{1,6})?(?:@(\d{1,5})x(\d{1,5}))?")


class StreetScenes:
    """Scenes of consecutive seeds."""

    def __init__(self, first: int, count: int, size: tuple[int, int]) -> None:
        self.first, self.count, self.size = first, count, size

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.count:
            raise IndexError(index)
        drawn = scene(self.first + index, *self.size)
        return Sample(drawn.image, drawn.labels)

    def name_of(self, index: int) -> str:
        return f"street-{self.first + index}"

    def size_of(self, index: int) -> tuple[int, int]:
        return self.size


class Streets:
    """The built-in street scenes."""

    name = "streets"
    classes = CLASSES
    palette = PALETTE
    splits = ("train", "val", "test")
    recipe = "quickstart"

    def __init__(self, count: int = COUNT, size: tuple[int, int] = SIZE) -> None:
        self.count, self.size = count, size

    def split(self, name: str) -> DataSet:
        if name not in _SEEDS:
            raise no_split(name, self.name, self.splits)
        return StreetScenes(_SEEDS[name], self.count if name == "train" else HELD_OUT, self.size)


def open_source(path: str) -> Streets:
    """Raises ArchError E0830 for what is no count and size."""
    match = _FORM.fullmatch(path)
    if match is None:
        raise missing(f"streets:{path} is no count of scenes", "for example streets:500, or streets:500@256x512")
    count = int(match[1] or COUNT)
    size = (int(match[2]), int(match[3])) if match[2] else SIZE
    if count < 1 or min(size) < _SMALLEST:
        raise missing(f"streets:{path} draws nothing", "at least one scene, of at least 32x32 pixels")
    return Streets(count, size)
