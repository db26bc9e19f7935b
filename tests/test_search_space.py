"""Which rates of a spec are searched, what the bound leaves of them, and a network that runs their mixtures."""

from __future__ import annotations

import random

import pytest
import torch
from archdsl.search.bound import Bounds, Masks, map_caps
from archdsl.search.relaxed import RelaxedModule, relax
from archdsl.search.space import all_rates, assignment, marked_rates, with_rates

import archdsl
from archdsl.analyses.gaps import gap_free
from archdsl.diagnostics import ArchError
from archdsl.network import Network

SPEC = """arch 1

use std.conv: ConvBnAct
use std.dilated: DBlock

network Net(rates: list[list[rate]] = [[1, search(2 in 1..18)] for i in 1..2] + 2 * [[1, search(4 in {1, 2, 4})]]) {
  in image [3, H, W]
  s4 = image -> ConvBnAct(32, 3, stride=2) -> DBlock(32, stride=2)
  y = s4 -> [DBlock(32, r) for r in rates]
  out logits = y -> conv(5)
}
"""
FIXED = "arch 1\n\nnetwork Net {\n  in image [3, H, W]\n  out logits = image -> CHAIN -> conv(4)\n}\n"


def chain(*modules: str) -> Network:
    return archdsl.loads(FIXED.replace("CHAIN", " -> ".join(modules)))


def test_one_evaluation_is_one_rate_and_a_repetition_ties() -> None:
    rates = marked_rates(archdsl.loads(SPEC))
    assert [(rate.where, rate.start, len(rate.candidates), len(rate.nodes)) for rate in rates] == [
        ("y.0", 2, 18, 1),
        ("y.1", 2, 18, 1),
        ("y.2", 4, 3, 2),
    ]
    assert rates[0].span.source.text[rates[0].span.start : rates[0].span.end] == "search(2 in 1..18)"


def test_all_rates_are_those_of_the_file_and_the_others_are_named() -> None:
    rates, elsewhere = all_rates(archdsl.loads(SPEC))
    assert [(rate.start, len(rate.nodes), rate.variable) for rate in rates] == [
        (1, 2, None),
        (2, 1, 0),
        (2, 1, 1),
        (1, 2, None),
        (4, 2, 2),
    ]
    assert all("s4" in node.name for node in elsewhere)
    untied, _ = all_rates(archdsl.loads(SPEC), untie=True)
    assert [len(rate.nodes) for rate in untied if rate.variable is None] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    "module",
    [
        "conv(search(8 in {8, 16}), 3)",
        "conv(8, search(3 in {3, 5}))",
        "conv(8, 3, dilation=[1, search(2 in 1..4)])",
        "conv(8, 3, dilation=search(2 in 1..4), padding=7)",
        "conv(8 * search(1 in 1..2), 3)",
        "max_pool(3, stride=search(1 in 1..2))",
    ],
)
def test_a_search_over_anything_but_a_centred_rate_is_refused(module: str) -> None:
    with pytest.raises(ArchError) as error:
        marked_rates(chain(module))
    assert [d.code for d in error.value.diagnostics] == ["E1101"]


@pytest.mark.parametrize(
    ("module", "why"),
    [
        ("[conv(8, 3, dilation=2 * search(1 in 1..2)) for i in 1..3]", "changes more than dilation rates"),
        ("conv_transpose(8, 3, dilation=search(2 in 1..4), padding=2)", "rate of `conv_transpose`, and only"),
        ("conv(8, 3, dilation=search(2 in 1..4), padding=7)", "does not centre"),
        ("conv(8, 1, dilation=search(2 in 1..4))", "1x1 convolutions alone"),
        ("conv(8, 3, dilation=[search(2 in 1..4), 1][1])", "decides nothing"),
    ],
)
def test_why_a_search_is_refused_is_said_once(module: str, why: str) -> None:
    with pytest.raises(ArchError, match=why) as error:
        marked_rates(chain(module))
    assert len(error.value.diagnostics) == 1


def test_other_rates_are_what_the_text_with_them_gives() -> None:
    network = archdsl.loads(SPEC)
    rates = marked_rates(network)
    changed = with_rates(network.ir, assignment(rates, [3, 5, 1]))
    text = SPEC.replace("[[1, search(2 in 1..18)] for i in 1..2]", "[[1, 3], [1, 5]]").replace(
        "search(4 in {1, 2, 4})", "1"
    )
    assert changed == archdsl.loads(text).ir


def test_the_bound_follows_the_rates_before() -> None:
    network = chain("conv(4, 3)", *(["conv(4, 3, dilation=search(1 in 1..18))"] * 2))
    bounds = Bounds(network.ir, marked_rates(network))
    assert bounds.allowed(0, []) == [1, 2, 3]
    assert bounds.allowed(1, [1]) == list(range(1, 6))
    assert bounds.allowed(1, [3]) == list(range(1, 10))


