"""Recovery: every text is read, every mistake is reported once and at its place, and the rest is kept."""

from __future__ import annotations

from random import Random

import pytest
from helpers import REGSEG_PAGE, body, errors, outline, parsed
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import specs

from archdsl.lang.parser import MAX_BYTES, MAX_TOKENS

_PLACES = st.integers(0, len(REGSEG_PAGE))


def network(lines: str) -> str:
    return f"network N {{\n{lines}\n}}\n"


@pytest.mark.parametrize(
    ("line", "help"),
    [
        ("  x += image", "write it out: `x = x + …`"),
        ("  x //= 2", "write it out: `x = x // …`"),
        ("  y = [p for p in x -> split(2)]", "stands in parentheses"),
        ("  for p in x -> split(2) { y = p }", "stands in parentheses"),
        ("  when x -> f { y = 1 }", "stands in parentheses"),
        ("  for i, (a, b) in x { y = a }", "and then `a, b = pair`"),
        ("  y = conv(0x10)", "numbers are decimal"),
    ],
)
def test_a_known_mend_is_said(line: str, help: str) -> None:
    """What people bring from Python is told apart, and what follows is read."""
    found = parsed(network(f"{line}\n  z = = 3")).diagnostics
    assert [d.span.line for d in found if d.span] == [2, 3]
    assert help in found[0].help


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # an expression left open is reported at its last operator
        (network("  y = x ->\n  z = 1"), ["E0108 2:9 ->"]),
        (network("  y = x +  # more\n\n  out y"), ["E0108 2:9 +"]),
        (network("  y =\n  z = 1"), ["E0108 2:5 ="]),
        (network("  out y,\n  z = 1"), ["E0108 2:8 ,"]),
        (network("  assert\n  out y"), ["E0108 2:3 assert"]),
        (network("  y = x and"), ["E0108 2:9 and"]),
        (network("  y = f(x + )"), ["E0108 2:11 +"]),
        ("use std.conv:\nblock A {}", ["E0108 1:13 :"]),
        ("a = 1 +", ["E0108 1:7 +"]),
        # brackets
        (network("  y = f(1, [2, 3)\n  z = 1"), ["E0102 2:12 ["]),
        (network("  y = f(1,\n  z = 1"), ["E0102 2:8 ("]),
        (network("  y = [f(1),\n    2\n  out z"), ["E0102 2:7 ["]),
        (network("  y = f(1"), ["E0102 2:8 ("]),
        ("block A {\n  in x\nblock B {}", ["E0102 1:9 {"]),
        ("block A {\n  when x {\n    y = 1\n", ["E0102 1:9 {", "E0102 2:10 {"]),
        ("a = (1", ["E0102 1:5 ("]),
        (network("  y = f(x))\n  z = [1]]"), ["E0101 2:11 )", "E0101 3:10 ]"]),
        # tokens that cannot stand where they stand
        (network("  y = 1 2\n  z = = 3"), ["E0101 2:9 2", "E0101 3:7 ="]),
        (network("  y = x conv(3)"), ["E0101 2:9 conv"]),
        (network("  y = x relu\n  z = 1"), ["E0101 2:9 relu"]),
        (network("  x conv(3)"), ["E0101 2:5 conv"]),
        (network("  y = f(a=1,\n    b=2\n    c=3)\n  z = 1"), ["E0101 4:5 c"]),
        (network("  if x {\n    y = 1\n  }\n  z = 1"), ["E0101 2:3 if"]),
        (network("  when y = 1 {\n    a = 2\n  } else {\n    a = 3\n  }"), ["E0101 2:10 ="]),
        (network("  for i 1..3 {\n    a = 2\n  }"), ["E0101 2:9 1"]),
        (network("  use a: b\n  block C {\n    out 1\n  }\n  out x"), ["E0101 2:3 use", "E0101 3:3 block"]),
        (network("  when a {\n  } else (\n  out x"), ["E0101 3:10 ("]),
        ("a = 1\nin x\nassert y\nout y\n", ["E0101 2:1 in"]),
        ("block A(a: int b: int) {\n  y = = 1\n}", ["E0101 1:16 b", "E0101 2:7 ="]),
        ("block {\n  in x\n}\nblock B {}", ["E0101 1:7 {"]),
        # characters and strings
        (network("  y = x ≤ 1\n  z = a × b × c"), ["E0103 2:9 ≤", "E0103 3:9 ×", "E0103 3:13 ×"]),
        (network("  y = 'same'\n  z = 1;"), ["E0103 2:7 'same'", "E0103 3:8 ;"]),
        (network('  y = f(x, "same, 3)\n  z = = 1'), ['E0104 2:12 "same, 3', "E0101 3:7 ="]),
        (network('  y = f(\n    "a,\n    2)\n  z = 1'), ['E0104 3:5 "a']),
        (network(f"  y = {'9' * 5000}\n  z = 1e999"), [f"E0901 2:7 {'9' * 5000}", "E0901 3:7 1e999"]),
        # nesting
        (f"a = {'(' * 101}1{')' * 101}", ["E0105 1:105 ("]),
    ],
)
def test_one_mistake_gives_one_error(text: str, expected: list[str]) -> None:
    """Each at its place with its code, and none that follows from another."""
    assert errors(text) == expected


