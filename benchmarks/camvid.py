"""CamVid at 480x360, 11 classes, from scratch: trains, scores the test split, and writes a row of results.

python benchmarks/camvid.py data/CamVid --spec specs/regseg.arch --train train val --seed 0

The test split is scored once, with the last weights; nothing is chosen by it. Rows go into
benchmarks/results/camvid.json, one for each spec, training split, seed, device and set of options; curves and overlays
stay in the run's folder, and `--keep` copies them beside the results.
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
from archdsl.training.callbacks import Callback, Logged
from archdsl.training.data import open_data
from archdsl.training.evaluate import evaluate
from archdsl.training.loop import Trainer
from archdsl.training.predict import Predictor, Views
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


def scores(trained: Trained, data: str, scale: float, device: torch.device) -> dict[str, Any]:
    """The test split, seen in each way; `scale` enlarges the input in all of them."""
    source = open_data(data)
    found = {}
    for name, views in VIEWS.items():
        scaled = Views(tuple(s * scale for s in views.scales), views.flip)
        predictor = Predictor(trained.module, trained.module.graph, device, scaled)
        made = evaluate(predictor, source.split("test"), source.classes, batch=4).as_json()
        del made["confusion"]
        found[name] = made
        print(f"test, {name}: mIoU {made['miou']:.4f}", flush=True)
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
    parser.add_argument("--keep", type=Path, help="copy curve, confusion matrix and overlays there")
    chosen = parser.parse_args()
    data = f"camvid:{chosen.folder}"
    net = archdsl.load(chosen.spec, network=chosen.network, classes=11)
    lines, begun = Lines(), time.monotonic()
    # val is a sequence that is also in train: it shows that all is well, and chooses nothing
    options = [f"data.train={json.dumps(chosen.train)}", f"seed={chosen.seed}", "validate.select=last", *chosen.opt]
    trained = archdsl.train(net, data, chosen.recipe, options=options, device=chosen.device, callbacks=[lines])
    seconds = time.monotonic() - begun
    device = torch.device(chosen.device)
    row = {
        "spec": chosen.spec,
        "network": net.name,
        "train": chosen.train,
        "seed": chosen.seed,
        "recipe": chosen.recipe,
        "options": chosen.opt,
        "input_scale": chosen.scale,
        "steps": trained.steps,
        "minutes": round(seconds / 60, 2),
        "images_per_second": round(sum(lines.rates) / max(1, len(lines.rates)), 1),
        "waiting": round(sum(lines.waiting) / max(1, len(lines.waiting)), 4),
        "device": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"cpu, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "date": date.today().isoformat(),
        "test": scores(trained, data, chosen.scale, device),
    }
    rows = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []
    RESULTS.write_text(json.dumps({"version": 1, "rows": [*rows, row]}, indent=1) + "\n", encoding="utf-8")
    if chosen.keep:
        chosen.keep.mkdir(parents=True, exist_ok=True)
        for name in ("metrics.jsonl", "confusion.png", "run.json"):
            shutil.copy(trained.folder / name, chosen.keep / name)
        shutil.copytree(trained.folder / "overlays", chosen.keep / "overlays", dirs_exist_ok=True)


if __name__ == "__main__":
    main()
