"""What a terminal shows of a training: one live line, a line for each validation, and a table at the end."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from archdsl.training.callbacks import Callback, Logged

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from archdsl.training.evaluate import Scores
    from archdsl.training.loop import Trainer

_LINES = 20
"""Lines that a training prints about its steps where there is no terminal."""


class Reading:
    """Says what is being read before the first step, where that takes a while."""

    def __init__(self, doing: str = "reading") -> None:
        self.doing = doing
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, of: int) -> None:
        if not sys.stderr.isatty():
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True), transient=True)
            self._bar.start()
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(f"{self.doing} {what}", total=of)
        self._bar.update(self._tasks[what], completed=done)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class Live(Callback):
    """Loss, learning rate, images per second and time left; live on a terminal, else a line now and then."""

    def __init__(self, reading: Reading | None = None) -> None:
        self._reading = reading
        self._bar: Progress | None = None
        self._task: Any = None
        self._printed = 0

    def on_start(self, trainer: Trainer) -> None:
        if self._reading is not None:
            self._reading.close()
        print(introduction(trainer), flush=True)
        if not sys.stdout.isatty():
            return
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"))
        self._bar = Progress(*columns, TimeElapsedColumn())
        self._task = self._bar.add_task("training", total=trainer.setup.steps, completed=trainer.step, text="")
        self._bar.start()

    def on_log(self, trainer: Trainer, logged: Logged) -> None:
        text = (
            f"step {logged.step}/{logged.steps}  loss {logged.loss:.3f}  lr {logged.lr:.2g}  "
            f"{logged.images_per_second:.1f} images/s (waiting {logged.waiting:.0%})  {_time(logged.seconds_left)} left"
        )
        if self._bar is not None:
            self._bar.update(self._task, completed=logged.step, text=text, description="training")
        elif logged.step == logged.steps or logged.step - self._printed >= logged.steps / _LINES:
            self._printed = logged.step
            print(text, flush=True)

    def on_score(self, trainer: Trainer, done: int, of: int) -> None:
        if self._bar is not None:
            self._bar.update(self._task, description=f"scoring {done}/{of}")

    def on_validation(self, trainer: Trainer, scores: Scores) -> None:
        v = trainer.setup.recipe.validate_
        best = "  best so far" if v.select == "best" and scores.value(v.metric) >= trainer.best else ""
        text = f"step {trainer.step}: {trainer.setup.validation_name} mIoU {scores.miou:.4f}{best}"
        print(text, flush=True) if self._bar is None else self._bar.print(text)

    def on_end(self, trainer: Trainer) -> None:
        if self._bar is not None:
            self._bar.stop()


def introduction(trainer: Trainer) -> str:
    """What is about to happen, in a few lines."""
    s = trainer.setup
    recipe = s.recipe
    many = f" in {s.among.world} processes" if s.among.world > 1 else ""
    lines = [
        f"{s.net.name}, {s.net.params_train:,} parameters, on {s.data_name}: {len(s.train)} images"
        + (f", {len(s.validation)} to validate" if s.validation is not None else ""),
        f"{recipe.title or 'a recipe without a title'}: {s.steps} steps of {recipe.batch} ({s.epochs:.1f} epochs), "
        f"{recipe.optimizer.kind}, {recipe.run.precision} on {s.device}{many}",
    ]
    if s.fresh:
        lines.append(f"start anew, as the checkpoint has no such weights: {', '.join(s.fresh[:6])}" + _more(s.fresh, 6))
    if trainer.step:
        lines.append(f"going on from step {trainer.step}")
    return "\n".join([*lines, f"run: {trainer.folder.path}"])


def _more(items: tuple[str, ...], shown: int) -> str:
    return f" and {len(items) - shown} more" if len(items) > shown else ""


def score_table(scores: Scores) -> None:
    """Prints the scores: a row per class, and the means."""
    from rich.console import Console
    from rich.table import Table

    found = scores.as_json()
    table = Table(title=f"{found['images']} images", title_justify="left")
    table.add_column("class")
    for name in ("IoU", "boundary F1", "share of pixels"):
        table.add_column(name, justify="right")
    rows = [sum(row) for row in found["confusion"]]
    for name, total in zip(scores.classes, rows, strict=True):
        iou, f1 = found["iou"][name], found["boundary_f1_per_class"][name]
        table.add_row(name, _percent(iou), _percent(f1), _percent(total / max(1, sum(rows))))
    table.add_section()
    table.add_row("mean", _percent(found["miou"]), _percent(found["boundary_f1"]), "")
    Console(width=None if sys.stdout.isatty() else 80, soft_wrap=False).print(table)
    print(
        f"mIoU {found['miou']:.4f}, pixel accuracy {found['pixel_accuracy']:.4f}; "
        f"predicting the most frequent class everywhere gives mIoU {found['majority_miou']:.4f}"
    )


def _percent(value: float | None) -> str:
    return "absent" if value is None else f"{100 * value:.1f}"


def _time(seconds: float) -> str:
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02}"
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
