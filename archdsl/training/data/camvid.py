"""`camvid:DIR`: CamVid (Brostow et al. 2009) in the 11 classes of SegNet, in both forms it goes about in.

The small form is the SegNet tutorial's: `train/ trainannot/` and so on at 480x360, masks with indices, 11 for void. The
original has 960x720 and masks in 32 colours, `name_L.png`; its splits are made from the names of sequences and frames,
as the small form has them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from archdsl.training.data.labels import Colours, LabelTable, Values
from archdsl.training.data.pairs import Pair, Pairs, existing, images_in, listed, matched, missing, no_split
from archdsl.training.data.sample import VOID, DataSet, Palette

CLASSES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist",
)  # fmt: skip
PALETTE: Palette = (
    (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (0, 0, 192), (128, 128, 0), (192, 128, 128),
    (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
)  # fmt: skip

_REDUCED: tuple[tuple[tuple[int, int, int], ...], ...] = (
    ((128, 128, 128),),
    ((128, 0, 0), (192, 0, 128), (0, 128, 64), (64, 0, 64), (64, 192, 0)),
    ((192, 192, 128), (0, 0, 64)),
    ((128, 64, 128), (128, 0, 192), (192, 0, 64)),
    ((0, 0, 192), (64, 192, 128), (128, 128, 192)),
    ((128, 128, 0), (192, 192, 0)),
    ((192, 128, 128), (128, 128, 64), (0, 64, 64)),
    ((64, 64, 128),),
    ((64, 0, 128), (64, 128, 192), (192, 128, 192), (192, 64, 128), (128, 64, 64)),
    ((64, 64, 0), (192, 128, 64), (64, 0, 192), (64, 128, 64)),
    ((0, 128, 192), (192, 0, 192)),
)
"""The colours among the original 32 that make up each of the 11 classes; black is void."""

_SIZES = {"train": 367, "val": 101, "test": 233}
_SPLITS = tuple(_SIZES)
_FRAME = re.compile(r"(\w+?)_f?(\d+)")
_IMAGE_FOLDERS = ("701_StillsRaw_full", "images", "Images")
_MASK_FOLDERS = ("LabeledApproved_full", "labels", "Labels", "masks", "annotations")


def colour_table() -> Colours:
    """The 32 colours, reduced to 11 classes and void."""
    colours = {colour: label for label, several in enumerate(_REDUCED) for colour in several}
    return Colours({**colours, (0, 0, 0): VOID})


class CamVid:
    """CamVid in a folder, whichever form is there."""

    name = "camvid"
    classes = CLASSES
    palette = PALETTE
    splits = _SPLITS

    def __init__(self, folder: Path) -> None:
        """Raises ArchError E0830 for a folder that holds neither form."""
        self.folder = folder
        self._pairs, self._table, self.recipe = _form(folder)

    def split(self, name: str) -> DataSet:
        if name not in _SPLITS:
            raise no_split(name, self.name, self.splits)
        pairs = self._pairs(name)
        if len(pairs) != _SIZES[name]:
            message = f"{self.folder}: {name} has {len(pairs)} images; the usual split has {_SIZES[name]}"
            print(f"warning: {message}, and results will not compare", file=sys.stderr)
        return Pairs(pairs, self._table)


def _form(folder: Path) -> tuple[Callable[[str], list[Pair]], LabelTable, str]:
    if (folder / "trainannot").is_dir():
        return lambda split: _small(folder, split), Values.plain(len(CLASSES), void=(11,)), "camvid-480"
    images = next((folder / name for name in _IMAGE_FOLDERS if (folder / name).is_dir()), None)
    masks = next((folder / name for name in _MASK_FOLDERS if (folder / name).is_dir()), None)
    if images is not None and masks is not None:
        return lambda split: _original(images, masks, split), colour_table(), "camvid-720"
    if (folder / "train_labels").is_dir():
        return lambda split: _split_folders(folder, split), colour_table(), "camvid-720"
    help_ = (
        "it should hold train/ and trainannot/ (480x360, indices), or 701_StillsRaw_full/ and LabeledApproved_full/ "
        "(960x720, colours)"
    )
    raise missing(f"{folder} holds no CamVid that is known here", help_)


def _small(folder: Path, split: str) -> list[Pair]:
    lists = folder / f"{split}.txt"
    if lists.is_file() and _relative(lists):
        return listed(folder, lists)
    return matched(folder / split, folder / f"{split}annot")


def _relative(lists: Path) -> bool:
    """Whether a list names files as they lie here; the tutorial's own has absolute paths of its author."""
    first = lists.read_text(encoding="utf-8").split("\n", 1)[0].split()
    return len(first) == 2 and (lists.parent / first[0]).is_file()


def _split_folders(folder: Path, split: str) -> list[Pair]:
    return matched(folder / split, folder / f"{split}_labels", ending="_L")


def _original(images: Path, masks: Path, split: str) -> list[Pair]:
    if not images_in(images):
        raise missing(f"the folder {images} holds no images")
    return [pair for pair in matched(images, masks, ending=_ending(masks)) if split_of(pair[0].stem) == split]


def _ending(masks: Path) -> str:
    return next((end for path in images_in(masks) for end in ("_L", "_P") if path.stem.endswith(end)), "")


def split_of(frame: str) -> str:
    """The split that a frame belongs to, by its name: `0016E5_07959` is in val."""
    match = _FRAME.fullmatch(frame)
    if match is None:
        return ""
    sequence, number = match[1], int(match[2])
    if sequence == "Seq05VD" or (sequence == "0001TP" and number >= 8550):
        return "test"
    return "val" if sequence == "0016E5" and 7959 <= number <= 8159 else "train"


def open_source(path: str) -> CamVid:
    return CamVid(existing(path, "camvid"))
