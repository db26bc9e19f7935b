"""Whatever a text asks for, it ends: in a graph, or in errors, and never in a traceback."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from said import diagnostics, errors, every_network, only
from typer.testing import CliRunner, Result

from archdsl.cli.app import app
from archdsl.diagnostics import Severity, pages
from archdsl.diagnostics.text import render
from archdsl.spec import Spec

EXPLOSIONS: list[tuple[str, str]] = [
    ("_y = image -> 1000 * (1000 * relu)", "E0905"),
    ("a = 300 * [relu]\nb = 300 * [a]\nc = 300 * [b]\n_y = image -> c", "E0905"),
    ("a = 900 * [1]\nb = 900 * [a]\n_y = b == b", "E0905"),
    ("a = []\nfor i in 1..999 { a = [a] }\n_y = a", "E0905"),
    ("a = []\nfor i in 1..99999 { a = a + [i] }\n_y = a", "E0906"),
    ("_y = [0 for i in 1..1000 for j in 1..1000]", "E0905"),
    ("_y = [[[0 for i in 1..999] for j in 1..99] for k in 1..99]", "E0906"),
    ("_y = 1..9000000000000000000\n_z = _y[0]", "E0905"),
    ("_y = range(0, 9000000000000000000, 3)", "E0905"),
    ("_y = 99999 * [1]\nfor i in 1..99999 { _z = max(_y) }", "E0906"),
    ("_y = 99999 * [1]\nfor i in 1..99999 { _z = _y == _y }", "E0906"),
    ("_y = 99999 * [image]\nfor i in 1..99999 { _z = concat(_y) }", "E0906"),
    ("for i in 1..999 { for j in 1..999 { for k in 1..999 { _y = 3 } } }", "E0906"),
    ("for i in 1..999 { for j in 1..999 { _y = image -> relu } }", "E0902"),
    ("y = image -> conv(4096)\nfor i in 1..999 { _z = split(y, 4096) }", "E0902"),
    ("for i in 1..99999 { _y = search(3 in 1..99999) }", "E0906"),
    ("m = relu\nfor i in 1..999 { m = conv(m) }\n_y = image -> m", "E0903"),
    ("_y = image -> conv(8, 1025)", "E0904"),
    ("_y = image -> max_pool((2, 99999))", "E0904"),
    ("_y = split(image -> conv(4097), 4097)", "E0905"),
    ("_y = image -> conv(8, groups=999999999999)", "E0303"),
    ("_y = image -> conv(999999999999) -> conv(8, groups=7)", "E0303"),
    ("_y = image -> conv(9G * 9G)", "E0411"),
    ("_y = 1e300 * 1e300", "E0411"),
    ("h = H\nfor i in 1..999 { h = h * 1000 }\n_y = h", "E0907"),
    ("h = H\nfor i in 1..99 { h = h // 2 + h // 3 }\n_y = h", "E0907"),
    ("y = image\nfor i in 1..999 { y = y -> resize(scale=1.5) }\n_z = y", "E0907"),
    ("y = image\nfor i in 1..999 { y = y -> conv(3, 3, stride=2) }\n_z = y", "E0907"),
    ("y = image -> resize(size=[(H // 65537) * 65536, W])\n_z = image + y", "E0907"),
    ("for i in 1..99 { _z = image + (image -> resize(size=[(H // (60000 + i)) * (60000 + i), W])) }", "E0906"),
    ("for i in 1..99999 { _y = image -> conv(0) }", "E0402"),
    ("in more [99999999999, H, W]", "E0402"),
]


@pytest.mark.parametrize(("statements", "code"), EXPLOSIONS)
def test_explosions_end_in_an_error(statements: str, code: str) -> None:
    """Whatever a spec asks for, the limits answer before time or memory are gone."""
    assert only(statements).code == code


@pytest.mark.parametrize(
    ("block", "code"),
    [
        ("block B { in x out x -> B }", "E0903"),
        ("block B(m: block = B) { in x out x -> m }", "E0505"),
        ("block B(n: int = 60) { in x out x -> relu if n == 0 else x -> B(n - 1) -> B(n - 1) }", "E0902"),
        (
            "block B(n: int = 60, m: int = 1) {\n in x\n a = x -> B(n - 1, 2 * m) if n > 0 else x\n"
            " _b = x -> B(n - 1, 2 * m + 1) if n > 0 else x\n out a\n}",
            "E0906",
        ),
        (
            "block B(n: int = 30) {\n in x\n a = x -> C(n)\n b = x -> C(n)\n out a + b\n}\n"
            "block C(n: int) { in x out x -> conv(n - n) if n == 0 else x -> B(n - 1) }",
            "E0402",
        ),
    ],
)
def test_recursion_ends_in_an_error(block: str, code: str) -> None:
    """A block that calls itself comes to an end by a limit, at the latest."""
    text = f"arch 1\n{block}\nnetwork N {{\n  in image [3, H, W]\n  out image -> B\n}}\n"
    assert {d.code for d in diagnostics(Spec.parse(text, "spec.arch"))} == {code}


def test_hopeless_specs_are_given_up() -> None:
    """Of ten thousand faulty statements, so many are reported that nobody misses the others."""
    text = "arch 1\nnetwork N {\n  in image [3, H, W]\n" + "  _y = image -> conv(0)\n" * 6000 + "  out image\n}\n"
    assert 20 < len(errors(text)) < 2000


# Any text at all


_TOKENS = re.compile(r'"[^"\n]*"|\d+(?:\.\d+)?[kMG]?|\w+|->|\.\.|//|[<>=!]=|\#[^\n]*|\s+|.')
_SPECS = [
    example.spec
    for code in pages.codes()
    if not code.startswith("E09")
    for example in (*pages.load(code).good, *pages.load(code).bad)
    if not example.files
]
_WORDS = re.compile(r'"[^"]*"|\w+')
_KEYWORDS = frozenset(
    re.findall(r"\w+", "in out for when shared aux assert if else not and or as use block network arch search")
)
_VALUES = [
    *(
        "none",
        "true",
        "-1",
        "0",
        "3",
        "2.5",
        '"s"',
        "[]",
        "[[1], [2]]",
        "(1, 2)",
        "1..3",
        "H",
        "(H // 2)",
        "W",
        "image",
    ),
    *(
        "[relu, bn]",
        "[image, image]",
        "relu",
        "conv",
        "conv(3)",
        "conv(4, 3, stride=2)",
        "split(image, 3)",
        "unpool(2)",
    ),
    *("max_pool(2, indices=true)", "resize(like=image)", "(image -> conv(4, 3, stride=2))", "guided_upsample(scale=2)"),
    *("deform_conv(4, 3)", "[i for i in 1..3]", "pad((1, 0, 0, 1))", "crop(like=image)", "(3 * relu)", "(1 / image)"),
    *("search(3 in 1..4)", "(1 if H == none else 2)", "enumerate([relu])", "Net", "params", "gap_free", "shape(image)"),
]
_SIGNS = [
    "->",
    "+",
    ",",
    "=",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ":",
    "..",
    "é",
    '"',
    "in",
    "out",
    "for",
    "when",
    "if",
    "else",
]
_INTERNAL = re.compile(r"\b[A-Z]\w+\(\w+=|object at 0x|<unknown")


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A spec of the pages, with some of its words replaced by others, or some signs put in or left out."""
    tokens = _TOKENS.findall(draw(st.sampled_from(_SPECS)))
    words = [i for i, token in enumerate(tokens) if _WORDS.fullmatch(token) and token not in _KEYWORDS]
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.booleans()):
            tokens[draw(st.sampled_from(words))] = draw(st.sampled_from(_VALUES))
        else:
            tokens[draw(st.integers(0, len(tokens) - 1))] = draw(st.sampled_from(["", *_SIGNS]))
    return "".join(tokens)


