"""What is wrong with a spec is said once, at its place, and never by a traceback."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archdsl.checking import Checked, check_network
from archdsl.diagnostics import Diagnostic, Severity, pages
from archdsl.diagnostics.text import render
from archdsl.spec import Spec


def every_network(spec: Spec) -> list[Checked]:
    """Every network of a spec after its checks; a spec without one is checked too."""
    return [check_network(spec, name) for name in spec.networks] or [check_network(spec)]


def diagnostics(spec: Spec) -> list[Diagnostic]:
    """What is said about the networks of a spec; what holds for all of them is taken once."""
    said = [d for checked in every_network(spec) for d in checked.diagnostics]
    return list({(d.code, d.span, d.message): d for d in said}.values())


def errors(text: str, above: int = 0) -> list[str]:
    """Every diagnostic of a text as `code line`, lines counted from the one after the first `above`."""
    found = diagnostics(Spec.parse(text, "spec.arch"))
    return [f"{d.code} {d.span.line - above}" for d in found if d.span is not None]


# Statements of a network that has an input [3, H, W] called `image`; lines count from the first of them.
BODIES: list[tuple[str, list[str]]] = [
    ('_y = image -> conv("64")', ["E0401 1"]),
    ("_y = image -> conv(64, conv(3))", ["E0401 1"]),
    ("_y = image -> conv(64, [3, 3, 3])", ["E0401 1"]),
    ("_y = image -> conv(true)", ["E0401 1"]),
    ("_y = image -> conv(3.0)", ["E0401 1"]),
    ("_y = image -> conv(H)", ["E0401 1"]),
    ("_y = image -> conv(64, image)", ["E0401 1"]),
    ("_y = image -> conv([[[[[1, 2]]]]])", ["E0401 1"]),
    ("_y = image -> conv(0)", ["E0402 1"]),
    ("_y = image -> conv(64, stride=-1)", ["E0402 1"]),
    ("_y = image -> dropout(2)", ["E0402 1"]),
    ("_y = image -> resize(scale=0)", ["E0402 1"]),
    ("_y = image -> resize(scale=1e300)", ["E0402 1"]),
    ("_y = image -> resize(size=[100 - H, W])", ["E0402 1"]),
    ("_y = image -> resize(size=[H % 7, W])", ["E0402 1"]),
    ("_y = image -> resize(like=3)", ["E0408 1"]),
    ("_y = resize(image, like=image)", ["E0109 1"]),
    ('_y = image -> resize(scale=2, mode="cubic")', ["E0403 1"]),
    ("_y = image -> crop(like=image, size=3)", ["E0208 1"]),
    ("_y = image -> relu6(alpha=3)", ["E0202 1"]),
    ("_y = image -> channel_shuffle(2)", ["E0303 1"]),
    ("_y = image -> pixel_shuffle(2)", ["E0303 1"]),
    ("_y = image -> conv_transpose(3, 2, stride=2, output_padding=2)", ["E0402 1"]),
    ("_y = split(image, 0)", ["E0402 1"]),
    ("_y = split(image, [1, 1])", ["E0302 1"]),
    ("_y = split(image, [])", ["E0401 1"]),
    ("_y = concat([])", ["E0408 1"]),
    ("_y = concat([image, 3])", ["E0408 1"]),
    ("_y = concat([image], 3)", ["E0408 1"]),
    ("_y = image -> add", ["E0201 1"]),
    ('_y = image + "x"', ["E0410 1"]),
    ("_y = image / 0", ["E0406 1"]),
    ("_y = image % 3", ["E0410 1"]),
    ("_y = image == image", ["E0410 1"]),
    ("_y = image < 3", ["E0410 1"]),
    ('_y = -"x"', ["E0410 1"]),
    ("_y = -relu", ["E0410 1"]),
    ("_y = not image", ["E0401 1"]),
    ("_y = image and true", ["E0401 1"]),
    ("_y = H * W", ["E0410 1"]),
    ("_y = 3 // H", ["E0410 1"]),
    ("_y = H // 0", ["E0406 1"]),
    ("_y = 3 if H == 3 else 4", ["E0405 1"]),
    ('_y = "x" -> conv(3)', ["E0408 1"]),
    ('_y = image -> "x"', ["E0404 1"]),
    ("_y = image -> [relu, [image]]", ["E0404 1"]),
    ('_y = [image, "x"] -> relu', ["E0408 1"]),
    ("_y = (image, image) -> relu", ["E0412 1"]),
    ("_y = image -> max_pool(2, indices=true) -> relu", ["E0412 1"]),
    ("_y = image -> -3 * relu", ["E0402 1"]),
    ("_y = image -> 3.5 * relu", ["E0410 1"]),
    ("_y = image -> relu + relu", ["E0410 1"]),
    ("_y = image -> relu as a -> relu as a", ["E0203 1"]),
    ("_y = image -> [relu, relu] as a", ["E0404 1"]),
    ("_y = image -> Net", ["E0404 1"]),
    ("_y = Net()", ["E0404 1"]),
    ("_y = len", ["E0404 1"]),
    ("_y = 3(4)", ["E0404 1"]),
    ("_y = zip([1], [1, 2])", ["E0414 1"]),
    ("_y = zip()", ["E0210 1"]),
    ("_y = range(1, 9, 0)", ["E0402 1"]),
    ('_y = range("a")', ["E0401 1"]),
    ("_y = max(3, image)", ["E0401 1"]),
    ("_y = min([])", ["E0402 1"]),
    ("_y = sum([image, 3])", ["E0401 1"]),
    ("_y = sum([3, [2]])", ["E0401 1"]),
    ('_y = reversed("abc")', ["E0401 1"]),
    ("_y = [1, 2][2]", ["E0409 1"]),
    ("_y = image[0]", ["E0401 1"]),
    ('_y = "a".."b"', ["E0401 1"]),
    ("_y = [i for i in 1..3 for j in i]", ["E0401 1"]),
    ("_y = [i for i in 1..3 if i]", ["E0401 1"]),
    ("_y = [i for i in 1..3] + [i]", ["E0201 1"]),
    ('_y = search("a" in {1, 2})', ["E0401 1"]),
    ("_y = search(5 in 1..4)", ["E0402 1"]),
    ("_y = search(3 in {3, image})", ["E0401 1"]),
    ("_y = params", ["E0604 1"]),
    ("_a, _b = split(image, 3)", ["E0413 1"]),
    ("_a, _b = 1..1000000000000", ["E0905 1"]),
    ("_a, _b = image", ["E0413 1"]),
    ("shared _a = image", ["E0404 1"]),
    ("shared _a = [conv(3), [relu, image]]", ["E0404 1"]),
    ("for i in 3 { _y = image }", ["E0401 1"]),
    ("for i, j in 1..3 { _y = image }", ["E0413 1"]),
    ("for i in 1..9 { _y = image -> conv(3, kernle=3) }", ["E0202 1"]),
    ("for i in 1..9 { for j in 1..i { _y = image -> conv(j - 1) } }", ["E0402 1"]),
    ("when 3 { _y = image }", ["E0401 1"]),
    ("when H > 3 { _y = image }", ["E0405 1"]),
    ("when true { _y = unknown } else { _y = 3 }", ["E0201 1"]),
    ("assert 3", ["E0401 1"]),
    ("assert 3 > 4", ["E0601 1"]),
    ("assert 3 < 4", ["W1004 1"]),
    ('assert params < "a"', ["E0410 1"]),
    ("assert macs(0, 4) < 4", ["E0401 1"]),
    ("assert gap_free(3)", ["E0408 1"]),
    ("assert search(3 in 1..4) > 2", []),
    ("out 3", ["E0408 1"]),
    ("out [image, relu]", ["E0408 1"]),
    ("out y = split(image, 3)", ["E0413 1"]),
    ("out y = []", ["E0413 1"]),
    ("out image, image", ["E0504 1"]),
    ("aux out image -> 3", ["E0404 1"]),
    ("in image [4, H, W]", ["E0203 1"]),
    ("in second [1, A, B]", ["E0507 1"]),
    ("in second [1, W, H]", ["E0507 1"]),
    ("in second [1, 9 - H, W]", ["E0402 1"]),
    ("in second [0, H, W]", ["E0402 1"]),
    ('in second [1, H, "w"]', ["E0401 1"]),
    ("in second [1, H]", ["E0507 1"]),
    ("in second", ["E0507 1"]),
    ("in second [1, H, W] = gray", ["E0508 1"]),
    ("in second [3, H, W] = rgb(0.5)", ["E0508 1"]),
    ("in second [3, H, W] = rgb(mean=[1, 2])", ["E0402 1"]),
    ("in second [3, H, W] = rgb(std=0)", ["E0402 1"]),
    ("in second [3, H, W] = rgb(scale=[])", ["E0401 1"]),
    (
        """shared a = conv(3)