def test_every_independent_error_is_reported() -> None:
    """One run reports them all, and keeps every statement around them."""
    text = (
        "arch 1\n"
        "use std.conv ConvBnAct\n"
        "a = 3 +\n"
        "b = 4\n"
        "block B(width: int, rates list) {\n"
        "  in x\n"
        "  y = x -> conv(width, 1 -> bn\n"
        "  z = y ? 2\n"
        "  out z\n"
        "}\n"
        "network N {\n"
        "  in x\n"
        "  for i in 1..3 {\n"
        "    y = x y\n"
        "    w = 2\n"
        "  }\n"
        "  out w\n"
        "  out y = \n"
        "}\n"
        "network M = N(\n"
    )
    assert errors(text) == [
        "E0101 2:14 ConvBnAct",
        "E0108 3:7 +",
        "E0101 5:27 list",
        "E0102 7:16 (",
        "E0103 8:9 ?",
        "E0101 14:11 y",
        "E0108 18:9 =",
        "E0102 20:14 (",
    ]
    entries = parsed(text).file.entries
    assert [type(entry).__name__ for entry in entries] == [
        "BrokenEntry",
        "BrokenEntry",
        "Definition",
        "BrokenEntry",
        "Block",
        "BrokenEntry",
    ]
    assert outline(entries[4]).startswith("Block(N, [], Body([Input(x, none, none, none), For([i], RangeExpr(1, 3)")
    assert "Assign([w], 2)" in outline(entries[4]) and "Output(none, [w], false)" in outline(entries[4])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (network("  y = x ->\n  z = 1"), "[Broken([y]), Assign([z], 1)]"),
        (network("  a, b = f(x\n  z = 1"), "[Broken([a, b]), Assign([z], 1)]"),
        (network("  in x [\n  z = 1"), "[Broken([x]), Assign([z], 1)]"),
        (network("  shared s = (\n  z = 1"), "[Broken([s]), Assign([z], 1)]"),
        (network("  out o = = 1\n  z = 1"), "[Broken([o]), Assign([z], 1)]"),
        (network("  y = x conv(3)\n  z = 1"), "[Assign([y], x), Broken([y]), Assign([z], 1)]"),
        (network("  y = x ? 1\n  z = 1"), "[Broken([y]), Assign([z], 1)]"),
        (network("  y = x;\n  z = 1"), "[Assign([y], x), Assign([z], 1)]"),
        (network("  for i 1 {\n    y = 1\n  }\n  z = 1"), "[Broken([i, y]), Assign([z], 1)]"),
    ],
)
def test_what_is_left_out_says_what_it_would_bind(text: str, expected: str) -> None:
    """So that later steps do not report those names as unknown."""
    assert parsed(text).diagnostics
    assert outline(body(text)).replace("'", "") == expected


