"""Asserts that ask for an analysis: what holds, what does not, and what is said then."""

from __future__ import annotations

from pathlib import Path

import pytest
from random_graphs import SPECS, elaborated

from archdsl.analyses.assertions import check_assertions, holds
from archdsl.analyses.contributions import field_of_view_by_node
from archdsl.analyses.once import Analyses
from archdsl.diagnostics import Diagnostic, Diagnostics, Severity
from archdsl.elaborate.files import Files
from archdsl.elaborate.network import elaborate

BODY = """  in image [3, H, W]
  s2 = image -> conv(8, 3, stride=2)
  tall = s2 -> conv(8, (5, 1))
  c = tall -> global_pool
  out y = tall * c -> resize(like=image)
"""


def check(asserts: str, body: str = BODY, values: dict[str, int] | None = None) -> list[Diagnostic]:
    """What is said of asserts at the end of a network."""
    elaboration, diagnostics = elaborated(f"arch 1\nlimit = 1k\nnetwork Net {{\n{body}{asserts}\n}}\n")
    assert not diagnostics.items
    check_assertions(elaboration, diagnostics, values)
    return diagnostics.items


@pytest.mark.parametrize(
    "condition",
    [
        "params == 216 + 320",
        "params < limit and params_train >= params",
        "macs(64, 64) == 1024 * (216 + 320)",
        "macs(w=64, h=32) < macs(64, 64)",
        "field_of_view(s2) == 3",
        "3 <= field_of_view(tall) <= 11",
        "field_of_view(tall) != 7",
        "field_of_view(tall) == [11, 3] and (11, 3) == field_of_view(tall)",
        "field_of_view(s2) == [3, 3]",
        "field_of_view(tall) >= [11, 2]",
        "field_of_view(tall) != [11, 4] and field_of_view(tall) != [3, 11]",
        "field_of_view(tall)[0] == 11 and field_of_view(tall)[1] == 3 and field_of_view(s2)[1] == 3",
        "field_of_view(tall) - field_of_view(s2) >= 0",
        "2 * field_of_view(s2) == 6",
        "not field_of_view(tall) >= 4",
        "gap_free and gap_free(tall)",
        "params > 0 and shape(tall) == shape(s2)",
        "params > 0 and shape(y) != shape(s2)",
        "params > 0 and shape(s2)[1] == (shape(image)[1] - 1) // 2 + 1",
        'latency("t4", 1024, 2048) > 0.01',
        "params / 1k < 1 or field_of_view(nowhere) == 1",
    ],
)
def test_an_assert_that_holds_says_nothing(condition: str) -> None:
    assert check(f"  assert {condition}") == []


@pytest.mark.parametrize(
    ("condition", "labels"),
    [
        ("params <= 500", {"params": "is 536"}),
        ("limit < params", {"limit": "is 1,000", "params": "is 536"}),
        ("macs(64, 64) <= 1k", {"macs(64, 64)": "is 548,864"}),
        ("field_of_view(s2) >= 4", {"field_of_view(s2)": "is 3"}),
        ("field_of_view(tall) >= 4", {"field_of_view(tall)": "is 11 in rows and 3 in columns"}),
        ("field_of_view(tall) <= 4", {"field_of_view(tall)": "is 11 in rows and 3 in columns"}),
        ("field_of_view(tall) == 11", {"field_of_view(tall)": "is 11 in rows and 3 in columns"}),
        (
            "field_of_view(tall) == [11, 4]",
            {"field_of_view(tall)": "is 11 in rows and 3 in columns", "[11, 4]": "is [11, 4]"},
        ),
        ("field_of_view(s2) == [3, 4]", {"field_of_view(s2)": "is 3", "[3, 4]": "is [3, 4]"}),
        ("params > 1 and field_of_view(s2) == 4 and params > 900", {"field_of_view(s2)": "is 3"}),
        ("params > 600 or params < 5", {"params": "is 536"}),
        ("params > 1 and shape(y) == shape(s2)", {"shape(y)": "is [8, H, W]", "shape(s2)": "is [8, ⌈H/2⌉, ⌈W/2⌉]"}),
        ("not params", {}),
    ],
)
def test_an_assert_that_does_not_hold_shows_its_sides(condition: str, labels: dict[str, str]) -> None:
    (diagnostic,) = check(f"  assert {condition}")
    if condition == "not params":
        assert diagnostic.code == "E0401"
        return
    assert (diagnostic.code, diagnostic.severity) == ("E0601", Severity.ERROR)
    assert diagnostic.span is not None and diagnostic.span.text == f"assert {condition}"
    assert {label.span.text: label.text for label in diagnostic.labels} == labels


