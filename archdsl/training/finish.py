"""What a finished training leaves to look at."""

from __future__ import annotations

import json
from pathlib import Path

from archdsl.atomic import write_text
from archdsl.images import write_rgb
from archdsl.training.callbacks import Callback
from archdsl.training.curves import curves
from archdsl.training.loop import Trainer
from archdsl.training.pictures import confusion_picture, sample_pictures

PICTURES = "overlays"


class Gallery(Callback):
    """Writes `curves.svg`, `scores.json`, `confusion.png` and overlays at the end."""

    def __init__(self, count: int = 4) -> None:
        self.count = count
        self.overlays: list[Path] = []

    def on_end(self, trainer: Trainer) -> None:
        scores, validation = trainer.scores, trainer.setup.validation
        folder = trainer.folder.path
        write_text(folder / "curves.svg", curves(trainer.folder.records()))
        if trainer.step < trainer.setup.steps or scores is None or validation is None:
            return
        write_text(folder / "scores.json", json.dumps({"version": 1, **scores.as_json()}, indent=2) + "\n")
        write_rgb(folder / "confusion.png", confusion_picture(scores.confusion.matrix(), scores.classes))
        self.overlays = sample_pictures(
            trainer.predictor(), validation, scores.classes, trainer.setup.source.palette, folder / PICTURES, self.count
        )
