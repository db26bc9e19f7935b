"""Whether found rates are better than others: found, hand-tuned, v3-like and random ones, each retrained from scratch.

    python benchmarks/search_use.py --json benchmarks/results/search_use.json [--data streets:200@128x256]
    python benchmarks/search_use.py --spec benchmarks/shallow.arch --json benchmarks/results/search_use_shallow.json

RegSeg, or another spec, on street scenes (or --data camvid:DIR, with a recipe or options for it). The search comes
first, by the default method; then every set of rates is trained by one recipe with three seeds and scored on the test
split, which the search never read. Differences are paired by seed. What the search believed (the loss with its weights)
is held against what retraining gave, over all sets of the same space. Every training is written as it ends, and a
second run goes on.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import sys
import time
from dataclasses import asdict
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from archdsl.search.claim import claim
from archdsl.search.entry import resume, run
from archdsl.search.plan import Plan, Wish
from archdsl.search.searcher import Searcher
from archdsl.search.weights import scored, train_from_scratch

import archdsl
from archdsl.training.data import open_data
from archdsl.training.processes import processes
from archdsl.training.recipes import read_recipe
from archdsl.training.setup import make_setup

SPEC = "specs/regseg.arch"
HAND = "hand-tuned"
"""RegSeg's own rates, which its authors tuned by hand; those of another spec are `WRITTEN`."""
WRITTEN = "as written"
V3 = "v3-like"
"""The pairs of the port that ships as `RegSegSearched`, in both branches: outside of the space that is searched."""

Rates = tuple[int, ...]


def drawn(plan: Plan, count: int) -> list[Rates]:
    """Different sets, each rate drawn evenly among those that the bound and the asserts leave."""
    dice, found = random.Random(5), dict[Rates, None]()
    while len(found) < count:
        values: Rates = ()
        for index in range(len(plan.rates)):
            values = (*values, dice.choice(plan.bounds.allowed(index, values)))
        if plan.bounds.inside(values):
            found[values] = None
    return list(found)


