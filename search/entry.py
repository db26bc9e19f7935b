"""`archdsl.search.run`: from a network with marked rates to its text with better ones."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from archdsl.search.answer import checked_text
from archdsl.search.halves import Halves
from archdsl.search.latency import budget_for
from archdsl.search.plan import Plan, Wish
from archdsl.search.record import provenance, record_of
from archdsl.search.saving import SearchState
from archdsl.search.schedule import Diverged
from archdsl.search.searcher import Searcher

from archdsl.atomic import write_text
from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.network import Network, load
from archdsl.training.data import Source, open_data
from archdsl.training.differences import differences
from archdsl.training.evaluate import Stopped
from archdsl.training.processes import Processes, processes
from archdsl.training.recipes import Recipe, overridden, read_recipe
from archdsl.training.recipes.read import as_table, recipe_from
from archdsl.training.run_folder import RUN, SPEC, RunFolder, git_state, now
from archdsl.training.setup import Seen, make_setup
from archdsl.training.signals import Stop, stopping
from archdsl.training.train import machine, numerics, versions

RUNS = Path("runs") / "search"
RECIPES = {"streets": "quicksearch"}
"""Recipes of data sets whose own is not meant for a search."""
Tell = Callable[..., None]


@dataclass(frozen=True)
class Found:
    """What came of a search. `text` is the spec with the rates that were found, None where it was stopped."""

    folder: Path
    source: str
    """The text before."""
    text: str | None
    record: dict[str, Any]
    step: int
    stopped: int | None = None
    """The signal that ended it before its time, where one did."""
    rank: int = 0
    """The number of this process; files are written by process 0."""


def run(
    net: Network,
    data: str | Source | None = None,
    recipe: str | Recipe = "",
    *,
    wish: Wish | None = None,
    out: str | Path | None = None,
    options: Iterable[str] = (),
    resume: bool = False,
    device: str | None = None,
    tell: Tell = lambda event, *about: None,
    seen: Seen = lambda what, done, of: None,
    given: str | None = None,
) -> Found:
    """Searches the rates of a network on a data set, and returns its text with those that were found.

    `data` is KIND:PATH or a `Source`, by default the one the recipe names, else the built-in street scenes; `recipe` a
    name, the path of a TOML file or a `Recipe`; `options` are `key=value` on top of it; `wish` says which rates, by
    which method, under which rule. `out` is the run's folder, `runs/search/NAME` by default; with `resume` it is a
    search to go on with. `tell` is called with the name of what happens ("started", "settled", "ranked", "training",
    "trained", "retried") and what it is about. One part of the training set trains weights, the other judges rates; the
    validation split is scored and chooses nothing; no other split is read. Where the loss stops being a number, the
    search goes back to its last sound state, once, and on at half the learning rate.

    Raises ArchError: E1101 to E1107 and what training raises, before the first step; E1106 where the loss stops being
    a number; E1102 where the text cannot hold the answer.
    """
    known, source, name = _recipe_and_data(data, recipe, options)
    with processes(device) as (among, on):
        crop = dict(zip("HW", known.augment.crop, strict=True))
        wish = wish or Wish()
        budget = None if wish.budget is None else partial(budget_for, wish.budget, wish.latency_table)
        plan = Plan(net, wish, crop, budget)
        halves = Halves.of(source, known, among.world)
        parts = [make_setup(net, half, own, among, on, seen=seen) for half, own in halves]
        setup = replace(parts[0], data_name=name)
        folder = _folder(out, f"{Path(net.spec.path).stem.strip('<>')}-{source.name}", among, resume)
        with stopping() as stop:
            quiet: Tell = lambda event, *about: None  # noqa: E731
            searcher = Searcher(plan, setup, replace(parts[1], steps=setup.steps), tell if among.first else quiet, stop)
            state = SearchState(searcher, folder)
            if resume:
                state.restore()
            elif among.first:
                folder.save_spec(net)
                folder.note(**_facts(searcher, given or net.spec.path, known))
            among.wait()
            return _searched(searcher, state, stop, given or net.spec.path)


def resume(
    folder: str | Path,
    *,
    data: str | None = None,
    device: str | None = None,
    tell: Tell = lambda event, *about: None,
    seen: Seen = lambda what, done, of: None,
    remark: Callable[[str], None] = lambda text: None,
) -> tuple[Found, str]:
    """Goes on with the search in a folder, to the same answer as if it had never stopped, and says what its spec was.

    That is bit for bit on the CPU with the same number of threads, the same torch and the same settings; `remark` is
    told of what differs. Raises ArchError E0834 where there is nothing to go on with, and whatever `run` raises.
    """
    found = RunFolder.open(Path(folder))
    facts = found.read()
    if facts.get("kind") != "search":
        help_ = f"archdsl train --resume {folder}"
        raise ArchError([Diagnostic("E0834", f"{folder} is the run of a training, not of a search", help=help_)])
    net = load(str(found.path / SPEC), network=facts["network"], **facts["settings"])
    here = {"threads": torch.get_num_threads(), "torch": torch.__version__}
    for text in differences(facts["numerics"], here):
        remark(text)
    made = run(
        net,
        data or facts["data"],
        recipe_from(facts["recipe"], str(found.path / RUN)),
        wish=Wish(**facts["wish"]),
        out=found.path,
        resume=True,
        device=device or facts["numerics"]["device"],
        tell=tell,
        seen=seen,
        given=facts["given"],
    )
    return made, facts["given"]


def _searched(searcher: Searcher, state: SearchState, stop: Stop, given: str) -> Found:
    folder, among, net = state.folder, searcher.among, searcher.plan.network
    began, ended = time.monotonic(), "failed"
    searcher.tell("started", searcher, folder.path)
    try:
        searcher.run(state.save, state.restore)
        ended = "done"
    except Stopped:
        ended = "stopped"
        return Found(folder.path, net.source, None, {}, searcher.alternation.step, stop.signal or 15, among.rank)
    except Diverged as fault:
        raise _diverged(fault, folder.path, searcher) from fault
    finally:
        state.seconds += time.monotonic() - began
        if among.first:
            folder.note(state=ended, ended=now(), step=searcher.alternation.step)
    text = checked_text(searcher.plan, searcher.known.decision.rates, provenance(searcher))
    record = record_of(searcher, state.seconds, given)
    if among.first:
        write_text(folder.path / "found.arch", text)
        write_text(folder.path / "search.json", json.dumps(record, indent=2) + "\n")
    return Found(folder.path, net.source, text, record, searcher.alternation.step, None, among.rank)


def _diverged(fault: Diverged, folder: Path, searcher: Searcher) -> ArchError:
    rate = searcher.setup.recipe.optimizer.lr / 3
    help_ = f"search anew with a lower rate: --opt optimizer.lr={rate:.2g} --opt optimizer.clip=5"
    tried = [f"so it was at step {one.noticed}, before it went on more slowly" for one in searcher.known.retries]
    note = f"the last state that made sense is in {folder}"
    return ArchError([Diagnostic("E1106", str(fault), help=help_, notes=(*tried, note))])


def _recipe_and_data(
    data: str | Source | None, recipe: str | Recipe, options: Iterable[str]
) -> tuple[Recipe, Source, str]:
    known = read_recipe(recipe, options) if recipe and isinstance(recipe, str) else recipe
    text = data or (known.data_set if isinstance(known, Recipe) else None) or "streets"
    source = open_data(text) if isinstance(text, str) else text
    if isinstance(known, str):
        known = read_recipe(RECIPES.get(source.name, source.recipe), options)
    elif not isinstance(recipe, str):
        known = overridden(known, options)
    if known.run.precision == "float16":
        message = "a search runs in float32 or bfloat16: its gradients are too small for float16"
        raise ArchError([Diagnostic("E0833", message, help="--opt run.precision=bfloat16")])
    return known, source, text if isinstance(text, str) else source.name


def _folder(out: str | Path | None, name: str, among: Processes, resume: bool) -> RunFolder:
    wanted = None if out is None else Path(out)
    if resume:
        assert wanted is not None
        return RunFolder.open(wanted)
    made = RunFolder.make(wanted, name, RUNS, "--run") if among.first else None
    return RunFolder(Path(among.agree("" if made is None else str(made.path))))


def _facts(searcher: Searcher, given: str, recipe: Recipe) -> dict[str, Any]:
    """What `run.json` says from the start: enough to do the same again."""
    s, net = searcher.setup, searcher.plan.network
    return {
        "kind": "search",
        "state": "running",
        "started": now(),
        "given": given,
        "network": net.name,
        "settings": net.settings,
        "wish": asdict(searcher.plan.wish),
        "data": s.data_name,
        "recipe": as_table(recipe),
        "seed": recipe.seed,
        "steps": s.steps,
        "machine": machine(s.device, s.among),
        "numerics": numerics(s),
        "versions": versions(),
        "git": git_state(Path(net.spec.path).parent),
    }
