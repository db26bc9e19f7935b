"""Random specs, searched with random preferences: how many answers are over the bound, or have a hole.

python benchmarks/searched_specs.py --specs 10000 --json benchmarks/results/searched_specs.json

What a method has learned is moved somewhere at random, far out of the bound as often as not, and candidates are dropped
on the way; then the masks of a search decide. Each decision is held against the bound and the exact trace, which share
no code with the masks' own search for what is allowed, and the text of every tenth answer is written and read again.
Specs in which nothing can be searched are refused, and counted by the code that they are refused with.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import sys
import time
from collections import Counter
from datetime import date
from pathlib import Path

import torch
from archdsl.search.answer import checked_text
from archdsl.search.bound import Masks, over_bound
from archdsl.search.methods import METHODS
from archdsl.search.plan import Plan, Wish
from archdsl.search.relaxed import relax

import archdsl
from archdsl.analyses.gaps import gap_free
from archdsl.diagnostics import ArchError, Severity

SEARCHED, VIOLATION = "searched", "violation"
REFUSALS = {"E0601", "E1104", "E1105"}
"""Why a spec may be refused: a start that breaks its own assert, a fixed part over its bound, nothing to choose."""
_BOTH = ["  assert field_of_view(x) >= 12 and field_of_view(x) <= 60", "  assert field_of_view(x) <= 90"]


def layer(dice: random.Random) -> str:
    """A convolution, a pool or parallel branches; about two thirds of the rates are searched."""
    kernel, stride = dice.choice([3, 3, 3, 5]), dice.choice([1, 1, 1, 2])
    kind = dice.random()
    if kind < 0.08:
        return "max_pool(3, stride=2)"
    if kind < 0.3:
        branches = ", ".join(f"x -> conv(4, 3, dilation={rate(dice)})" for _ in range(dice.randint(2, 3)))
        return f"concat([{branches}]) -> conv(4)"
    return f"conv(4, {kernel}, stride={stride}, dilation={rate(dice)})"


def rate(dice: random.Random) -> str:
    if dice.random() < 0.25:
        return str(dice.choice([1, 1, 1, 1, 2, 3]))
    if dice.random() < 0.3:
        own = sorted(dice.sample(range(1, 19), dice.randint(2, 5)))
        return f"search({own[0]} in {{{', '.join(str(r) for r in own)}}})"
    return f"search(1 in 1..{dice.choice([4, 9, 18])})"


def spec(dice: random.Random) -> str:
    lines = ["arch 1", "", "network Net {", "  in x [3, H, W]"]
    for _ in range(dice.randint(2, 6)):
        made = layer(dice)
        lines.append(f"  x = {made}" if made.startswith("concat") else f"  x = x -> {made}")
    demand = dice.choice(["", "", f"  assert field_of_view(x) >= {dice.randint(5, 40)}", *_BOTH])
    return "\n".join([*lines, demand, "  out y = x", "}"]) + "\n"


class Violation(Exception):
    """An answer that must not be."""


def prefer_anything(relaxation: torch.nn.Module) -> None:
    """Moves what is learned somewhere at random."""
    with torch.no_grad():
        for parameter in relaxation.parameters():
            parameter.normal_(std=3)


def searched(seed: int) -> str:
    """Searches a random spec, and says what came of it. Raises Violation."""
    dice = random.Random(seed)
    torch.manual_seed(seed)
    rule = dice.choice(["bound", "bound", "exact"])
    try:
        plan = Plan(archdsl.loads(spec(dice)), Wish(gap=rule), {"H": 96, "W": 96})
    except ArchError as refused:
        return next(d.code for d in refused.diagnostics if d.severity is Severity.ERROR)
    relaxations = relax(plan.rates, dice.choice(list(METHODS)))
    masks = Masks(plan.bounds, relaxations)
    for _ in range(3):
        for relaxation in relaxations.values():
            prefer_anything(relaxation)
            if dice.random() < 0.3:
                relaxation.settle(0.5)
        masks()
        if (wrong := what_is_wrong(plan, masks.decided())) is not None:
            raise Violation(f"seed {seed}: {masks.decided()} {wrong}")
    if seed % 10 == 0:
        checked_text(plan, masks.decided(), "")
    return SEARCHED


def what_is_wrong(plan: Plan, rates: tuple[int, ...]) -> str | None:
    """Why a decision must not be, by checks that are not those of the masks; None for one that may."""
    graph = plan.graph(rates)
    if not gap_free(graph):
        return "has a hole"
    if plan.wish.gap == "bound" and over_bound(graph):
        return "is over the bound"
    return None if plan.bounds.inside(rates) else "is not allowed"


def search_many(first: int, wanted: int) -> Counter[str]:
    """Searches random specs until so many had something to search; returns what came of all, by name or code."""
    found: Counter[str] = Counter()
    while found[SEARCHED] + found[VIOLATION] < wanted:
        try:
            found[searched(first + found.total())] += 1
        except Violation as violation:
            found[VIOLATION] += 1
            print(violation, file=sys.stderr)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--specs", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=1_000, help="the first seed")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    busy = time.process_time()
    found = search_many(chosen.first, chosen.specs)
    content = {
        "version": 1,
        "command": f"python benchmarks/searched_specs.py --specs {chosen.specs} --first {chosen.first}",
        "date": date.today().isoformat(),
        "machine": {"system": f"{platform.system()} {platform.machine()}", "torch": torch.__version__},
        "searched": chosen.specs,
        "violations": found[VIOLATION],
        "refused": {code: number for code, number in sorted(found.items()) if code not in (SEARCHED, VIOLATION)},
        "processor_seconds": round(time.process_time() - busy),
    }
    print(json.dumps(content, indent=1))
    if chosen.json:
        chosen.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
