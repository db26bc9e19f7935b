"""The loop: steps, validation, saving, and going on where it stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any, cast

import torch
import torch.distributed as dist

from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.lower.checkpoints import write_weights
from archdsl.lower.module import ArchModule
from archdsl.lower.norm import synchronised
from archdsl.training.average import Average, precise_statistics
from archdsl.training.callbacks import Callback, Logged
from archdsl.training.data.feed import Feed
from archdsl.training.evaluate import Scores, Stopped, evaluate
from archdsl.training.optimizer import freeze, make_optimizer, restore, set_rate, tensors_of
from archdsl.training.predict import Predictor, Views, seen_at
from archdsl.training.preprocess import normalise
from archdsl.training.processes import Processes
from archdsl.training.run_folder import RunFolder, now
from archdsl.training.schedule import factor
from archdsl.training.setup import Setup
from archdsl.training.signals import Stop, stopping
from archdsl.training.state import State, load_state, save_state
from archdsl.training.step import PRECISIONS, Step, make_step

BEST, LAST = "best.safetensors", "last.safetensors"


class Trainer:
    """A training under way. `step` counts the steps done."""

    def __init__(self, setup: Setup, folder: RunFolder, callbacks: Sequence[Callback] = ()) -> None:
        self.setup, self.folder = setup, folder
        self.callbacks = tuple(callbacks) if setup.among.first else ()
        self.module: ArchModule = setup.module
        freeze(self.module, setup.recipe.optimizer, setup.recipe.norm)
        self.optimizer = make_optimizer(self.module, setup.recipe.optimizer)
        self.average = Average(self.module, setup.recipe.ema) if setup.recipe.ema else None
        self.step, self.best, self.validated = 0, -1.0, -1
        self.scores: Scores | None = None
        self.stopped: int | None = None
        """The signal that ended it, where one did."""
        self.update = self._make_step()
        self._loss = torch.zeros((), device=setup.device)
        self._summed = 0

    # ------------------------------------------------------------------ set-up

    def _make_step(self) -> Step:
        s = self.setup
        step = make_step(s, self.module, self.optimizer)
        if s.recipe.run.cuda_graph and self._can_graph():
            from archdsl.training.cuda_graph import GraphedBackward

            step.run = GraphedBackward(step, self.module)
        return step

    def _can_graph(self) -> bool:
        s = self.setup
        return s.device.type == "cuda" and s.among.world == 1 and s.recipe.accumulate == 1 and not s.recipe.run.compile

    @property
    def epoch(self) -> float:
        return self.step * self.setup.recipe.batch / len(self.setup.train)

    @property
    def trained(self) -> ArchModule:
        """The module to use: the average of the weights where there is one."""
        return self.module if self.average is None else self.average.module

    # -------------------------------------------------------------------- loop

    def run(self) -> None:
        """Trains to the end, or until a signal.

        Raises ArchError E0835 where the loss is no number any more, E0837 where the device's memory is full.
        """
        with stopping() as stop, self._context():
            state = "failed"
            try:
                self._train(stop)
                state = "done" if self.stopped is None else "stopped"
            except torch.OutOfMemoryError as error:
                raise self._too_large() from error
            finally:
                if self.setup.among.first:
                    miou = None if self.scores is None else self.scores.miou
                    self.folder.note(state=state, ended=now(), step=self.step, miou=miou)
                    self._tell("on_end")

    @contextmanager
    def _context(self) -> Iterator[None]:
        s = self.setup
        with ExitStack() as stack:
            if s.recipe.norm.sync and s.among.world > 1 and dist.group.WORLD is not None:
                stack.enter_context(synchronised(dist.group.WORLD))
            deterministic = torch.are_deterministic_algorithms_enabled()
            stack.callback(torch.use_deterministic_algorithms, deterministic)
            torch.use_deterministic_algorithms(deterministic or s.recipe.run.deterministic)
            yield

    def _train(self, stop: Stop) -> None:
        # workers are forked before callbacks begin threads of their own
        feed = self.setup.feed(self.step)
        try:
            self._tell("on_start")
            self._steps(feed, stop)
            if self.stopped is None:
                self._finish(feed, stop)
        finally:
            feed.close()

    def _steps(self, feed: Feed, stop: Stop) -> None:
        recipe, steps = self.setup.recipe, self.setup.steps
        clock = _Clock(self.step)
        self.module.train()
        while self.step < steps:
            if self._due(self.step) and self.validated != self.step and not self._validate(stop):
                return
            self._one(feed)
            log = self.step % recipe.log_every == 0 or self.step == steps
            if log:
                self._log(clock, feed)
            if self._asked(stop, log):
                return
            if log and clock.saves(recipe.save_every):
                self.save()

    def _one(self, feed: Feed) -> None:
        recipe = self.setup.recipe
        set_rate(self.optimizer, recipe.optimizer.lr * factor(recipe.schedule, self.step, self.setup.steps))
        # dropout depends on seed, step and process alone, so that a training can go on from any step
        torch.manual_seed((recipe.seed * 1_000_003 + self.step) * 4096 + self.setup.among.rank)
        self._loss += self.update(*feed(self.step))
        self._summed += 1
        if self.average is not None:
            self.average.update(self.module, self.step)
        self.step += 1

    def _log(self, clock: _Clock, feed: Feed) -> None:
        recipe, s = self.setup.recipe, self.setup
        loss = self._mean_loss()
        self._loss.zero_()
        self._summed = 0
        seconds, done, waited = clock.lap(self.step, feed.waited)
        rate = recipe.optimizer.lr * factor(recipe.schedule, self.step - 1, s.steps)
        left = clock.per_step(self.step) * (s.steps - self.step)
        logged = Logged(
            self.step, s.steps, self.epoch, loss, rate, done * recipe.batch / seconds, waited / seconds, left
        )
        self._tell("on_log", logged)

    def _mean_loss(self) -> float:
        """The mean loss since the last line. Raises ArchError E0835 where it is no number."""
        loss = self.setup.among.total(self._loss.clone()).item() / max(1, self._summed)
        if not math.isfinite(loss):
            raise self._diverged()
        return loss

    def _diverged(self) -> ArchError:
        message = f"the loss is not a number any more, at step {self.step}"
        rate = self.setup.recipe.optimizer.lr / 3
        help_ = (
            f"go on from the last saved state with a lower rate: archdsl train --resume {self.folder.path} "
            f"--opt optimizer.lr={rate:.2g} --opt optimizer.clip=5"
        )
        return ArchError([Diagnostic("E0835", message, help=help_)])

    def _too_large(self) -> ArchError:
        recipe = self.setup.recipe
        help_ = (
            f"cut the batch of {recipe.batch} into more parts, --opt accumulate={2 * recipe.accumulate}, or take "
            "smaller crops (augment.crop); --opt data.memory=never keeps the data set in files"
        )
        message = f"a step does not fit into the memory of {self.setup.device}"
        return ArchError([Diagnostic("E0837", message, help=help_)])

    def _asked(self, stop: Stop, together: bool) -> bool:
        """Whether to stop now; several processes ask each other when they log. Saves first."""
        among = self.setup.among
        if among.world > 1 and not together:
            return False
        if not among.any(stop(), self.setup.device):
            return False
        self._halt(stop)
        return True

    def _halt(self, stop: Stop) -> None:
        self._mean_loss()
        self.save()
        self.stopped = stop.signal or 15

    # -------------------------------------------------------------- validation

    def _due(self, step: int) -> bool:
        """Whether validation comes after so many steps; the one at the end is not meant."""
        every = self.setup.recipe.validate_.every
        if every < 1:
            every = round(every * self.setup.steps)
        return step > 0 and every > 0 and step % round(every) == 0

    def _validate(self, stop: Stop) -> bool:
        """Scores the validation split, saves, and says whether to go on. Raises ArchError E0835 before it does so."""
        self._mean_loss()
        try:
            scores = self._score(stop)
        except Stopped:
            self._halt(stop)
            return False
        self.validated = self.step
        self.module.train()
        if scores is not None:
            self._keep(scores)
        self.save()
        return True

    def _score(self, stop: Stop) -> Scores | None:
        s = self.setup
        if s.validation is None:
            return None
        # each process has running statistics of its own since its last batch, and scores are those of one network
        s.among.share(self.trained.buffers())
        return evaluate(
            self.predictor(),
            s.validation,
            s.source.classes,
            batch=s.recipe.validate_.batch,
            tolerance=round(s.recipe.validate_.boundary),
            among=s.among,
            seen=lambda done, of: self._tell("on_score", done, of),
            # one process must not leave the others waiting for its scores
            stop=stop if s.among.world == 1 else lambda: False,
        )

    def predictor(self) -> Predictor:
        """The present network, ready to see images."""
        v, s = self.setup.recipe.validate_, self.setup
        views = Views(v.scales, v.flip, v.window, v.overlap)
        module = self.trained.eval()
        dtype = PRECISIONS[s.recipe.run.precision] if s.device.type == "cuda" else None
        return Predictor(cast(Any, module), s.net.ir, s.device, views, dtype)

    def _keep(self, scores: Scores) -> None:
        self.scores = scores
        if not self.setup.among.first:
            return
        v = self.setup.recipe.validate_
        value = scores.value(v.metric)
        if value > self.best or v.select == "last":
            self.best = value
            self._write_weights(BEST, scores)
        self._tell("on_validation", scores)

    def _finish(self, feed: Feed, stop: Stop) -> None:
        if self.setup.recipe.norm.precise:
            self._precise()
        if self.validated == self.step:
            return
        if not self._validate(stop):
            return
        if self.setup.validation is None and self.setup.among.first:
            self._write_weights(BEST, None)

    def _precise(self) -> None:
        """Batch statistics for the weights at the end, from calm crops. Each process sees the same ones."""
        s = self.setup
        calm = s.recipe.model_copy(update={"augment": s.recipe.augment.model_copy(update={"calm": 1.0})})
        calm = calm.model_copy(update={"data": calm.data.model_copy(update={"class_uniform": 0.0})})
        feed = replace(s, recipe=calm, steps=s.recipe.norm.precise, among=Processes()).feed(0)
        seen = (s.net.preprocessing, s.net.ir.inputs[0].types[0].channels)
        try:
            batches = (normalise(feed(step)[0], *seen) for step in range(s.recipe.norm.precise))
            precise_statistics(self.trained, batches)
        finally:
            feed.close()

    # ------------------------------------------------------------------ saving

    def save(self) -> None:
        """Writes `last.safetensors` and the state to go on from."""
        if not self.setup.among.first:
            return
        self._write_weights(LAST, self.scores if self.validated == self.step else None)
        save_state(self.folder.path, self.state())

    def state(self) -> State:
        """Everything to go on from."""
        tensors = {f"module.{name}": tensor for name, tensor in self.module.state_dict().items()}
        tensors |= {f"optimizer.{name}": tensor for name, tensor in tensors_of(self.optimizer).items()}
        if self.average is not None:
            tensors |= {f"average.{name}": tensor for name, tensor in self.average.module.state_dict().items()}
        tensors["loop.loss"] = self._loss
        facts = {
            "step": self.step,
            "best": self.best,
            "validated": self.validated,
            "summed": self._summed,
            "scaler": self.update.scaler.state_dict(),
        }
        return State(tensors, facts)

    def resume(self) -> None:
        """Goes on from the folder's state. Raises ArchError E0834 where that cannot be."""
        state = load_state(self.folder.path)
        try:
            self.module.load_state_dict(state.part("module"))
            if self.average is not None:
                self.average.module.load_state_dict(state.part("average"))
            restore(self.optimizer, state.part("optimizer"))
        except (RuntimeError, ValueError, KeyError) as error:
            message = f"the state in {self.folder.path} is of another network or recipe"
            raise ArchError([Diagnostic("E0834", message, notes=(str(error).split(chr(10))[0],))]) from error
        facts = state.facts
        self.step, self.best, self.validated = facts["step"], facts["best"], facts["validated"]
        self._loss.copy_(state.tensors["loop.loss"])
        self._summed = facts["summed"]
        if facts["scaler"]:
            self.update.scaler.load_state_dict(facts["scaler"])
        if self.step >= self.setup.steps:
            # scores and pictures of the end may not have been written any more
            self.validated = -1
        if self.setup.among.first:
            self.folder.forget_after(self.step, scored=self.validated == self.step)

    def _write_weights(self, name: str, scores: Scores | None) -> None:
        metadata = self.description()
        metadata["miou"] = None if scores is None else scores.miou
        write_weights(self.folder.path / name, self.trained.state_dict(), metadata)

    def description(self) -> dict[str, Any]:
        """What a checkpoint says of itself; enough for `compile --weights` and `run` to need nothing else."""
        s = self.setup
        return {
            "network": s.net.name,
            "parameters": s.net.parameters,
            "preprocessing": asdict(s.net.preprocessing),
            "class_names": list(s.source.classes),
            "palette": [list(colour) for colour in s.source.palette],
            "size": list(self._size),
            "data": s.data_name or s.source.name,
            "recipe": s.recipe.title,
            "step": self.step,
        }

    @cached_property
    def _size(self) -> tuple[int, int]:
        """The input size that images of the data set are seen at."""
        s = self.setup
        height, width = (s.validation or s.train)[0].labels.shape
        return seen_at(s.net.ir, (height, width), s.recipe.validate_.scales[0])

    def _tell(self, event: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(self, *arguments)


class _Clock:
    """How long steps take."""

    def __init__(self, step: int) -> None:
        self._start = self._lap = self._saved = time.monotonic()
        self._first = self._last = step
        self._waited = 0.0

    def lap(self, step: int, waited: float) -> tuple[float, int, float]:
        """Seconds, steps and seconds of waiting since the last lap."""
        present = time.monotonic()
        found = max(present - self._lap, 1e-9), step - self._last, waited - self._waited
        self._lap, self._last, self._waited = present, step, waited
        return found

    def per_step(self, step: int) -> float:
        """Seconds per step so far, validation included."""
        return (time.monotonic() - self._start) / max(1, step - self._first)

    def saves(self, every: float) -> bool:
        """Whether it is time to save again."""
        if time.monotonic() - self._saved < every:
            return False
        self._saved = time.monotonic()
        return True
