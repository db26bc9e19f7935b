"""Rates written back into the text: the smallest edit, everything else as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from archdsl.search.space import all_rates, marked_rates
from archdsl.search.write_back import write_back

import archdsl
from archdsl.diagnostics import ArchError

HEAD = """arch 1

# kept: a comment
use std.dilated: DBlock

## A small net.
network Net(RATES) {  # kept too
  in image [3, H, W]
  s = image -> conv(32, 3, stride=2)
"""
TAIL = "  out logits = y -> conv(5)\n}\n"


def spec(parameter: str, body: str) -> str:
    return HEAD.replace("(RATES)", f"({parameter})" if parameter else "") + f"  {body}\n" + TAIL


def written(text: str, values: list[int], **options: bool) -> str:
    network = archdsl.loads(text)
    rates = all_rates(network, **options)[0] if options else marked_rates(network)
    assert len(rates) == len(values)
    return write_back(network, rates, values)


def test_one_place_is_one_number_replaced() -> None:
    text = spec("", "y = s -> DBlock(32, [1, search(2 in 1..6)])  # kept as well")
    assert written(text, [3]) == text.replace("search(2 in", "search(3 in")


def test_a_mark_that_is_a_whole_argument_is_kept() -> None:
    block = "block One(r: rate) {\n  in x\n  out x -> conv(32, 3, dilation=r)\n}\n\n## A small net."
    text = spec("", "y = s -> One(search(2 in 1..6))").replace("## A small net.", block)
    text = text.replace("use std.dilated: DBlock\n", "")
    assert written(text, [3]) == text.replace("search(2 in", "search(3 in")


def test_a_comprehension_whose_rates_agree_stays_one() -> None:
    text = spec("", "y = s -> [DBlock(32, [1, search(2 in 1..6)]) for i in 1..3]")
    assert written(text, [4, 4, 4]) == text.replace("search(2 in", "search(4 in")


def test_a_comprehension_is_written_out_where_rates_differ() -> None:
    text = spec(
        "rates: list[rate] = [search(2 in 1..6) for i in 1..3] + [1]", "y = s -> [DBlock(32, [1, r]) for r in rates]"
    )
    wanted = "[search(4 in 1..6), search(2 in 1..6), search(5 in 1..6)] + [1]"
    assert written(text, [4, 2, 5]) == text.replace("[search(2 in 1..6) for i in 1..3] + [1]", wanted)


def test_loop_variables_become_what_they_are() -> None:
    text = spec("", "y = s -> [DBlock(32 * i, [1, search(2 in 1..6)]) for i in 1..2 if i > 0]")
    wanted = "[DBlock(32 * 1, [1, search(3 in 1..6)]), DBlock(32 * 2, [1, search(2 in 1..6)])]"
    assert wanted in written(text, [3, 2])


def test_nested_comprehensions_are_written_out_only_where_they_differ() -> None:
    rates = "list[list[rate]] = [[search(2 in 1..6) for j in 1..2] for i in 1..2]"
    text = spec(f"rates: {rates}", "y = s -> [DBlock(32, r) for r in rates]")
    assert "= [[search(3 in 1..6) for j in 1..2], [search(4 in 1..6) for j in 1..2]]" in written(text, [3, 3, 4, 4])
    assert "= [[search(3 in 1..6), search(4 in 1..6)] for i in 1..2]" in written(text, [3, 4, 3, 4])


def test_what_a_comprehension_goes_over_is_written_out_on_its_own() -> None:
    """It is evaluated once, before the rounds: `[… for r in [search(…) for i in 1..3]]`."""
    text = spec("", "y = s -> [DBlock(32, [a, b]) for a, b in [(search(1 in 1..4), search(2 in 1..6)) for i in 1..2]]")
    wanted = "for a, b in [(search(1 in 1..4), search(3 in 1..6)), (search(2 in 1..4), search(4 in 1..6))]"
    assert wanted in written(text, [1, 3, 2, 4])
    text = spec("", "y = s -> [DBlock(32, r) for r in [[1]] + 2 * [[1, 2]]]")
    network = archdsl.loads(text)
    places = [rate for rate in all_rates(network, untie=True)[0] if rate.start == 2]
    assert "for r in [[1]] + [[1, 3], [1, 4]]]" in write_back(network, places, [3, 4])
    text = spec("", "y = s -> [DBlock(32, [a, search(2 in 1..6)]) for a in [search(1 in 1..2), 3]]")
    assert "search(2 in 1..2), 3]" in written(text, [2, 5, 5]) and "search(5 in" in written(text, [2, 5, 5])
    with pytest.raises(ArchError, match="what they go over is searched too"):
        written(text, [2, 4, 5])


def test_a_repetition_ties_and_untied_it_is_written_out() -> None:
    text = spec("", "y = s -> 2 * DBlock(32, [1, 2])")
    network = archdsl.loads(text)
    rates, _ = all_rates(network)
    place = [rate for rate in rates if rate.start == 2]
    assert write_back(network, place, [3]) == text.replace("[1, 2]", "[1, 3]")
    untied = [rate for rate in all_rates(network, untie=True)[0] if rate.start == 2]
    assert "s -> [DBlock(32, [1, 3]), DBlock(32, [1, 4])]" in write_back(network, untied, [3, 4])
    assert "s -> 2 * DBlock(32, [1, 4])" in write_back(network, untied, [4, 4])


def test_a_for_takes_one_rate_for_all_rounds_or_is_refused_with_the_mend() -> None:
    text = spec("", "y = s\n  for i in 1..2 {\n    y = y -> DBlock(32, [1, search(2 in 1..6)])\n  }")
    assert written(text, [3, 3]) == text.replace("search(2 in", "search(3 in")
    with pytest.raises(ArchError, match=r"for r in \[search"):
        written(text, [3, 4])


def test_a_rate_of_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.arch").write_text(
        "arch 1\n\nblock B {\n  in x\n  out x -> conv(8, 3, dilation=search(1 in 1..3))\n}\n"
    )
    text = "arch 1\n\nuse mine: B\n\nnetwork Net {\n  in image [3, H, W]\n  out y = image -> B\n}\n"
    (tmp_path / "net.arch").write_text(text)
    network = archdsl.load(tmp_path / "net.arch")
    with pytest.raises(ArchError, match="another file"):
        write_back(network, marked_rates(network), [1])


def test_a_variant_keeps_its_own_rates() -> None:
    text = spec("rates: list[rate] = [1]", "y = s -> [DBlock(32, [1, r]) for r in rates]")
    text += "\nnetwork Big = Net(rates=[search(2 in 1..6) for i in 1..2])\n"
    network = archdsl.loads(text, network="Big")
    found = write_back(network, marked_rates(network), [2, 3], "by hand")
    assert found.endswith(
        "\n# archdsl search: Big: by hand\nnetwork Big = Net(rates=[search(2 in 1..6), search(3 in 1..6)])\n"
    )


def test_provenance_stands_above_the_doc_comment_and_is_replaced_the_next_time() -> None:
    text = spec("", "y = s -> DBlock(32, [1, search(2 in 1..6)])")
    network = archdsl.loads(text)
    once = write_back(network, marked_rates(network), [3], "first")
    assert "\n# archdsl search: Net: first\n## A small net.\nnetwork Net {" in once
    again = archdsl.loads(once)
    assert write_back(again, marked_rates(again), [3], "second") == once.replace("first", "second")


def test_regseg_unrolls_its_comprehension_and_nothing_else() -> None:
    network = archdsl.load("specs/regseg.arch")
    found = [14, 12, 14, 9, 14, 14, 3]
    text = write_back(network, marked_rates(network), found)
    before, after = network.source.splitlines(), text.splitlines()
    assert all(line in after for line in before if "search(14" not in line)
    assert [rate.start for rate in marked_rates(archdsl.loads(text))] == found


@pytest.mark.parametrize("layout", ["arch 1 {a} {b}\n", "arch 1\n{a}\nnetwork\nB\n{b}\n"])
def test_provenance_finds_a_network_wherever_its_line_begins(layout: str) -> None:
    body = "{{ in image [3, H, W] out y = image -> conv(4, 3) -> conv(4, 3, dilation=search(1 in 1..3)) }}"
    text = layout.replace("network\nB\n{b}", "network\nB\n" + body)
    text = text.format(a=f"network A {body}".format(), b=f"network B {body}".format())
    network = archdsl.loads(text, network="B")
    found = write_back(network, marked_rates(network), [1], "first")
    assert found.replace("# archdsl search: B: first\n", "") == text
    network = archdsl.loads(found, network="B")
    assert write_back(network, marked_rates(network), [1], "second") == found.replace("first", "second")


def test_comments_in_what_is_written_out_are_kept() -> None:
    rates = "rates: list[rate] = [  # a\n  search(2 in 1..6)  # b\n  # c\n  for i in 1..2\n] + [1]"
    text = spec(rates, "y = s -> [DBlock(32, [1, r]) for r in rates]")
    found = written(text, [4, 2])
    assert "search(4 in 1..6), search(2 in 1..6)] + [1]" in " ".join(found.split()).replace(",] ", "] ")
    assert [found.count(f"# {name}\n") for name in "abc"] == [1, 1, 1]


def test_windows_line_ends_stay() -> None:
    text = spec("", "y = s -> DBlock(32, [1, search(2 in 1..6)])").replace("\n", "\r\n")
    network = archdsl.loads(text)
    found = write_back(network, marked_rates(network), [3], "a note")
    assert found.replace("# archdsl search: Net: a note\r\n", "") == text.replace("search(2 in", "search(3 in")


def test_a_range_that_a_round_sets_is_written_out_with_it() -> None:
    text = spec("", "y = s -> [DBlock(32, [1, search(1 in 1..i + 1)]) for i in 1..2]")
    found = written(text, [2, 1])
    assert "[DBlock(32, [1, search(2 in 1..1 + 1)]), DBlock(32, [1, search(1 in 1..2 + 1)])]" in found


def test_a_rate_that_stays_as_it_was_is_not_touched() -> None:
    text = spec(
        "", "y = s -> [DBlock(32, [1, search(i in 1..3)]) for i in 1..2] -> DBlock(32, [search(3 - 1 in 1..4)])"
    )
    assert written(text, [1, 2, 2]) == text
    assert written(text, [1, 2, 3]) == text.replace("search(3 - 1 in", "search(3 in")


def test_rounds_with_different_numbers_of_rates_are_refused_with_a_mend() -> None:
    jagged = "y = s -> [[DBlock(32, [1, r]) for r in [search(2 in 1..6) for k in 1..j]] for j in 0..2]"
    with pytest.raises(ArchError, match="E1102") as error:
        written(spec("", jagged), [2, 3, 4])
    found = error.value.diagnostics[0]
    assert "different numbers" in found.notes[0] and found.help is not None and "as a list" in found.help