_y = image -> a(3)""",
        ["E0404 2"],
    ),
    (
        """shared a = conv(8, 3)
_y = image -> a
_z = image -> conv(8) -> a""",
        ["E0309 3"],
    ),
    (
        """shared a = relu
shared a = bn
_y = image -> a""",
        ["E0203 2"],
    ),
    (
        """a, b = image -> max_pool(2, indices=true)
_y = a + b""",
        ["E0407 2"],
    ),
    (
        """a, b = image -> max_pool(2, indices=true)
out (a, a) -> unpool(2)
out b""",
        ["E0407 2"],
    ),
    (
        """image = 3
_y = image -> conv(3)""",
        ["E0408 2", "E0408 3"],
    ),
    (
        """len = 3
_y = len([1])""",
        ["E0404 2"],
    ),
    (
        """x = image -> conv("a")
_a = x -> conv(3) -> conv("b")
_b = [x, image]
_c = concat([x, image])
_d = x + image
_e = (x, image) -> relu
for i in [x] { _f = i }
assert gap_free(x)
shared g = relu if x == none else bn
_h = image -> g
when x == none { j = image }
out j -> conv(x)""",
        ["E0401 1"],
    ),
    (
        """_y = image -> conv(n)
_n = 3
_z = image -> conv(n) -> conv("c")""",
        ["E0201 1"],
    ),
    (
        """_y = image -> conv(widht)
