"""Reading, writing and colouring images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from archdsl import images
from archdsl.diagnostics import ArchError


def _gradient(height: int = 24, width: int = 40) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 10, columns * 6, (rows + columns) * 4], axis=-1).astype(np.uint8)


def _code(path: Path) -> str:
    with pytest.raises(ArchError) as caught:
        images.read_rgb(path)
    (diagnostic,) = caught.value.diagnostics
    assert str(path) in diagnostic.message
    return diagnostic.code


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_png_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    """A PNG of any mode is read as three channels of 8 bits with the colours that the mode holds."""
    stored = Image.fromarray(_gradient()).convert(mode)
    stored.save(tmp_path / "x.png")
    read = images.read_rgb(tmp_path / "x.png")
    assert read.dtype == np.uint8 and read.shape == (24, 40, 3)
    assert np.array_equal(read, np.array(stored.convert("RGB")))


def test_transparency_is_dropped(tmp_path: Path) -> None:
    """Transparent pixels keep the colour that is stored for them, with an alpha channel or in a palette."""
    image = Image.fromarray(np.full((4, 4), 3, np.uint8), "P")
    image.putpalette([0, 0, 0] * 3 + [10, 200, 30])
    image.save(tmp_path / "p.png", transparency=bytes([255, 255, 255, 0]))
    Image.new("RGBA", (4, 4), (10, 200, 30, 0)).save(tmp_path / "a.png")
    for name in ("p.png", "a.png"):
        assert (images.read_rgb(tmp_path / name) == (10, 200, 30)).all()


def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path) -> None:
    """A 16-bit grey value keeps its upper byte instead of being clipped to 255."""
    grey = np.array([[0, 255, 256], [0x8000, 0xFEFF, 0xFFFF]], np.uint16)
    Image.fromarray(grey).save(tmp_path / "x.png")
    assert images.read_rgb(tmp_path / "x.png")[..., 0].tolist() == [[0, 0, 1], [128, 254, 255]]


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB"])
def test_every_jpeg_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    """A JPEG of any mode is read as RGB close to what was stored."""
    Image.new("RGB", (32, 16), (60, 120, 180)).convert(mode).save(tmp_path / "x.jpg", quality=95)
    expected = Image.new("RGB", (1, 1), (60, 120, 180)).convert(mode).convert("RGB").getpixel((0, 0))
    read = images.read_rgb(tmp_path / "x.jpg")
    assert read.shape == (16, 32, 3)
    assert np.abs(read.astype(int) - expected).max() <= 4


@pytest.mark.parametrize(("orientation", "turn"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, turn: int) -> None:
    """A picture that its camera stored on its side is read upright."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(_gradient()).save(tmp_path / "x.png", exif=exif)
    assert np.array_equal(images.read_rgb(tmp_path / "x.png"), np.rot90(_gradient(), turn))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_truncated_image_is_an_error(tmp_path: Path, suffix: str) -> None:
    """A file that was cut short is refused with its name rather than read with grey where the rest was."""
    path = tmp_path / f"x.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:-4000])
    assert _code(path) == "E0802"


def test_what_is_no_image_is_an_error(tmp_path: Path) -> None:
    """Text, an empty file and a folder are unreadable; a file that is not there is missing."""
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.png").touch()
    assert [_code(tmp_path / n) for n in ("text.png", "empty.png", ".")] == ["E0802"] * 3
    assert _code(tmp_path / "missing.png") == "E0801"


def test_labels_are_written_as_indices(tmp_path: Path) -> None:
    """A label map comes back as the very indices, in one channel and without a palette."""
    labels = np.arange(256, dtype=np.uint8).reshape(8, 32)
    images.write_labels(tmp_path / "x.png", labels)
    with Image.open(tmp_path / "x.png") as stored:
        assert stored.mode == "L"
        assert np.array_equal(np.array(stored), labels)


@pytest.mark.parametrize("labels", [np.zeros((4, 4), np.int64), np.zeros((4, 4, 1), np.uint8)])
def test_labels_of_another_type_are_refused(tmp_path: Path, labels: np.ndarray) -> None:
    """Indices that do not fit 8 bits, or have a channel axis, are a mistake of the caller."""
    with pytest.raises(ValueError, match="uint8"):
        images.write_labels(tmp_path / "x.png", labels)