@settings(max_examples=200, deadline=None)
@given(mutated())
def test_nothing_raises(text: str) -> None:
    """A spec that was tampered with has a graph or an error, and each of its errors is said once and can be shown."""
    for checked in every_network(Spec.parse(text, "spec.arch")):
        assert (checked.graph is None) <= any(d.severity is Severity.ERROR for d in checked.diagnostics)
        assert max(Counter((d.code, d.span) for d in checked.diagnostics).values(), default=1) == 1
        for diagnostic in checked.diagnostics:
            assert render(diagnostic, color=False)
            assert not _INTERNAL.search(" ".join((diagnostic.message, diagnostic.label, diagnostic.help)))


# Several networks in one file


def checked(text: str, folder: Path, *arguments: str) -> Result:
    path = folder / "many.arch"
    path.write_text(text, encoding="utf-8")
    return CliRunner().invoke(app, ["check", str(path), *arguments])


def test_limits_hold_for_all_networks_of_a_file_together(tmp_path: Path) -> None:
    """A file of many large networks is not worth minutes: checking stops where they are too large together."""
    text = "arch 1\n" + "".join(f"network N{i} {{ in image [3, H, W] out image -> 40000 * relu }}\n" for i in range(9))
    done = checked(text, tmp_path)
    assert done.exit_code == 1
    assert "3 networks of this file together would have more than 100,000 nodes" in done.output
    assert done.output.count("error[") == 1 and "--network" in done.output
    assert "N1: ok" in done.output and "N4" not in done.output
    assert checked(text, tmp_path, "--network", "N8").exit_code == 0


def test_thousands_of_networks_are_too_many(tmp_path: Path) -> None:
    """The smallest network costs something, too."""
    text = "arch 1\n" + "".join(f"network N{i} {{ in image [3, H, W] out image -> relu }}\n" for i in range(3000))
    assert "take more than 1,000,000 steps" in checked(text, tmp_path).output
