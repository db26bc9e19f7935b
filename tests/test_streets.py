"""The procedural street scenes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from archdsl.training.streets import CLASSES, PALETTE, Class, scene
from archdsl.training.streets.dice import Dice
from archdsl.training.streets.layout import lay_out

Labels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def labels() -> list[Labels]:
    """Label maps of sixty seeds."""
    return [scene(seed, 128, 256).labels for seed in range(60)]


def test_a_seed_gives_the_same_scene() -> None:
    """Nothing but seed and size matters: not the global random state, not what was drawn before."""
    np.random.seed(1)
    first = scene(7, 96, 160)
    scene(8, 96, 160)
    np.random.seed(2)
    again = scene(7, 96, 160)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.labels, again.labels)


def test_drawing_leaves_the_global_random_state_alone() -> None:
    """A program that draws scenes gets the same random numbers as one that does not."""
    np.random.seed(3)
    expected = np.random.random()
    np.random.seed(3)
    scene(7, 64, 64)
    assert np.random.random() == expected


def test_seeds_give_different_scenes() -> None:
    """Neighbouring seeds, and seeds that agree in their lower 32 bits, share nothing."""
    drawn = [scene(seed, 48, 96) for seed in (0, 1, 2, 2**32, 2**33)]
    for i, one in enumerate(drawn):
        for other in drawn[:i]:
            assert (one.labels != other.labels).mean() > 0.1


def test_another_size_shows_the_same_street() -> None:
    """A scene drawn at half the size agrees with every second pixel of the full one, but for fine detail."""
    for seed in range(5):
        small, large = scene(seed, 128, 256).labels, scene(seed, 256, 512).labels
        assert (small == large[::2, ::2]).mean() > 0.94


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (301, 77), (40, 333), (128, 256)])
def test_any_size_works(size: tuple[int, int]) -> None:
    """Image and labels have the size asked for, odd sizes and tall pictures included, and belong to the caller."""
    drawn = scene(11, *size)
    assert drawn.image.shape == (*size, 3) and drawn.labels.shape == size
    assert drawn.image.dtype == drawn.labels.dtype == np.uint8
    assert drawn.image.flags.writeable and drawn.labels.flags.writeable


def test_a_size_too_small_is_refused() -> None:
    """Below 32 pixels there is nothing to see."""
    with pytest.raises(ValueError, match="32x32"):
        scene(0, 31, 64)


def test_labels_are_classes_or_void(labels: list[Labels]) -> None:
    """Every label has a name and a colour or is void, and void is rare."""
    assert len(CLASSES) == len(PALETTE) == len(set(PALETTE)) == 11
    values = set(np.unique(np.stack(labels)).tolist())
    assert values == {*range(11), Class.VOID}
    assert (np.stack(labels) == Class.VOID).mean() < 0.002


def test_every_class_is_common_enough_to_learn(labels: list[Labels]) -> None:
    """Each class is in most scenes and has its share of the pixels; road, sky and buildings are in nearly all."""
    counts = np.stack([np.bincount(scene_labels.ravel(), minlength=256)[:11] for scene_labels in labels])
    present, share = (counts > 0).mean(axis=0), counts.sum(axis=0) / counts.sum()
    assert present.min() > 0.7
    assert present[[Class.ROAD, Class.SKY, Class.BUILDING, Class.PAVEMENT]].min() > 0.95
    assert share.min() > 0.002 and share.max() < 0.45


def test_the_sky_is_above_and_the_road_below(labels: list[Labels]) -> None:
    """No column of any scene has sky under road, and the bottom of every scene is mostly ground or what is on it."""
    for scene_labels in labels:
        road = (scene_labels == Class.ROAD).argmax(axis=0)
        road[~(scene_labels == Class.ROAD).any(axis=0)] = len(scene_labels)
        rows = np.arange(len(scene_labels))[:, None]
        assert not ((scene_labels == Class.SKY) & (rows > road)).any()
        assert np.isin(scene_labels[-1], (Class.ROAD, Class.PAVEMENT)).mean() > 0.3


def _feet(scene_labels: Labels) -> Iterator[int]:
    """The label right under each group of people that touch in the picture."""
    people = scene_labels == Class.PERSON
    columns = np.flatnonzero(people.any(axis=0))
    groups = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
    for group in (g for g in groups if g.size):
        rows, places = np.nonzero(people[:, group])
        lowest = rows.argmax()
        if rows[lowest] + 1 < len(scene_labels):
            yield int(scene_labels[rows[lowest] + 1, group[places[lowest]]])


def test_people_stand_on_the_ground(labels: list[Labels]) -> None:
    """Under somebody's feet is road or pavement, or something nearer that hides the feet; never sky."""
    under = [label for scene_labels in labels for label in _feet(scene_labels)]
    assert len(under) > 60
    assert Class.SKY not in under
    assert np.isin(under, (Class.ROAD, Class.PAVEMENT)).mean() > 0.6
    assert np.isin(under, (Class.BUILDING, Class.FENCE)).mean() < 0.05


def test_paving_does_not_tell_road_from_pavement() -> None:
    """The cue that needs a wide view: materials of roads and pavements overlap, and some streets have one for both."""
    streets = [lay_out(Dice(seed, stream=0)) for seed in range(60)]
    roads, pavements = {s.road for s in streets}, {s.pavement for s in streets}
    assert roads <= pavements and len(roads) > 2
    assert 4 < sum(s.road == s.pavement for s in streets) < 40


def test_scenes_vary_in_light() -> None:
    """Some scenes are more than twice as bright as others, and none is black or washed out."""
    means = [scene(seed, 48, 96).image.mean() for seed in range(40)]
    assert 35 < min(means) < max(means) / 2 and max(means) < 215
