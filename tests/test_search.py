"""Searches as a whole: what they leave, going on where they stopped, what they refuse, the command line."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from archdsl.search.entry import Found, resume, run
from archdsl.search.plan import Plan, Wish
from archdsl.search.relaxed import RelaxedModule
from archdsl.search.space import assignment, with_rates
from archdsl.search.split import split
from safetensors.torch import load_file
from trainings import ask_to_stop

import archdsl
from archdsl.analyses.gaps import gap_free
from archdsl.diagnostics import ArchError
from archdsl.network import Network
from archdsl.report.trajectory import search_html, trajectory_svg
from archdsl.training.data import open_data
from archdsl.training.data.sample import DataSet
from archdsl.training.state import load_state, save_state

SPEC = """arch 1

# kept
network Tiny(classes: int = 4, rates: list[rate] = [search(2 in 1..6) for i in 1..3]) {
  in image [3, H, W]
  s = image -> conv(8, 3, stride=2) -> bn -> relu -> conv(8, 3) -> bn -> relu  # a stem
  y = s -> [[conv(8, 3, dilation=r), bn, relu] for r in rates]
  out logits = y -> conv(classes, bias=true) -> resize(like=image)

  assert gap_free
  assert field_of_view(y) >= 29
}
"""
DATA = "streets:8@32x64"
QUICK = (
    "steps=20",
    "batch=2",
    "augment.crop=[32,64]",
    "search.short=2",
    "search.keep=2",
    "search.images=2",
)


def net() -> Network:
    return archdsl.loads(SPEC, classes=11)


def searched(folder: Path, *options: str, **given: Any) -> Found:
    return run(net(), DATA, "quicksearch", options=[*QUICK, *options], out=folder, device="cpu", **given)


def state(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:

    facts = load_state(folder).facts
    return load_file(folder / "state.safetensors"), {name: fact for name, fact in facts.items() if name != "seconds"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """A search that nothing interrupted."""
    return searched(tmp_path_factory.mktemp("runs") / "whole")


def test_the_answer_is_the_text_with_other_rates_and_passes_every_check(whole: Found) -> None:
    """Comments stay, provenance is added, the answer is inside the bound by the exact trace too."""
    assert whole.text is not None and "# kept\n" in whole.text and "# a stem" in whole.text
    assert "# archdsl search: Tiny: softmax, 20 steps on streets:8@32x64, seed 0" in whole.text
    again = archdsl.loads(whole.text, classes=11)
    found = [rate["found"] for rate in whole.record["rates"]]
    plan = Plan(net(), Wish())
    assert again.ir.nodes == with_rates(net().ir, assignment(plan.rates, found)).nodes
    assert gap_free(again.ir) and again.field_of_view("y")[0] >= 29
    assert all(rate["found"] <= rate["bound"] for rate in whole.record["rates"])


def test_the_record_says_what_happened(whole: Found) -> None:
    """Fields of the interface, scores before and after, everything trained, and the trajectory."""
    record = json.loads(json.dumps(whole.record))
    assert (record["method"], record["steps"], record["seed"]) == ("softmax", 20, 0)
    first = record["rates"][0]
    assert (first["line"], first["start"], first["range"]) == (4, 2, [1, 6])
    assert record["before"]["images"] == record["after"]["images"] == record["relaxed"]["images"] == 60
    gap = 100 * (record["relaxed"]["miou"] - record["inherited"]["miou"])
    assert record["discretisation_gap"] == pytest.approx(gap)
    assert len(record["trajectory"]["steps"]) == len(record["trajectory"]["shares"]) == 20
    assert [2, 2, 2] in [one["rates"] for one in record["trained"]]
    assert any("one seed shows nothing" in remark or "no gain" in remark for remark in record["remarks"])


def test_the_trajectory_is_drawn(whole: Found) -> None:
    """A panel per rate, as an SVG that stands alone and inside a page that needs nothing else."""
    import xml.etree.ElementTree as Tree

    svg = trajectory_svg(whole.record)
    words = [element.text for element in Tree.fromstring(svg).iter() if element.tag.endswith("text")]
    assert sum("line 4" in (word or "") for word in words) == 3
    page = search_html(whole.record)
    assert "<svg" in page and "http://" not in page.replace("http://www.w3.org/2000/svg", "")


def stops_at(event: str, number: int) -> Callable[..., None]:
    seen: list[str] = []

    def tell(name: str, *about: object) -> None:
        seen.append(name)
        if name == event and seen.count(event) == number:
            ask_to_stop()

    return tell


@pytest.mark.parametrize(("event", "number"), [("settled", 3), ("settled", 13), ("trained", 3)])
def test_going_on_is_as_if_nothing_had_stopped(whole: Found, tmp_path: Path, event: str, number: int) -> None:
    """Rates, weights, optimisers and every score are equal to the last bit, wherever the stop came."""
    stopped = searched(tmp_path / "run", tell=stops_at(event, number))
    assert stopped.stopped == signal.SIGTERM and stopped.text is None
    assert json.loads((tmp_path / "run" / "run.json").read_text())["state"] == "stopped"
    again, _ = resume(tmp_path / "run")
    assert again.text == whole.text and again.record["rates"] == whole.record["rates"]
    (ours, facts), (theirs, other) = state(again.folder), state(whole.folder)
    assert facts == other
    relevant = {name for name in theirs if not name.endswith(("running_mean", "running_var"))}
    assert all(torch.equal(ours[name], theirs[name]) for name in relevant)


class Killed(BaseException):
    """What nobody catches, as nobody catches a kill."""


def test_a_kill_between_two_saves_loses_no_more_than_what_came_after(whole: Found, tmp_path: Path) -> None:
    def tell(name: str, *about: Any) -> None:
        if name == "settled" and about[0].alternation.step == 9:
            raise Killed

    with pytest.raises(Killed):
        searched(tmp_path / "run", tell=tell)
    assert state(tmp_path / "run")[1]["alternation"]["step"] == 8
    again, _ = resume(tmp_path / "run")
    assert again.text == whole.text and again.record["trajectory"] == whole.record["trajectory"]


def test_a_state_of_another_version_is_refused_by_name(tmp_path: Path) -> None:
    folder = searched(tmp_path / "run", tell=stops_at("settled", 3)).folder
    known = load_state(folder)
    del known.facts["diverged"]
    save_state(folder, known)
    with pytest.raises(ArchError, match="E0834") as raised:
        resume(folder)
    assert "diverged" in raised.value.diagnostics[0].notes[0]


def test_auxiliary_outputs_train_and_do_not_judge(tmp_path: Path) -> None:
    spec = archdsl.loads(SPEC.replace("  out logits", "  aux out early = s -> conv(classes)\n  out logits"), classes=11)
    found = run(spec, DATA, "quicksearch", options=[*QUICK, "steps=4"], out=tmp_path / "run", device="cpu")
    assert found.text is not None and all(one["loss"] > 0 for one in found.record["believed"])


def test_another_seed_is_another_search(whole: Found, tmp_path: Path) -> None:
    """And the same seed the same."""
    same, other = searched(tmp_path / "a"), searched(tmp_path / "b", "seed=1")
    assert same.record["trajectory"] == whole.record["trajectory"] != other.record["trajectory"]


def test_a_loss_that_is_no_number_stops(tmp_path: Path) -> None:
    """After one more attempt at half the learning rate, with a message that names the mend, and no text."""
    told: list[str] = []
    with pytest.raises(ArchError, match="E1106") as error:
        searched(
            tmp_path / "run", "optimizer.lr=1e12", "optimizer.clip=none", tell=lambda name, *about: told.append(name)
        )
    assert told.count("retried") == 1 and "before it went on more slowly" in error.value.diagnostics[0].notes[0]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["state"] == "failed"


def poisoned(monkeypatch: pytest.MonkeyPatch, at: int) -> list[float]:
    """Makes a weight no number after a step of the relaxation, once; returns the factors on the rate, by step."""
    from archdsl.search.weights import Fit

    factors: list[float] = []
    one = Fit.one

    def wrong(fit: Fit, feed: Any, step: int) -> torch.Tensor:
        loss = one(fit, feed, step)
        if isinstance(fit.module, RelaxedModule):
            factors.append(fit.factor)
            if len(factors) == at + 1:
                next(fit.module.parameters()).data[0] = float("nan")
        return loss

    monkeypatch.setattr(Fit, "one", wrong)
    return factors


@pytest.mark.parametrize("at", [0, 5, 19])
def test_a_weight_that_is_no_number_is_gone_back_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Nothing is saved of it; the search goes on at half the learning rate, to the end, and the record says so."""
    factors = poisoned(monkeypatch, at)
    found = searched(tmp_path / "run")
    assert found.record["retries"] == [{"noticed": at + 1, "back": at, "factor": 0.5}]
    assert factors == [1.0] * (at + 1) + [0.5] * (20 - at)
    assert found.record["trajectory"]["steps"] == list(range(1, 21))
    assert found.text is not None and all(math.isfinite(loss) for loss in found.record["trajectory"]["losses"])
    assert all(bool(t.isfinite().all()) for t in state(tmp_path / "run")[0].values() if t.is_floating_point())
    assert any(f"was no number at step {at + 1}" in remark for remark in found.record["remarks"])


