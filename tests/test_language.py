"""What the language means, page by page of its description."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from archdsl.elaborate.network import Elaboration
from archdsl.ir.graph import Graph
from archdsl.ir.text import from_text, to_text
from archdsl.lower.fx import lower_fx
from archdsl.lower.oracle import run
from archdsl.lower.weights import initial_weights
from archdsl.spec import Spec


def elaborate(text: str, network: str | None = None, **settings: Any) -> Elaboration:
    """The elaboration of a text that must have no error."""
    result, diagnostics = Spec.parse("arch 1\n" + text).elaborate(network, settings)
    assert [(d.code, d.message) for d in diagnostics.items if d.severity == "error"] == []
    assert result is not None
    return result


def graph(text: str, network: str | None = None, **settings: Any) -> Graph:
    made = elaborate(text, network, **settings).graph
    assert made is not None
    return made


def body(statements: str, **settings: Any) -> Graph:
    """The graph of a network with an image, these statements, and what they end in."""
    return graph("network N {\n  in image [3, H, W]\n" + statements + "\n}", **settings)


def ops(of: Graph) -> list[str]:
    return [node.op for node in of.nodes if node.op != "input"]


def shape(of: Graph, name: str) -> str:
    return str(of.type_of(dict(of.names)[name]))


def test_a_bare_name_is_the_module_with_its_defaults() -> None:
    """`x -> relu` and `x -> relu()` are the same."""
    assert ops(body("out y = image -> relu -> relu()")) == ["relu", "relu"]


def test_a_list_of_modules_is_a_chain() -> None:
    """`x -> [A, [B, C]]` is `x -> A -> B -> C`, nested lists flattened."""
    assert ops(body("out y = image -> [conv(4), [bn, relu]]")) == ["conv", "bn", "relu"]


def test_modules_piped_together_are_a_chain() -> None:
    """`A -> B` between modules is a module that can be applied later, and repeated."""
    assert ops(body("m = conv(4) -> relu\nout y = image -> 2 * m")) == ["conv", "relu", "conv", "relu"]


def test_repetition_gives_each_copy_weights_of_its_own() -> None:
    """`2 * conv(8)` makes two convolutions with two weights."""
    weights = [n.weights for n in body("y = image -> 2 * conv(8)\nout y").nodes if n.weights]
    assert weights == ["y.0", "y.1"]


def test_the_weight_names_are_the_path_in_the_text() -> None:
    """Binding, index in a list, then op or block with its ordinal in that body."""
    made = graph(
        """
block D(width: int) {
  in x
  y = x -> conv(width) -> bn
  out y -> conv(width, 3) -> bn
}
network N {
  in image [3, H, W]
  s2 = image -> conv(8, 3, stride=2) -> D(16)
  s4 = s2 -> [D(16), D(16)]
  out logits = s4 -> conv(5) as classifier
}"""
    )
    names = [n.weights for n in made.nodes if n.weights]
    assert names == [
        "s2.conv1",
        *(f"s2.D1.{op}" for op in ("conv1", "bn1", "conv2", "bn2")),
        *(f"s4.{i}.{op}" for i in (0, 1) for op in ("conv1", "bn1", "conv2", "bn2")),
        "logits.classifier",
    ]


def test_arithmetic_on_maps_broadcasts() -> None:
    """A map meets [C, 1, 1], [1, H, W], and numbers."""
    made = body('g = image -> global_pool\na = image * g\nb = a + mean(a, "channel")\nout y = 1 - b / 2')
    assert shape(made, "y") == "[3, H, W]"
    assert [n["operator"] for n in made.nodes if n.op == "scalar"] == ["/", "r-"]


def test_a_map_meets_a_size_of_the_input() -> None:
    """A size stays a symbol in the graph, and has its value where the network runs; the graph's text reads back."""
    made = body("a = image -> conv(2, 3, stride=2)\nout y = a / H + (W - 4)\nout z = W - a")
    assert [str(n["value"]) for n in made.nodes if n.op == "size_scalar"] == ["H", "W - 4", "W"]
    assert from_text(to_text(made)) == made
    weights = initial_weights(made)
    found = run(made, weights, torch.ones(1, 3, 6, 10), keep=["a"])
    torch.testing.assert_close(found["y"], found["a"] / 6 + 6)
    torch.testing.assert_close(found["z"], 10 - found["a"])
    code = lower_fx(made, weights)
    torch.testing.assert_close(code(torch.ones(1, 3, 6, 10))["y"], found["y"])


def test_split_zip_concat_build_branches() -> None:
    """A comprehension over parts and rates makes a dilated conv for each part."""
    made = body(
        "x = image -> conv(8)\nout y = concat([part -> conv(4, 3, dilation=r) for part, r in zip(split(x, 2), [1, 3])])"
    )
    assert [n["dilation"] for n in made.nodes if n.op == "conv"][1:] == [(1, 1), (3, 3)]


