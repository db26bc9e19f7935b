"""What a search says of itself: the JSON record, the comment in the text, and remarks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from typing import Any

from archdsl.search.claim import Claim, claim
from archdsl.search.decode import Rates
from archdsl.search.plan import RANDOM
from archdsl.search.searcher import Searcher
from archdsl.search.space import labels

from archdsl.training.train import machine, versions

VERSION = 1


def comparison(searcher: Searcher) -> Claim:
    """The answer against the start, paired by seed, in points of mIoU on the images that rates are judged on.

    Seeds with which either training's loss stopped being a number are left out.
    """
    known, start = searcher.known, searcher.plan.start
    failed = {seed for rates, _, seed in known.diverged if rates in (start, known.decision.rates)}
    both = [seed for rates, seed in known.seeds if rates == start and (known.decision.rates, seed) in known.seeds]
    seeds = [seed for seed in both if seed not in failed]
    if not seeds:
        return Claim(0.0, (float("-inf"), float("inf")), "tie")
    ours = [100 * known.seeds[known.decision.rates, seed] for seed in seeds]
    theirs = [100 * known.seeds[start, seed] for seed in seeds]
    return claim(ours, theirs)


def gap(searcher: Searcher) -> float | None:
    """Points of mIoU that deciding costs, with the weights of the search; None where nothing was validated."""
    relaxed, inherited = (searcher.known.relaxed.get(name) for name in ("relaxed", "inherited"))
    return None if relaxed is None or inherited is None else 100 * (relaxed["miou"] - inherited["miou"])


def record_of(searcher: Searcher, seconds: float, given: str) -> dict[str, Any]:
    """The fields of `search --json`; `given` is the spec as the user named it."""
    plan, known, setup = searcher.plan, searcher.known, searcher.setup
    said = comparison(searcher)
    low, high = said.interval
    trace = searcher.alternation.trace
    return {
        "version": VERSION,
        "network": plan.network.name,
        "method": plan.wish.method,
        "gap_rule": plan.wish.gap,
        "budget": plan.wish.budget,
        "data": setup.data_name,
        "recipe": setup.recipe.title,
        "seed": setup.recipe.seed,
        "steps": searcher.alternation.step,
        "seconds": round(seconds, 1),
        "convolutions": trace.convolutions,
        "latency_ms": None if plan.budget is None else plan.budget.of(known.decision.rates),
        "rates": list(_rates(searcher, given)),
        "before": known.validated.get(plan.start),
        "relaxed": known.relaxed.get("relaxed"),
        "inherited": known.relaxed.get("inherited"),
        "after": known.validated.get(known.decision.rates),
        "discretisation_gap": gap(searcher),
        "comparison": {
            "seeds": sorted({seed for _, seed in known.seeds}),
            "steps": searcher.effort.longest,
            "difference": said.mean,
            "interval": [low, high] if low > float("-inf") else None,
            "verdict": said.verdict,
        },
        "trained": [
            {"rates": list(rates), "steps": steps, "miou": score}
            for (rates, steps), score in known.decision.trained.items()
        ],
        "believed": [{"rates": list(rates), "loss": -score} for rates, score in known.decision.inherited.items()],
        "trajectory": {"steps": trace.steps, "rates": trace.rates, "shares": trace.shares, "losses": trace.losses},
        "retries": [asdict(retry) for retry in known.retries],
        "diverged": [{"rates": list(rates), "steps": steps, "seed": seed} for rates, steps, seed in known.diverged],
        "remarks": remarks(searcher),
        "machine": machine(setup.device, setup.among),
        "versions": versions(),
    }


def _rates(searcher: Searcher, given: str) -> Any:
    plan, found = searcher.plan, searcher.known.decision.rates
    for index, (rate, name, value) in enumerate(zip(plan.rates, labels(plan.rates), found, strict=True)):
        own = plan.bounds.candidates[index]
        yield {
            "path": given,
            "line": rate.span.line,
            "column": rate.span.column,
            "where": name,
            "start": rate.start,
            "found": value,
            "bound": plan.bounds.bound_of(index, found),
            "range": [own[0], own[-1]],
            "candidates": list(rate.candidates),
        }


def remarks(searcher: Searcher) -> list[str]:
    """What a reader of the answer should know."""
    plan, found = searcher.plan, searcher.known.decision.rates
    largest = [max(plan.bounds.allowed(i, found)) for i in range(len(found))]
    said = [*_lost(searcher)]
    if len(found) > 1 and all(value == most for value, most in zip(found, largest, strict=True)):
        said.append("every rate went to the largest it may have: the ranges may be too narrow, or the search collapsed")
    if len(found) > 1 and set(found) == {1}:
        said.append("every rate went to 1: the labels may need no context, or the search collapsed")
    elif len(found) > 1 and not any(plan.bounds.inside(lower) for lower in _lowered(searcher)):
        said.append("no rate can be any smaller without breaking an assert or the bound: they may be what decided")
    named = zip(plan.rates, labels(plan.rates), plan.bounds.candidates, strict=True)
    capped = [name for rate, name, own in named if rate.start > own[-1]]
    if capped:
        crop = "x".join(str(side) for side in searcher.setup.recipe.augment.crop)
        said.append(
            f"at crops of {crop} the start of {', '.join(capped)} reads only padding, "
            "and rates as large were not looked at; larger crops would (--opt augment.crop=[…])"
        )
    if not plan.bounds.holds(plan.start):
        said.append("the rates in the text are over their bound or the budget, and could not be the answer")
    said += [f"not searched: {line}" for line in plan.left_out]
    said.append(_verdict(searcher))
    return said


def _lost(searcher: Searcher) -> Iterator[str]:
    """Where a loss stopped being a number."""
    known = searcher.known
    for retry in known.retries:
        yield (
            f"the loss, a weight or a rate was no number at step {retry.noticed}: the search went on from step "
            f"{retry.back} with {retry.factor:g} of the learning rate"
        )
    if known.diverged:
        rate = searcher.setup.recipe.optimizer.lr / 3
        yield (
            f"the loss of {len(known.diverged)} trainings from scratch stopped being a number, and they count as 0; "
            f"a lower rate compares more (--opt optimizer.lr={rate:.2g})"
        )


def _lowered(searcher: Searcher) -> Iterator[Rates]:
    """The answer with one rate at its next smaller candidate."""
    found = searcher.known.decision.rates
    for index, own in enumerate(searcher.plan.bounds.candidates):
        smaller = [candidate for candidate in own if candidate < found[index]]
        if smaller:
            yield (*found[:index], smaller[-1], *found[index + 1 :])


def _verdict(searcher: Searcher) -> str:
    said, found = comparison(searcher), searcher.known.decision.rates
    if found == searcher.plan.start:
        return "no gain: nothing better than the rates in the text was found"
    steps = searcher.effort.longest
    seeds = len({seed for _, seed in searcher.known.seeds})
    where = "on the images that judged rates"
    against = f"{said.mean:+.1f} points of mIoU against the start, {where}, after {steps} steps from scratch"
    if seeds == 1:
        return f"{against}: one seed shows nothing; train both in full, by several seeds"
    low, high = said.interval
    name = {"gain": "a gain", "loss": "a loss", "tie": "a tie"}[said.verdict]
    return f"{name}: {against}, mean over {seeds} seeds, 95 % interval {low:+.1f} to {high:+.1f}"


def provenance(searcher: Searcher) -> str:
    """The comment that goes into the text."""
    s, said = searcher.setup, comparison(searcher)
    how = searcher.plan.wish.method
    steps = len(searcher.known.decision.trained) if how == RANDOM else searcher.alternation.step
    unit = "trainings" if how == RANDOM else "steps"
    from archdsl import __version__

    seeds = len({seed for _, seed in searcher.known.seeds})
    verdict = "one seed" if seeds == 1 else f"{seeds} seeds, a {said.verdict}"
    return (
        f"{how}, {steps} {unit} on {s.data_name}, seed {s.recipe.seed}, {said.mean:+.1f} points of mIoU "
        f"({verdict}) after short trainings, archdsl {__version__}, {date.today()}"
    )