def test_a_retried_search_that_was_stopped_goes_on_as_slowly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit, as if it had not stopped."""
    with monkeypatch.context() as patched:
        poisoned(patched, 5)
        undisturbed = searched(tmp_path / "whole")
    poisoned(monkeypatch, 5)
    stopped = searched(tmp_path / "run", tell=stops_at("settled", 13))
    assert stopped.stopped == signal.SIGTERM
    again, _ = resume(tmp_path / "run")
    assert again.text == undisturbed.text and again.record["retries"] == undisturbed.record["retries"]
    assert again.record["trajectory"] == undisturbed.record["trajectory"]


def test_a_training_whose_loss_is_no_number_counts_as_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of those that are compared at the end: it scores 0, the answer is not claimed a gain, and that is said."""
    from archdsl.search.weights import Fit

    one = Fit.one

    def wrong(fit: Fit, feed: Any, step: int) -> torch.Tensor:
        loss = one(fit, feed, step)
        rates = [node["dilation"] for node in fit.module.graph.nodes if node.op == "conv"]
        plain = not isinstance(fit.module, RelaxedModule)
        return loss * float("nan") if plain and rates[2:5] == [(2, 2)] * 3 else loss

    monkeypatch.setattr(Fit, "one", wrong)
    record = searched(tmp_path / "run").record
    assert record["diverged"] and all(one["rates"] == [2, 2, 2] for one in record["diverged"])
    assert {one["miou"] for one in record["trained"] if one["rates"] == [2, 2, 2]} == {0.0}
    assert record["comparison"]["verdict"] == "tie" and record["before"] is None
    assert any("stopped being a number, and they count as 0" in remark for remark in record["remarks"])