def test_for_rebinds_and_when_chooses() -> None:
    """Dense links grow in a loop; a condition takes one side and does not look at the other."""
    made = body(
        "x = image\nfor i in 1..3 { x = concat([x, x -> conv(2)]) }\n"
        "when len([1]) == 1 { y = x -> relu } else { y = x -> conv(1, 2) }\nout y"
    )
    assert shape(made, "x") == "[9, H, W]"
    assert ops(made)[-1] == "relu"


def test_a_conditional_elaborates_only_the_side_it_takes() -> None:
    """The other side may be something that would be an error."""
    assert ops(body("out y = image -> relu if 1 < 2 else split(image, 2)")) == ["relu"]


def test_shared_modules_have_one_set_of_weights() -> None:
    """Each use of a shared name reads the same weights, at other sizes too."""
    made = body(
        "shared enc = [conv(8, 3), bn]\na = image -> enc\nb = image -> resize(scale=1/2) -> enc\n"
        "out y = a + (b -> resize(like=a))"
    )
    assert [n.weights for n in made.nodes if n.weights] == ["enc.0", "enc.1", "enc.0", "enc.1"]
    assert len({n.name for n in made.nodes}) == len(made.nodes)


def test_a_shared_alias_means_the_same_weights() -> None:
    """`shared b = a if tied else …` gives `b` the weights of `a`."""
    text = """network N(tied: bool = true) {
  in image [3, H, W]
  shared a = conv(8)
  shared b = a if tied else conv(8)
  out y = (image -> a) + (image -> b)
}"""
    assert [n.weights for n in graph(text).nodes if n.weights] == ["a", "a"]
    assert [n.weights for n in graph(text, tied=False).nodes if n.weights] == ["a", "b"]


def test_several_inputs_and_outputs() -> None:
    """A block takes a tuple of maps, gives several out, and they spread into the next module."""
    made = graph(
        """
block Swap {
  in a [C, H, W]
  in b [D, H, W]
  out b, a
}
block Join {
  in a
  in b
  out concat([a, b])
}
network N {
  in image [3, H, W]
  x = image -> conv(5)
  p, q = (image, x) -> Swap
  out y = (p, q) -> Swap -> Join
}"""
    )
    assert shape(made, "p").startswith("[5") and shape(made, "q").startswith("[3")
    assert shape(made, "y") == "[8, H, W]"


def test_two_inputs_that_name_the_same_size_must_agree() -> None:
    """Inputs of 1/2 and 1/4 resolution cannot both be [C, H, W]."""
    text = """
block Join {
  in a [C, H, W]
  in b [C, H, W]
  out a + b
}
network N {
  in image [3, H, W]
  out y = (image -> conv(4, 3, stride=2), image -> conv(4, 3, stride=4)) -> Join
}"""
    _, diagnostics = Spec.parse("arch 1\n" + text).elaborate()
    assert [d.code for d in diagnostics.items] == ["E0307"]


def test_block_and_map_parameters() -> None:
    """A module can be given to a block, called there with settings, and a map can be a parameter."""
    made = graph(
        """
block Twice(part: block, unary: map) {
  in x
  out (x -> part -> part) + unary
}
network N {
  in image [3, H, W]
  u = image -> conv(4)
  out y = u -> Twice(conv(4, 3), unary=u)
}"""
    )
    assert ops(made) == ["conv", "conv", "conv", "add"]


def test_sizes_are_symbols_and_can_be_used_in_settings() -> None:
    """`(H - 1) // 2 + 1` is the size that a strided 3x3 conv gives."""
    made = body(
        "a = image -> conv(4, 3, stride=2)\n"
        "b = image -> resize(size=[(H - 1) // 2 + 1, (W - 1) // 2 + 1]) -> conv(4)\n"
        "out y = a + b"
    )
    assert shape(made, "y") == shape(made, "a") == "[4, ⌈H/2⌉, ⌈W/2⌉]"


def test_numbers_with_suffixes_are_exact() -> None:
    """3.34M is 3,340,000, not the nearest float."""
    assert (
        elaborate("n = 3.34M\nnetwork N(a: int = n) {\n  in image [3, H, W]\n  out image\n}").parameters["a"] == 3340000
    )


def test_each_evaluation_of_search_in_a_network_is_one_variable() -> None:
    """A comprehension gives each element its own; a repeated list ties."""
    text = """network N(r: list[int] = RATES) {
  in x [3, H, W]
  out y = x -> [conv(3, 3, dilation=d) for d in r]
}"""
    own = elaborate(text.replace("RATES", "[search(2 in 1..4) for i in 1..3]"))
    tied = elaborate(text.replace("RATES", "3 * [search(2 in {1, 2, 4})]"))
    assert [v.domain for v in own.variables] == [(1, 2, 3, 4)] * 3
    assert [v.domain for v in tied.variables] == [(1, 2, 4)]