@pytest.mark.parametrize(
    ("condition", "notes"),
    [
        (
            "params <= 1",
            (
                "line 6 has 320 of 536 parameters: `tall = s2 -> conv(8, (5, 1))`",
                "line 5 has 216 of 536 parameters: `s2 = image -> conv(8, 3, stride=2)`",
            ),
        ),
        (
            "macs(2, 2) <= 1",
            (
                "line 6 has 320 of 536 MACs: `tall = s2 -> conv(8, (5, 1))`",
                "line 5 has 216 of 536 MACs: `s2 = image -> conv(8, 3, stride=2)`",
            ),
        ),
        (
            "field_of_view(tall) >= 99",
            ("line 5 has 2 of 3 pixels of the field of view: `s2 = image -> conv(8, 3, stride=2)`",),
        ),
        (
            # 320 GB/s: the image in, 3·1024·2048 numbers of 2 bytes; the result out, 8·512·1024 resized to the image
            'latency("t4", 1024, 2048) < 0.01',
            (
                "line 8 has 104,858 of 144,183 ns of moving bytes: `out y = tall * c -> resize(like=image)`",
                "line 5 has 39,323 of 144,183 ns of moving bytes: `s2 = image -> conv(8, 3, stride=2)`",
                "line 6 has 2 of 144,183 ns of moving bytes: `tall = s2 -> conv(8, (5, 1))`",
            ),
        ),
    ],
)
def test_the_lines_that_contribute_most_are_named(condition: str, notes: tuple[str, ...]) -> None:
    (diagnostic,) = check(f"  assert {condition}")
    assert diagnostic.notes == notes


@pytest.mark.parametrize(
    ("condition", "code", "where", "help"),
    [
        ("macs(0, 64) > 1", "E0401", "0", ""),
        ("macs(64) > 1", "E0210", "macs(64)", ""),
        ("macs(64, 64, 64) > 1", "E0210", "macs(64, 64, 64)", ""),
        ("macs(height=64, w=64) > 1", "E0202", "height=64", "it takes h, w"),
        ("macs > 1", "E0404", "macs", "`macs(h, w)`"),
        ("params(3) > 1", "E0404", "params", ""),
        ("field_of_view(3) > 1", "E0408", "3", ""),
        ("field_of_view(s3) > 1", "E0201", "s3", "did you mean"),
        ("field_of_view(s2 -> relu) > 1", "E0605", "relu", "give the value a name"),
        ("field_of_view(s2 + s2) > 1", "E0605", "s2 + s2", ""),
        ('latency("t44", 64, 64) > 1', "E0820", '"t44"', "did you mean `t4`?"),
        ('latency("../t4.toml", 64, 64) > 1', "E0820", '"../t4.toml"', ""),
        ("params / 0 > 1", "E0406", "params / 0", ""),
        ("params > 1 and shape(s2)[1] < 10", "E0405", "shape(s2)[1] < 10", ""),
    ],
)
def test_a_question_without_an_answer_is_an_error(condition: str, code: str, where: str, help: str) -> None:
    (diagnostic,) = check(f"  assert {condition}")
    assert diagnostic.code == code and help in diagnostic.help
    assert diagnostic.span is not None and diagnostic.span.text == where


