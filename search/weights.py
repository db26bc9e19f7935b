"""Training weights inside a search: of the mixtures, and of single assignments from scratch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from archdsl.search.schedule import Diverged
from torch import Tensor

from archdsl.ir.graph import Graph
from archdsl.lower.module import ArchModule, build_module
from archdsl.training.average import Average
from archdsl.training.data.feed import Feed
from archdsl.training.data.sample import DataSet
from archdsl.training.evaluate import Scores, Stopped, evaluate
from archdsl.training.optimizer import freeze, make_optimizer, set_rate
from archdsl.training.predict import Predictor
from archdsl.training.schedule import factor
from archdsl.training.setup import Setup
from archdsl.training.step import PRECISIONS, make_step


class Fit:
    """Trains the weights of a module by a recipe, a step at a time."""

    def __init__(self, setup: Setup, module: ArchModule) -> None:
        self.setup, self.module = setup, module
        freeze(module, setup.recipe.optimizer, setup.recipe.norm)
        self.optimizer = make_optimizer(module, setup.recipe.optimizer)
        self.update = make_step(setup, module, self.optimizer)
        self.factor = 1.0
        """On the recipe's learning rate."""

    def one(self, feed: Feed, step: int) -> Tensor:
        """A step of so many as the set-up has; returns the loss of all processes, detached."""
        recipe = self.setup.recipe
        rate = self.factor * recipe.optimizer.lr * factor(recipe.schedule, step, self.setup.steps)
        set_rate(self.optimizer, rate)
        return self.setup.among.total(self.update(*feed(step)))


def placed(setup: Setup, module: ArchModule) -> ArchModule:
    """A module where and how the set-up has its own."""
    module = module.to(setup.device)
    if setup.recipe.run.channels_last:
        module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module


def train_from_scratch(
    setup: Setup, graph: Graph, steps: int, seed: int, stop: Callable[[], bool] = lambda: False
) -> ArchModule:
    """A graph's module, trained for so many steps by the set-up's recipe.

    Raises Stopped when `stop` says so, Diverged for a loss that stopped being a number.
    """
    recipe = setup.recipe.model_copy(update={"seed": seed})
    own = replace(setup, recipe=recipe, steps=steps)
    module = placed(own, build_module(graph, seed))
    fit, average = Fit(own, module), Average(module, recipe.ema) if recipe.ema else None
    feed, losses = own.feed(0), []
    module.train()
    try:
        for step in range(steps):
            if stop():
                raise Stopped
            torch.manual_seed((seed * 1_000_003 + step) * 4096 + own.among.rank)
            losses.append(fit.one(feed, step))
            if average is not None:
                average.update(module, step)
    finally:
        feed.close()
    if not bool(torch.stack(losses).isfinite().all()):
        raise Diverged(f"the loss of a training of {steps} steps is not a number")
    return module if average is None else average.module


def scored(setup: Setup, module: ArchModule, data: DataSet, boundaries: bool = False) -> Scores:
    """A module's scores on some images, each at its size; `boundaries` takes as long again, or longer."""
    dtype = PRECISIONS[setup.recipe.run.precision] if setup.device.type == "cuda" else None
    predictor = Predictor(module.eval(), module.graph, setup.device, autocast=dtype)
    batch = setup.recipe.validate_.batch
    classes = setup.source.classes
    return evaluate(predictor, data, classes, batch=batch, boundaries=boundaries, among=setup.among)