def test_search_inside_a_block_is_shared_by_its_calls() -> None:
    """A search in a block's body or defaults is one variable however often the block is applied."""
    result = elaborate(
        "block B(r: int = search(2 in 1..4)) {\n  in x\n  out x -> conv(3, 3, dilation=r)\n}\n"
        "network N {\n  in x [3, H, W]\n  out y = x -> [B, B]\n}"
    )
    assert len(result.variables) == 1


def test_a_variant_is_a_network_with_parameters_given() -> None:
    """`network B = A(classes=11)` and --set reach the same parameter; the latter wins."""
    text = (
        "network A(classes: int = 19) {\n  in x [3, H, W]\n  out y = x -> conv(classes)\n}\nnetwork B = A(classes=11)"
    )
    assert shape(graph(text, "B"), "y") == "[11, H, W]"
    assert shape(graph(text, "B", classes=5), "y") == "[5, H, W]"


def test_preprocessing_is_part_of_the_spec() -> None:
    """`rgb(…)` and `bgr(…)` state channel order, scale, mean and std; the default is ImageNet's."""
    given = graph("network N {\n  in x [3, H, W] = bgr(mean=[1, 2, 3], std=2, scale=1)\n  out x\n}").preprocessing
    plain = graph("network N {\n  in x [3, H, W]\n  out x\n}").preprocessing
    assert (given[0][1].order, given[0][1].mean, given[0][1].std, given[0][1].scale) == ("bgr", (1, 2, 3), (2, 2, 2), 1)
    assert (plain[0][1].order, plain[0][1].mean) == ("rgb", (0.485, 0.456, 0.406))


def test_aux_outputs_exist_in_training_alone() -> None:
    """`aux out` is an output of the network, marked."""
    made = body("y = image -> conv(4)\naux out early = y -> conv(2)\nout logits = y -> conv(2)")
    assert [(o.name, o.aux) for o in made.outputs] == [("early", True), ("logits", False)]


def test_fixed_inputs_take_their_own_size_alone() -> None:
    """`in image [3, 64, 128]` is a network for that size."""
    made = graph("network N {\n  in image [3, 64, 128]\n  out image\n}")
    assert {name: str(rule) for name, rule in made.size_rules} == {"H": "only 64", "W": "only 128"}


@pytest.mark.parametrize(
    ("statements", "rule"),
    [
        ("a = image -> conv(3, 3, stride=2)\nout y = (a -> resize(scale=2)) + image", "2n"),
        ("a = image -> conv(4, 2, stride=2, padding=0)\nout y = (a -> resize(scale=2)) + (image -> conv(4))", "2n"),
        ("a = image -> 5 * conv(3, 3, stride=2) -> resize(scale=32)\nout y = a + image -> crop(size=[1, 1])", "32n"),
        ('out y = image -> pad(5, mode="reflect")', "any size, at least 6"),
        ("out y = image -> crop(size=[8, 8], offset=(1, 1))", "any size, at least 9"),
        ("a = image -> conv(3, 8, stride=32, padding=0) -> resize(scale=32)\nout y = image + a", "32n"),
        ("a = image -> 5 * conv(3, 3, stride=2) -> resize(size=[H, W])\nout y = a + image", "any size"),
        ('a = image -> conv(3, 7, padding="valid")\nout y = a', "any size, at least 7"),
    ],
)
def test_allowed_sizes_are_worked_out(statements: str, rule: str) -> None:
    """A skip connection, a crop or a reflection that only fits some sizes states them: modulus, remainders, minimum."""
    rules = dict(body(statements).size_rules)
    assert str(rules["H"]) == str(rules["W"]) == rule


def test_a_block_may_give_one_value_out_twice() -> None:
    """The values of a block are told apart by their order, as those of a Python function."""
    of = graph(
        "block B {\n  in x\n  a = x -> bn\n  out a, a\n}\n"
        "network N {\n  in image [3, H, W]\n  x, y = image -> B\n  out z = x + y\n}"
    )
    assert ops(of) == ["bn", "add"]


def test_an_input_may_say_what_it_is() -> None:
    """`in idx: indices` takes the indices of a pool, and nothing else."""
    block = "block Back {\n  in x: map [C, H, W]\n  in idx: indices\n  out (x, idx) -> unpool(2)\n}\n"
    network = "network N {\n  in image [3, H, W]\n  x, i = image -> max_pool(2, indices=true)\n  out (x, i) -> Back\n}"
    assert ops(graph(block + network)) == ["max_pool", "unpool"]


@pytest.mark.parametrize(
    ("call", "convolutions"),
    [
        ("sum([image -> conv(4) for r in 1..2])", 2),
        ("concat([image -> conv(4) for r in 1..2])", 2),
        ('max(image -> conv(4), "channel")', 1),
    ],
)
def test_what_a_function_is_given_is_worked_out_once(call: str, convolutions: int) -> None:
    """Maps made inside a call's brackets exist once, and nothing dead beside them."""
    assert ops(body(f"out y = {call}")).count("conv") == convolutions
