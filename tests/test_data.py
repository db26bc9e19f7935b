"""Data sets: layouts, splits, label maps, and what is said of files that are wrong."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from archdsl.diagnostics import ArchError
from archdsl.training.data import VOID, Sample, open_data, register
from archdsl.training.data.camvid import split_of
from archdsl.training.data.check import check_sizes, check_split
from archdsl.training.data.sample import Joined

ROOT = Path(__file__).parents[1]
CAMVID = Path(os.environ.get("ARCHDSL_SHARED", ROOT.parent / "shared")) / "camvid"
needs_camvid = pytest.mark.skipif(not CAMVID.is_dir(), reason=f"CamVid is not at {CAMVID} (set ARCHDSL_SHARED)")


def write_image(path: Path, size: tuple[int, int] = (24, 32), colour: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), colour, np.uint8)).save(path)
    return path


def write_mask(path: Path, values: npt.ArrayLike = ((0, 1),), size: tuple[int, int] = (24, 32)) -> Path:
    """A mask whose pixels go through the given values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    flat = np.asarray(values, np.uint8).reshape(-1)
    Image.fromarray(np.resize(flat, size)).save(path)
    return path


def folder_of(root: Path, count: int = 3) -> Path:
    for i in range(count):
        write_image(root / "images" / f"{i}.jpg")
        write_mask(root / "masks" / f"{i}.png", (0, 1, 2, VOID))
    return root


def said(text: str, split: str = "train", *, full: bool = False) -> str:
    """What is said when a data set is opened, and its split looked at as before training, or read."""
    with pytest.raises(ArchError) as error:
        source = open_data(text)
        data = source.split(split)
        check_sizes(data)
        for i in range(len(data) if full else 0):
            data[i]
    return str(error.value)


def test_streets() -> None:
    """As many scenes as asked for, at the size asked for; splits share none."""
    source = open_data("streets:5@48x96")
    train, val = source.split("train"), source.split("val")
    assert len(train) == 5 and train[0].image.shape == (48, 96, 3)
    assert not np.array_equal(train[0].labels, val[0].labels)
    assert source.classes[3] == "road" and len(source.classes) == len(source.palette) == 11
    assert "no count of scenes" in said("streets:many") and "draws nothing" in said("streets:3@8x8")


def test_unknown_kinds_and_folders() -> None:
    """Named, with the nearest name or the form."""
    assert "did you mean `camvid`?" in said("camvd:x")
    assert "there is no folder nowhere" in said("camvid:nowhere")
    assert "write folder:DIR" in said("folder")


def test_a_split_that_is_not_there(tmp_path: Path) -> None:
    """Says which there are."""
    assert "it has train, val" in said(f"folder:{folder_of(tmp_path)}", "test")


@needs_camvid
def test_camvid_is_what_it_is_known_to_be() -> None:
    """367, 101 and 233 images of 360x480, 11 classes, and the frames' names tell their split."""
    source = open_data(f"camvid:{CAMVID}")
    for split, count in (("train", 367), ("val", 101), ("test", 233)):
        data = source.split(split)
        assert len(data) == count
        assert {split_of(Path(data.name_of(i)).stem) for i in range(count)} == {split}
    sample = source.split("test")[0]
    assert sample.image.shape == (360, 480, 3)
    assert set(np.unique(sample.labels).tolist()) <= {*range(11), VOID}
    check_sizes(source.split("val"))


