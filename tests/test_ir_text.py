"""The text form of a graph reads back to an equal graph, and says where it cannot be read."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import graphs, shipped, shipped_networks

from archdsl.diagnostics import ArchError
from archdsl.ir.builder import GraphBuilder
from archdsl.ir.dims import Dim, Solutions, ceil_div, floor_div, symbol
from archdsl.ir.graph import Graph, Output
from archdsl.ir.text import from_text, to_text

HEAD = "ir 1\ngraph Net\n"
IMAGE = "image: [3, H, W] = input() channels=3\n"


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_a_random_graph_reads_back_equal(graph: Graph) -> None:
    assert from_text(to_text(graph)) == graph


@pytest.mark.parametrize(("spec", "network"), shipped_networks())
def test_a_shipped_network_reads_back_equal(spec: str, network: str) -> None:
    graph = shipped(spec, network)
    assert from_text(to_text(graph)) == graph


def test_the_text_is_what_its_documentation_shows() -> None:
    builder = GraphBuilder()
    x = builder.input("image", 3)
    y = builder.add("conv", [x], {"out": 32, "kernel": 3, "stride": 2}, name="s2.conv1")[0]
    p, z = builder.add("max_pool", [y], {"kernel": 2, "indices": True}, name="p")
    builder.add("unpool", [p, z], {"kernel": 2}, name="odd name")
    builder.add("conv", [y], {"out": 32}, name="c2", weights="shared.w")
    text = to_text(builder.finish("Net", [Output("logits", y), Output("more", y, aux=True)], {"s2": y}))
    assert text.splitlines() == [
        "ir 1",
        "graph Net",
        "allow H: minimum=3",
        "allow W: minimum=3",
        "image: [3, H, W] = input() channels=3",
        "s2.conv1: [32, ⌈H/2⌉, ⌈W/2⌉] = conv(image) out=32 kernel=3x3 stride=2x2 padding=1x1 @",
        "p: [32, ⌊(H + 1)/4⌋, ⌊(W + 1)/4⌋], indices[32, ⌊(H + 1)/4⌋, ⌊(W + 1)/4⌋]"
        " = max_pool(s2.conv1) kernel=2x2 stride=2x2 indices=true",
        '"odd name": [32, 2·⌊(H + 1)/4⌋, 2·⌊(W + 1)/4⌋] = unpool(p, p:1) kernel=2x2 stride=2x2',
        "c2: [32, ⌈H/2⌉, ⌈W/2⌉] = conv(s2.conv1) out=32 padding=0x0 @shared.w",
        "name s2 = s2.conv1",
        "out logits = s2.conv1",
        "aux out more = s2.conv1",
    ]


def test_blank_lines_and_comments_mean_nothing() -> None:
    text = f"# a graph\n\n{HEAD}{IMAGE}  # the image\nout y = image # done"
    assert from_text(text).outputs == (Output("y", from_text(text).inputs[0].refs[0]),)


@given(st.data())
def test_settings_of_every_kind_read_back(data: st.DataObject) -> None:
    atoms = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.text(),
        st.fractions(),
        sizes(),
    )
    value = data.draw(st.recursive(atoms, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5))
    builder = GraphBuilder()
    graph = builder.finish("Net", [Output("y", builder.add("relu", [builder.input("x", 3)], name="r")[0])])
    odd = replace(graph.nodes[1], settings=(("setting", value),))
    changed = replace(graph, nodes=(graph.nodes[0], odd))
    again = from_text(to_text(changed))
    assert again == changed
    assert type(again.nodes[1]["setting"]) is type(value)


def sizes() -> st.SearchStrategy[Dim]:
    """Sizes as ops make them: sums, multiples and nested roundings of H and W."""
    base = st.sampled_from([symbol("H"), symbol("W")])
    steps = st.tuples(st.integers(-9, 9), st.integers(1, 7), st.booleans())

    def grow(size: Dim, step: tuple[int, int, bool]) -> Dim:
        plus, divisor, up = step
        divided = (ceil_div if up else floor_div)(3 * size + plus, divisor)
        return divided if isinstance(divided, Dim) else size

    return st.builds(lambda size, *taken: [size := grow(size, s) for s in taken][-1], base, steps, steps)


@pytest.mark.parametrize(
    ("rest", "line", "column", "message"),
    [
        ("y: [3, H, W] = relu(imag)", 4, 21, "there is no value imag before this line"),
        ("y: [3, H, W] = rellu(image)", 4, 16, "there is no op rellu"),
        ("y: [3, H, W] = relu(image", 4, 26, "`)` is expected, not the end of the line"),
        ("y: [4, H, W] = relu(image)", 4, 16, "relu gives [3, H, W] here"),
        ("y: [3, H, W] = conv(image) @", 4, 16, "conv needs `out`"),
        ("y: [3, H, W] = conv(image) out=3 kernl=3x3 @", 4, 16, "conv has no setting `kernl`"),
        ("y: [3, H, W] = conv(image) out=3 out=4 @", 4, 34, "`out` is given twice"),
        ("y: [3, ⌈H/0⌉, W] = relu(image)", 4, 11, "nothing can be divided by 0"),
        ("image: [3, H, W] = relu(image)", 4, 1, "there are two nodes called image"),
        ("out y = image:1", 4, 9, "there is no value image:1 before this line"),
        ("oot y = image", 4, 1, "a line is a node, `name: type = op(…)`, or begins with a word"),
        ("out y = image;", 4, 14, "`;` means nothing here"),
        ("out y = image image", 4, 15, "the end of the line is expected, not `image`"),
        ("allow H: minimun=3", 4, 10, "unexpected keyword argument 'minimun'"),
        ("y: [3, H, W] = relu!(image) s=" + "(" * 5000, 4, 1, "the line is nested too deeply"),
        ("y: [3, H, W] = relu!(image) s=" + "1" * 5000, 4, 31, "the number is too long"),
    ],
)
def test_an_error_says_where_it_is(rest: str, line: int, column: int, message: str) -> None:
    with pytest.raises(ArchError) as caught:
        from_text(HEAD + IMAGE + rest)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.span is not None
    assert (diagnostic.code, diagnostic.span.line, diagnostic.span.column) == ("E0821", line, column)
    assert message in diagnostic.message


@pytest.mark.parametrize("text", ["", "ir 2\n", "graph Net\n", "ir 1\n", "\x00", "ir"])
def test_what_is_no_graph_at_all_is_refused(text: str) -> None:
    with pytest.raises(ArchError):
        from_text(text)


@given(st.text(max_size=60), st.integers(0, 200))
def test_any_damage_is_an_error_or_a_graph(junk: str, at: int) -> None:
    text = HEAD + IMAGE + "y: [3, H, W] = resize(image) scale=(3/2, 1/1)\nout y = y\n"
    try:
        from_text(text[:at] + junk + text[at:])
    except ArchError as error:
        assert {d.code for d in error.diagnostics} == {"E0821"}


def test_numbers_keep_their_kind() -> None:
    builder = GraphBuilder()
    y = builder.add("resize", [builder.input("x", 3)], {"scale": 2}, name="y")[0]
    graph = from_text(to_text(builder.finish("Net", [Output("y", y)])))
    scale: Any = graph.by_name["y"]["scale"]
    assert scale == (Fraction(2), Fraction(2))
    assert isinstance(scale[0], Fraction)
    assert dict(graph.size_rules)["H"] == Solutions()
