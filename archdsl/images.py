"""Images and label maps as arrays: read, written, coloured and laid over each other."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont, ImageOps

from archdsl.diagnostics import ArchError, Diagnostic

Pixels = npt.NDArray[np.uint8]
Palette = Sequence[tuple[int, int, int]]

CITYSCAPES_NAMES: tuple[str, ...] = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain",
    "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip
"""Class names, by Cityscapes train id."""

_CITYSCAPES: tuple[tuple[int, int, int], ...] = (
    (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153), (153, 153, 153), (250, 170, 30),
    (220, 220, 0), (107, 142, 35), (152, 251, 152), (70, 130, 180), (220, 20, 60), (255, 0, 0), (0, 0, 142), (0, 0, 70),
    (0, 60, 100), (0, 80, 100), (0, 0, 230), (119, 11, 32),
)  # fmt: skip
_MAX_CLASSES = 255
"""Label maps have eight bits, and 255 means void."""
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)
"""What Pillow raises for files that are damaged, cut short or no images."""


def read_rgb(path: str | Path) -> Pixels:
    """An image file as RGB [H,W,3].

    Any mode of PNG or JPEG will do: grey and palette images get three channels, 16 bits become the upper 8,
    transparency is dropped, and the EXIF orientation is applied. Raises ArchError where the file is missing (E0801),
    or damaged or no image (E0802).
    """
    try:
        with Image.open(path) as image:
            return np.array(_eight_bits(ImageOps.exif_transpose(image)))
    except FileNotFoundError:
        raise _error("E0801", f"there is no image {path}", "") from None
    except UNREADABLE as fault:
        help_ = "open it in an image viewer; if it is damaged, copy or download it again"
        raise _error("E0802", f"cannot read the image {path}", help_, str(fault)) from fault


def write_rgb(path: str | Path, image: Pixels) -> None:
    """Writes RGB [H,W,3] as JPEG or, for any other suffix, PNG. Raises OSError where that fails."""
    _save(Path(path), Image.fromarray(image))


def write_labels(path: str | Path, labels: Pixels) -> None:
    """Writes class indices [H,W] as a PNG of one 8-bit channel without a palette. Raises OSError where that fails."""
    if labels.dtype != np.uint8 or labels.ndim != 2:
        raise ValueError(f"labels are uint8 [H,W], not {labels.dtype} {list(labels.shape)}")
    _save(Path(path), Image.fromarray(labels), lossless=True)


def default_palette(classes: int) -> tuple[tuple[int, int, int], ...]:
    """Distinguishable RGB colours for up to 255 classes; the first 19 are those of Cityscapes.

    Raises ValueError for more classes, which a label map could not hold.
    """
    if not 0 <= classes <= _MAX_CLASSES:
        raise ValueError(f"a palette has 0 to {_MAX_CLASSES} colours, not {classes}")
    more = _apart_from(np.array(_CITYSCAPES), classes - len(_CITYSCAPES))
    return (*_CITYSCAPES, *more)[:classes]


def colorize(labels: Pixels, palette: Palette) -> Pixels:
    """RGB [H,W,3] of class indices [H,W]; black where an index has no colour, as void has none."""
    return _table(palette)[labels]


def overlay(image: Pixels, labels: Pixels, palette: Palette, alpha: float = 0.5) -> Pixels:
    """RGB [H,W,3] with the class colours of labels [H,W] over the image, at an opacity of `alpha` from 0 to 1.

    Pixels whose index has no colour keep the image. Raises ValueError for different sizes or another alpha.
    """
    if image.shape[:2] != labels.shape:
        raise ValueError(f"the image is {image.shape[:2]}, its labels are {labels.shape}")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is from 0 to 1, not {alpha}")
    weight = np.where(np.arange(256) < len(palette), round(alpha * 256), 0).astype(np.uint16)[labels][..., None]
    mixed = image * (256 - weight) + colorize(labels, palette) * weight + np.uint16(128)
    return (mixed >> 8).astype(np.uint8)


def legend(image: Pixels, labels: Pixels, names: Sequence[str], palette: Palette) -> Pixels:
    """The image [H,W,3] with a strip on its right that names the classes present in labels [H,W].

    The result is wider than the image, and taller only where the image is lower than one line of text.
    """
    present = [i for i in np.unique(labels).tolist() if i < min(len(names), len(palette))]
    size = min(28, max(11, image.shape[0] // 32))
    font, line = ImageFont.load_default(size), round(size * 1.5)
    rows = max(1, (image.shape[0] - size // 2) // line)
    column = 2 * line + round(max((font.getlength(names[i]) for i in present), default=0))
    height, width = max(image.shape[0], line), image.shape[1]
    sheet = Image.new("RGB", (width + column * -(-len(present) // rows), height), "white")
    sheet.paste(Image.fromarray(image))
    pen = ImageDraw.Draw(sheet)
    for place, index in enumerate(present):
        x, y = width + place // rows * column + size // 2, place % rows * line + size // 4
        pen.rectangle((x, y, x + size, y + size), fill=tuple(palette[index]), outline="black")
        pen.text((x + line, y + size // 2), names[index], fill="black", font=font, anchor="lm")
    return np.array(sheet)


def _error(code: str, message: str, help_: str, *notes: str) -> ArchError:
    return ArchError([Diagnostic(code, message, help=help_, notes=notes)])


def _eight_bits(image: Image.Image) -> Image.Image:
    # Pillow would clip 16 bits to 255 where the picture wants them scaled; older versions open such files as mode I.
    if image.mode == "I" or image.mode.startswith("I;16"):
        grey = np.clip(np.asarray(image), 0, 65535) >> 8
        image = Image.fromarray(grey.astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def _save(path: Path, image: Image.Image, lossless: bool = False) -> None:
    """Writes beside the target first, so that nobody ever sees half a file."""
    jpeg = path.suffix.lower() in (".jpg", ".jpeg") and not lossless
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        image.save(part, "JPEG" if jpeg else "PNG", **({"quality": 95} if jpeg else {}))
        part.replace(path)
    except OSError as error:
        raise ArchError([Diagnostic("E0803", f"{path} cannot be written: {error.strerror or error}")]) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _table(palette: Palette) -> Pixels:
    table = np.zeros((256, 3), np.uint8)
    if len(palette):
        table[: len(palette)] = palette
    return table


def _apart_from(taken: npt.NDArray[np.int64], number: int) -> list[tuple[int, int, int]]:
    """Colours that each lie as far as possible from black, from those taken and from one another."""
    steps = np.linspace(0, 255, 8).round().astype(np.int64)
    lattice = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    gap = ((lattice[:, None] - np.vstack([taken, [(0, 0, 0)]])) ** 2).sum(axis=-1).min(axis=1)
    found = []
    for _ in range(number):
        best = lattice[gap.argmax()]
        red, green, blue = best.tolist()
        found.append((red, green, blue))
        gap = np.minimum(gap, ((lattice - best) ** 2).sum(axis=-1))
    return found