@pytest.mark.parametrize("method", ["gaussian", "gumbel", "fractional", "rf", "random"])
def test_every_method_gives_an_answer(tmp_path: Path, method: str) -> None:
    """In the same form, inside the bound."""
    found = searched(tmp_path / "run", "steps=10", "search.keep=1", wish=Wish(method=method))
    assert found.text is not None and found.record["method"] == method
    assert gap_free(archdsl.loads(found.text, classes=11).ir)
    if method == "random":
        drawn = [tuple(one["rates"]) for one in found.record["trained"]]
        assert len(drawn) == len(set(drawn)) > 2 and found.record["relaxed"] is None


class NoTest:
    """A data set whose test split must not be read."""

    def __init__(self) -> None:
        self.inner = open_data(DATA)
        self.name, self.classes, self.palette = self.inner.name, self.inner.classes, self.inner.palette
        self.splits, self.recipe = self.inner.splits, self.inner.recipe
        self.read: set[str] = set()

    def split(self, name: str) -> DataSet:
        self.read.add(name)
        return self.inner.split(name)


def test_the_test_split_is_never_read(tmp_path: Path) -> None:
    source = NoTest()
    run(net(), source, "quicksearch", options=[*QUICK, "steps=4"], out=tmp_path / "run", device="cpu")
    assert source.read == {"train", "val"}