def test_camvid_in_colours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The original form: 32 colours become 11 classes, frames find their split, and an odd size is remarked on."""
    for frame in ("0001TP_006690", "0016E5_07959", "Seq05VD_f00000", "0016E5_08640"):
        write_image(tmp_path / "701_StillsRaw_full" / f"{frame}.png")
        mask = np.zeros((24, 32, 3), np.uint8)
        mask[:8], mask[8:16] = (128, 0, 192), (64, 192, 0)
        (tmp_path / "LabeledApproved_full").mkdir(exist_ok=True)
        Image.fromarray(mask).save(tmp_path / "LabeledApproved_full" / f"{frame}_L.png")
    source = open_data(f"camvid:{tmp_path}")
    assert [len(source.split(name)) for name in source.splits] == [2, 1, 1]
    labels = source.split("train")[0].labels
    assert [source.classes[i] for i in labels[[0, 8], 0]] == ["road", "building"] and labels[16, 0] == VOID
    assert "the usual split has 367" in capsys.readouterr().err
    Image.fromarray(np.full((24, 32, 3), 7, np.uint8)).save(tmp_path / "LabeledApproved_full" / "Seq05VD_f00000_L.png")
    assert "colour (7, 7, 7) (768 pixels)" in said(f"camvid:{tmp_path}", "test", full=True)


def cityscapes(root: Path, kind: str = "labelIds", values: npt.ArrayLike = (7, 26, 33, 1, 255)) -> Path:
    """A tree with the real names."""
    for split, city in (("train", "aachen"), ("val", "lindau")):
        stem = f"{city}_000000_000019"
        write_image(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png")
        write_mask(root / "gtFine" / split / city / f"{stem}_gtFine_{kind}.png", values)
    return root


def test_cityscapes_label_ids(tmp_path: Path) -> None:
    """Label ids become train ids on the way: road 0, car 13, bicycle 18, the rest void."""
    data = open_data(f"cityscapes:{cityscapes(tmp_path)}").split("val")
    assert data[0].labels[0, :5].tolist() == [0, 13, 18, VOID, VOID]
    check_sizes(data)


def test_cityscapes_train_ids(tmp_path: Path) -> None:
    """`labelTrainIds` are taken as they are, where there are no label ids."""
    data = open_data(f"cityscapes:{cityscapes(tmp_path, 'labelTrainIds', (0, 18, 255))}").split("train")
    assert data[0].labels[0, :3].tolist() == [0, 18, VOID]


def test_cityscapes_explains_the_wrong_files(tmp_path: Path) -> None:
    """Colour files name no classes; a tree without annotations says what to unpack; an id of none is shown."""
    assert "color files do not name classes" in said(f"cityscapes:{cityscapes(tmp_path / 'a', 'color')}")
    write_image(tmp_path / "b" / "leftImg8bit" / "train" / "x" / "x_leftImg8bit.png")
    assert "gtFine_trainvaltest.zip" in said(f"cityscapes:{tmp_path / 'b'}")
    wrong = cityscapes(tmp_path / "c", values=(7, 77))
    assert "value 77 (384 pixels)" in said(f"cityscapes:{wrong}", full=True)


def test_folder_counts_its_classes(tmp_path: Path) -> None:
    """Without a label map the values are indices; one image in ten is kept for validation."""
    source = open_data(f"folder:{folder_of(tmp_path, 20)}")
    assert source.classes == ("class 0", "class 1", "class 2")
    assert (len(source.split("train")), len(source.split("val"))) == (18, 2)


@pytest.mark.parametrize("layout", ["outer", "inner", "lists"])
def test_folder_layouts(tmp_path: Path, layout: str) -> None:
    """Splits above or below images and masks, or in lists."""
    for split in ("train", "val"):
        below = {"outer": f"{split}/images", "inner": f"images/{split}", "lists": "some"}[layout]
        write_image(tmp_path / below / f"{split}.png")
        write_mask(tmp_path / below.replace("images", "masks").replace("some", "where") / f"{split}.png")
        (tmp_path / f"{split}.txt").write_text(f"some/{split}.png where/{split}.png\n")
        if layout != "lists":
            (tmp_path / f"{split}.txt").unlink()
    source = open_data(f"folder:{tmp_path}")
    assert {name: len(source.split(name)) for name in source.splits} == {"train": 1, "val": 1}
    assert source.split("val").name_of(0).endswith("val.png")


def test_a_label_map(tmp_path: Path) -> None:
    """Names, colours and which values are void come from `labels.toml`."""
    folder_of(tmp_path)
    (tmp_path / "labels.toml").write_text(
        '[[classes]]\nname = "road"\nvalues = [0, 2]\ncolour = [1, 2, 3]\n[[classes]]\nname = "sky"\nvalues = [1]\n'
    )
    source = open_data(f"folder:{tmp_path}")
    assert source.classes == ("road", "sky") and source.palette[0] == (1, 2, 3)
    assert source.split("train")[0].labels[0, :4].tolist() == [0, 1, 0, VOID]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("classes = 3", "labels.toml: classes"),
        ("[[classes]]", "name"),
        ('[[classes]]\nname = "a"\nvalues = [1]\n[[classes]]\nname = "b"\nvalues = [1]', "belongs to two classes"),
        ('[[classes]]\nname = "a"\nvalues = [70000]', "no value of a mask"),
        ('[[classes]]\nname = "a"', "every class has `values`"),
        ("=", "no TOML"),
    ],
)
def test_a_wrong_label_map(tmp_path: Path, text: str, message: str) -> None:
    """Each fault has its sentence."""
    folder_of(tmp_path)
    (tmp_path / "labels.toml").write_text(text)
    assert message in said(f"folder:{tmp_path}")


def test_files_that_are_wrong_are_named(tmp_path: Path) -> None:
    """A mask of another size, none at all, a file that is no image, values of no class, colours for indices."""
    folder_of(tmp_path)
    spec = f"folder:{tmp_path}"
    (tmp_path / "labels.toml").write_text('[[classes]]\nname = "a"\nvalues = [0, 1, 2]\n')
    write_mask(tmp_path / "masks" / "0.png", size=(12, 16))
    text = said(spec)
    assert "E0831" in text and "images/0.jpg is 24x32" in text and "masks/0.png is 12x16" in text
    write_mask(tmp_path / "masks" / "0.png", (0, 9, 40))
    assert "masks/0.png has labels of no class: value 9 (256 pixels), 40 (256 pixels)" in said(spec, full=True)
    (tmp_path / "masks" / "0.png").write_bytes(b"no image")
    assert "cannot read the image" in said(spec) and "masks/0.png" in said(spec)
    write_image(tmp_path / "masks" / "0.png")
    assert "has 3 channels" in said(spec, full=True)
    (tmp_path / "masks" / "0.png").unlink()
    assert "images/0.jpg has no mask" in said(spec)


def test_checking_reads_everything(tmp_path: Path) -> None:
    """Each wrong file is among the problems, and the rest is counted."""
    folder_of(tmp_path, 20)
    (tmp_path / "labels.toml").write_text(
        '[[classes]]\nname = "a"\nvalues = [0, 1]\n[[classes]]\nname = "b"\nvalues=[2]'
    )
    write_mask(tmp_path / "masks" / "3.png", (77,))
    (tmp_path / "images" / "4.jpg").write_bytes(b"")
    report = check_split(open_data(f"folder:{tmp_path}"), "train")
    assert sorted(d.code for d in report.problems) == ["E0802", "E0832"]
    assert report.images == 18 and report.sizes == {(24, 32): 16}
    assert report.pixels.tolist() == [16 * 384, 16 * 192, 16 * 192] and report.images_with.tolist() == [16, 16]


class Two:
    """A data set of two flat images, in Python."""

    name, recipe, splits = "two", "quickstart", ("train",)
    classes, palette = ("a", "b"), ((0, 0, 0), (1, 1, 1))

    def split(self, name: str) -> Two:
        return self

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Sample:
        return Sample(np.zeros((8, 8, 3), np.uint8), np.full((8, 8), index, np.uint8))

    def name_of(self, index: int) -> str:
        return f"two {index}"


def test_a_data_set_in_python() -> None:
    """It is registered under a kind, and opened like the others; a kind that is taken is refused."""
    register("two", lambda path: Two())
    source = open_data("two:")
    assert source.split("train")[1].labels.max() == 1
    check_sizes(source.split("train"))
    for kind in ("two", "camvid", "not a name"):
        with pytest.raises(ValueError):
            register(kind, lambda path: Two())


def test_joined_splits() -> None:
    """Indices run on from one to the next."""
    joined = Joined([Two(), Two()])
    assert len(joined) == 4 and joined.name_of(3) == "two 1" and joined[2].labels.max() == 0
    with pytest.raises(IndexError):
        joined[4]