def test_there_is_an_end_to_reporting() -> None:
    """A text full of errors gets a page of them, not a book."""
    assert 40 <= len(errors(network("  y = 1 2\n" * 500))) <= 42
    assert len(errors("a = @\n" * 500)) == 40


def test_large_files_are_refused() -> None:
    """By their size, and by their number of tokens."""
    assert errors("#" * (MAX_BYTES + 1)) == ["E0901 1:1 "]
    assert errors("é" * (MAX_BYTES // 2 + 1)) == ["E0901 1:1 "]
    assert errors("a=1\n" * (MAX_TOKENS // 3 + 1)) == ["E0901 1:1 "]


PATHOLOGICAL = [
    *("(", "{", "[", "- ", "not ", "a b c ", "@", '"', '" ', "'", "\0", "\\", "a=1\n", "a = \n", "a = (\n", "a,\n"),
    *("in x\n", "}", "])", "a if ", "a -> ", "for ", "when x {", "else ", "block A {\n", "block A(\n", '"a" ', "..\n"),
    *('a = "\n', "use a: b\n", "network N {\n y = x ->\n}\n", "## x\n", "\n", "x = f(\n", "1e", "block A { in in\n"),
]


@pytest.mark.parametrize("piece", PATHOLOGICAL)
def test_no_text_is_too_much(piece: str) -> None:
    """One thing over and over, up to the limits: read or refused, with a page of errors at most."""
    text = piece * min(MAX_BYTES // len(piece) - 1, 12_000)
    assert len(parsed(text).diagnostics) <= 42
    assert len(parsed("network N {\n in x\n" + text).diagnostics) <= 44


def test_rereading_is_bounded() -> None:
    """Statements left open before a long rest are not each read to the end of it."""
    text = "network N {\n" + "  a = f(\n" * 90 + "1, " * 10000 + "@\n}\n"
    assert 1 <= len(errors(text)) <= 44


WORDS = "arch 1 use block network in out aux shared assert for when else if and or not as search x y.z 2.5k"
SIGNS = """[ ] ( ) { } { } , : = == <= .. -> + - * / // % # @ ' × \\ é """
TOKENS = [*WORDS.split(), *SIGNS.split(), '"s"', '"', "\0", *["\n"] * 8, "\r\n", "\t"]


@given(st.lists(st.sampled_from(TOKENS), max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_tokens_in_any_order_are_read(tokens: list[str]) -> None:
    """Nothing is raised, every position is in the text, and the same text gives the same errors."""
    text = " ".join(tokens)
    assert errors(text) == errors(text)


@given(st.text(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_text_is_read(text: str) -> None:
    """Whatever the characters, with a page of errors at most."""
    assert len(errors(text)) <= 42


@given(st.binary(max_size=300))
@settings(max_examples=50, deadline=None)
def test_binary_files_are_read(data: bytes) -> None:
    """As far as they can be called text at all."""
    for text in (data.decode("latin-1"), data.decode("utf-8", "surrogateescape")):
        assert len(errors(text)) <= 42


@given(
    st.integers(0, len(REGSEG_PAGE)), st.integers(0, len(REGSEG_PAGE)), st.sampled_from([*'(){}[]=,"#@x1\n>', "", " "])
)
@settings(max_examples=100, deadline=None)
def test_a_damaged_spec_is_read(end: int, place: int, replacement: str) -> None:
    """Cut short, or with one character changed: errors near the damage, and few of them."""
    errors(REGSEG_PAGE[:end])
    assert len(errors(REGSEG_PAGE[:place] + replacement + REGSEG_PAGE[place + 1 :])) <= 6


@given(specs(), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_a_spec_with_a_line_gone_is_read(text: str, seed: int) -> None:
    """Any valid spec has no errors; with a line taken out it is still read."""
    assert errors(text) == []
    lines = text.split("\n")
    del lines[Random(seed).randrange(len(lines))]
    errors("\n".join(lines))
