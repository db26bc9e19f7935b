"""Recipes: read, checked, overridden."""

from __future__ import annotations

from pathlib import Path

import pytest

from archdsl.diagnostics import ArchError
from archdsl.training.recipes import overridden, read_recipe, recipe_names
from archdsl.training.recipes.read import as_table, recipe_from


def message(error: pytest.ExceptionInfo[ArchError]) -> str:
    return str(error.value)


@pytest.mark.parametrize("name", recipe_names())
def test_a_shipped_recipe_reads_and_survives_a_round_trip(name: str) -> None:
    """It has a title, says how far it is tried, and its table gives the same recipe again."""
    recipe = read_recipe(name)
    assert recipe.title and recipe.status
    assert recipe_from(as_table(recipe), name) == recipe


def test_the_recipes_asked_for_ship() -> None:
    """Those that the documentation names are there."""
    assert {"quickstart", "camvid-480", "camvid-720", "cityscapes", "regseg-paper", "dwrseg", "gun"} <= set(
        recipe_names()
    )


def test_regseg_has_its_published_values() -> None:
    """SGD 0.05, poly 0.9, 3000 steps of warm-up, batch 8, short side 400 to 1600, crops of 768, no decay on norms."""
    recipe = read_recipe("regseg-paper")
    o, s, a = recipe.optimizer, recipe.schedule, recipe.augment
    assert (o.kind, o.lr, o.momentum, o.weight_decay, o.no_decay) == ("sgd", 0.05, 0.9, 1e-4, "norms")
    assert (s.kind, s.power, s.warmup, s.warmup_from) == ("poly", 0.9, 3000, 0.1)
    assert (recipe.batch, recipe.epochs, a.short_side, a.crop) == (8, 1000, (400, 1600), (768, 768))
    assert a.randaugment is not None and (a.randaugment.ops, a.randaugment.magnitude) == (2, 0.2)
    assert recipe.data.class_uniform == 0.5 and recipe.loss.kind == "cross_entropy"


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("optimizer.lrr=0.1", "did you mean `lr`?"),
        ("stps=3", "did you mean `steps`?"),
        ("validate.flp=true", "did you mean `flip`?"),
        ("augment.randaugment.op=1", "did you mean `ops`?"),
        ("loss.aux.early.weigth=1", "did you mean `weight`?"),
        ("optimizer.lr=-1", "quickstart: optimizer.lr: input should be greater than 0"),
        ("optimizer.lr=nan", "optimizer.lr"),
        ("schedule.kind=polly", "schedule.kind"),
        ("batch.size=3", "batch is a value, and holds no size"),
        ("accumulate=3", "a batch of 8 cannot be cut into 3 equal parts"),
        ("augment.scale=[2, 1]", "from the smaller to the larger"),
        ("nothing", "is not key=value"),
    ],
)
def test_a_wrong_option_is_named(option: str, said: str) -> None:
    """Unknown keys get did-you-mean, wrong values their place; nothing is passed over."""
    with pytest.raises(ArchError) as error:
        read_recipe("quickstart", [option])
    assert "E0833" in message(error) and said in message(error)


def test_options_reach_every_value() -> None:
    """Tables inside tables, lists, none, and words without quotes; `epochs` puts `steps` aside and the other way."""
    recipe = read_recipe(
        "quickstart",
        ["epochs=3", "augment.randaugment.magnitude=0.5", "loss.plus=[{kind='dice', weight=0.5}]", "loss.kind=ohem"],
    )
    assert (recipe.epochs, recipe.steps, recipe.loss.kind) == (3, None, "ohem")
    assert recipe.augment.randaugment is not None and recipe.augment.randaugment.magnitude == 0.5
    assert recipe.loss.plus[0].kind == "dice"
    assert overridden(recipe, ["steps=7", "augment.scale=none"]).steps == 7


def test_a_recipe_from_a_file(tmp_path: Path) -> None:
    """A path that ends in .toml is a file; one that is missing, or no TOML, is said so."""
    path = tmp_path / "mine.toml"
    path.write_text("steps = 5\n[optimizer]\nlr = 0.1\n", encoding="utf-8")
    assert read_recipe(str(path)).optimizer.lr == 0.1
    path.write_text("steps = ", encoding="utf-8")
    with pytest.raises(ArchError, match="is no TOML"):
        read_recipe(str(path))
    with pytest.raises(ArchError, match="there is no recipe"):
        read_recipe(str(tmp_path / "other.toml"))
    with pytest.raises(ArchError, match="did you mean `quickstart`"):
        read_recipe("quickstrat")