def search(net: archdsl.Network, chosen: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """What the search found, and the loss with its weights for every set of its space."""
    kept: list[Searcher] = []

    def tell(event: str, *about: Any) -> None:
        if event == "started":
            kept.append(about[0])
        elif event in ("settled", "trained"):
            print(event, about[1:] or about[0].masks.decided(), flush=True)

    wish = Wish()
    if (folder / "state.safetensors").exists():
        found, _ = resume(folder, tell=tell)
    else:
        options = [*chosen.opt, f"steps={chosen.search_steps}", f"batch={chosen.batch}"]
        found = run(
            net, chosen.data, chosen.recipe, wish=wish, options=options, out=folder, device=chosen.device, tell=tell
        )
    if found.text is None:
        raise SystemExit("the search was stopped; run this again to go on with it")
    searcher = kept[0]
    own = HAND if chosen.spec == SPEC else WRITTEN
    sets = {"found": searcher.known.decision.rates, own: searcher.plan.start}
    sets |= {f"random {i}": rates for i, rates in enumerate(drawn(searcher.plan, chosen.random))}
    return {
        "record": found.record,
        "sets": {name: list(rates) for name, rates in sets.items()},
        "believed": {name: -searcher.inherited(rates) for name, rates in sets.items()},
    }


def trainings(content: dict[str, Any], chosen: argparse.Namespace) -> Any:
    """Name, seed and mIoU of every training that is not known yet."""
    source = open_data(chosen.data)
    recipe = read_recipe(chosen.recipe, [*chosen.opt, f"batch={chosen.batch}"])
    classes = len(source.classes)
    net = archdsl.load(chosen.spec, classes=classes)
    plan = Plan(net, Wish())
    graphs = {name: plan.graph(tuple(rates)) for name, rates in content["sets"].items()}
    if chosen.spec == SPEC:
        v3 = archdsl.load(SPEC, network="RegSegSearched")
        graphs[V3] = archdsl.load(SPEC, rates=v3.parameters["rates"], classes=classes).ir
    with processes(chosen.device) as (among, on):
        setup = make_setup(net, source, recipe, among, on)
        for seed in range(chosen.seeds):
            for name, graph in graphs.items():
                if f"{name}/{seed}" not in content["trained"]:
                    module = train_from_scratch(setup, graph, chosen.steps, seed)
                    yield f"{name}/{seed}", scored(setup, module, source.split("test")).miou


def summary(content: dict[str, Any]) -> dict[str, Any]:
    """Means, paired comparisons with what was found, and the rank correlation."""
    by_set: dict[str, dict[str, float]] = {}
    for key, miou in content["trained"].items():
        name, _, seed = key.rpartition("/")
        by_set.setdefault(name, {})[seed] = 100 * miou
    means = {name: statistics.fmean(own.values()) for name, own in by_set.items()}
    drawn = {name: own for name, own in by_set.items() if name.startswith("random")}
    rivals = {name: by_set[name] for name in (HAND, WRITTEN, V3) if name in by_set}
    common = [seed for seed in by_set.get("found", {}) if drawn and all(seed in own for own in drawn.values())]
    rivals["random, mean"] = {seed: statistics.fmean(own[seed] for own in drawn.values()) for seed in common}
    return {
        "mean_miou": means,
        "found_against": {name: paired(by_set.get("found", {}), own) for name, own in rivals.items()},
        "rank_correlation": correlation(content["believed"], means),
    }


def paired(ours: dict[str, float], theirs: dict[str, float]) -> dict[str, Any] | None:
    seeds = sorted(set(ours) & set(theirs))
    if len(seeds) < 2:
        return None
    return {"seeds": len(seeds), **asdict(claim([ours[s] for s in seeds], [theirs[s] for s in seeds]))}


def correlation(believed: dict[str, float], means: dict[str, float]) -> dict[str, Any] | None:
    """Kendall's tau of believed and retrained rank with its 95 % bootstrap interval."""
    pairs = [(-loss, means[name]) for name, loss in believed.items() if name in means]
    if len(pairs) < 4:
        return None
    dice = random.Random(0)
    draws = sorted(tau([dice.choice(pairs) for _ in pairs]) for _ in range(2000))
    return {"sets": len(pairs), "tau": tau(pairs), "interval": [draws[50], draws[1949]]}


def tau(pairs: list[tuple[float, float]]) -> float:
    products = [(a[0] - b[0]) * (a[1] - b[1]) for a, b in combinations(pairs, 2)]
    return sum((p > 0) - (p < 0) for p in products) / len(products)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--json", type=Path, required=True)
    options.add_argument("--spec", default=SPEC)
    options.add_argument("--data", default="streets:200@128x256")
    options.add_argument("--recipe", default="quicksearch")
    options.add_argument("--opt", action="append", default=[])
    options.add_argument("--batch", type=int, default=4)
    options.add_argument("--search-steps", type=int, default=400)
    options.add_argument("--steps", type=int, default=400)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--random", type=int, default=10, help="sets of rates drawn among the gap-free ones")
    options.add_argument("--device", default="cpu")
    options.add_argument("--folder", type=Path, help="the search's run; beside the JSON by default")
    options.add_argument("--seconds", type=float, default=float("inf"), help="begin no training after so long")
    chosen = options.parse_args()
    if chosen.device == "cpu":
        torch.set_num_threads(1)
    began = time.monotonic()
    content: dict[str, Any] = json.loads(chosen.json.read_text()) if chosen.json.exists() else {}
    if not content:
        net = archdsl.load(chosen.spec, classes=len(open_data(chosen.data).classes))
        content = {
            "version": 1,
            "command": " ".join(["python", "benchmarks/search_use.py", *sys.argv[1:]]),
            "machine": {"system": platform.platform(), "torch": torch.__version__, "device": chosen.device},
            "date": str(date.today()),
            **search(net, chosen, chosen.folder or chosen.json.with_suffix("")),
            "trained": {},
        }
        write(chosen.json, content)
    for key, miou in trainings(content, chosen):
        content["trained"][key] = miou
        write(chosen.json, content)
        print(key, round(miou, 4), flush=True)
        if time.monotonic() - began > chosen.seconds:
            break
    print(json.dumps(summary(content), indent=1))


def write(path: Path, content: dict[str, Any]) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps({**content, "summary": summary(content)}, indent=1) + "\n")
    new.replace(path)


if __name__ == "__main__":
    main()
