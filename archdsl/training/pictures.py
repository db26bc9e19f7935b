"""What a person looks at: the confusion matrix, and predictions laid over images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFont

from archdsl.images import default_palette, legend, overlay, write_rgb
from archdsl.training.data.sample import DataSet, Palette, Pixels
from archdsl.training.predict import Predictor

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_CELL, _TEXT, _PAD = 46, 13, 8
_GAP = 6
"""Pixels between pictures side by side."""


def confusion_picture(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> Pixels:
    """The confusion matrix [K][K] as a picture RGB: each row is a true class, in percent of its pixels."""
    counts = np.array(confusion, np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    font = ImageFont.load_default(_TEXT)
    margin = _PAD * 2 + round(max(font.getlength(name) for name in classes))
    side = margin + _CELL * len(classes) + _PAD
    sheet = Image.new("RGB", (side, side + _TEXT + _PAD), "white")
    pen = ImageDraw.Draw(sheet)
    for row, name in enumerate(classes):
        y = margin + row * _CELL
        pen.text((margin - _PAD, y + _CELL / 2), name, fill="black", font=font, anchor="rm")
        _upright(sheet, name, margin + row * _CELL + _CELL // 2, margin - _PAD, font)
        for column in range(len(classes)):
            _cell(pen, margin + column * _CELL, y, float(shares[row, column]), font)
    pen.text((margin, side), "rows: what it is; columns: what it was taken for; percent", fill="black", font=font)
    return np.array(sheet)


def _cell(
    pen: ImageDraw.ImageDraw, x: int, y: int, share: float, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> None:
    blue = round(255 * (1 - share))
    pen.rectangle((x, y, x + _CELL - 2, y + _CELL - 2), fill=(blue, round(255 - 150 * share), 255))
    if share >= 0.005:
        ink = "white" if share > 0.6 else "black"
        pen.text((x + _CELL / 2, y + _CELL / 2), f"{100 * share:.0f}", fill=ink, font=font, anchor="mm")


def _upright(sheet: Image.Image, text: str, x: int, bottom: int, font: Font) -> None:
    """Text that reads upwards, ending above a column."""
    label = Image.new("L", (round(font.getlength(text)) + 2, _TEXT + 6), 255)
    ImageDraw.Draw(label).text((0, 0), text, fill=0, font=font)
    turned = label.rotate(90, expand=True)
    sheet.paste(turned.convert("RGB"), (x - turned.width // 2, bottom - turned.height))


def sample_pictures(
    predictor: Predictor, data: DataSet, classes: Sequence[str], palette: Palette, folder: Path, count: int = 4
) -> list[Path]:
    """For a few samples spread over a split: the image, its labels and the prediction laid over it, side by side.

    Returns the paths of the PNGs written. Raises ArchError for a sample that cannot be used or a file not written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for index in sorted({round(i * (len(data) - 1) / max(1, count - 1)) for i in range(min(count, len(data)))}):
        sample = data[index]
        images = torch.from_numpy(sample.image).permute(2, 0, 1)[None]
        found = predictor.labels(images)[0].cpu().numpy().astype(np.uint8)
        path = folder / f"{Path(data.name_of(index)).stem}.png"
        write_rgb(path, beside(sample.image, sample.labels, found, classes, palette))
        written.append(path)
    return written


def beside(
    image: Pixels, truth: npt.NDArray[np.uint8], found: npt.NDArray[np.uint8], classes: Sequence[str], palette: Palette
) -> Pixels:
    """Image, labels laid over it, and prediction laid over it, with the names of the classes in either."""
    palette = palette or default_palette(len(classes))
    gap = np.full((image.shape[0], _GAP, 3), 255, np.uint8)
    row = np.hstack([image, gap, overlay(image, truth, palette, 0.6), gap, overlay(image, found, palette, 0.6)])
    return legend(row, np.hstack([truth, found]), classes, palette)
