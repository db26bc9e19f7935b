"""Augmentation: where pixels go, what colours do, and what it all depends on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

from archdsl.training.augment import Planner, augment, colour, warp
from archdsl.training.augment.batch import Crops
from archdsl.training.augment.plan import Plan
from archdsl.training.augment.randaugment import OPERATIONS, randaugment
from archdsl.training.data import VOID
from archdsl.training.data.order import Draw, Order
from archdsl.training.data.statistics import statistics
from archdsl.training.data.streets import open_source
from archdsl.training.recipes.schema import Augment


def picture(height: int = 24, width: int = 40, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)
    return image, torch.randint(0, 5, (height, width), generator=generator, dtype=torch.uint8)


def settings(**given: object) -> Augment:
    return Augment.model_validate({"crop": (24, 40), "scale": None, "flip": 0, **given})


def warped(given: Augment, size: tuple[int, int] = (24, 40), position: int = 0) -> tuple[Tensor, Tensor]:
    image, label = picture(*size)
    plan = Planner(given, 0).plan(Draw(position, 0), size)
    images, labels = warp([image], [label], [plan.matrix], given.crop)
    return images[0], labels[0]


def test_nothing_asked_for_changes_nothing() -> None:
    """Every pixel stays as it is, to the last bit."""
    image, label = picture()
    images, labels = warped(settings())
    assert torch.equal(images, image) and torch.equal(labels, label)


def test_a_flip_is_a_mirror() -> None:
    """Exactly, in image and labels."""
    image, label = picture()
    images, labels = warped(settings(flip=1))
    assert torch.equal(images, image.flip(-1)) and torch.equal(labels, label.flip(-1))


def test_a_crop_is_a_part() -> None:
    """A smaller crop is found somewhere in the image, and image and labels are cut alike."""
    image, label = picture()
    images, labels = warped(settings(crop=(10, 12)))
    places = [(y, x) for y in range(15) for x in range(29) if torch.equal(label[y : y + 10, x : x + 12], labels)]
    assert len(places) == 1
    (y, x) = places[0]
    assert torch.equal(image[:, y : y + 10, x : x + 12], images)


def test_what_lies_outside_is_void() -> None:
    """A crop larger than the image holds all of it once; around it is void, in the padding's colour."""
    _, label = picture()
    images, labels = warped(settings(crop=(40, 60)))
    assert int((labels != VOID).sum()) == label.numel()
    assert labels[labels != VOID].tolist() == label.flatten().tolist()
    assert images[:, labels == VOID].unique(dim=1).flatten().tolist() == [124, 116, 104]


@pytest.mark.parametrize("scale", [0.25, 0.5, 2.0])
def test_scaling_keeps_the_mean(scale: float) -> None:
    """Far-shrunk images are averages and no samples: noise becomes flat."""
    crop = (round(64 * scale), round(64 * scale))
    images, _ = warped(settings(scale=(scale, scale), crop=crop), size=(64, 64))
    image, _ = picture(64, 64)
    assert images.float().mean().item() == pytest.approx(image.float().mean().item(), abs=4)
    if scale < 0.5:
        assert images.float().std() < 0.5 * image.float().std()


def test_short_side() -> None:
    """The short side gets the length asked for: the image then fills just that much of a large crop."""
    _, labels = warped(settings(short_side=(12, 12), crop=(48, 80)))
    rows, columns = (labels != VOID).nonzero().unbind(1)
    assert (int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1) == (12, 20)


def test_a_quarter_turn() -> None:
    """Rotation turns image and labels about the middle of the crop."""
    given = settings(crop=(24, 24), rotate=90)
    image, label = picture(24, 24)
    planner = Planner(given, 0)
    matrix = planner._matrix((24, 24), np.full(6, 0.9), None, 90.0)
    images, labels = warp([image], [label], [matrix], (24, 24))
    assert torch.equal(labels[0], label.rot90(-1)) or torch.equal(labels[0], label.rot90(1))
    assert (
        images[0].int() - image.rot90(1 if torch.equal(labels[0], label.rot90(1)) else -1, (1, 2)).int()
    ).abs().max() <= 1


def test_a_centre_is_in_its_crop() -> None:
    """Where a sample is centred on a pixel, the crop shows it, at every scale."""
    given = settings(crop=(8, 8), scale=(0.8, 2))
    for position in range(20):
        label = torch.zeros(24, 40, dtype=torch.uint8)
        label[10:13, 30:33] = 3
        plan = Planner(given, 0).plan(Draw(position, 0, (11, 31)), (24, 40))
        _, labels = warp([torch.zeros(3, 24, 40, dtype=torch.uint8)], [label], [plan.matrix], (8, 8))
        assert (labels == 3).any()


def test_images_of_different_sizes_go_together() -> None:
    """One by one and in one call they come out the same."""
    given = settings(crop=(16, 16), scale=(0.6, 1.5), flip=0.5)
    planner = Planner(given, 0)
    pairs = [picture(24, 40, 1), picture(24, 40, 2)]
    matrices = [planner.plan(Draw(i, i), (24, 40)).matrix for i in range(2)]
    together = warp([p[0] for p in pairs], [p[1] for p in pairs], matrices, (16, 16))
    apart = [warp([p[0]], [p[1]], [m], (16, 16)) for p, m in zip(pairs, matrices, strict=True)]
    assert torch.equal(together[0], torch.cat([a[0] for a in apart]))
    assert torch.equal(together[1], torch.cat([a[1] for a in apart]))


