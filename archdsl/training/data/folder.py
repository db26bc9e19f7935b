"""`folder:DIR`: images and masks of your own.

Pairs are matched by name in `images/` and `masks/`; in `train/images/` and so on, or `images/train/`, where there are
splits; or read from `train.txt`, an image and a mask on each line. `labels.toml` says what the values or colours of
masks mean; without it values are class indices, and 255 is void.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from archdsl.images import default_palette
from archdsl.training.data.labels import LabelMap, Values, read_label_map
from archdsl.training.data.pairs import Pair, Pairs, existing, listed, matched, missing, no_split, read_mask
from archdsl.training.data.sample import VOID, DataSet

_SPLITS = ("train", "val", "test")
_EVERY = 10
"""Where there are no splits, one image in so many is kept for validation."""


class Folder:
    """Images and masks in a folder."""

    name = "folder"
    recipe = "camvid-480"

    def __init__(self, folder: Path, label_map: Path | None = None) -> None:
        """Raises ArchError E0830 for a folder with another layout, E0833 for a wrong label map."""
        self._splits = _find(folder)
        self.splits = tuple(self._splits)
        path = label_map or folder / "labels.toml"
        found = read_label_map(path) if label_map or path.is_file() else self._plain()
        self.classes, self.palette, self._table = found.classes, found.palette, found.table

    def split(self, name: str) -> DataSet:
        if name not in self._splits:
            raise no_split(name, self.name, self.splits)
        return Pairs(self._splits[name](), self._table)

    def _plain(self) -> LabelMap:
        """Classes counted by reading every mask."""
        top = 0
        for pairs in self._splits.values():
            for _, mask in pairs():
                found = read_mask(mask)
                top = max(top, int(found[found != VOID].max(initial=0)))
        count = top + 1
        if count > VOID:
            message = f"masks in {existing_parent(pairs)} have values up to {top}, which are no class indices"
            raise missing(message, "say what they mean in labels.toml")
        return LabelMap(tuple(f"class {i}" for i in range(count)), default_palette(count), Values.plain(count))


def existing_parent(pairs: Callable[[], list[Pair]]) -> Path:
    return pairs()[0][1].parent


def _find(folder: Path) -> dict[str, Callable[[], list[Pair]]]:
    for layout in (_lists, _outer, _inner):
        if found := layout(folder):
            return found
    if not (folder / "images").is_dir() or not (folder / "masks").is_dir():
        help_ = "it should hold images/ and masks/, train/images/ and train/masks/, or lists train.txt and val.txt"
        raise missing(f"{folder} holds no data set", help_)
    pairs = matched(folder / "images", folder / "masks")
    kept = np.arange(len(pairs)) % _EVERY == _EVERY - 1 if len(pairs) > 1 else np.zeros(1, bool)
    if len(pairs) > 1 and not kept.any():
        kept[-1] = True
    return {
        "train": lambda: [pair for pair, out in zip(pairs, kept, strict=True) if not out],
        "val": lambda: [pair for pair, out in zip(pairs, kept, strict=True) if out],
    }


def _lists(folder: Path) -> dict[str, Callable[[], list[Pair]]]:
    files = {name: folder / f"{name}.txt" for name in _SPLITS}
    return {name: (lambda f=file: listed(folder, f)) for name, file in files.items() if file.is_file()}  # type: ignore[misc]


def _outer(folder: Path) -> dict[str, Callable[[], list[Pair]]]:
    names = [name for name in _SPLITS if (folder / name / "images").is_dir()]
    return {n: (lambda n=n: matched(folder / n / "images", folder / n / "masks")) for n in names}  # type: ignore[misc]


def _inner(folder: Path) -> dict[str, Callable[[], list[Pair]]]:
    names = [name for name in _SPLITS if (folder / "images" / name).is_dir()]
    return {n: (lambda n=n: matched(folder / "images" / n, folder / "masks" / n)) for n in names}  # type: ignore[misc]


def open_source(path: str) -> Folder:
    return Folder(existing(path, "folder"))