# ------------------------------------------------------------------------ budgets


def table(folder: Path, **changed: Any) -> str:
    """Milliseconds that grow with the rate, and jump at 4, as a kernel's can."""
    nodes = {name: {str(r): 1.0 + 0.1 * r + (r >= 4) for r in range(1, 7)} for name in ("y.0", "y.3", "y.6")}
    content = {"version": 1, "total_ms": 10.0, "nodes": nodes, **changed}
    (folder / "table.json").write_text(json.dumps(content))
    return str(folder / "table.json")


def test_a_latency_budget_is_a_constraint(tmp_path: Path) -> None:
    """10 ms at rates (2, 2, 2); one rate of 4 takes 1.2 more. The answer keeps to it, and the search is told of it."""
    from archdsl.search.latency import budget_for

    rates = Plan(net(), Wish()).rates
    budget = budget_for("latency <= 11.5 ms", table(tmp_path), rates)
    assert budget.of((2, 2, 2)) == pytest.approx(10) and budget.of((2, 4, 2)) == pytest.approx(11.2)
    assert budget.met((3, 4, 2)) and not budget.met((2, 4, 4)) and budget.least() == pytest.approx(9.7)
    wish = Wish(budget="latency <= 10.2ms", latency_table=table(tmp_path))
    found = searched(tmp_path / "run", wish=wish)
    assert found.record["latency_ms"] <= 10.2 and "4" not in str([r["found"] for r in found.record["rates"]])


def test_the_multiplier_of_a_budget_grows_until_it_is_met(tmp_path: Path) -> None:
    """The penalty pushes logits towards faster rates, more so the longer the budget is overrun; then it vanishes."""
    from archdsl.search.latency import budget_for
    from archdsl.search.relaxed import relax

    rates = Plan(net(), Wish()).rates
    budget = budget_for("latency <= 9.9ms", table(tmp_path), rates)
    relaxations = list(relax(rates, "softmax").values())
    first, second = (float(budget.penalty(relaxations, 1.0).detach()) for _ in range(2))
    assert 0 < first < second
    budget.penalty(relaxations, 1.0).backward()  # type: ignore[no-untyped-call]
    grad = relaxations[0].get_parameter("logits").grad
    assert grad is not None and grad[0] < 0 < grad[5]
    for relaxation in relaxations:
        relaxation.restrict([1])
    assert float(budget.penalty(relaxations, 1.0).detach()) == 0


def start_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every training of the start scores best, and all others alike."""
    from archdsl.search.searcher import Searcher

    def score(self: Searcher, rates: tuple[int, ...], steps: int, seed: int) -> float:
        return self.known.seeds.setdefault((rates, seed), 1.0 if rates == self.plan.start else 0.5)

    monkeypatch.setattr(Searcher, "_score", score)


def test_a_start_over_the_budget_cannot_be_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However well it trains; it is compared with, and that is said."""
    start_wins(monkeypatch)
    slow_at_2 = {name: {str(r): 1.0 + 2 * (r == 2) for r in range(1, 7)} for name in ("y.0", "y.3", "y.6")}
    wish = Wish(budget="latency <= 9ms", latency_table=table(tmp_path, nodes=slow_at_2))
    record = searched(tmp_path / "run", "steps=4", wish=wish).record
    assert record["latency_ms"] <= 9 and record["comparison"]["difference"] == -50
    assert any("could not be the answer" in remark for remark in record["remarks"])


