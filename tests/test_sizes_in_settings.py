"""Sizes that only the input decides, where settings take them: padding to a multiple, crops, the larger of two."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from said import only

import archdsl
from archdsl.lower.fx import lower_fx
from archdsl.network import Network


def net(statement: str) -> Network:
    return archdsl.loads(f"arch 1\nnetwork N {{\n  in image [3, H, W]\n  out y = image -> {statement}\n}}\n")


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 12), (8, 5)])
def test_padding_to_a_multiple_follows_the_input(height: int, width: int) -> None:
    """What is missing to the next multiple is added, below and on the right."""
    padded = net("pad((0, (4 - W % 4) % 4, 0, (4 - H % 4) % 4))")
    x = torch.randn(1, 3, height, width)
    expected = F.pad(x, (0, -width % 4, 0, -height % 4))
    torch.testing.assert_close(padded.module()(x), expected)
    assert padded.facts(height, width)["shapes"]["y"] == list(expected.shape[1:])


def test_padded_sizes_are_known_to_be_multiples() -> None:
    """The rule of sizes sees through the padding: what needs multiples of 4 takes any input after it."""
    fits = net("pad((0, (4 - W % 4) % 4, 0, (4 - H % 4) % 4)) -> pixel_unshuffle(4)")
    assert fits.facts()["size_rule"]["H"] == {"modulus": 1, "remainders": [0], "min": 1}


def test_a_crop_starts_where_the_input_says() -> None:
    cropped = net("crop(size=(H // 2, W // 2), offset=(H // 4, W % 2))")
    x = torch.randn(1, 3, 9, 11)
    torch.testing.assert_close(cropped.module()(x), x[:, :, 2:6, 1:6])


def test_a_padding_that_the_input_decides_is_nominal_where_no_size_is_given() -> None:
    """Which column a padded column reads depends on the input: the fact says so, and is exact at a size."""
    padded = net("pad((W % 2, 0, 0, 0)) -> conv(4, 3)")
    assert padded.field_of_view("y") == (3, 3)
    assert "y" in padded.facts()["nominal"]
    assert "y" not in padded.facts(8, 9)["nominal"]


def test_a_compiled_network_pads_alike() -> None:
    padded = net('pad((0, W % 2, H % 2, 0), mode="reflect") -> conv(4, 3, stride=2)')
    model = padded.module(seed=1).eval()
    fast = archdsl.compile(model, sizes=[(9, 13)])
    x = torch.randn(1, 3, 9, 13)
    with torch.no_grad():
        torch.testing.assert_close(fast(x), model(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("_y = image -> pad((0, 3 - W, 0, 0))", "E0402"),
        ("_y = image -> pad((0, W - H, 0, 0))", "E0402"),
        ("_y = image -> pad((0, 1.5, 0, 0))", "E0401"),
        ("_y = image -> crop(size=4, offset=(H - 9, 0))", "E0402"),
        ('_y = image -> crop(size=4, offset="left")', "E0403"),
        ("_y = max(H, 7)", "E0405"),
        ("_y = min(H, W)", "E0405"),
        ("_y = min(H, 1.5)", "E0401"),
    ],
)
def test_what_cannot_be_for_every_input_is_refused(statement: str, code: str) -> None:
    assert only(statement).code == code


def test_the_larger_of_two_sizes_where_one_always_is() -> None:
    """`max` and `min` choose among sizes where the choice is the same for every input."""
    assert str(net("resize(size=(max(H, H // 2), min([W // 2 + 1, W + 1])))").ir.nodes[-1].types[0]) == (
        "[3, H, ⌊W/2⌋ + 1]"
    )


def test_numbers_of_the_text_reach_torch_as_plain_integers() -> None:
    """An integer that knows its place in the text is one for torch.export, too, beside an open size."""
    lowered = lower_fx(net("pad(2) -> crop(like=image, offset=(1, 2))").ir, {})
    crop = next(node for node in lowered.graph.nodes if getattr(node.target, "__name__", "") == "cut_out")
    assert [type(number) for number in crop.args[2]] == [int, int]
