"""A faulty statement is reported once, at its place, in the words of the language."""

from __future__ import annotations

import re

import pytest
from said import diagnostics, errors, only

from archdsl.diagnostics.text import render
from archdsl.spec import Spec

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


@pytest.mark.parametrize(("statements", "expected"), BODIES)
def test_statements(statements: str, expected: list[str]) -> None:
    """Each faulty statement gives one error on its line, and nothing that depends on it gives another."""
    text = f"arch 1\nnetwork Net {{\n  in image [3, H, W]\n{statements}\nout last = image -> bn\n}}\n"
    assert errors(text, above=3) == expected


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


def _contradicting(*statements: str) -> tuple[tuple[int, str], list[tuple[int, str]]]:
    """Line and words of the place where no size is left, and of each place beside it."""
    found = only("\n".join(statements))
    assert found.code == "E0308" and found.span is not None
    return (found.span.line, found.label), [(label.span.line, label.text) for label in found.labels]


def test_sizes_that_contradict_each_other_are_both_shown() -> None:
    """Where every place allows some input and all together none, the places are marked with what each asks for."""
    assert _contradicting(
        "half = image -> conv(3, 3, stride=2) -> resize(scale=2)",
        "_even = image + half",
        "_any = image + (half -> resize(like=image))",
        "_odd = (image -> pad((0, 1, 0, 1))) + half",
    ) == (
        (7, "the height must be 2n + 1 for H + 1 to be 2·⌈H/2⌉"),
        [(5, "the height must be 2n for H to be 2·⌈H/2⌉")],
    )


def test_what_can_be_spared_from_a_contradiction_is_left_out() -> None:
    """Heights of 2n, 3n and 5n go together; what comes last meets all but 2n, and only these two are shown."""
    primary, others = _contradicting(
        "a = image -> avg_pool(2) -> resize(scale=2)",
        "b = image -> avg_pool(3) -> resize(scale=3)",
        "c = image -> avg_pool(5) -> resize(scale=5)",
        "_two = image + a",
        "_five = image + c",
        "_three = image + b",
        "_six = (image -> pad((0, 3, 0, 3))) + (image -> avg_pool(6, ceil=true) -> resize(scale=6))",
    )
    assert primary[0] == 10
    assert [line for line, _ in others] == [7]


def test_a_contradiction_inside_a_block_shows_its_call() -> None:
    """A place in a block of the user's is marked together with the call that led there."""
    text = """arch 1
block Even() {
  in x
  out x + (x -> conv(3, 3, stride=2) -> resize(scale=2))
}
network Net {
  in image [3, H, W]
  y = image -> Even()
  out z = concat([y -> global_pool, (image -> pad((0, 1, 0, 1)) -> Even()) -> global_pool])
}
"""
    (found,) = diagnostics(Spec.parse(text, "spec.arch"))
    assert (found.code, found.label) == ("E0308", "the height must be 2n + 1 for H + 1 to be 2·⌊H/2⌋ + 2")
    marked = [(label.span.line, label.text) for label in found.labels]
    assert marked == [
        (4, "the height must be 2n for H to be 2·⌈H/2⌉"),
        (8, "in this call of Even"),
        (9, "in this call of Even"),
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


PAGE = """arch 1

use std.conv: ConvBnAct
use std.dilated: DBlock

network Mine {
  in image [3, H, W]
  s8 = image -> [ConvBnAct(32, 3, stride=2), DBlock(128, stride=2)]

  s16 = s8 -> DBlock(256, [1, 2, 4])
  out logits = s16 -> conv(19)
}
"""


def test_the_error_of_the_language_description() -> None:
    """Message, place, label and help of an uneven split are those that the language's description shows."""
    (found,) = diagnostics(Spec.parse(PAGE, "specs/mine.arch"))
    line = PAGE.split("\n").index("  s16 = s8 -> DBlock(256, [1, 2, 4])") + 1
    shown = render(found, color=False).splitlines()
    assert shown[:6] == [
        "error[E0302]: 256 channels cannot be split into 3 equal parts",
        f"  --> specs/mine.arch:{line}:15",
        "   |",
        f"{line:2} |   s16 = s8 -> DBlock(256, [1, 2, 4])",
        "   |               ^^^^^^^^^^^^^^^^^^^^^^ width 256 over 3 rates is not a whole number",
        "   |",
    ]
    assert shown[6] == "  raised in block DBlock, here"
    assert re.fullmatch(r"  --> archdsl/std/dilated\.arch:\d+:\d+", shown[7])
    assert shown[8] == "   = help: use 2 or 4 rates, or width 240 or 288"


@pytest.mark.parametrize(
    ("block", "call", "label", "help"),
    [
        (
            "block B(n: int = 3, w: int = 64) { in x out concat(split(x -> conv(w), n)) }",
            "B",
            "",
            "give their sizes, or a number that divides 64, such as 2 or 4",
        ),
        (
            "block B(n: int = 3, w: int = 64) { in x y = x -> conv(w) out concat(split(y, n)) }",
            "B",
            "w 64 over n = 3 is not a whole number",
            "use n = 2 or 4, or w 63 or 66",
        ),
        (
            "block B(n: int in 3..5 = 3, w: int = 64) { in x y = x -> conv(w) out y -> split(n) }",
            "B",
            "w 64 over n = 3 is not a whole number",
            "use n = 4, or w 63 or 66",
        ),
        (
            "block B(r: list[int]) { in x [C, H, W] out concat(split(x, len(r))) }",
            "B([1, 2])",
            "",
            "use 1 or 3 r",
        ),
    ],
)
def test_a_mend_of_an_uneven_split_was_tried(block: str, call: str, label: str, help: str) -> None:
    """Only values with which the block works out are proposed, and none where the split is of something unnamed."""
    text = f"arch 1\n{block}\nnetwork Net {{\n  in image [3, H, W]\n  out image -> {call}\n}}\n"
    (found,) = diagnostics(Spec.parse(text, "spec.arch"))
    assert (found.code, found.label, found.help) == ("E0302", label, help)


def test_a_power_is_told_how_to_be_written() -> None:
    (found,) = diagnostics(Spec.parse("arch 1\nnetwork N {\n  in image [2 ** 2, H, W]\n  out image\n}", "spec.arch"))
    assert (found.code, found.help) == ("E0101", "there are no powers; write the product: `2 * 2 * 2`")


@pytest.mark.parametrize(
    ("statement", "code", "help"),
    [
        ("_y = image -> interpolate(2)", "E0201", "did you mean `resize`?"),
        ("_y = image -> nn.Conv2d(3)", "E0101", "no attributes or methods"),
        ("_y = image -> conv(3, kernel_size=3)", "E0202", "did you mean `kernel`?"),
        ("_y = image -> BatchNorm2d", "E0201", "did you mean `bn`?"),
        ("_y = image && image", "E0103", "write `and`"),
        ("_y = 3;", "E0103", "leave it out"),
        ("_y = größe", "E0103", "letters A to Z"),
        ("return image", "E0101", "gives its values out with `out …`"),
        ("_y = lambda x: x", "E0101", "no functions but blocks"),
        (
            "_y = image -> conv(8, 3, dilation=search(a in {1, 2}))",
            "E0201",
            "a search starts with the value that it compiles as: `search(2 in 1..8)`",
        ),
    ],
)
def test_words_of_other_languages_lead_to_ours(statement: str, code: str, help: str) -> None:
    """What somebody who comes from PyTorch writes is one error, and its help line says how it is written here."""
    found = only(statement)
    assert found.code == code
    assert help in found.help
