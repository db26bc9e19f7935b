"""The part of benchmarks/README.md that tells of training and search, from the files in benchmarks/results."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CAMVID_ANCHORS = "ENet 51-53, FC-DenseNet103 66.9 (train), LMFFNet 69.1 and AGLNet 69.4 (train+val)"
CAMVID_GPU = [(network, train) for network in ("DWRSeg", "RegSeg", "ENet") for train in ("train", "train+val")]
STEP_AIMS = {"cpu": 1.3, "cuda": 1.5}

_VIEWS = ("single", "flip", "flip and scales")


def sections(folder: Path) -> list[tuple[str, Iterator[str]]]:
    return [
        ("### Training on CamVid, from scratch, test split", camvid(folder)),
        ("### A training step against RegSeg's official loop", steps(folder)),
        ("### Weights of others on CamVid's test split", foreign(folder)),
        ("### Search: rates that are known", planted(folder)),
        ("### Search: the bound on random specs", bound(folder)),
        ("### Search: what a step costs", price(folder)),
        ("### Search: found rates against others", use(folder)),
    ]


# ---------------------------------------------------------------------- train


def camvid(folder: Path) -> Iterator[str]:
    rows = [row for found in _read(folder, "camvid*.json") for row in found["rows"]]
    yield f"480×360, 11 classes, mIoU in %. Published elsewhere: {CAMVID_ANCHORS}."
    for row in rows:
        options = "".join(f" --opt '{option}'" for option in row["options"])
        asked = f"--spec {row['spec']} --train {' '.join(row['train'])} --seed {row['seed']} --recipe {row['recipe']}"
        command = f"python benchmarks/camvid.py data/CamVid {asked}{options} --scale {row['input_scale']}"
        yield from ("", f"`{command}`")
    yield ""
    yield from _head(
        "network", "trained on", "seed", "recipe", "steps", "minutes (of processor)", "device", "date", *_VIEWS
    )
    for row in rows:
        recipe = " ".join([row["recipe"], *(f"`{option}`" for option in row["options"])])
        minutes = f"{row['minutes']:.0f} ({row['processor_minutes']:.0f})"
        scores = [f"{100 * row['test'][view]['miou']:.1f}" if view in row["test"] else "" for view in _VIEWS]
        about = row["network"], "+".join(row["train"]), row["seed"], recipe, row["steps"], minutes
        yield _row(*about, row["device"], row["date"], *scores)
    on_cuda = {(row["network"], "+".join(row["train"])) for row in rows if "cuda" in row["device"]}
    for network, train in CAMVID_GPU:
        if (network, train) not in on_cuda:
            yield _row(network, train, "0, 1, 2", "camvid-480", "", "", "not yet run on a GPU", "", "", "", "")
    for row in rows:
        if "remark" in row:
            yield from ("", f"{row['network']}, {row['date']}: {row['remark']}.")


def steps(folder: Path) -> Iterator[str]:
    found = _read(folder, "train_step*.json")
    for one in found:
        asked = f"--precision {one['precision']} --batch {one['batch']} --size {one['size']} --classes {one['classes']}"
        counts = f"--rounds {one['rounds']} --steps {one['steps']} --threads {one['machine']['threads']}"
        whose = f"DIR a checkout of {one['official_model']}"
        yield f"`python benchmarks/train_step.py --official DIR {asked} {counts}`, {whose}."
        yield ""
    yield from _head("precision", "batch", "size", "device", "official, images/s", "archdsl", "ratio", "aim", "date")
    for one in found:
        device, (low, high) = one["machine"]["device"], one["ratio_quartiles"]
        speeds = [f"{one['images_per_second'][whose]:.3g}" for whose in ("official", "archdsl")]
        ratio = f"**{one['ratio_median']:.2f}×** (quartiles {low:.2f}–{high:.2f})"
        on = f"{device}, {_threads(one['machine']['threads'])}"
        aim = STEP_AIMS["cuda" if "cuda" in device else "cpu"]
        yield _row(one["precision"], one["batch"], one["size"], on, *speeds, ratio, f"{aim}×", one["date"])
    if not any("cuda" in one["machine"]["device"] for one in found):
        yield _row("float16", "", "", "not yet run on a GPU", "", "", "", f"{STEP_AIMS['cuda']}×", "")
    for one in found:
        aim = STEP_AIMS["cuda" if "cuda" in one["machine"]["device"] else "cpu"]
        if one["ratio_median"] < aim:
            yield from ("", f"{one['precision']} is {100 * (1 - one['ratio_median'] / aim):.0f} % short of its aim.")


def foreign(folder: Path) -> Iterator[str]:
    rows = [row for found in _read(folder, "zoo_camvid.json") for row in found["rows"]]
    if not rows:
        yield "Not yet measured: `python benchmarks/zoo_camvid.py`."
        return
    yield from ("`python benchmarks/zoo_camvid.py data/CamVid weights`", "")
    yield from _head(
        "network", "engine", "dtype", "output", "mIoU, %", "authors'", "pixels that differ from the oracle's", "date"
    )
    for row in rows:
        about = row["network"], row["engine"], row["dtype"], row["output"]
        if "miou" in row:
            yield _row(
                *about, f"{row['miou']:.2f}", row["authors_miou"], f"{100 * row['differing']:.2g} %", row["date"]
            )
        else:
            yield _row(*about, row["skipped"], row["authors_miou"], "", row["date"])


# --------------------------------------------------------------------- search


def planted(folder: Path) -> Iterator[str]:
    found = next(iter(_read(folder, "planted_rates.json")), None)
    if found is None:
        yield "Not yet run: `python benchmarks/planted_rates.py --json benchmarks/results/planted_rates.json`."
        return
    dates = {result["date"] for result in found["results"]}
    yield f"`{found['command']}`, torch {found['machine']['torch']}, one thread a task, {max(dates)}."
    yield ""
    parts = {part: counts for part, counts in found["summary"].items() if "largest gap in points" in counts}
    yield from _head("layers, images", *next(iter(parts.values()), {}))
    for part, counts in parts.items():
        yield _row(part, *counts.values())
    others = {part: counts for part, counts in found["summary"].items() if part not in parts}
    yield from _alone({part: counts for part, counts in others.items() if " alone, " in part})
    for part, counts in others.items():
        if " alone, " not in part:
            yield from ("", f"{part}: " + ", ".join(f"{name} {value}" for name, value in counts.items()) + ".")


def _alone(counts: dict[str, dict[str, Any]]) -> Iterator[str]:
    """What each method finds by itself, one row a method."""
    kinds = list(dict.fromkeys(name.partition(" alone, ")[2] for name in counts))
    methods = list(dict.fromkeys(name.partition(" alone, ")[0] for name in counts))
    yield from ("", "Exact by the method alone, without a look at the neighbours:", "")
    yield from _head("method", *kinds)
    for method in methods:
        of = [counts.get(f"{method} alone, {kind}") for kind in kinds]
        yield _row(method, *("not yet run" if one is None else f"{one['exact']} of {one['tasks']}" for one in of))


def bound(folder: Path) -> Iterator[str]:
    found = next(iter(_read(folder, "searched_specs.json")), None)
    if found is None:
        yield "Not yet run: `python benchmarks/searched_specs.py --json benchmarks/results/searched_specs.json`."
        return
    refused = ", ".join(f"{code} {number:,}" for code, number in found["refused"].items())
    yield f"`{found['command']}`, torch {found['machine']['torch']}, one thread, {found['date']}."
    yield ""
    yield (
        f"{found['searched']:,} random specs searched with random preferences: **{found['violations']} answers** over "
        f"the bound or with a hole. Refused on the way, by code: {refused}."
    )


def price(folder: Path) -> Iterator[str]:
    found = _read(folder, "search_step*.json")
    if not found:
        yield "Not yet measured: `python benchmarks/search_step.py --json benchmarks/results/search_step.json`."
    for one in found:
        times, size = one["search_over_training"], "×".join(map(str, one["size"]))
        threads = _threads(one["machine"]["threads"])
        yield f"`{one['command']}`, {threads}, torch {one['machine']['torch']}, {one['date']}."
        yield ""
        yield (
            f"{one['network']}, batch {one['batch']} at {size}: over a whole search "
            f"**{times['pruned as on street scenes']:.2f}** training steps for each step of the weights (aim 1.5, at "
            f"most 2), and {one['memory_over_training']:.2f} times the memory (at most 1.4). The bound closes "
            "candidates, and the search drops them, as on street scenes, where "
            f"{one['open_candidates_on_streets'][0]:.1f} of the 18 are open at first; it would be "
            f"{times['pruned evenly']:.2f} where they fall evenly from 18, as in planted searches, and "
            f"{times['nothing pruned']:.2f} where all 18 stay open."
        )
        answer = one["time_to_answer_in_trainings"]
        yield ""
        yield (
            f"Time to the answer, in plain trainings of as many steps: {answer['search']:.1f} for the search itself, "
            f"{answer['with a neighbourhood that holds']:.1f} with a look at its neighbours that finds nothing better, "
            f"{answer['with every round']:.1f} with every round of it."
        )
        yield ""
    if found and not any("cuda" in one["machine"]["device"] for one in found):
        yield "Not yet run on a GPU."


def use(folder: Path) -> Iterator[str]:
    found = _read(folder, "search_use*.json")
    if not found:
        yield "Not yet run: `python benchmarks/search_use.py --json benchmarks/results/search_use.json`."
    for number, one in enumerate(found):
        if number:
            yield ""
        yield f"`{one['command']}`, torch {one['machine']['torch']}, {one['machine']['device']}, {one['date']}."
        yield ""
        yield from _head("found rates against", "seeds", "difference in mIoU, points", "95 %", "verdict")
        for rival, against in one["summary"]["found_against"].items():
            if against is not None:
                low, high = against["interval"]
                difference = f"{against['mean']:+.2f}"
                yield _row(rival, against["seeds"], difference, f"{low:+.2f} to {high:+.2f}", against["verdict"])
        means = sorted(one["summary"]["mean_miou"].items(), key=lambda item: -item[1])
        found = ", ".join(map(str, one["sets"]["found"]))
        yield ""
        yield (
            f"{one['record']['network']}, found: {found}. Mean mIoU on the test split: "
            + ", ".join(f"{n} {m:.1f}" for n, m in means)
            + "."
        )
        correlation = one["summary"]["rank_correlation"]
        if correlation is not None:
            low, high = correlation["interval"]
            yield ""
            yield (
                "Rank correlation (Kendall's tau) of what the search believed with what retraining gave, over "
                f"{correlation['sets']} sets of rates: {correlation['tau']:.2f} ({low:.2f} to {high:.2f})."
            )


# ---------------------------------------------------------------------- tools


def _read(folder: Path, pattern: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob(pattern))]


def _threads(number: int) -> str:
    return "1 thread" if number == 1 else f"{number} threads"


def _head(*names: str) -> tuple[str, str]:
    return _row(*names), "|" + "---|" * len(names)


def _row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"