def test_an_image_comes_back_as_written(tmp_path: Path) -> None:
    """PNG keeps every value; JPEG, chosen by its suffix, nearly does."""
    for name, tolerance in (("x.png", 0), ("x.JPG", 12)):
        images.write_rgb(tmp_path / name, _gradient())
        assert np.abs(images.read_rgb(tmp_path / name).astype(int) - _gradient()).max() <= tolerance
    with Image.open(tmp_path / "x.JPG") as stored:
        assert stored.format == "JPEG"


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When writing stops half way the target is what it was, and no scrap is left beside it."""
    target = tmp_path / "x.png"
    images.write_rgb(target, _gradient())
    before = target.read_bytes()

    def half(self: Image.Image, path: Path, *_: object, **__: object) -> None:
        Path(path).write_bytes(before[:10])
        raise OSError("no space left on device")

    monkeypatch.setattr(Image.Image, "save", half)
    with pytest.raises(ArchError, match="no space"):
        images.write_rgb(target, _gradient() // 2)
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


def test_the_overlay_blends() -> None:
    """The overlay lies between image and class colour by alpha, and void keeps the image."""
    image = np.full((1, 3, 3), 100, np.uint8)
    labels = np.array([[0, 1, 255]], np.uint8)
    palette = ((200, 0, 100), (0, 255, 50))
    assert images.overlay(image, labels, palette)[0].tolist() == [[150, 50, 100], [50, 178, 75], [100, 100, 100]]
    assert np.array_equal(images.overlay(image, labels, palette, alpha=0), image)
    assert images.overlay(image, labels, palette, alpha=1)[0].tolist() == [[200, 0, 100], [0, 255, 50], [100] * 3]


def test_the_overlay_refuses_other_sizes() -> None:
    """Labels of another size than the image, and an alpha beyond 0 to 1, are mistakes of the caller."""
    with pytest.raises(ValueError, match="labels"):
        images.overlay(_gradient(), np.zeros((4, 4), np.uint8), ())
    with pytest.raises(ValueError, match="alpha"):
        images.overlay(_gradient(), np.zeros((24, 40), np.uint8), (), alpha=1.5)


def test_colours_by_class() -> None:
    """Each index takes its colour, and an index without one is black."""
    assert images.colorize(np.array([[1, 0, 7]], np.uint8), ((1, 2, 3), (4, 5, 6))).tolist() == [
        [[4, 5, 6], [1, 2, 3], [0, 0, 0]]
    ]


def test_the_default_palette_is_distinguishable() -> None:
    """It starts as the Cityscapes palette, grows without changing, and no two of its colours look the same."""
    palette = images.default_palette(255)
    assert len(images.CITYSCAPES_NAMES) == 19
    assert palette[0] == (128, 64, 128) and palette[18] == (119, 11, 32)
    assert images.default_palette(11) == palette[:11] and images.default_palette(40) == palette[:40]
    for number, least in ((19, 20), (40, 60), (255, 25)):
        new = np.array(palette[min(19, number - 1) : number])
        distances = np.sqrt(((new[:, None] - np.array(palette[:number])) ** 2).sum(-1))
        assert np.sort(distances, axis=1)[:, 1:].min(initial=999) >= least
    with pytest.raises(ValueError, match="255"):
        images.default_palette(256)


@pytest.mark.parametrize("size", [(9, 20), (240, 320), (512, 1024)])
def test_the_legend_shows_the_classes_present(size: tuple[int, int]) -> None:
    """The strip beside the untouched image has the colours of the classes present and of no other."""
    labels = np.zeros(size, np.uint8)
    labels[:, 3:] = 2
    labels[:, 7:] = 255
    palette = ((200, 10, 10), (10, 200, 10), (10, 10, 200))
    image = np.full((*size, 3), 90, np.uint8)
    shown = images.legend(image, labels, ("road", "sky", "tree"), palette)
    strip = {tuple(c) for c in shown[:, size[1] :].reshape(-1, 3).tolist()}
    assert np.array_equal(shown[: size[0], : size[1]], image)
    assert {palette[0], palette[2]} <= strip and palette[1] not in strip


def test_a_legend_without_classes_is_the_image() -> None:
    """Where all is void there is nothing to name."""
    image = _gradient()
    assert np.array_equal(images.legend(image, np.full((24, 40), 255, np.uint8), (), ()), image)
