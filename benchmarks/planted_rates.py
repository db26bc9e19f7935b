"""Whether searches find rates that are known: tasks that a random dilated network labels, with rates from 1 to 18.

    python benchmarks/planted_rates.py --json benchmarks/results/planted_rates.json [--parts one,two,…] [--seconds 3600]

Every task's result is written as soon as it is known, and a second run goes on where the first stopped. `--table`
prints what the file holds. A task runs on one thread; two files may be filled side by side with `--share 0/2` and
`--share 1/2`.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import torch
from archdsl.search.claim import claim
from archdsl.search.decode import Decision
from archdsl.search.methods import METHODS
from archdsl.search.planted import LARGEST, Planted, settle, solve, train_fixed
from archdsl.search.random_search import random_search

IMAGES = ("white", "smooth")
FULL = 500
"""Steps of a full training, with which answers are compared."""
ALIKE = 0.01
"""An answer is functionally equal when it trains to the planted rates' accuracy, within this."""
ONE = [((rate,), seed) for rate in (2, 7, 11, 16) for seed in range(3)]
"""Rates and seeds of the tasks of one layer."""

Task = dict[str, Any]


def pairs(count: int, layers: int) -> list[tuple[int, ...]]:
    draw = random.Random(17 * layers)
    return [tuple(draw.randint(1, LARGEST) for _ in range(layers)) for _ in range(count)]


def tasks() -> Iterator[Task]:
    for image in IMAGES:
        for rates, seed in ONE:
            yield {"part": "one", "rates": rates, "image": image, "seed": seed, "method": "softmax"}
    for seed in range(2):
        for rates in pairs(16, 2):
            for image in IMAGES:
                yield {"part": "two", "rates": rates, "image": image, "seed": seed, "method": "softmax"}
    for rates in pairs(6, 3):
        for image in IMAGES:
            yield {"part": "three", "rates": rates, "image": image, "seed": 0, "method": "softmax"}
    for image in IMAGES:
        for number in range(4):
            yield {"part": "null", "rates": (1, 1), "image": image, "seed": number, "method": "softmax"}
    for rates in pairs(16, 2)[:9]:
        yield {"part": "random", "rates": rates, "image": "white", "seed": 0, "method": "random"}
    for method in METHODS:
        for image in IMAGES:
            for rates in [rates for rates, seed in ONE if seed == 0] + pairs(16, 2)[:6]:
                yield {"part": "methods", "rates": rates, "image": image, "seed": 0, "method": method}


def name_of(task: Task) -> str:
    rates = "-".join(str(rate) for rate in task["rates"])
    return f"{task['part']}/{task['method']}/{task['image']}/{rates}/{task['seed']}"


def planted(task: Task) -> Planted:
    return Planted(task["rates"], task["image"], seed=100 + task["seed"], null=task["part"] == "null")


def result_of(task: Task, known: dict[str, Any]) -> dict[str, Any]:
    start = time.process_time()
    of_part = {
        "null": null_result,
        "methods": lambda t: method_result(t, known),
        "random": lambda t: random_result(t, known),
    }
    result = of_part.get(task["part"], search_result)(task)
    return {**task, **result, "cpu_seconds": round(time.process_time() - start, 1), "date": str(date.today())}


def method_result(task: Task, known: dict[str, Any]) -> dict[str, Any]:
    """What the method finds by itself; for the default that is known from the parts before."""
    own = ("searched", "relaxed", "discrete", "convolutions")
    twin = known.get(name_of({**task, "part": "one" if len(task["rates"]) == 1 else "two"}))
    if twin is not None:
        return {name: twin[name] for name in own}
    answer = solve(planted(task), task["method"], steps=FULL, seed=task["seed"])
    return {
        "searched": answer.rates,
        "relaxed": answer.relaxed,
        "discrete": answer.discrete,
        "convolutions": answer.trace.convolutions,
    }


def search_result(task: Task) -> dict[str, Any]:
    """The search and its neighbourhood check; where the answer is not what was planted, both are trained in full."""
    answer = solve(planted(task), task["method"], steps=FULL, seed=task["seed"])
    decision = settle(planted(task), answer, seed=task["seed"])
    layers = len(task["rates"])
    return {
        "searched": answer.rates,
        "found": decision.rates,
        "relaxed": answer.relaxed,
        "discrete": answer.discrete,
        "convolutions": answer.trace.convolutions,
        "convolutions_of_check": layers * decision.steps,
        **compared(task, decision.rates),
    }


def compared(task: Task, found: tuple[int, ...]) -> dict[str, Any]:
    if found == tuple(task["rates"]):
        return {"exact": True, "equal": True}
    own, theirs = (
        statistics.mean(train_fixed(planted(task), rates, steps=FULL, seed=seed, to_the_end=True) for seed in range(2))
        for rates in (found, task["rates"])
    )
    return {"exact": False, "equal": own >= theirs - ALIKE, "accuracy": own, "accuracy_of_planted": theirs}