_z = image -> conv(0)
_a = image + 1 / 0""",
        ["E0201 1", "E0402 2", "E0406 3"],
    ),
]

FILES: list[tuple[str, list[str]]] = [
    ("", ["E0114 1"]),
    ("# nothing", ["E0114 1"]),
    ("arch 1", ["E0114 1"]),
    (
        """arch 2
network N {
  in image [3, H, W]
  out image
}""",
        ["E0107 1"],
    ),
    (
        """network N {
  in image [3, H, W]
  out image
}""",
        ["E0106 1"],
    ),
    (
        """arch 1
network N {
}""",
        ["E0502 2", "E0501 2"],
    ),
    (
        """arch 1
network N {
  in image
  out image
}""",
        ["E0507 3"],
    ),
    (
        """arch 1
network N {
  in image [C, H, W]
  out image
}""",
        ["E0507 3"],
    ),
    (
        """arch 1
network N {
  in image [3, H, H]
  out image
}""",
        ["E0507 3"],
    ),
    (
        """arch 1
network N {
  in image [3, -5, W]
  out image
}""",
        ["E0402 3"],
    ),
    (
        """arch 1
network N {
  in image [3, H, W]
  aux out image
}""",
        ["E0501 2"],
    ),
    (
        """arch 1
network N {
  in image [3, H, W]
  when 3 > 4 { out image }
}""",
        ["E0501 2"],
    ),
    (
        """arch 1
network N {
  in image [3, H, W]
  a, b = image -> max_pool(2, indices=true)
  out a, b
}""",
        ["E0407 2"],
    ),
    (
        """arch 1
network N = M
network M = N""",
        ["E0505 2"],
    ),
    (
        """arch 1
network N = N""",
        ["E0505 2"],
    ),
    (
        """arch 1
network N = Missing(n=3)""",
        ["E0209 2"],
    ),
    (
        """arch 1
network N = 3""",
        ["E0404 2"],
    ),
    (
        """arch 1
block B { in x out x }
network N = B""",
        ["E0209 3"],
    ),
    (
        """arch 1
c = 3
network N = c""",
        ["E0209 3"],
    ),
    (
        """arch 1
network N = M(3)
network M(k: int = 3) { in image [3, H, W] out image -> conv(k) }""",
        ["E0109 2"],
    ),
    (
        """arch 1
network N = M(j=3)
network M(k: int = 3) { in image [3, H, W] out image -> conv(k) }""",
        ["E0202 2"],
    ),
    (
        """arch 1
