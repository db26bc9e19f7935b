"""A search on a data set: weights and rates trained in turn, then the neighbourhood of the answer."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.distributed as dist
from archdsl.search.bound import Masks
from archdsl.search.decode import Decision, Effort, Rates, decide, neighbours
from archdsl.search.plan import RANDOM, Plan
from archdsl.search.random_search import random_search
from archdsl.search.relaxed import RelaxedModule, relax
from archdsl.search.retry import MOST, SLOWER, Retry, factor, retrying
from archdsl.search.schedule import Alternation, Diverged
from archdsl.search.split import Part
from archdsl.search.weights import Fit, placed, scored, train_from_scratch
from torch import Tensor

from archdsl.analyses.cost import macs_by_node
from archdsl.lower.norm import synchronised
from archdsl.training.average import precise_statistics
from archdsl.training.data.feed import Feed
from archdsl.training.evaluate import Scores, Stopped
from archdsl.training.losses import Criterion
from archdsl.training.preprocess import normalise
from archdsl.training.setup import Setup, main_output

CALIBRATE = 2
"""Batches over which batch statistics are worked out for an assignment with inherited weights."""
JUDGE = 2
"""Batches over which its loss is then taken."""
TOP = 3


@dataclass
class Known:
    """What a search has found out after its relaxation, and can go on from."""

    decision: Decision = field(default_factory=lambda: Decision(()))
    relaxed: dict[str, Any] = field(default_factory=dict)
    """What `eval` says of the mixtures ("relaxed") and of the rates decided on, with the same weights ("inherited")."""
    validated: dict[Rates, Any] = field(default_factory=dict)
    """What it says of the longest trainings with the first seed."""
    seeds: dict[tuple[Rates, int], float] = field(default_factory=dict)
    """mIoU of the trainings that are compared at the end, by assignment and seed."""
    retries: list[Retry] = field(default_factory=list)
    """How often the relaxation stopped making sense, and was gone on with from before that."""
    diverged: list[tuple[Rates, int, int]] = field(default_factory=list)
    """Trainings whose loss stopped being a number, by assignment, steps and seed; their score is 0."""


class Searcher:
    """A search under way; `alternation` is its first half.

    `tell` is called with the name of what happens and what it is about.
    """

    def __init__(
        self,
        plan: Plan,
        for_weights: Setup,
        for_rates: Setup,
        tell: Callable[..., None] = lambda event, *about: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.plan, self.setup, self.judging, self.tell, self.stop = plan, for_weights, for_rates, tell, stop
        recipe = for_weights.recipe
        self.steps, self.among = for_weights.steps, for_weights.among
        self.relaxations = relax(plan.rates, "softmax" if plan.wish.method == RANDOM else plan.wish.method)
        for relaxation in self.relaxations.values():
            relaxation.to(for_weights.device)
        module = RelaxedModule(plan.network, plan.rates, self.relaxations, recipe.seed)
        module = placed(for_weights, module)  # type: ignore[assignment]
        self.module = module
        self.fit = Fit(replace(for_weights, module=module), module)
        self.masks = Masks(plan.bounds, self.relaxations)
        self.known = Known()
        self.alternation = Alternation(
            self._train,
            self._judge,
            self.relaxations,
            self.steps,
            seed=recipe.seed,
            restrict=self.masks,
            shared=lambda grad: self.among.total(grad) / self.among.world,
            sound=self._sound,
        )
        self._feeds: dict[str, Feed] = {}
        self._read: dict[int, list[tuple[Tensor, Tensor]]] = {}

    # ------------------------------------------------------------- relaxation

    def run(self, saved: Callable[[], None] = lambda: None, restore: Callable[[], None] | None = None) -> None:
        """Searches to the end. Calls `saved` whenever there is something to go on from, and `restore` to go back there
        when the loss stops being a number. Raises Diverged, Stopped.
        """
        with self._context():
            if self.plan.wish.method != RANDOM:
                self._relax(saved, restore)
            self._decide(saved)
            self._compare(saved)

    @contextmanager
    def _context(self) -> Iterator[None]:
        recipe = self.setup.recipe
        with ExitStack() as stack:
            if recipe.norm.sync and self.among.world > 1 and dist.group.WORLD is not None:
                stack.enter_context(synchronised(dist.group.WORLD))
            deterministic = torch.are_deterministic_algorithms_enabled()
            stack.callback(torch.use_deterministic_algorithms, deterministic)
            torch.use_deterministic_algorithms(deterministic or recipe.run.deterministic)
            yield

    def _relax(self, saved: Callable[[], None], restore: Callable[[], None] | None) -> None:
        if restore is None:
            self._alternate(saved)
        else:
            if self.alternation.step == 0:
                saved()
            self._slow()
            retrying(
                lambda: self._alternate(saved),
                lambda: self._go_back(saved, restore),
                may=lambda: len(self.known.retries) < MOST,
            )
        saved()
        if not self.alternation.done:
            raise Stopped

    def _go_back(self, saved: Callable[[], None], restore: Callable[[], None]) -> None:
        """Back to the last state that made sense, at half the learning rates; all processes together."""
        noticed, slower = self.alternation.step, SLOWER * factor(self.known.retries)
        self.among.wait()
        restore()
        self.among.wait()
        retry = Retry(noticed, self.alternation.step, slower)
        self.known.retries.append(retry)
        self._slow()
        saved()
        self.tell("retried", retry)

    def _slow(self) -> None:
        """Sets the learning rates of weights and rates to what retries have left of them."""
        self.fit.factor = factor(self.known.retries)
        self.alternation.slow(self.fit.factor)

    def _sound(self) -> bool:
        """Whether all weights and running statistics are numbers, in every process."""
        floats = [tensor for tensor in self.module.state_dict().values() if tensor.is_floating_point()]
        # the greatest of finite numbers is finite; the sum of their squares may not be
        lost = not bool(torch.stack(torch._foreach_norm(floats, math.inf)).isfinite().all())
        return not self.among.any(lost, self.setup.device)

    def _alternate(self, saved: Callable[[], None]) -> None:
        def watch(search: Alternation) -> None:
            self.tell("settled", self)
            saved()

        self.module.train()
        self._feeds = {"weights": self.setup.feed(self.alternation.step), "rates": self.judging.feed(self._first())}
        try:
            self.alternation.run(stop=lambda: self._asked(), watch=watch)
        finally:
            self._close()

    def _asked(self) -> bool:
        """Whether to stop; several processes ask each other, and all of them at the same steps."""
        together = self.among.world == 1 or self.alternation.step % self.alternation.settle_every == 0
        return together and self.among.any(self.stop(), self.setup.device)

    def _first(self) -> int:
        """The step at which the rates are judged next."""
        warm = min(relaxation.warm_up for relaxation in self.relaxations.values())
        first = next(step for step in range(self.steps + 1) if step / self.steps >= warm)
        return max(first, self.alternation.step)

    def _close(self) -> None:
        for feed in self._feeds.values():
            feed.close()
        self._feeds = {}

    def _train(self, step: int, progress: float) -> Tensor:
        self.module.progress, self.module.judged = progress, False
        return self.fit.one(self._feeds["weights"], step)

    def _judge(self, step: int, progress: float) -> Tensor:
        self.module.progress, self.module.judged = progress, True
        # gradients are averaged over processes, and the loss is a sum over them
        loss = self._loss(*self._feeds["rates"](step)) * self.among.world
        if self.plan.budget is not None:
            loss = loss + self.plan.budget.penalty(list(self.relaxations.values()), progress)
        return loss

    def _loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """This process's part of the loss of a batch."""
        counts = self.among.total(self.judging.criterion.counts(labels))
        with self.fit.update.autocast():
            outputs = self.module(self._input(images))
        return self.judging.criterion(outputs, labels, counts)

    def _main_loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """The same of the output alone, without those that are for training."""
        output = main_output(self.plan.network).name
        criterion = Criterion([term for term in self.judging.criterion.terms if term.output == output])
        counts = self.among.total(criterion.counts(labels))
        with self.fit.update.autocast():
            outputs = self.module(self._input(images))
        return criterion(outputs, labels, counts)

    def _input(self, images: Tensor) -> Tensor:
        node = self.plan.network.ir.inputs[0]
        x = normalise(images, self.plan.network.preprocessing, node.types[0].channels)
        return x.contiguous(memory_format=torch.channels_last) if self.setup.recipe.run.channels_last else x

    # --------------------------------------------------------------- decision

    def _decide(self, saved: Callable[[], None]) -> None:
        made = self.known.decision
        if self.plan.wish.method == RANDOM:
            dice = random.Random(self.setup.recipe.seed)
            random_search(lambda: self._drawn(dice), self._trained(saved), self.trainings, self.effort.longest, made)
            return
        answer = self.masks.decided()
        if "relaxed" not in self.known.relaxed:
            self._score_relaxed(answer)
            saved()
        tops = [relaxation.likeliest(TOP) for relaxation in self.relaxations.values()]

        def around(rates: Rates) -> list[Rates]:
            found = neighbours(rates, self.plan.bounds.candidates, tops)
            return [one for one in found if self.plan.bounds.inside(one)]

        # a start over its bound or budget is compared with at the end, and must not win
        rivals = [self.plan.start] if self.plan.bounds.holds(self.plan.start) else []
        decide(answer, around, self.inherited, self._trained(saved), self.effort, rivals, made)

    @property
    def effort(self) -> Effort:
        s = self.setup.recipe.search
        short = round(s.short * self.steps) if s.short < 1 else round(s.short)
        return Effort(s.keep, max(1, short), s.rungs, s.rounds)

    @property
    def trainings(self) -> int:
        """How many of the longer trainings cost as many multiply-adds of convolutions as the default search does."""
        e, s = self.effort, self.setup.recipe.search
        crop = dict(zip("HW", self.setup.recipe.augment.crop, strict=True))
        macs = macs_by_node(self.plan.network.ir, crop)
        extra = [sum(macs[name] for name in rate.nodes) for rate in self.plan.rates]
        widths = [len(own) - 1 for own in self.plan.bounds.candidates]
        mixed = sum(one * width for one, width in zip(extra, widths, strict=True)) / sum(macs.values())
        # after the warm-up about half of the candidates are still there, on average
        search = self.steps * (0.3 * (1 + mixed) + 0.7 * (1 + s.judge) * (1 + mixed / 2))
        rungs = sum(e.steps * 2**rung * (max(1, e.keep // 2**rung) + 1) for rung in range(e.rungs))
        return max(1, round((search + e.rounds * rungs) / e.longest))

    def _drawn(self, dice: random.Random) -> Rates:
        values: Rates = ()
        for index in range(len(self.plan.rates)):
            values = (*values, dice.choice(self.plan.bounds.allowed(index, values)))
        return values if self.plan.bounds.inside(values) else self._drawn(dice)

    def _score_relaxed(self, answer: Rates) -> None:
        """The mixtures and the rates decided on, with the same weights."""
        for name, chosen in (("relaxed", None), ("inherited", answer)):
            self._recalibrate(chosen)
            self.known.relaxed[name] = self._validated(self.module)

    def _recalibrate(self, chosen: Rates | None) -> None:
        """Batch statistics for an assignment, or for the mixtures."""
        self.module.chosen, self.module.progress, self.module.judged = chosen, 1.0, False
        precise_statistics(self.module, (self._input(images) for images, _ in self._calm(self.setup, CALIBRATE)))

    @torch.no_grad()
    def inherited(self, rates: Rates) -> float:
        """Minus the loss of an assignment with the weights of the search."""
        self._stop_if_asked()
        self._recalibrate(rates)
        self.module.eval()
        total = torch.stack([self._main_loss(*batch) for batch in self._calm(self.judging, JUDGE)]).sum()
        self.tell("ranked", rates)
        loss = float(self.among.total(total)) / JUDGE
        return -loss if math.isfinite(loss) else -math.inf

    def _calm(self, setup: Setup, batches: int) -> list[tuple[Tensor, Tensor]]:
        """Batches without strong augmentation, read once."""
        if id(setup) not in self._read:
            self._read[id(setup)] = list(self._calm_batches(setup, batches))
        return self._read[id(setup)]

    def _calm_batches(self, setup: Setup, batches: int) -> Iterator[tuple[Tensor, Tensor]]:
        recipe = setup.recipe
        augment = recipe.augment.model_copy(update={"calm": 1.0})
        data = recipe.data.model_copy(update={"class_uniform": 0.0})
        calm = recipe.model_copy(update={"augment": augment, "data": data})
        feed = replace(setup, recipe=calm, steps=batches).feed(0)
        try:
            yield from (feed(step) for step in range(batches))
        finally:
            feed.close()

    def _trained(self, saved: Callable[[], None]) -> Callable[[Rates, int], float]:
        def train(rates: Rates, steps: int) -> float:
            score = self._score(rates, steps, self.setup.recipe.seed)
            self.known.decision.trained[rates, steps] = score
            saved()
            return score

        return train

    def _score(self, rates: Rates, steps: int, seed: int) -> float:
        """mIoU of a training from scratch, on the images that rates are judged on."""
        self._stop_if_asked()
        self.tell("training", rates, steps, seed)
        stop = self.stop if self.among.world == 1 else lambda: False
        try:
            module = train_from_scratch(self.setup, self.plan.graph(rates), steps, seed, stop)
        except Diverged:
            self.known.diverged.append((rates, steps, seed))
            score = 0.0
        else:
            score = scored(self.setup, module, self._judged_on).miou
            if (steps, seed) == (self.effort.longest, self.setup.recipe.seed):
                self.known.validated[rates] = self._validated(module)
        if (steps, seed) == (self.effort.longest, self.setup.recipe.seed):
            self.known.seeds[rates, seed] = score
        self.tell("trained", rates, steps, score)
        return score

    def _stop_if_asked(self) -> None:
        """Raises Stopped, in all processes together."""
        if self.among.any(self.stop(), self.setup.device):
            raise Stopped

    @property
    def _judged_on(self) -> Any:
        data, most = self.judging.train, self.setup.recipe.search.images
        return data if most is None or most >= len(data) else Part(data, range(most))

    def _validated(self, module: Any) -> dict[str, Any] | None:
        validation = self.setup.validation
        found: Scores | None = None if validation is None else scored(self.setup, module, validation, boundaries=True)
        return None if found is None else found.as_json()

    # -------------------------------------------------------------- comparison

    def _compare(self, saved: Callable[[], None]) -> None:
        """Trains the answer and the start by several seeds, as long as the longest trainings before."""
        known, first = self.known, self.setup.recipe.seed
        for seed in range(first, first + self.setup.recipe.search.seeds):
            for rates in (self.plan.start, known.decision.rates):
                if (rates, seed) not in known.seeds:
                    known.seeds[rates, seed] = self._score(rates, self.effort.longest, seed)
                    saved()
