"""`archdsl.train`: the whole way in one call."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archdsl.lower.checkpoints import read_weights
from archdsl.lower.module import ArchModule
from archdsl.network import Network
from archdsl.training.allocator import keep_memory
from archdsl.training.callbacks import Callback, Journal, TensorBoard
from archdsl.training.data import Source, open_data
from archdsl.training.differences import differences
from archdsl.training.evaluate import Scores
from archdsl.training.finish import Gallery
from archdsl.training.loop import BEST, LAST, Trainer
from archdsl.training.processes import Processes, processes
from archdsl.training.recipes import Recipe, overridden, read_recipe
from archdsl.training.recipes.read import as_table
from archdsl.training.run_folder import RunFolder, git_state, now
from archdsl.training.setup import Seen, Setup, make_setup

PACKAGES = ("archdsl", "torch", "numpy", "pillow", "pydantic")


@dataclass(frozen=True)
class Trained:
    """What came of a training. `module` has the weights of the last step (their average, where there is one)."""

    folder: Path
    module: ArchModule
    scores: Scores | None
    steps: int
    stopped: int | None
    """The signal that ended it before its time, where one did."""
    rank: int = 0
    """The number of this process; files are written by process 0."""

    @property
    def best(self) -> Path:
        """The checkpoint to compile."""
        path = self.folder / BEST
        return path if path.exists() else self.folder / LAST


def train(
    net: Network,
    data: str | Source = "streets",
    recipe: str | Recipe = "",
    *,
    out: str | Path | None = None,
    options: Iterable[str] = (),
    weights: str | Path | Mapping[str, Tensor] | None = None,
    resume: bool = False,
    device: str | None = None,
    callbacks: Sequence[Callback] = (),
    seen: Seen = lambda what, done, of: None,
    remark: Callable[[str], None] = lambda text: None,
    given: str | None = None,
) -> Trained:
    """Trains a network on a data set by a recipe, and returns what came of it.

    `data` is KIND:PATH or a `Source`; `recipe` a name, the path of a TOML file or a `Recipe`, by default that of the
    data set; `options` are `key=value` on top of it. `out` is the run's folder, `runs/train/NAME` by default; with
    `resume` it is a run to go on with. `weights` is a checkpoint to start from; a classifier of another size starts
    anew. `remark` is told of what keeps a resumed run from being the same to the last bit. `given` is what `run.json`
    calls the spec. Under torchrun every process calls this with the same arguments.

    Raises ArchError, before the first step, for whatever is wrong with network, data or recipe, and E0835 where the
    loss stops being a number.
    """
    source = open_data(data) if isinstance(data, str) else data
    known = _recipe(recipe or source.recipe, options)
    start, _ = read_weights(weights) if isinstance(weights, str | Path) else (weights, None)
    with processes(device) as (among, on):
        if on.type == "cpu":
            keep_memory()
        setup = make_setup(net, source, known, among, on, weights=start, seen=seen)
        setup = replace(setup, data_name=data if isinstance(data, str) else source.name)
        folder = _folder(out, f"{Path(net.spec.path).stem.strip('<>')}-{source.name}", among, resume)
        trainer = Trainer(setup, folder, (Journal(), TensorBoard(), *callbacks, Gallery()))
        if resume:
            trainer.resume()
        if among.first:
            _note(trainer, net, given or net.spec.path, weights, resume, remark)
        among.wait()
        trainer.run()
        among.wait()
        return Trained(folder.path, trainer.trained.eval(), trainer.scores, trainer.step, trainer.stopped, among.rank)


def _recipe(recipe: str | Recipe, options: Iterable[str]) -> Recipe:
    if isinstance(recipe, str):
        return read_recipe(recipe, options)
    return overridden(recipe, options) if options else recipe


def _folder(out: str | Path | None, name: str, among: Processes, resume: bool) -> RunFolder:
    wanted = None if out is None else Path(out)
    if resume:
        if wanted is None:
            raise ValueError("a run to go on with is named by `out`")
        return RunFolder.open(wanted)
    made = RunFolder.make(wanted, name) if among.first else None
    return RunFolder(Path(among.agree("" if made is None else str(made.path))))


def _note(
    trainer: Trainer, net: Network, given: str, weights: object, resume: bool, remark: Callable[[str], None]
) -> None:
    """Writes down what is about to happen, or, on the way on, what is not as it was."""
    folder, facts = trainer.folder, _facts(trainer)
    if resume:
        before = folder.read()
        for text in differences(before["numerics"], facts["numerics"]):
            remark(text)
        folder.note(**facts, resumed=[*before.get("resumed", ()), {"step": trainer.step, "at": now()}])
        return
    folder.save_spec(net)
    start = None if weights is None else str(weights) if isinstance(weights, str | Path) else "given in Python"
    folder.note(**facts, started=now(), spec=net.spec.path, given=given, weights=start)


def _facts(trainer: Trainer) -> dict[str, Any]:
    """What `run.json` says from the start: enough to do the same again."""
    s = trainer.setup
    return {
        "state": "running",
        "network": s.net.name,
        "parameters": s.net.parameters,
        "data": s.data_name,
        "recipe": as_table(s.recipe),
        "seed": s.recipe.seed,
        "steps": s.steps,
        "machine": machine(s.device, s.among),
        "numerics": numerics(s),
        "versions": versions(),
        "git": git_state(Path(s.net.spec.path).parent),
    }


def numerics(s: Setup) -> dict[str, Any]:
    """What the last bits of a result depend on."""
    run = s.recipe.run
    engine = "torch.compile" if run.compile else "eager"
    return {
        "device": s.device.type,
        "threads": torch.get_num_threads(),
        "processes": s.among.world,
        "training images": len(s.train),
        "precision": run.precision,
        "layout": "channels last" if run.channels_last else "contiguous",
        "engine": f"{engine}, CUDA graph" if run.cuda_graph else engine,
        "torch": torch.__version__,
    }


def machine(device: torch.device, among: Processes) -> dict[str, Any]:
    """Where it runs."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {"system": platform.platform(), "device": name, "processes": among.world}


def versions() -> dict[str, str]:
    """Versions of what takes part."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found