def random_result(task: Task, known: dict[str, Any]) -> dict[str, Any]:
    """As many forward convolutions as the search of the same task took, its check included."""
    twin = known.get(name_of({**task, "part": "two", "method": "softmax"}))
    if twin is None:
        raise SystemExit("random search is given the budget of part two: run that first")
    budget = twin["convolutions"] + twin["convolutions_of_check"]
    layers, steps = len(task["rates"]), 200
    dice = random.Random(task["seed"])
    made = random_search(
        lambda: tuple(dice.randint(1, LARGEST) for _ in range(layers)),
        lambda rates, steps: train_fixed(planted(task), rates, steps=steps, seed=task["seed"]),
        budget // (layers * steps),
        steps,
        Decision(()),
    )
    return {
        "found": made.rates,
        "trainings": len(made.trained),
        "convolutions": layers * made.steps,
        **compared(task, made.rates),
    }


def null_result(task: Task) -> dict[str, Any]:
    """Labels need no context: the answer may be anything, and a gain over the start may not be claimed."""
    answer = solve(planted(task), steps=FULL, seed=task["seed"])
    decision = settle(planted(task), answer, seed=task["seed"])
    start = (LARGEST // 2,) * len(task["rates"])
    scores = [
        [100 * train_fixed(planted(task), rates, steps=FULL, seed=seed, to_the_end=True) for seed in range(3)]
        for rates in (decision.rates, start)
    ]
    said = claim(*scores)
    return {
        "found": decision.rates,
        "start": start,
        "gain": said.mean,
        "interval": said.interval,
        "claim": said.verdict,
    }


# ------------------------------------------------------------------------ the file


def read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    return {name_of(result): result for result in json.loads(path.read_text())["results"]}


def write(path: Path, results: dict[str, Any]) -> None:
    content = {
        "version": 1,
        "command": "python benchmarks/planted_rates.py --json benchmarks/results/planted_rates.json",
        "machine": {"system": platform.platform(), "processor": platform.processor(), "torch": torch.__version__},
        "summary": summary(results),
        "results": list(results.values()),
    }
    new = path.with_suffix(".new")
    new.write_text(json.dumps(content, indent=1) + "\n")
    new.replace(path)


def summary(results: dict[str, Any]) -> dict[str, Any]:
    """Counts per part and image."""
    found: dict[str, Any] = {}
    for part in ("one", "two", "three"):
        for image in IMAGES:
            of = [r for r in results.values() if r["part"] == part and r["image"] == image]
            if of:
                found[f"{part} {image}"] = {
                    "tasks": len(of),
                    "exact by the search alone": sum(tuple(r["searched"]) == tuple(r["rates"]) for r in of),
                    "exact": sum(r["exact"] for r in of),
                    "exact or equal": sum(r["equal"] for r in of),
                    "largest gap in points": round(100 * max(r["relaxed"] - r["discrete"] for r in of), 3),
                }
    for method in METHODS:
        for layers in (1, 2):
            for image in IMAGES:
                of = [
                    r
                    for r in results.values()
                    if (r["part"], r["method"], r["image"], len(r["rates"])) == ("methods", method, image, layers)
                ]
                if of:
                    right = sum(tuple(r["searched"]) == tuple(r["rates"]) for r in of)
                    found[f"{method} alone, {'one' if layers == 1 else 'two'} {image}"] = {
                        "tasks": len(of),
                        "exact": right,
                    }
    of = [r for r in results.values() if r["part"] == "random"]
    if of:
        found["random, two white"] = {"tasks": len(of), "exact": sum(r["exact"] for r in of)}
    of = [r for r in results.values() if r["part"] == "null"]
    if of:
        found["null"] = {"tasks": len(of), "gains claimed": sum(r["claim"] == "gain" for r in of)}
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--json", type=Path, required=True)
    options.add_argument("--parts", default="one,two,null,random,three,methods")
    options.add_argument("--seconds", type=float, default=float("inf"), help="begin no task after so long")
    options.add_argument("--share", default="0/1", help="take every so many-th task")
    options.add_argument("--table", action="store_true", help="print what the file holds, and end")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    results = read(chosen.json)
    own, of = (int(number) for number in chosen.share.split("/"))
    began = time.monotonic()
    for part in [] if chosen.table else chosen.parts.split(","):
        for task in [task for task in tasks() if task["part"] == part][own::of]:
            if name_of(task) in results or time.monotonic() - began > chosen.seconds:
                continue
            results[name_of(task)] = result = result_of(task, results)
            write(chosen.json, results)
            print(name_of(task), result.get("found", result.get("searched")), result.get("exact"), flush=True)
    for name, counts in summary(results).items():
        print(name, counts)


if __name__ == "__main__":
    main()
