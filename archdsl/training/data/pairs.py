"""Data sets of files: an image and a mask each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.images import UNREADABLE, read_rgb
from archdsl.training.data.labels import LabelTable
from archdsl.training.data.sample import Pixels, Sample

Pair = tuple[Path, Path]
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_TURNED = (5, 6, 7, 8)
"""EXIF orientations that swap height and width."""
_ORIENTATION = 274


class Pairs:
    """Images and masks by their paths, decoded when asked for."""

    def __init__(self, pairs: Sequence[Pair], table: LabelTable) -> None:
        self.pairs = tuple(pairs)
        self.table = table

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        image_path, mask_path = self.pairs[index]
        image, labels = read_rgb(image_path), self.labels_of(index)
        if image.shape[:2] != labels.shape:
            raise _sizes_differ(image_path, image.shape[:2], mask_path, labels.shape)
        return Sample(image, labels)

    def labels_of(self, index: int) -> Pixels:
        """Labels [H, W] without their image. Raises ArchError for a mask that cannot be used."""
        path = self.pairs[index][1]
        return self.table.decode(read_mask(path, self.table.kind == "colours"), str(path))

    def name_of(self, index: int) -> str:
        return str(self.pairs[index][0])

    def size_of(self, index: int) -> tuple[int, int]:
        """Height and width from the files' headers. Raises ArchError where image and mask differ."""
        image_path, mask_path = self.pairs[index]
        image, mask = header_size(image_path), header_size(mask_path)
        if image != mask:
            raise _sizes_differ(image_path, image, mask_path, mask)
        return image


def read_mask(path: Path, colours: bool = False) -> npt.NDArray[Any]:
    """A mask as it is stored: indices [H, W], or RGB [H, W, 3] where classes are colours.

    Raises ArchError E0802 for a file that cannot be read, E0832 for one that has colours where indices are wanted.
    """
    try:
        with Image.open(path) as image:
            if colours:
                return np.asarray(image.convert("RGB"))
            found = np.asarray(image)
    except UNREADABLE as fault:
        raise _unreadable(path, fault) from fault
    if found.ndim != 2:
        message = f"{path} has {found.shape[2]} channels; its labels should be the values of one"
        raise ArchError([Diagnostic("E0832", message, help="if its colours mean classes, write a label map with them")])
    return found.astype(np.uint16)


def header_size(path: Path) -> tuple[int, int]:
    """Height and width of an image, its orientation applied, without decoding it. Raises ArchError E0802."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.format == "JPEG" and image.getexif().get(_ORIENTATION) in _TURNED
    except UNREADABLE as fault:
        raise _unreadable(path, fault) from fault
    return (width, height) if turned else (height, width)


def _unreadable(path: Path, fault: BaseException) -> ArchError:
    why = getattr(fault, "strerror", None) or str(fault)
    return ArchError([Diagnostic("E0802", f"cannot read the image {path}", notes=(why,))])


def _sizes_differ(image: Path, one: tuple[int, ...], mask: Path, other: tuple[int, ...]) -> ArchError:
    message = f"{image} is {one[0]}x{one[1]}, and its mask {mask} is {other[0]}x{other[1]}"
    return ArchError([Diagnostic("E0831", message, help="a mask has one label for each pixel of its image")])


# ---------------------------------------------------------------- finding pairs


def images_in(folder: Path) -> list[Path]:
    """The images right in a folder, by name. Raises ArchError E0830 where there is no folder."""
    try:
        return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    except OSError as error:
        raise missing(f"the folder {folder} cannot be read: {error.strerror}") from None


def matched(images: Path, masks: Path, ending: str = "") -> list[Pair]:
    """Each image of a folder with the mask of the same name, plus `ending`, in another.

    Raises ArchError E0831 for images without a mask, E0830 where there are no images or no folder.
    """
    by_stem = {path.stem.removesuffix(ending): path for path in images_in(masks)}
    found = images_in(images)
    if not found:
        raise missing(f"the folder {images} holds no images")
    lonely = [path for path in found if path.stem not in by_stem]
    if lonely:
        raise ArchError(
            Diagnostic("E0831", f"{path} has no mask {masks / (path.stem + ending)}.png") for path in lonely[:20]
        )
    return [(path, by_stem[path.stem]) for path in found]


def listed(root: Path, file: Path) -> list[Pair]:
    """The pairs that a text file lists, an image and a mask on each line, relative to `root`.

    Raises ArchError E0830 for a line that names no such files.
    """
    found = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        names = line.split()
        if not names:
            continue
        if len(names) != 2:
            raise missing(f"{file}, line {number}: two paths are wanted, of an image and of its mask")
        pair = (root / names[0].lstrip("/"), root / names[1].lstrip("/"))
        absent = next((path for path in pair if not path.is_file()), None)
        if absent is not None:
            raise missing(f"{file}, line {number}: there is no file {absent}")
        found.append(pair)
    return found


def missing(message: str, help_: str = "") -> ArchError:
    """An ArchError E0830."""
    return ArchError([Diagnostic("E0830", message, help=help_)])


def existing(path: str, kind: str) -> Path:
    """The folder of a data set. Raises ArchError E0830."""
    if not path:
        raise missing(f"{kind} needs a folder", f"write {kind}:DIR")
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise missing(f"there is no folder {folder}")
    return folder


def no_split(name: str, data: str, splits: Sequence[str]) -> ArchError:
    return missing(f"{data} has no split {name!r}", f"it has {', '.join(splits)}")