network N = M(k="a")
network M(k: int = 3) { in image [3, H, W] out image -> conv(k) }""",
        ["E0401 2"],
    ),
    (
        """arch 1
network M(k: int) { in image [3, H, W] out image -> conv(k) }""",
        ["E0208 2"],
    ),
    (
        """arch 1
network M { in image [3, H, W] out image }
network M { in image [3, H, W] out image }""",
        ["E0203 3"],
    ),
    (
        """arch 1
a = b
b = a
network N { in image [3, H, W] out image -> conv(a) }""",
        ["E0505 2"],
    ),
    (
        """arch 1
a = 1 / 0
b = a + 1
network N { in image [3, H, W] out image }""",
        ["E0406 2"],
    ),
    (
        """arch 1
a = 3 -> relu
network N { in image [3, H, W] out image }""",
        ["E0408 2"],
    ),
]

CALLS: list[tuple[str, str, list[str]]] = [
    ("block B(n: int) { in x out x -> conv(n) }", "B", ["E0208 5"]),
    ("block B(n: int) { in x out x -> conv(n) }", "B(3, 4)", ["E0210 5"]),
    ("block B(n: int) { in x out x -> conv(n) }", "B(3, n=4)", ["E0109 5"]),
    ("block B(n: int) { in x out x -> conv(n) }", "B(n=3, n=4)", ["E0109 5"]),
    ("block B(n: int) { in x out x -> conv(n) }", "B(n=3, 4)", ["E0109 5"]),
    ("block B(n: int) { in x out x -> conv(n) }", "B(m=3)", ["E0202 5"]),
    ("block B(n: int) { in x out x -> conv(n) }", "B(image)", ["E0401 5"]),
    ("block B(n: int) { in x out x -> conv(n) }", "B(B(3))", ["E0401 5"]),
    ("block B(n) { in x out x -> conv(n) }", 'B("a")', ["E0401 2"]),
    ("block B(n, n) { in x out x -> conv(n) }", "B(3)", ["E0203 2"]),
    ("block B(n: integer) { in x out x -> conv(n) }", "B(3)", ["E0201 2"]),
    ("block B(n: int[int]) { in x out x -> conv(n) }", "B(3)", ["E0210 2"]),
    ("block B(n: list[list[rate]]) { in x out x -> conv(n[0][0]) }", "B([[0]])", ["E0401 5"]),
    ("block B(n: (int, int)) { in x out x -> conv(n[0]) }", "B((1, 2, 3))", ["E0401 5"]),
    ("block B(n: list[rate]) { in x out x -> conv(n[0]) }", "B(0..3)", ["E0401 5"]),
    ("block B(n: int in 1..4) { in x out x -> conv(n) }", "B(7)", ["E0402 5"]),
    ("block B(n: str in 1..4) { in x out x -> conv(len(n)) }", 'B("a")', ["E0401 2"]),
    ('block B(n: str in {"abc", "def"}) { in x out x -> conv(len(n)) }', 'B("abd")', ["E0403 5"]),
    ("block B(n: int in {zzz, 3}) { in x out x -> conv(n) }", "B(3)", ["E0201 2"]),
    ('block B(n: int = "a") { in x out x -> conv(n) }', "B", ["E0401 2"]),
    ("block B(n: int = m, m: int = 3) { in x out x -> conv(n + m) }", "B", ["E0201 2"]),
    ("block B(m: block = B) { in x out x -> m }", "B", ["E0505 2"]),
    ("block B(m: block = relu) { in x out x -> m(3) }", "B", ["E0210 2"]),
    ("block B(m: block) { in x out x -> m }", "B(image)", ["E0401 5"]),
    ("block B(u: map) { in x out x + u }", "B(3)", ["E0401 5"]),
    ("block B(u: indices) { in x out (x, u) -> unpool(2) }", "B(image)", ["E0401 5"]),
    ("block B { in a in b in c out a + b + c }", "B", ["E0412 2"]),
    ("block B { in x out x, x -> bn }", "B -> relu", ["E0412 5"]),
    ("block B { out x }", "B", ["E0502 2"]),
    ("block B { in x }", "B", ["E0501 2"]),
    ("block B { }", "B", ["E0502 2", "E0501 2"]),
    ("block B(n: int) { in x when n > 9 { out x } }", "B(3)", ["E0501 5"]),
    ("block B { in x [C, H] out x }", "B", ["E0310 2"]),
    ("block B { in x [4, H, W] out x }", "B", ["E0307 2"]),
    ('block B { in x ["c", H, W] out x }', "B", ["E0401 2"]),
    ("block B { in x = rgb out x }", "B", ["E0508 2"]),
    ("block B { in x aux out x }", "B", ["E0503 2"]),
    ("block B { in x out x -> B }", "B", ["E0903 2"]),
    ("block B(n: int) { in x out x -> B(n + 1) -> B(n + 2) }", "B(1)", ["E0903 2"]),
    ("block B(n: int) { in x out x -> relu if n == 0 else x -> B(n - 1) -> B(n - 1) }", "B(40)", ["E0902 2"]),
]


@pytest.mark.parametrize(("statements", "expected"), BODIES)
def test_statements(statements: str, expected: list[str]) -> None:
    """Each faulty statement gives one error on its line, and nothing that depends on it gives another."""
    text = f"arch 1\nnetwork Net {{\n  in image [3, H, W]\n{statements}\nout last = image -> bn\n}}\n"
    assert errors(text, above=3) == expected


@pytest.mark.parametrize(("text", "expected"), FILES)
def test_files(text: str, expected: list[str]) -> None:
    """What is wrong with a file, its networks, variants and constants is said once, whichever network is asked for."""
    assert errors(text) == expected


@pytest.mark.parametrize(("block", "call", "expected"), CALLS)
def test_calls_of_blocks(block: str, call: str, expected: list[str]) -> None:
    """The caller's mistakes are shown at the call, those of the block in the block."""
    text = f"arch 1\n{block}\nnetwork Net {{\n  in image [3, H, W]\n  out image -> {call}\n}}\n"
    assert errors(text) == expected


