"""Writes the tables of benchmarks/README.md from the files in benchmarks/results, so that no number stands there alone.

python benchmarks/page.py           # writes the page
python benchmarks/page.py --check   # exit code 1 when the page is not what the results say
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import page_learning

HERE = Path(__file__).parent
BEGIN, END = "<!-- results: written by benchmarks/page.py -->", "<!-- end of results -->"

NETWORKS = ("DWRSeg", "RegSeg", "GUN")
CPU_CASES = [
    (network, "cpu", dtype, 1, "512x1024", output)
    for dtype in ("float32", "bfloat16")
    for output in ("logits", "labels")
    for network in NETWORKS
]
GPU_CASES = [
    *((network, "cuda", "float16", 1, "1024x2048", "logits") for network in NETWORKS),
    ("DWRSeg", "cuda", "float16", 1, "512x1024", "logits"),
    *((network, "cuda", "float16", 8, "1024x2048", "logits") for network in NETWORKS),
]
AIMS = {("cpu", "logits"): 1.3, ("cpu", "labels"): 1.5, ("cuda", "logits"): 1.5}
GPU_PEER = "torch.compile-max-autotune"
"""The peer that the aim on a GPU is about: it captures CUDA graphs of its own."""
MOST_OF_FLOOR = 3.0

Case = tuple[str, str, str, int, str, str]


def case_of(record: dict[str, Any]) -> Case:
    device = str(record["device"]).split(":")[0]
    return record["network"], device, record["dtype"], record["batch"], record["input"], record["output"]


class Results:
    """Every bench that was committed, by case; of two files with one case the later counts."""

    def __init__(self, folder: Path) -> None:
        self.reports = [(path, json.loads(path.read_text(encoding="utf-8"))) for path in sorted(folder.glob("*.json"))]
        self.benches = [(path, report) for path, report in self.reports if "ratios" in report]
        self.benches.sort(key=lambda pair: pair[1]["date"])
        self.ratios = {case_of(r): (r, path.name) for path, report in self.benches for r in report["ratios"]}
        self.rows: dict[Case, list[dict[str, Any]]] = {}
        self.profiles: dict[Case, dict[str, Any]] = {}
        for _, report in self.benches:
            fresh: dict[Case, list[dict[str, Any]]] = {}
            for row in report["rows"]:
                fresh.setdefault(case_of(row), []).append(row)
            self.rows |= {case: rows for case, rows in fresh.items() if any(row["median_ms"] for row in rows)}
            for case, profile in zip(fresh, _profiles(report, fresh), strict=True):
                if profile:
                    self.profiles[case] = profile

    def compile_cost(self) -> dict[str, Any] | None:
        found = [report for path, report in self.reports if path.stem == "compile_cost"]
        return found[0] if found else None


def _profiles(report: dict[str, Any], cases: dict[Case, Any]) -> Iterator[dict[str, Any] | None]:
    """Profiles are named by their case in words, which begins with network, size and dtype."""
    for network, device, dtype, batch, size, output in cases:
        of_batch = f", batch {batch}" if batch != 1 else ""
        yield report["nodes"].get(f"{network} {size} {dtype} on {device}{of_batch}, {output}")


# --------------------------------------------------------------------- tables


_HEADS = (
    *("network", "dtype", "batch", "input", "output", "archdsl ms", "engine"),
    *("best peer", "ms", "ratio", "95 %", "aim", "floor", "file"),
)


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def table(results: Results, cases: list[Case], missing: str) -> Iterator[str]:
    yield "| " + " | ".join(_HEADS) + " |"
    yield "|---" * len(_HEADS) + "|"
    for case in cases:
        network, device, dtype, batch, size, output = case
        head = f"| {network} | {dtype} | {batch} | {size} | {output} "
        if case not in results.ratios or case not in results.rows:
            yield f"{head}| {missing} |" + " |" * 8
            continue
        ratio, file = results.ratios[case]
        yield f"{head}| {_cells(results.rows[case], ratio, AIMS[device, output])} | [{file}](results/{file}) |"


def _cells(rows: list[dict[str, Any]], ratio: dict[str, Any], aim: float) -> str:
    times = {row["engine"]: row["median_ms"] for row in rows}
    peer = ratio["best_peer"]
    own = "" if ratio["own"] else " (not our own: no win)"
    beside = ["-"] * 4
    if peer is not None:
        beside = [
            peer,
            _ms(times[peer]),
            f"**{ratio['ratio']:.2f}×**",
            f"{ratio['ratio_low']:.2f}–{ratio['ratio_high']:.2f}",
        ]
    floor = "-" if ratio["of_limit"] is None else f"{1 / ratio['of_limit']:.1f}× {_ms(ratio['floor_ms'])}"
    return " | ".join([_ms(times["archdsl"]), f"{ratio['chosen']}{own}", *beside, f"{aim}×", floor])


def peers(results: Results) -> Iterator[str]:
    """Every contender of every case."""
    names = list(dict.fromkeys(row["engine"] for rows in results.rows.values() for row in rows))
    yield "| case | " + " | ".join(names) + " |"
    yield "|---" * (len(names) + 1) + "|"
    for case, rows in results.rows.items():
        times = {row["engine"]: _contender(row) for row in rows}
        yield f"| {in_words(case)} | " + " | ".join(times.get(name, "-") for name in names) + " |"


def _contender(row: dict[str, Any]) -> str:
    if row["median_ms"] is None:
        return str(row["skipped"] or "-").split(";")[0]
    wrong = " (wrong output)" if row["agrees"] is False else ""
    return f"{_ms(row['median_ms'])} ({_ms(row['p5_ms'])}–{_ms(row['p95_ms'])}){wrong}"


def in_words(case: Case) -> str:
    network, device, dtype, batch, size, output = case
    return f"{network} {size} {dtype} batch {batch} {output}, {device}"


# --------------------------------------------------------------------- misses


def misses(results: Results) -> Iterator[str]:
    """Each aim that was not met: by how much, and where the time goes."""
    for case, (ratio, _) in results.ratios.items():
        said = list(_missed(case, ratio))
        if said:
            yield f"- **{in_words(case)}**: {'; '.join(said)}. {_profile(results.profiles.get(case))}"


def _missed(case: Case, ratio: dict[str, Any]) -> Iterator[str]:
    aim, peer = AIMS[case[1], case[5]], ratio["best_peer"]
    found = ratio["ratio"]
    if case[1] == "cuda" and GPU_PEER in ratio["against"]:
        peer, found = GPU_PEER, ratio["against"][GPU_PEER]["ratio"]
    if not ratio["own"]:
        yield f"the engine chosen is {ratio['chosen']}, which is not our own"
    if found is not None and found < aim:
        yield f"{found:.2f}× {peer} where {aim}× was aimed at ({100 * (aim / found - 1):.0f} % short)"
    if ratio["ratio_low"] is not None and ratio["ratio_low"] <= 1:
        yield f"the interval reaches down to {ratio['ratio_low']:.2f}, so that it is not shown to be faster"
    if case[1] == "cuda" and ratio["of_limit"] and 1 / ratio["of_limit"] > MOST_OF_FLOOR:
        yield f"{1 / ratio['of_limit']:.1f}× the floor where under {MOST_OF_FLOOR:.0f}× was aimed at"


def _profile(profile: dict[str, Any] | None) -> str:
    if not profile:
        return "No profile was taken."
    whole = sum(line["ms"] for line in profile["lines"])
    lines = sorted(profile["lines"], key=lambda line: -line["ms"])[:3]
    steps = sorted(profile["steps"], key=lambda step: -step["ms"])[:3]
    told = ", ".join(f"line {line['line']} (`{line['text'][:48]}`) {100 * line['ms'] / whole:.0f} %" for line in lines)
    longest = ", ".join(f"{s['node']} ({s['op']}) {_ms(s['ms'])} ms" for s in steps)
    return f"The profile, {profile['engine']} step by step, {_ms(whole)} ms: {told}; the longest steps: {longest}."


# ----------------------------------------------------------------- other facts


def compile_cost(results: Results) -> Iterator[str]:
    found = results.compile_cost()
    if found is None:
        yield "Not yet measured: `python benchmarks/compile_cost.py --json benchmarks/results/compile_cost.json`."
        return
    yield f"`{found['command']}`, {_machine(found)}, {found['date']}; {found['size']}, float32."
    yield ""
    yield "| spec | engine | seconds | aim | peak MB | times a call of the model itself | aim |"
    yield "|---|---|---|---|---|---|---|"
    for row in found["rows"]:
        aim = "under 5" if row["engine"] == "eager" else "-"
        yield (
            f"| {row['spec']} | {row['engine']} | {row['seconds']:.2f} | {aim} "
            f"| {row['peak_mb']:.0f} | {row['memory_ratio']:.2f} | under 3 |"
        )


def _machine(report: dict[str, Any]) -> str:
    hardware = report["hardware"]
    return ", ".join(
        [*(hardware[key] for key in ("gpu", "processor") if key in hardware), f"{hardware['threads']} threads"]
    )


def sources(results: Results) -> Iterator[str]:
    """Where every file that is told of here comes from."""
    cost = results.compile_cost()
    told = [*results.benches, *([] if cost is None else [(Path("compile_cost.json"), cost)])]
    if not told:
        yield "None yet."
        return
    yield "| file | command | machine | date | torch |"
    yield "|---|---|---|---|---|"
    for path, report in told:
        cells = f"[{path.name}](results/{path.name})", f"`{report['command']}`", _machine(report), report["date"]
        yield "| " + " | ".join([*cells, report["versions"]["torch"]]) + " |"


def page(folder: Path) -> str:
    results = Results(folder)
    missing = list(misses(results))
    sections = [
        ("### CPU, batch 1, 512x1024", table(results, CPU_CASES, "not yet measured")),
        ("### GPU, float16", table(results, GPU_CASES, "not yet run on a GPU")),
        ("### Where an aim is missed", missing or ["No aim is missed by what was measured."]),
        ("### Every contender: ms, and p5–p95", peers(results) if results.rows else ["Nothing was measured yet."]),
        ("### Compile time and memory", compile_cost(results)),
        *page_learning.sections(folder),
        ("### Files", sources(results)),
    ]
    lines = [BEGIN]
    for head, body in sections:
        lines += ["", head, "", *body]
    return "\n".join([*lines, "", END])


def written(text: str, made: str) -> str:
    """The page's text with its results replaced."""
    before, _, rest = text.partition(BEGIN)
    return before + made + rest.partition(END)[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    chosen = parser.parse_args()
    target = HERE / "README.md"
    text = target.read_text(encoding="utf-8")
    fresh = written(text, page(HERE / "results"))
    if chosen.check:
        sys.exit(int(text != fresh))
    target.write_text(fresh, encoding="utf-8")


if __name__ == "__main__":
    main()
