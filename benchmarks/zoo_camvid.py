"""Weights that others trained on CamVid, imported and scored on its test split by the oracle and by every engine.

python benchmarks/zoo_camvid.py data/CamVid weights

Each engine's network is saved and loaded first, so that what is scored is an artifact with its own preprocessing. Rows
go into benchmarks/results/zoo_camvid.json, one for each network, engine, dtype and output; `authors_miou` is what the
authors' code scores on the same images, `differing` the share of pixels that get another class than the oracle's.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch
from archdsl.runtime import Unavailable, load
from archdsl.runtime.engines import ENGINES
from torch import Tensor

import archdsl
from archdsl.diagnostics import ArchError, InternalError
from archdsl.lower import oracle
from archdsl.lower.import_weights import import_weights
from archdsl.lower.module import ArchModule
from archdsl.lower.name_map import NameMap
from archdsl.spec import locate, shipped_map
from archdsl.training.data import DataSet, open_data
from archdsl.training.metrics import Confusion
from archdsl.training.predict import Predictor

RESULTS = Path(__file__).parent / "results" / "zoo_camvid.json"
NETWORKS = {
    "CGNetCamVid": ("specs/zoo/cgnet.arch", "cgnet_camvid.safetensors", 65.26),
    "ESPNetCamVid": ("specs/zoo/espnet.arch", "espnet_p2q8_camvid.safetensors", 57.25),
}
ORACLE = ("oracle", "float32", "logits")
KEY = ("network", "engine", "dtype", "output")


@dataclass
class Images:
    """The test split, and the oracle's class of each pixel once it has run."""

    data: DataSet
    classes: int
    expected: list[Tensor]

    def scored(self, predictor: Predictor) -> dict[str, Any]:
        """mIoU in percent, IoU per class, and the share of pixels that differ from what the oracle says."""
        confusion, differing, pixels = Confusion(self.classes), 0, 0
        found = []
        for index in range(len(self.data)):
            sample = self.data[index]
            image = torch.from_numpy(sample.image).permute(2, 0, 1)[None]
            labels = predictor.labels(image)
            confusion.add(labels, torch.from_numpy(sample.labels)[None])
            found.append(labels.to(torch.uint8))
            if self.expected:
                differing += int((labels != self.expected[index]).sum())
                pixels += labels.numel()
        self.expected = self.expected or found
        return {
            "images": len(found),
            "miou": round(100 * confusion.miou(), 3),
            "iou": [None if iou is None else round(100 * iou, 2) for iou in confusion.iou()],
            "differing": differing / pixels if pixels else 0.0,
        }


def wanted(engines: list[str], dtypes: list[str]) -> Iterator[tuple[str, str, str]]:
    """The oracle first; then every engine in each precision, and labels of the first."""
    yield ORACLE
    for dtype in dtypes:
        yield from ((engine, dtype, "logits") for engine in engines)
    yield engines[0], dtypes[0], "labels"


def network_of(module: ArchModule, engine: str, dtype: str, output: str) -> Any:
    """What to call, with the graph that says how images are prepared. Raises Unavailable."""
    size = (360, 480)
    made = archdsl.compile(module, sizes=[size], dtype=dtype, engine=engine, output=output)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        made.save(Path(folder) / "artifact")
        return load(Path(folder) / "artifact")


def predictor_of(module: ArchModule, engine: str, dtype: str, output: str) -> Predictor:
    device = torch.device("cpu")
    if engine != "oracle":
        made = network_of(module, engine, dtype, output)
        return Predictor(made, made.graph, device)
    state = dict(module.state_dict())
    run: Callable[[Tensor], Tensor] = lambda x: oracle.run(module.graph, state, x)["logits"]  # noqa: E731
    return Predictor(run, module.graph, device)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("camvid", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=ENGINES)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    chosen = parser.parse_args()
    for name in chosen.networks:
        spec, file, miou = NETWORKS[name]
        net = archdsl.load(locate(spec).path, network=name)
        path = shipped_map(f"specs/maps/{Path(spec).stem}.toml")
        assert path is not None
        module = ArchModule(net.ir, import_weights(net.ir, chosen.weights / file, name_map=NameMap.read(path)).state)
        source = open_data(f"camvid:{chosen.camvid}")
        images = Images(source.split("test"), len(source.classes), [])
        for engine, dtype, output in wanted(chosen.engines, chosen.dtypes):
            row = {"network": name, "engine": engine, "dtype": dtype, "output": output, "authors_miou": miou}
            try:
                row |= images.scored(predictor_of(module.eval(), engine, dtype, output))
            except (Unavailable, InternalError, ArchError) as error:
                row |= {"skipped": str(error).splitlines()[0]}
            print({key: value for key, value in row.items() if key != "iou"}, flush=True)
            keep(row | machine())


def machine() -> dict[str, Any]:
    threads = torch.get_num_threads()
    return {"torch": torch.__version__, "cpu": cpu(), "threads": threads, "date": date.today().isoformat()}


def cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def keep(row: dict[str, Any]) -> None:
    """Puts a row in the place of the one with the same key."""
    rows = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []
    rows = [old for old in rows if [old[key] for key in KEY] != [row[key] for key in KEY]]
    RESULTS.write_text(json.dumps({"version": 1, "rows": [*rows, row]}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