# What a message says


def only(statements: str) -> Diagnostic:
    """The one diagnostic of a network with these statements."""
    text = f"arch 1\nnetwork Net {{\n  in image [3, H, W]\n{statements}\nout last = image -> bn\n}}\n"
    (diagnostic,) = diagnostics(Spec.parse(text, "spec.arch"))
    return diagnostic


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        ("_y = image -> conv(64, relu)", "`kernel` of conv must be an integer or a (height, width) pair"),
        ("_y = image -> conv([[[1]]])", "`out` of conv must be an integer, not [[[…]]]"),
        ("_y = image -> [bn, [3]]", "a chain holds modules only, and this list has an integer in it"),
        ("_y = sum([image, 3])", "not a feature map and an integer"),
        ("_y = 1 if 2 * H > 3 else 4", "whether `2 * H > 3` holds depends on the input's size"),
        ("in more [-2, H, W]", "an input has 1 to 65,536 channels, not -2"),
        ("_y = split(image, 100000)", "100,000 parts are over the limit of 4,096"),
        ("_y = image -> unpool(2)", "unpool reads 2 values, and is given 1"),
    ],
)
def test_messages_use_the_words_of_the_language(statements: str, message: str) -> None:
    """A value is named as the user would name it, and huge ones are cut short."""
    assert message in only(statements).message


def test_both_sides_of_a_disagreement_are_shown() -> None:
    """Where two maps do not go together, each is marked where it was made, with its shape."""
    found = only("a = image -> conv(8)\nb = image -> conv(8, 3, stride=2)\n_y = a + b")
    assert [(label.span.line, label.text) for label in found.labels] == [
        (4, "this is [8, H, W]"),
        (5, "this is [8, ⌈H/2⌉, ⌈W/2⌉]"),
    ]


def test_a_shared_module_shows_its_first_use() -> None:
    """Weights that would need two shapes are marked at both uses."""
    found = only("shared m = conv(8)\n_a = image -> m\n_b = image -> conv(4) -> m")
    assert [(label.span.line, label.text) for label in found.labels] == [(5, "here it has [8, 3, 1, 1]")]


def test_a_typo_in_a_name_does_not_make_the_right_one_unused() -> None:
    """An undefined name and the value it was meant to read are one mistake."""
    assert errors("arch 1\nnetwork N {\n  in image [3, H, W]\n  left = image -> bn\n  out lefft\n}") == ["E0201 5"]


