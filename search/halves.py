"""A data set whose training splits fall into two parts, and the recipe for each."""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.search.split import split

from archdsl.training.data.sample import DataSet, Source
from archdsl.training.recipes import Recipe
from archdsl.training.setup import joined

WEIGHTS, RATES = "weights", "rates"


class Halves:
    """A source with the splits "weights" and "rates" in place of those that are trained on."""

    def __init__(self, source: Source, parts: dict[str, DataSet]) -> None:
        self.source, self.parts = source, parts
        self.name, self.classes, self.palette, self.recipe = source.name, source.classes, source.palette, source.recipe
        self.splits = (*parts, *source.splits)

    def split(self, name: str) -> DataSet:
        return self.parts[name] if name in self.parts else self.source.split(name)

    @classmethod
    def of(cls, source: Source, recipe: Recipe, world: int = 1) -> Iterator[tuple[Halves, Recipe]]:
        """The halved source, and the recipes that train weights and that judge rates, in this order."""
        first, second = split(joined(source, recipe.data.train))
        halved = cls(source, {WEIGHTS: first, RATES: second})
        # a step with mixtures is never the same as the one before, so that neither compiling nor capturing pays
        plain = recipe.run.model_copy(update={"compile": False, "cuda_graph": False})
        data = recipe.data.model_copy(update={"train": (WEIGHTS,)})
        yield halved, recipe.model_copy(update={"data": data, "run": plain})
        judged = recipe.data.model_copy(update={"train": (RATES,), "validation": None})
        # of a single image, what is pooled to one value has no spread to normalise by
        least = min(2, max(1, recipe.batch // world))
        batch = max(least, round(recipe.batch * recipe.search.judge / world)) * world
        yield (
            halved,
            recipe.model_copy(
                update={"data": judged, "run": plain, "batch": batch, "accumulate": 1, "seed": recipe.seed + 1}
            ),
        )
