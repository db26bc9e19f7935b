"""What may be done as a training goes along."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.training.evaluate import Scores

if TYPE_CHECKING:
    from archdsl.training.loop import Trainer


@dataclass(frozen=True)
class Logged:
    """What is known every few steps. `step` counts the steps done."""

    step: int
    steps: int
    epoch: float
    loss: float
    """Mean since the last."""
    lr: float
    images_per_second: float
    waiting: float
    """Share of the time spent waiting for samples."""
    seconds_left: float

    def record(self) -> dict[str, Any]:
        """The line of `metrics.jsonl`."""
        return {
            "step": self.step,
            "epoch": round(self.epoch, 4),
            "split": "train",
            "loss": self.loss,
            "lr": self.lr,
            "images_per_second": round(self.images_per_second, 2),
            "waiting": round(self.waiting, 4),
        }


class Callback:
    """Derive, override what you need, and hand it to `archdsl.train`. Called in the first process only."""

    def on_start(self, trainer: Trainer) -> None:
        """Before the first step, or the first after `--resume`."""

    def on_log(self, trainer: Trainer, logged: Logged) -> None:
        """Every `log_every` steps."""

    def on_score(self, trainer: Trainer, done: int, of: int) -> None:
        """While images are scored: how many are done."""

    def on_validation(self, trainer: Trainer, scores: Scores) -> None:
        """After validation data was scored."""

    def on_end(self, trainer: Trainer) -> None:
        """After the last step and its validation, or when the training was stopped or failed."""


class Journal(Callback):
    """Writes `metrics.jsonl`."""

    def on_log(self, trainer: Trainer, logged: Logged) -> None:
        trainer.folder.record(logged.record())

    def on_validation(self, trainer: Trainer, scores: Scores) -> None:
        start = {"step": trainer.step, "epoch": round(trainer.epoch, 4), "split": trainer.setup.validation_name}
        trainer.folder.record({**start, **scores.as_json()})


class TensorBoard(Callback):
    """Writes event files that `tensorboard --logdir` shows."""

    def __init__(self) -> None:
        self._writer: Any = None

    def on_start(self, trainer: Trainer) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder: Path = trainer.folder.path / "tensorboard"
        # events after the state that a training goes on from come again
        self._writer = SummaryWriter(str(folder), purge_step=trainer.step + 1)

    def on_log(self, trainer: Trainer, logged: Logged) -> None:
        for name in ("loss", "lr", "images_per_second", "waiting"):
            self._writer.add_scalar(f"train/{name}", getattr(logged, name), logged.step)

    def on_validation(self, trainer: Trainer, scores: Scores) -> None:
        found = scores.as_json()
        for name in ("miou", "pixel_accuracy", "boundary_f1"):
            self._writer.add_scalar(f"val/{name}", found[name], trainer.step)
        for name, value in found["iou"].items():
            if value is not None:
                self._writer.add_scalar(f"val_iou/{name}", value, trainer.step)
        self._writer.flush()

    def on_end(self, trainer: Trainer) -> None:
        if self._writer is not None:
            self._writer.close()