def test_a_size_that_the_network_does_not_take_is_an_error() -> None:
    body = "  in image [3, H, W]\n  x = image -> avg_pool(2) -> resize(scale=2)\n  out y = x + image\n"
    (diagnostic,) = check("  assert macs(64, 65) == 0", body)
    assert (diagnostic.code, diagnostic.message) == ("E0602", "Net takes no input of width 65")
    assert diagnostic.help == "the width must be 2n; the nearest is 66"
    fixed = "  in image [3, 64, W]\n  out y = image -> relu\n"
    (diagnostic,) = check("  assert macs(65, 65) == 0", fixed)
    assert (diagnostic.code, diagnostic.help) == ("E0602", "its height is always 64")


# ----------------------------------------------------------------- gaps

GAPPED = """  in image [3, H, W]
  x = image -> conv(8, 3, dilation=2)
  plain = image -> conv(8, 3)
  filled = concat([x, plain])
  out y = filled -> relu
"""
HOLED = GAPPED.replace("filled -> relu", "x -> relu")


@pytest.mark.parametrize("condition", ["gap_free", "gap_free and params > 1", "gap_free(y)", "gap_free(x) or gap_free"])
def test_a_hole_is_one_error_where_it_is_born(condition: str) -> None:
    diagnostics = check(f"  assert {condition}", HOLED)
    assert [d.code for d in diagnostics] == ["E0603"]
    assert diagnostics[0].span is not None and diagnostics[0].span.text == "conv(8, 3, dilation=2)"


def test_two_asserts_of_one_hole_give_one_error() -> None:
    assert [d.code for d in check("  assert gap_free\n  assert gap_free(y)", HOLED)] == ["E0603"]


def test_a_filled_hole_is_none_of_the_network_but_one_of_the_branch() -> None:
    assert check("  assert gap_free and gap_free(filled) and gap_free(plain)", GAPPED) == []
    (diagnostic,) = check("  assert gap_free(x)", GAPPED)
    assert diagnostic.code == "E0601"
    assert [label.text for label in diagnostic.labels] == ["leaves 1 input pixels unread"]


# ----------------------------------------------------------------- around it


@pytest.mark.parametrize("condition", ["1 < 2", "len([1, 2]) == 2", "1k == 1000 and max(1, 2) == 2"])
def test_an_assert_that_mentions_nothing_gets_a_warning(condition: str) -> None:
    (diagnostic,) = check(f"  assert {condition}")
    assert (diagnostic.code, diagnostic.severity) == ("W1004", Severity.WARNING)
    assert diagnostic.span is not None and diagnostic.span.text == f"assert {condition}"


def test_a_vacuous_assert_of_a_block_is_warned_of_without_a_graph() -> None:
    text = "arch 1\nblock B {\nin x [C, H, W]\nassert 1 < 2\nout x\n}\nnetwork N {\nin image [3, H, W]\nout y = imag\n}"
    elaboration, diagnostics = elaborated(text)
    check_assertions(elaboration, diagnostics)
    assert [d.code for d in diagnostics.items] == ["E0201", "W1004"]


def test_an_assert_in_a_block_shows_the_call() -> None:
    block = "block B {\n  in x [C, H, W]\n  y = x -> conv(4, 5)\n  assert field_of_view(y) <= 3\n  out y\n}\n"
    elaboration, diagnostics = elaborated(f"arch 1\n{block}network N {{\nin image [3, H, W]\nout z = image -> B\n}}")
    check_assertions(elaboration, diagnostics)
    (diagnostic,) = diagnostics.items
    assert diagnostic.code == "E0601"
    assert [label.text for label in diagnostic.labels] == ["is 5", "in this call of B"]


