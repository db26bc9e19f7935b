"""CamVid at 480x360, 11 classes, from scratch: trains, scores the test split, and writes a row of results.

python benchmarks/camvid.py data/CamVid --spec specs/regseg.arch --train train val --seed 0

The test split is scored once, with the last weights; nothing is chosen by it. Each training adds a row to
benchmarks/results/camvid.json, also one that `--resume RUN` went on with; `--keep DIR` puts curves, confusion matrix
and overlays of test images there. On a shared machine the minutes of the clock say little, so a row has those of the
processor too, since the start or the last resumption.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from datetime import date
from pathlib import Path
from typing import Any

import torch

import archdsl
from archdsl.images import write_rgb
from archdsl.training.callbacks import Callback, Logged
from archdsl.training.data import Source, open_data
from archdsl.training.evaluate import evaluate
from archdsl.training.loop import Trainer
from archdsl.training.pictures import confusion_picture, sample_pictures
from archdsl.training.predict import Predictor, Views
from archdsl.training.resume import resume
from archdsl.training.train import Trained

RESULTS = Path(__file__).parent / "results" / "camvid.json"
VIEWS = {
    "single": Views(),
    "flip": Views(flip=True),
    "flip and scales": Views((0.75, 1.0, 1.25, 1.5), flip=True),
}


class Lines(Callback):
    """A line every so many steps, and the mean share of time spent waiting."""

    def __init__(self) -> None:
        self.waiting: list[float] = []
        self.rates: list[float] = []

    def on_log(self, trainer: Trainer, logged: Logged) -> None:
        self.waiting.append(logged.waiting)
        self.rates.append(logged.images_per_second)
        if logged.step % (10 * trainer.setup.recipe.log_every) == 0:
            left = logged.seconds_left / 60
            print(f"{logged.step}/{logged.steps} loss {logged.loss:.3f}, {left:.1f} minutes left", flush=True)


def scores(
    trained: Trained, source: Source, scale: float, device: torch.device, keep: Path | None, ways: int
) -> dict[str, Any]:
    """The test split, seen in the first so many ways; `scale` enlarges the input in all of them."""
    found, test = {}, source.split("test")
    for name, views in list(VIEWS.items())[:ways]:
        scaled = Views(tuple(s * scale for s in views.scales), views.flip)
        predictor = Predictor(trained.module, trained.module.graph, device, scaled)
        made = evaluate(predictor, test, source.classes, batch=4)
        found[name] = {key: value for key, value in made.as_json().items() if key != "confusion"}
        print(f"test, {name}: mIoU {made.miou:.4f}", flush=True)
        if keep is not None and name == "single":
            write_rgb(keep / "confusion.png", confusion_picture(made.confusion.matrix(), made.classes))
            sample_pictures(predictor, test, source.classes, source.palette, keep / "overlays", 3)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--spec", default="specs/dwrseg.arch")
    parser.add_argument("--network")
    parser.add_argument("--train", nargs="+", default=["train"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--recipe", default="camvid-480")
    parser.add_argument("--opt", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--scale", type=float, default=1.0, help="of the input at test time")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--ways", type=int, default=len(VIEWS), help=f"how many of: {', '.join(VIEWS)}")
    parser.add_argument("--resume", type=Path, help="go on with this run, with --opt alone")
    parser.add_argument("--keep", type=Path, help="where curve, confusion matrix and overlays go")
    chosen = parser.parse_args()
    data = f"camvid:{chosen.folder}"
    net = archdsl.load(chosen.spec, network=chosen.network, classes=11)
    lines, begun, busy = Lines(), time.monotonic(), time.process_time()
    # val is a sequence that is also in train: it shows that all is well, and chooses nothing
    options = [f"data.train={json.dumps(chosen.train)}", f"seed={chosen.seed}", "validate.select=last", *chosen.opt]
    if chosen.resume is None:
        trained = archdsl.train(net, data, chosen.recipe, options=options, device=chosen.device, callbacks=[lines])
    else:
        trained = resume(chosen.resume, data=data, options=chosen.opt, callbacks=[lines])
    seconds, worked = time.monotonic() - begun, time.process_time() - busy
    if trained.stopped is not None:
        raise SystemExit(f"stopped at step {trained.steps}; go on with --resume {trained.folder}")
    device = torch.device(chosen.device)
    if chosen.keep:
        chosen.keep.mkdir(parents=True, exist_ok=True)
        for name in ("metrics.jsonl", "run.json", "curves.svg"):
            shutil.copy(trained.folder / name, chosen.keep / name)
    row = {
        "spec": chosen.spec,
        "network": net.name,
        "train": chosen.train,
        "seed": chosen.seed,
        "recipe": chosen.recipe,
        "options": chosen.opt,
        "resumed": json.loads((trained.folder / "run.json").read_text()).get("resumed", []),
        "input_scale": chosen.scale,
        "steps": trained.steps,
        "minutes": round(seconds / 60, 2),
        "processor_minutes": round(worked / 60, 2),
        "images_per_second": round(sum(lines.rates) / max(1, len(lines.rates)), 1),
        "waiting": round(sum(lines.waiting) / max(1, len(lines.waiting)), 4),
        "device": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"cpu, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "date": date.today().isoformat(),
        "test": scores(trained, open_data(data), chosen.scale, device, chosen.keep, chosen.ways),
    }
    rows = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []
    RESULTS.write_text(json.dumps({"version": 1, "rows": [*rows, row]}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