def test_a_start_over_its_bound_cannot_be_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start_wins(monkeypatch)
    text = SPEC.replace("search(2 in 1..6)", "search(6 in 1..6)").replace("  assert gap_free\n", "")
    spec = archdsl.loads(text, classes=11)
    found = run(spec, DATA, "quicksearch", options=[*QUICK, "steps=4"], out=tmp_path / "run", device="cpu")
    assert found.text is not None and gap_free(archdsl.loads(found.text, classes=11).ir)


@pytest.mark.parametrize(
    ("marked", "said"),
    [
        ("search(1 in 1..6)", "every rate went to 1"),
        ("search(3 in 1..3)", "every rate went to the largest it may have"),
        ("search(2 in 1..6)", "no gain: nothing better than the rates in the text was found"),
    ],
)
def test_a_collapse_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, marked: str, said: str) -> None:
    """All rates at 1 or at their bound; and neither where they are not."""
    start_wins(monkeypatch)
    text = SPEC.replace("search(2 in 1..6)", marked).replace("  assert field_of_view(y) >= 29\n", "")
    spec = archdsl.loads(text, classes=11)
    found = run(spec, DATA, "quicksearch", options=[*QUICK, "steps=2"], out=tmp_path / "run", device="cpu")
    remarks = found.record["remarks"]
    assert any(remark.startswith(said) for remark in remarks)
    assert any("collapsed" in remark for remark in remarks) == (marked != "search(2 in 1..6)")


@pytest.mark.parametrize("changed", [{"version": 2}, {"nodes": {}}, {"nodes": [1]}, {"total_ms": "x"}])
def test_a_table_that_is_none_is_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    with pytest.raises(ArchError, match="E1107"):
        searched(tmp_path / "run", wish=Wish(budget="latency <= 9ms", latency_table=table(tmp_path, **changed)))


def test_a_budget_that_nothing_meets_is_said_first(tmp_path: Path) -> None:
    with pytest.raises(ArchError, match="the fastest choice takes"):
        searched(tmp_path / "run", wish=Wish(budget="latency <= 9ms", latency_table=table(tmp_path)))


# ------------------------------------------------------------------------ refusals


def plan_of(body: str, **wish: Any) -> Plan:
    text = f"arch 1\n\nnetwork Net {{\n  in image [3, H, W]\n  {body}\n  out logits = y -> conv(4)\n}}\n"
    return Plan(archdsl.loads(text), Wish(**wish), {"H": 64, "W": 64})


SEARCHED = "y = image -> conv(4, 3) -> conv(4, 3, dilation=search(1 in 1..6))"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (SEARCHED + "\n  assert field_of_view(y) == 5", "E1103"),
        (SEARCHED + " -> conv(4, 3, dilation=15)", "E1104"),
        ("y = image -> conv(4, 3)", "E1105"),
        (SEARCHED + " -> conv(4, 3, dilation=9)\n  assert field_of_view(y) <= 24", "E1105"),
        ("y = image -> conv(search(4 in {4, 8}), 3)", "E1101"),
    ],
)
def test_what_cannot_be_searched_is_said_first(body: str, code: str) -> None:
    with pytest.raises(ArchError) as error:
        plan_of(body)
    assert [d.code for d in error.value.diagnostics] == [code]


def test_rates_are_judged_on_two_images_where_a_norm_needs_them(tmp_path: Path) -> None:
    """Half of a batch of two would leave one value a channel to the norm after a global pool."""
    gated = SPEC.replace(
        "  out logits = y ->", "  g = y -> global_pool -> conv(8) -> bn -> sigmoid\n  out logits = y * g ->"
    )
    spec = archdsl.loads(gated, classes=11)
    options = [*QUICK, "steps=4", "batch=2", "search.judge=0.1"]
    assert run(spec, DATA, "quicksearch", options=options, out=tmp_path / "run", device="cpu").text is not None


