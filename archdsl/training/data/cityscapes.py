"""`cityscapes:DIR`: Cityscapes (Cordts et al. 2016) as it is unpacked, in the 19 train ids."""

from __future__ import annotations

from pathlib import Path

from archdsl.images import CITYSCAPES_NAMES, default_palette
from archdsl.training.data.labels import Values
from archdsl.training.data.pairs import Pair, Pairs, existing, missing, no_split
from archdsl.training.data.sample import VOID, DataSet

_TRAIN_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""The label id of each train id."""
_LABEL_IDS = range(-1, 34)
_IMAGE, _MASK = "_leftImg8bit", "_gtFine"
_UNPACK = "unpack leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip into it"


def label_ids() -> Values:
    """Values of `labelIds` masks; the plate of a car, -1, is stored as 255."""
    of_id = {label: train for train, label in enumerate(_TRAIN_IDS)}
    return Values({label % 256: of_id.get(label, VOID) for label in _LABEL_IDS})


def train_ids() -> Values:
    """Values of `labelTrainIds` masks; 255 is void, and so is 19, which some tools write for the plate."""
    return Values.plain(len(_TRAIN_IDS), void=(19,))


class Cityscapes:
    """The fine annotations."""

    name = "cityscapes"
    classes = CITYSCAPES_NAMES
    palette = default_palette(len(_TRAIN_IDS))
    splits = ("train", "val", "test")
    recipe = "cityscapes"

    def __init__(self, folder: Path) -> None:
        """Raises ArchError E0830 where images or annotations are not there."""
        self.images, self.masks = folder / "leftImg8bit", folder / "gtFine"
        for part in (self.images, self.masks):
            if not part.is_dir():
                raise missing(f"there is no folder {part}", _UNPACK)

    def split(self, name: str) -> DataSet:
        if name not in self.splits:
            raise no_split(name, self.name, self.splits)
        images = sorted((self.images / name).glob(f"*/*{_IMAGE}.png"))
        if not images:
            raise missing(f"{self.images / name} holds no city with images *{_IMAGE}.png", _UNPACK)
        stems = [
            (path, self.masks / name / path.parent.name / path.name.removesuffix(f"{_IMAGE}.png")) for path in images
        ]
        for kind, table in (("labelIds", label_ids()), ("labelTrainIds", train_ids())):
            pairs = [(image, stem.with_name(f"{stem.name}{_MASK}_{kind}.png")) for image, stem in stems]
            if pairs[0][1].is_file():
                return Pairs(_whole(pairs), table)
        raise _without_labels(stems[0][1])


def _whole(pairs: list[Pair]) -> list[Pair]:
    absent = [mask for _, mask in pairs if not mask.is_file()]
    if absent:
        raise missing(f"there is no {absent[0]}, and {len(absent) - 1} more masks are missing", _UNPACK)
    return pairs


def _without_labels(stem: Path) -> Exception:
    others = [k for k in ("color", "instanceIds") if stem.with_name(f"{stem.name}{_MASK}_{k}.png").is_file()]
    wanted = f"{stem}{_MASK}_labelIds.png"
    if others:
        return missing(f"there is no {wanted}", f"the {others[0]} files do not name classes; the labelIds files do")
    return missing(f"there is no {wanted}", _UNPACK)


def open_source(path: str) -> Cityscapes:
    return Cityscapes(existing(path, "cityscapes"))