def test_hardware_may_be_described_beside_the_spec(tmp_path: Path) -> None:
    (tmp_path / "slow.toml").write_text('name = "Slow"\nbandwidth = 1e9\n[flops]\nfloat32 = 1e6\n')
    spec = tmp_path / "net.arch"
    spec.write_text(f'arch 1\nnetwork Net {{\n{BODY}  assert latency("slow.toml", 64, 64) <= 1000\n}}\n')
    diagnostics = Diagnostics()
    file = Files(diagnostics).load_path(str(spec))
    assert file is not None
    elaboration = elaborate(file, None, diagnostics)
    assert elaboration is not None
    check_assertions(elaboration, diagnostics)
    (diagnostic,) = diagnostics.items
    assert [label.text for label in diagnostic.labels] == ["is 1097.728"]


def test_each_analysis_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("macs", "parameters", "reach_both", "find_gaps"):
        original = getattr(__import__("archdsl.analyses.once", fromlist=[name]), name)

        def counted(*args: object, _name: str = name, _original: object = original, **kwargs: object) -> object:
            calls.append(_name)
            return _original(*args, **kwargs)  # type: ignore[operator]

        monkeypatch.setattr(f"archdsl.analyses.once.{name}", counted)
    twice = "  assert params > 1 and macs(64, 64) > 1 and field_of_view(tall) > 1 and gap_free\n" * 2
    assert check(twice) == []
    assert sorted(calls) == ["find_gaps", "macs", "parameters", "reach_both"]


def test_asserts_can_be_asked_one_by_one() -> None:
    """In a search, asserts are constraints."""
    elaboration, _ = elaborated(f"arch 1\nnetwork Net {{\n{BODY}  assert params < 5\n  assert params > 5\n}}\n")
    assert elaboration.graph is not None
    analyses = Analyses(elaboration.graph)
    assert [holds(assertion, analyses) for assertion in elaboration.assertions] == [False, True]


@pytest.mark.parametrize("spec", sorted(path.name for path in SPECS.glob("*.arch")))
def test_the_asserts_of_shipped_networks_hold(spec: str) -> None:
    diagnostics = Diagnostics()
    file = Files(diagnostics).load_path(str(SPECS / spec))
    assert file is not None
    for name, _ in file.networks():
        elaboration = elaborate(file, name, diagnostics)
        assert elaboration is not None
        check_assertions(elaboration, diagnostics)
    assert diagnostics.items == []


def test_a_latency_bound_by_arithmetic_names_where_the_arithmetic_is() -> None:
    """65 TFLOP/s: a convolution's time is two operations for each of its multiply-adds."""
    wide = "  in image [3, H, W]\n  a = image -> conv(64)\n  out y = a -> conv(512, 9) -> conv(8)\n"
    (diagnostic,) = check('  assert latency("t4", 512, 512) < 1', wide)
    macs = 512 * 512 * (64 * 512 * 81 + 512 * 8)
    assert diagnostic.notes[0].startswith(f"line 6 has {2e9 * macs / 65e12:,.0f} of")
    assert "ns of arithmetic: `out y" in diagnostic.notes[0]


def test_a_field_of_view_has_two_axes() -> None:
    (diagnostic,) = check("  assert field_of_view(tall) == [11, 3, 3]")
    assert (diagnostic.code, diagnostic.help) == ("E0410", "compare with one number, or with [rows, columns]")


def test_contributions_are_those_at_the_stated_size() -> None:
    """What the lines add to a field of view adds up to it, also where the size of the input decides on ratios."""
    text = """arch 1
network Net {
  in image [3, H, W]
  x = image -> conv(4, 3, stride=2) -> conv(4, 3, stride=2)
  y = x -> resize(like=image) -> conv(4, 3, dilation=5)
  out y
}
"""
    graph = elaborated(text)[0].graph
    assert graph is not None
    for values in (None, {"H": 37, "W": 37}, {"H": 9, "W": 9}):
        ref = dict(graph.names)["y"]
        gains = field_of_view_by_node(graph, ref, "x", values)
        assert sum(gains.values()) == Analyses(graph, values).field_of_view(ref)[1]