def test_a_setting_in_the_place_of_marks_is_named() -> None:
    text = "arch 1\n\nnetwork Net(r: rate = search(1 in 1..4)) {\n  in image [3, H, W]\n"
    text += "  out logits = image -> conv(4, 3) -> conv(4, 3, dilation=r)\n}\n"
    assert Plan(archdsl.loads(text), Wish()).start == (1,)
    with pytest.raises(ArchError, match="E1105") as error:
        Plan(archdsl.loads(text, r=2), Wish())
    assert error.value.diagnostics[0].label == "replaced by a setting"


def test_a_fixed_part_over_its_bound_is_left_to_the_exact_reach() -> None:
    """A sibling of rate 1 fills the hole of rate 4, which the bound of 3 forbids."""
    body = "b = image -> conv(4, 3)\n  f = (b -> conv(4, 3)) + (b -> conv(4, 3, dilation=4))\n  "
    body += SEARCHED.replace("image -> conv(4, 3)", "f")
    with pytest.raises(ArchError, match="E1104"):
        plan_of(body)
    assert plan_of(body, gap="exact").bounds.feasible()


def test_asserts_are_constraints() -> None:
    """Rates that an assert forbids are never allowed, whichever side it is on."""
    two = SEARCHED.replace("search(1 in", "search(2 in")
    assert plan_of(two + "\n  assert field_of_view(y) >= 7").bounds.allowed(0, []) == [2, 3]
    assert plan_of(SEARCHED + "\n  assert field_of_view(y) <= 7").bounds.allowed(0, []) == [1, 2]


def test_a_text_that_cannot_hold_several_rates_is_said_first() -> None:
    """Not after a search: each round of a `for` would need a rate of its own, also where every second one is alike."""
    mark = "conv(4, 3, dilation=search(1 in {1, 2}))"
    for round_ in (mark, f"{mark} -> {mark}", f"[{mark} for j in 1..2]"):
        with pytest.raises(ArchError, match="E1102"):
            plan_of(f"y = image -> conv(4, 3)\n  for i in 1..2 {{\n    y = y -> {round_}\n  }}")


def test_rates_of_the_library_are_named_with_what_to_write() -> None:
    """And nothing else is: rates in the spec's own file are searched."""
    plan = Plan(archdsl.load("specs/regseg.arch"), Wish(rates="all"))
    wanted = "line 25: `DBlock(128)` has its rate from elsewhere; write `rates=[1]` in the call to search it"
    assert f"{wanted} (s8.1.conv2 and 1 more)" in plan.left_out
    assert len(plan.rates) == 13 and len(set(plan.left_out)) == len(plan.left_out)


def test_an_unknown_choice_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="method is one of softmax"):
        Wish(method="sofmax")


class Named:
    """Samples that have names and nothing else."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Any:
        raise AssertionError("a split reads no image")

    def name_of(self, index: int) -> str:
        return self.names[index]


def test_sequences_stay_together() -> None:
    """CamVid's three training sequences fall into two parts; names without sequences are cut in the middle."""
    names = [f"d/{s}_{i:05}.png" for s, n in (("0001TP", 62), ("0006R0", 101), ("0016E5", 204)) for i in range(n)]
    first, second = split(Named(names))
    sequences = [{part.name_of(i).split("/")[1][:6] for i in range(len(part))} for part in (first, second)]
    assert sequences == [{"0016E5"}, {"0001TP", "0006R0"}] and len(first) + len(second) == 367
    first, second = split(Named([f"img{i}.png" for i in range(5)]))
    assert [first.name_of(i) for i in range(3)] == ["img0.png", "img1.png", "img2.png"] and len(second) == 2
    with pytest.raises(ArchError, match="two training images"):
        split(Named(["one.png"]))