def test_a_plan_depends_on_seed_and_draw_alone() -> None:
    """Not on what was planned before; a calm plan keeps the geometry and drops the rest."""
    given = settings(scale=(0.5, 2), brightness=0.5, hue=0.1, randaugment={"ops": 2}, paste=1.0)
    first = Planner(given, 3, donors=7).plan(Draw(11, 2), (24, 40))
    planner = Planner(given, 3, donors=7)
    planner.plan(Draw(10, 1), (24, 40))
    again = planner.plan(Draw(11, 2), (24, 40))
    assert np.array_equal(first.matrix, again.matrix)
    assert (first.brightness, first.ops, first.donor) == (again.brightness, again.ops, again.donor)
    assert not np.array_equal(Planner(given, 4, 7).plan(Draw(11, 2), (24, 40)).matrix, first.matrix)
    calm = planner.plan(Draw(11, 2), (24, 40), calm=True)
    assert (calm.brightness, calm.ops, calm.donor) == (1.0, (), None)


def test_colours_do_what_pillow_does() -> None:
    """Brightness, contrast and saturation within a rounding; autocontrast and equalize within a few levels."""
    image, _ = picture(256, 256)  # Pillow rounds to whole pixels per level, which small images show
    image = (image.float() * 0.5 + 40).to(torch.uint8)
    drawn = Image.fromarray(image.permute(1, 2, 0).numpy())
    batch = image[None].float()
    for ours, theirs in (
        (colour.brightness, ImageEnhance.Brightness),
        (colour.contrast, ImageEnhance.Contrast),
        (colour.saturation, ImageEnhance.Color),
    ):
        expected = torch.from_numpy(np.array(theirs(drawn).enhance(1.4))).permute(2, 0, 1).float()
        assert (ours(batch, torch.tensor([1.4]))[0] - expected).abs().max() <= 2
    for name, operation in (("autocontrast", ImageOps.autocontrast), ("equalize", ImageOps.equalize)):
        expected = torch.from_numpy(np.array(operation(drawn))).permute(2, 0, 1).float()
        assert (OPERATIONS[name](batch, torch.tensor([0.0]))[0] - expected).abs().max() <= 4


def test_a_turn_of_the_hue_keeps_greys_and_comes_round() -> None:
    """Grey has no hue; a whole turn changes nothing."""
    grey = torch.full((1, 3, 4, 4), 100.0)
    assert torch.allclose(colour.hue(grey, torch.tensor([0.3])), grey, atol=0.5)
    image = picture()[0][None].float()
    assert torch.allclose(colour.hue(image, torch.tensor([1.0])), image, atol=0.1)
    assert (colour.hue(image, torch.tensor([0.3])) - image).abs().mean() > 10


def test_each_image_gets_its_own_operations() -> None:
    """One of a batch is changed, the other is not."""
    images = torch.stack([picture(seed=1)[0], picture(seed=2)[0]]).float()
    changed = randaugment(images, [(("brightness", -0.5),), ()])
    assert torch.equal(changed[1], images[1])
    assert torch.allclose(changed[0], images[0] * 0.55)


def test_rare_classes_are_pasted() -> None:
    """Pixels of the donor's rare classes cover the sample, in image and labels; samples without a donor stay."""
    images, labels = torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.zeros(2, 8, 8, dtype=torch.uint8)
    donor_image, donor_label = torch.full((1, 3, 8, 8), 200, dtype=torch.uint8), torch.ones(1, 8, 8, dtype=torch.uint8)
    donor_label[:, :4] = 4
    rare = torch.zeros(256, dtype=torch.bool)
    rare[4] = True
    plans = [Plan(np.eye(2, 3)), Plan(np.eye(2, 3), donor=Draw(0, 1))]
    made, marks = augment(Crops(images, labels, (donor_image, donor_label)), plans, rare)
    assert not made[0].any() and not marks[0].any()
    assert made[1, :, :4].eq(200).all() and not made[1, :, 4:].any() and marks[1, :4].eq(4).all()


def test_an_epoch_sees_every_sample_once() -> None:
    """Batches run on over the end of an epoch; any step can be asked for at any time."""
    order = Order(10, 4, seed=1)
    seen = [draw.index for step in range(5) for draw in order.at(step)]
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10)) and seen[:10] != seen[10:]
    assert [d.index for d in Order(10, 4, seed=1).at(3)] == seen[12:16]
    assert order.epoch(5) == 2.0


def test_rare_classes_are_sampled_as_often_as_others() -> None:
    """Class-uniform draws are centred on tiles of classes that are drawn alike, however few pixels they have."""
    data = open_source("6@64x128").split("train")
    known = statistics(data, 11, tile=32)
    assert known.pixels.sum() <= 6 * 64 * 128 and len(known.rare) > 0
    order = Order(6, 100, seed=0, tiles=known.tiles, uniform=1.0)
    found = []
    for draw in order.at(0):
        assert draw.centre is not None
        y, x = draw.centre
        found.append(data[draw.index].labels[max(0, y - 8) : y + 8, max(0, x - 8) : x + 8])
    rare = known.rare[0]
    assert sum((part == rare).any() for part in found) >= 4