def test_a_fixed_layer_after_the_search_keeps_small_rates_out() -> None:
    network = chain("conv(4, 3)", "conv(4, 3, dilation=search(3 in 1..18))", "conv(4, 3, dilation=9)")
    bounds = Bounds(network.ir, marked_rates(network))
    assert bounds.feasible()
    assert bounds.allowed(0, []) == [3]
    broken = chain("conv(4, 3)", "conv(4, 3, dilation=search(3 in 1..18))", "conv(4, 3, dilation=10)")
    assert not Bounds(broken.ir, marked_rates(broken)).feasible()


def test_the_exact_rule_allows_what_a_sibling_fills() -> None:
    text = FIXED.replace("image -> CHAIN", "(b -> conv(4, 3)) + (b -> conv(4, 3, dilation=search(2 in 1..18)))")
    network = archdsl.loads(text.replace("  out", "  b = image -> conv(4, 3)\n  out"))
    rates = marked_rates(network)
    assert Bounds(network.ir, rates).allowed(0, []) == [1, 2, 3]
    # the sibling reads 5 columns, and what the taps to its sides read may begin where it ends
    assert Bounds(network.ir, rates, "exact").allowed(0, []) == [1, 2, 3, 4]


def test_masks_keep_every_decision_inside_the_bound() -> None:
    draw = random.Random(0)
    for seed in range(8):
        depth = draw.randint(2, 4)
        strides = [draw.choice([1, 1, 2]) for _ in range(depth)]
        network = chain(*(f"conv(4, 3, stride={s}, dilation=search(1 in 1..18))" for s in strides))
        rates = marked_rates(network)
        relaxations = relax(rates, "softmax")
        masks = Masks(Bounds(network.ir, rates), relaxations)
        torch.manual_seed(seed)
        for _ in range(5):
            for relaxation in relaxations.values():
                torch.nn.init.normal_(relaxation.get_parameter("logits"), std=5)
            masks()
            assert gap_free(with_rates(network.ir, assignment(rates, masks.decided())))


def test_rates_that_read_only_padding_are_capped() -> None:
    network = chain("conv(4, 3, stride=4)", "conv(4, 3, dilation=search(1 in 1..18))")
    assert map_caps(network.ir, marked_rates(network), {"H": 16, "W": 32}) == [7]


def test_a_kernel_with_taps_along_one_axis_is_held_against_that_side() -> None:
    network = chain("conv(4, (3, 1), dilation=search(1 in 1..18))", "conv(4, (1, 3), dilation=search(1 in 1..18))")
    assert map_caps(network.ir, marked_rates(network), {"H": 8, "W": 16}) == [7, 15]


def test_the_bound_of_a_rate_that_several_layers_have_is_the_least_of_theirs() -> None:
    """A 1x1 among them has none, and one that comes later in another branch may see less."""
    text = FIXED.replace("image -> CHAIN", "(b -> conv(4, 3) -> conv(4, 1, dilation=r) -> conv(4, 3, dilation=r)) + d")
    branches = "  b = image -> conv(4, 3)\n  r = search(2 in 1..9)\n  d = b -> conv(4, 3, dilation=r)\n  out"
    network = archdsl.loads(text.replace("  out", branches))
    bounds = Bounds(network.ir, marked_rates(network))
    assert bounds.bound_of(0, [2]) == 3 and bounds.allowed(0, []) == [1, 2, 3]


def test_a_relaxed_network_with_one_rate_left_is_the_plain_one() -> None:
    network = archdsl.loads(SPEC)
    rates = marked_rates(network)
    relaxations = relax(rates, "softmax")
    for rate, relaxation in zip(rates, relaxations.values(), strict=True):
        relaxation.restrict([rate.start])
    module = RelaxedModule(network, rates, relaxations, seed=0)
    module.progress = 1.0
    plain = network.module(seed=0)
    x = torch.randn(2, 3, 32, 48)
    assert list(module.state_dict()) == list(plain.state_dict())
    assert torch.allclose(module(x), plain(x), rtol=0, atol=1e-5)


def test_a_relaxed_network_gives_gradients_to_weights_and_rates() -> None:
    network = archdsl.loads(SPEC)
    rates = marked_rates(network)
    relaxations = relax(rates, "softmax")
    module = RelaxedModule(network, rates, relaxations, seed=0)
    module.progress = 1.0
    module(torch.randn(1, 3, 32, 32)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())
    assert all(float(r.get_parameter("logits").grad.abs().sum()) > 0 for r in relaxations.values())


def test_an_unknown_method_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="there are softmax, gaussian"):
        relax([], "sofmax")
