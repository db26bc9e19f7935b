"""`--rates all`: plain numbers as rates, tied as far as the text needs it, and left out where they decide more."""

from __future__ import annotations

from pathlib import Path

import pytest
from archdsl.search.answer import checked_text
from archdsl.search.plan import Plan, Wish
from archdsl.search.space import assignment
from archdsl.search.write_back import write_back

import archdsl
from archdsl.diagnostics import ArchError

HEAD = "arch 1\n\n"
NET = "network Net {\n  in image [3, H, W]\n  x = image -> conv(8, 3)\n  BODY\n  out logits = x -> conv(4)\n}\n"
PAIR = """block Pair(r: rate) {
  in x
  out x -> conv(8, 3, dilation=r) -> conv(8 if r == 1 else 16, 1)
}

"""


def plan(body: str, blocks: str = "", **wish: bool) -> Plan:
    text = HEAD + blocks + NET.replace("BODY", body)
    return Plan(archdsl.loads(text), Wish(rates="all", **wish))  # type: ignore[arg-type]


def spread(made: Plan) -> list[tuple[int, int]]:
    """The start of each rate and how many layers have it."""
    return [(rate.start, len(rate.nodes)) for rate in made.rates]


def test_untying_frees_copies_counted_by_a_name_of_the_body() -> None:
    body = "n, m = [2, 3]\n  x = x -> n * conv(8, 3, dilation=1) -> [conv(8, 3, dilation=2) for i in 1..m if i != 2]"
    assert spread(plan(body)) == [(1, 2), (2, 2)]
    made = plan(body, untie=True)
    assert spread(made) == [(1, 1), (1, 1), (2, 1), (2, 1)]
    text = " ".join(checked_text(made, (1, 2, 2, 2), "").split())
    assert "x -> [conv(8, 3, dilation=1), conv(8, 3, dilation=2)] -> [conv(8, 3, dilation=2) for" in text


def test_numbers_of_a_block_stay_tied() -> None:
    """All calls of a block share its text."""
    block = "block Same {\n  in x\n  out x -> conv(8, 3, dilation=2) -> conv(8, 3, dilation=1)\n}\n\n"
    assert spread(plan("x = x -> 3 * Same", block, untie=True)) == [(2, 3), (1, 3)]


def test_layers_that_share_a_copy_stay_tied() -> None:
    block = "block Twice(r: rate) {\n  in x\n  out x -> 2 * conv(8, 3, dilation=r)\n}\n\n"
    made = plan("x = x -> 2 * Twice(2)", block, untie=True)
    assert spread(made) == [(2, 2), (2, 2)]
    assert "x = x -> [Twice(1), Twice(3)]" in checked_text(made, (1, 3), "")


def test_rounds_over_feature_maps_stay_tied() -> None:
    body = "x = concat([part -> conv(8, 3, dilation=2) for part in split(x, 2)])"
    made = plan(body, untie=True)
    assert spread(made) == [(2, 2)]
    assert body.replace("dilation=2", "dilation=3") in checked_text(made, (3,), "")


def test_a_value_that_decides_more_is_no_candidate() -> None:
    """With 1 the block has another width: a rate of 1 is not searched, and other rates may not become 1."""
    made = plan("x = x -> Pair(1) -> Pair(2)", PAIR)
    assert spread(made) == [(2, 1)]
    assert made.rates[0].candidates == tuple(range(2, 19))
    assert "line 11: `1` decides more than dilations (x.Pair1.conv1)" in made.left_out


def test_where_nothing_can_be_searched_it_is_said_why() -> None:
    with pytest.raises(ArchError) as error:
        plan("x = x -> Pair(1)", PAIR)
    (found,) = error.value.diagnostics
    assert found.code == "E1105" and any("decides more" in note for note in found.notes)


def test_asserts_of_numbers_are_constraints() -> None:
    text = HEAD + NET.replace("Net {", "Net(rates: list[rate] = [1, 2]) {")
    made = Plan(
        archdsl.loads(
            text.replace("BODY", "x = x -> [conv(8, 3, dilation=r) for r in rates]\n  assert max(rates) <= 2")
        ),
        Wish(rates="all"),
    )
    assert made.bounds.inside((2, 2)) and not made.bounds.inside((1, 3))


UNTIED = {"dwrseg": 13, "gun": 4, "regseg": 25, "cgnet": 24, "espnetv2": 40}
"""How many rates some specs have once untied."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[1] / "specs").rglob("*.arch")), ids=lambda path: path.stem
)
def test_shipped_specs_hold_what_is_found_or_say_why_not(path: Path) -> None:
    """Untied, whichever layers differ."""
    try:
        made = Plan(archdsl.load(path), Wish(rates="all", untie=True), {"H": 256, "W": 512})
    except ArchError as error:
        assert {d.code for d in error.diagnostics} <= {"E1104", "E1105"} and path.stem not in UNTIED
        return
    assert len(made.rates) == UNTIED.get(path.stem, len(made.rates))
    values = tuple(own[index % min(len(own), 3)] for index, own in enumerate(made.bounds.candidates))
    text = write_back(made.network, made.rates, values)
    elaboration, _ = made.network.spec.reread(text).elaborate(made.network.name)
    assert elaboration is not None and elaboration.graph is not None
    for name, value in assignment(made.rates, values).items():
        assert elaboration.graph.by_name[name]["dilation"] == (value, value)


def test_copies_whose_rounds_would_spell_another_rate_stay_tied() -> None:
    """Written out, `[r, 2] for r in rates` would hold what `rates` was before the search."""
    body = "rates = [2, 3]\n  x = x -> [[conv(8, 3, dilation=r), conv(8, 3, dilation=1)] for r in rates]"
    made = plan(body, untie=True)
    assert spread(made) == [(2, 1), (1, 2), (3, 1)]
    text = checked_text(made, (1, 1, 1), "")
    assert "rates = [1, 1]" in text


def test_copies_beside_an_index_of_another_rate_are_freed() -> None:
    body = "rates = [2, 3]\n  x = x -> [[conv(8, 3, dilation=rates[i]), conv(8, 3, dilation=1)] for i in 0..1]"
    assert spread(plan(body, untie=True)) == [(2, 1), (1, 1), (3, 1), (1, 1)]