def test_suggestions_come_from_what_can_stand_there() -> None:
    """A network is no candidate for a name inside a body."""
    found = diagnostics(Spec.parse("arch 1\nnetwork Stem {\n  in image [3, H, W]\n  out image -> Sten\n}", "spec.arch"))
    assert [(d.code, d.help) for d in found] == [("E0201", "")]


# Imports


def said(folder: Path, files: dict[str, str]) -> list[str]:
    """What is said about `main.arch` among files in a folder, as `code file:line`."""
    for name, text in files.items():
        (folder / f"{name}.arch").write_text(text, encoding="utf-8")
    found = diagnostics(Spec.read(str(folder / "main.arch")))
    return [f"{d.code} {Path(d.span.path).stem}:{d.span.line}" for d in found if d.span is not None]


MAIN = "arch 1\nuse a: A\nnetwork N {\n  in image [3, H, W]\n  out image -> A\n}\n"
BLOCK = "block A {\n  in x\n  out x -> relu\n}\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"main": "arch 1\nuse main: A\n" + BLOCK + MAIN.split("\n", 2)[2]}, ["E0206 main:2"]),
        ({"main": MAIN, "a": "arch 1\nuse a: B\n" + BLOCK}, ["E0206 a:2"]),
        ({"main": MAIN, "a": "arch 1\nuse main: B\n" + BLOCK}, ["E0206 a:2"]),
        ({"main": MAIN, "a": "arch 1\nuse b: B\n" + BLOCK, "b": "arch 1\nuse main: N\n"}, ["E0206 b:2"]),
        (
            {"main": MAIN, "a": "arch 1\nuse b: B\n" + BLOCK, "b": "arch 1\nuse a: A\nc = 3\n"},
            ["E0206 b:2"],
        ),
        ({"main": MAIN}, ["E0204 main:2"]),
        ({"main": MAIN.replace("use a", "use x.a")}, ["E0204 main:2"]),
        ({"main": MAIN.replace("use a", "use std.a")}, ["E0204 main:2"]),
        ({"main": MAIN, "a": BLOCK}, ["E0106 a:1"]),
        ({"main": MAIN, "a": "arch 1\n"}, ["E0205 main:2"]),
        ({"main": MAIN, "a": "arch 1\nblock A { in x out x -> zzz }"}, ["E0201 a:2"]),
        ({"main": MAIN, "a": "arch 1\nblock A { in x out x -> -> }"}, ["E0101 a:2"]),
        ({"main": MAIN, "a": "arch 1\nblock A { in x }"}, ["E0501 a:2"]),
        ({"main": MAIN, "a": "arch 1\nblock A { out x }"}, ["E0502 a:2"]),
        ({"main": MAIN.replace("use a: A", "use a: A, A"), "a": "arch 1\n" + BLOCK}, ["E0203 main:2"]),
        ({"main": "arch 1\nuse a: N as M\nnetwork L = M", "a": "arch 1\nnetwork N = N"}, ["E0505 a:2"]),
    ],
)
def test_imports(files: dict[str, str], expected: list[str], tmp_path: Path) -> None:
    """What is wrong with an import is said in the file where it stands, and its uses are no further errors."""
    assert sorted(said(tmp_path, files)) == sorted(expected)


def test_files_that_are_no_specs(tmp_path: Path) -> None:
    """A file that is missing, a folder, no text, or too large is refused before anything is made of it."""
    (tmp_path / "binary.arch").write_bytes(bytes(range(256)) * 8)
    (tmp_path / "large.arch").write_bytes(b"arch 1\n" + b"# much\n" * 1_500_000)
    (tmp_path / "folder.arch").mkdir()
    names = ("missing", "folder", "binary", "large")
    found = [diagnostics(Spec.read(str(tmp_path / f"{name}.arch"))) for name in names]
    assert [[d.code for d in one] for one in found] == [["E0111"], ["E0111"], ["E0112"], ["E0901"]]


def test_a_long_chain_of_imports_ends(tmp_path: Path) -> None:
    """Files that import one another in a long row are read up to the limit."""
    files = {f"f{i}": f"arch 1\nuse f{i + 1}: A\n{BLOCK.replace('A', 'B')}" for i in range(90)}
    main = MAIN.replace("use a: A", "use f0: B as A")
    assert said(tmp_path, {"main": main, "f90": "arch 1\n" + BLOCK, **files}) == ["E0903 f63:2"]


# Limits

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
