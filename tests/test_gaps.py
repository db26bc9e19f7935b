"""The dilation bound, the holes themselves, and how they are told."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from views import BODIES, Net, Rates, graphs, regseg

from archdsl.analyses.bound import BoundFact, bounds
from archdsl.analyses.gaps import GapFinding, diagnostics, find_gaps, gap_free
from archdsl.analyses.reach import reach_both
from archdsl.diagnostics import Frame, Severity, Source, Span
from archdsl.ir.graph import Graph, Origin, Ref


def dilated(graph: Graph) -> list[BoundFact]:
    """The column facts of the 3x3 convolutions at 1/16, the last one of each block: that with the largest rate."""
    facts = [x for _, x in bounds(graph).facts.values() if x is not None and (x.taps, x.s) == (3, 16)]
    by_block: dict[Any, BoundFact] = {fact.k: fact for fact in facts}
    return list(by_block.values())


def finding(graph: Graph, **how: Any) -> GapFinding:
    (only,) = find_gaps(graph, **how)
    return only


# ------------------------------------------------------------------- the bound


def test_the_bounds_of_regseg() -> None:
    """The published network's bounds, block by block, and the room it leaves under them."""
    facts = dilated(regseg(BODIES["exp48"][0]))
    assert [fact.bound for fact in facts] == [3, 5, 9, 17, 25, 33, 41, 69, 97, 125, 153, 181, 209]
    assert [fact.rate for fact in facts] == [1, 2, 4, 4, 4, 4, *7 * [14]]
    assert [fact.headroom for fact in facts][:4] == [2, 3, 5, 13]


def test_over_the_bound_it_is_unknown() -> None:
    """After exp30's first rate of 4, one over the bound of 3, only the exact reach answers."""
    facts = dilated(regseg(BODIES["exp30"][0]))
    assert [fact.bound for fact in facts] == [3, *12 * [None]]
    assert (facts[0].headroom, facts[1].headroom) == (-1, None)


def test_resizes_by_recursion() -> None:
    """Bilinear adds a stride to the field of view, nearest nothing; both divide the stride by their factor."""
    net = Net()
    down = net.conv(net.image, 5, stride=4)
    linear = net.add("resize", down, scale=2.0)
    nearest = net.add("resize", linear, scale=2.0, mode="nearest")
    last = net.conv(nearest, dilation=2)
    found = bounds(net.finish(last))
    assert [found.field_of_view_by_recursion(v)[1] for v in (down, linear, nearest, last)] == [5, 9, 9, 13]
    assert found.facts[last.node][1] == BoundFact(Fraction(9), Fraction(1), 3, 2, 9)


def test_a_bilinear_quarter_skips_pixels() -> None:
    """After it k/s is a half, and a plain 3x3 leaves holes at any rate."""
    net = Net()
    y = net.conv(net.add("resize", net.image, scale=0.25))
    graph = net.finish(y)
    fact = bounds(graph).facts[y.node][1]
    assert fact == BoundFact(Fraction(2), Fraction(4), 3, 1, 0)
    found = finding(graph)
    assert (found.rate, found.bound, found.largest, found.width, found.filled) == (1, 0, 0, 2, False)
    assert found.holes == ((-1, 0), (3, 4))


def test_pools_and_transposed_convolutions_have_bounds() -> None:
    """Every op with several taps has one, per axis; an op with a single tap on an axis has none there."""
    net = Net()
    pooled = net.add("max_pool", net.image, kernel=2)
    up = net.add("conv_transpose", pooled, out=3, kernel=4, stride=2, padding=1)
    y = net.conv(up, (1, 3))
    found = bounds(net.finish(y))
    assert found.facts["max_pool"][0] == BoundFact(Fraction(1), Fraction(1), 2, 1, 1)
    assert found.facts[up.node][0] == BoundFact(Fraction(2), Fraction(2), 2, 1, 1)
    assert found.facts[y.node] == (None, BoundFact(Fraction(4), Fraction(1), 3, 1, 4))


def test_merges_take_the_widest_and_parts_their_own() -> None:
    """A convolution over all channels is bound by the widest branch, one within groups by its own."""
    net = Net(channels=4)
    left, right = net.split(net.image, 2)
    both = net.add("concat", net.conv(left, 9), right)
    over_all, within = net.conv(both, dilation=9), net.add("depthwise", both, kernel=3, dilation=2)
    facts = bounds(net.finish(over_all, within)).facts
    assert [facts[v.node][1].bound for v in (over_all, within)] == [9, 1]  # type: ignore[union-attr]


def test_context_counts_for_nothing() -> None:
    """What only global pooling sees has no field of view to be bound by."""
    net = Net()
    y = net.conv(net.image)
    gate = net.conv(net.add("global_pool", y), 1)
    out = net.conv(net.add("mul", y, gate))
    found = bounds(net.finish(out))
    assert (found.field_of_view_by_recursion(gate), found.field_of_view_by_recursion(out)) == ((0, 0), (5, 5))


@settings(deadline=None, max_examples=100)
@given(graphs())
def test_within_the_bound_there_is_no_hole(case: tuple[Graph, Ref]) -> None:
    """A window over one gap-free value without phases leaves a hole exactly where its rate is over k/s."""
    graph, _ = case
    facts = bounds(graph).facts
    for axis, result in enumerate(reach_both(graph)):
        for ref, birth in result.births.items():
            fact = facts.get(ref.node, (None, None))[axis]
            if fact is not None and fact.bound is not None and len(birth.before.phases) == 1:
                assert fact.rate > birth.before.extent // birth.before.stride


# -------------------------------------------------------------------- the holes


@pytest.mark.parametrize("body", BODIES)
def test_regseg_is_gap_free(body: str) -> None:
    """Of the nine published bodies one gives a note, the other eight nothing at all."""
    graph = regseg(BODIES[body][0])
    assert gap_free(graph) and gap_free(graph, "s16")
    assert [f.filled for f in find_gaps(graph)] == ([True] if body == "exp30" else [])


def test_a_parallel_branch_fills_the_hole() -> None:
    """exp30's first rate of 4 sees 63 at stride 16: one pixel on each side, filled by the branch of rate 1."""
    found = finding(regseg(BODIES["exp30"][0]))
    assert (found.rate, found.k, found.s, found.bound, found.largest) == (4, 63, 16, 3, 3)
    assert (found.axes, found.holes, found.width) == (("y", "x"), ((-32, -32), (32, 32)), 1)


@pytest.mark.parametrize("rates", [[(4, 4), *12 * [(1, 4)]], [(4,), *12 * [(1, 4)]]])
def test_without_a_branch_that_fills_it_the_hole_is_real(rates: list[Rates]) -> None:
    """It is reported where it is born, and not in the twelve blocks through which it persists."""
    graph = regseg(rates)
    assert not gap_free(graph)
    assert {f.node.op for f in find_gaps(graph)} == {"conv"}
    assert all((f.filled, f.rate, f.largest) == (False, 4, 3) for f in find_gaps(graph))


def test_a_hole_persists_and_is_told_once() -> None:
    """Gridding: rates of 2 in a row read every other pixel to the end; the first one is at fault."""
    net = Net()
    first = net.conv(net.image, dilation=2)
    y = net.conv(net.add("relu", net.conv(first, dilation=2)), dilation=2)
    graph = net.finish(y, y=y)
    found = finding(graph)
    assert (found.node.name, found.filled, found.largest) == (first.node, False, 1)
    assert reach_both(graph)[1].gaps("y") == tuple((c, c) for c in range(-5, 6, 2))


def test_a_later_convolution_does_not_unmake_a_hole() -> None:
    """What sees every pixel in the end has still computed with holes on the way: no branch stood beside it."""
    net = Net()
    y = net.conv(net.conv(net.image, dilation=2))
    assert (finding(net.finish(y)).filled, gap_free(net.finish(y), y)) == (False, True)


@pytest.mark.parametrize("carry", [[], ["bn", "relu"], ["resize"]])
def test_a_hole_is_followed_to_the_next_merge(carry: list[str]) -> None:
    """Through normalisation, activation and resizing, up to the sum with a branch that has no hole."""
    net = Net()
    hole, whole = net.conv(net.image, dilation=2), net.conv(net.image, 5)
    for op in carry:
        how = {"scale": 0.5} if op == "resize" else {}
        hole, whole = net.add(op, hole, **how), net.add(op, whole, **how)
    assert finding(net.finish(net.add("sum", hole, whole))).filled


def test_every_path_must_fill_it() -> None:
    """A hole that one branch fills and another path carries to an output is real."""
    net = Net()
    hole = net.conv(net.image, dilation=2)
    filled = net.add("add", hole, net.conv(net.image, 5))
    assert finding(net.finish(filled)).filled
    assert not finding(net.finish(filled, hole)).filled
    assert not finding(net.finish(filled, net.conv(hole, 3))).filled


def test_a_merge_that_keeps_the_hole_fills_nothing() -> None:
    """The identity beside a rate of 3 leaves two of its four missing pixels on either side."""
    net = Net()
    y = net.add("add", net.conv(net.image, dilation=3), net.image)
    assert (finding(net.finish(y)).filled, finding(net.finish(y)).width) == (False, 2)


def test_only_what_an_output_sees_counts() -> None:
    """A hole that nothing uses, or that only global pooling does, is none."""
    net = Net()
    hole = net.conv(net.image, dilation=2)
    unused = net.finish(net.image, hole=hole)
    pooled = net.finish(net.add("mul", net.image, net.add("global_pool", hole)))
    assert find_gaps(unused) == find_gaps(pooled) == []
    assert not gap_free(unused, "hole")


def test_one_axis_alone() -> None:
    """A kernel that is dilated across only leaves holes between columns, not between rows."""
    net = Net()
    y = net.conv(net.image, (1, 3), dilation=2)
    assert finding(net.finish(y)).axes == ("x",)


def test_maps_that_read_places_apart() -> None:
    """Two crops side by side leave a hole that no rate is to blame for."""
    net = Net()
    left = net.add("crop", net.image, size=(8, 8), offset=(0, 0))
    right = net.add("crop", net.image, size=(8, 8), offset=(0, 4))
    found = finding(net.finish(net.add("concat", left, right)))
    assert (found.node.op, found.taps, found.rate, found.holes) == ("concat", 0, 0, ((1, 3),))
    (told,) = diagnostics([found])
    assert told.message == "the results of concat read places apart, with holes 3 input pixels wide along columns"


def test_the_largest_rate_minds_the_phases() -> None:
    """After a bilinear tripling k/s is 6, but the columns that see one pixel leave a hole there; 5 is the most."""
    net = Net()
    y = net.conv(net.add("resize", net.image, scale=3.0), dilation=6)
    found = finding(net.finish(y))
    assert (found.bound, found.largest, found.width) == (6, 5, 1)


def test_a_stated_size_makes_it_exact() -> None:
    """What hangs on a ratio of sizes is said to, until the size is known."""
    net = Net()
    small = net.conv(net.image, stride=2)
    y = net.conv(net.add("resize", small, net.image), dilation=9)
    graph = net.finish(y)
    assert [finding(graph, values=v).nominal for v in (None, {"H": 64, "W": 64})] == [True, False]


# ---------------------------------------------------------------- how it is told


def written(text: str, *, library: bool = False) -> Span:
    return Span(Source("std/dilated.arch" if library else "net.arch", text, library=library), 0, len(text))


def test_a_hole_is_told_with_its_numbers() -> None:
    """What was seen before, the stride, the bound, the largest rate that leaves no hole, and the hole's width."""
    (told, *_) = diagnostics(find_gaps(regseg([(4,), *12 * [(1, 4)]])))
    assert (told.code, told.severity) == ("W0701", Severity.WARNING)
    assert told.message == "conv with rate 4 leaves holes 1 input pixel wide in what it sees"
    assert told.label == "its taps lie 64 input pixels apart, and each sees 63"
    assert told.help.startswith("the largest rate that leaves no hole here is 3")
    assert told.notes == ("before it the field of view is 63 and the stride 16, so the bound is ⌊63 / 16⌋ = 3",)


def test_severity_is_the_callers_but_for_notes() -> None:
    """Where a network asserts gap_free a hole is an error; one that a branch fills is a note all the same."""
    real, filled = finding(hole_at(None)), finding(regseg(BODIES["exp30"][0]))
    codes = [(d.code, d.severity) for d in diagnostics([real, filled], Severity.ERROR)]
    assert codes == [("E0603", Severity.ERROR), ("N0702", Severity.NOTE)]


def test_where_no_rate_helps_the_help_says_so() -> None:
    """A stride over the kernel has skipped pixels already; no rate brings them back."""
    net = Net()
    y = net.conv(net.conv(net.image, 1, stride=2))
    (told,) = diagnostics(find_gaps(net.finish(y)))
    assert told.help == "no rate leaves no hole here: see more before it, or stride and shrink less"


def hole_at(origin: Origin | None, count: int = 1) -> Graph:
    """Holes side by side, all written at one place."""
    net = Net()
    settings = {"out": 3, "kernel": 3, "dilation": 2}
    branches = [net.builder.add("conv", [net.image], settings, origin=origin)[0] for _ in range(count)]
    return net.finish(*branches)


def test_one_place_in_the_text_gives_one_finding() -> None:
    """Three copies of one line make one mistake, told at the user's own call and traced into the library."""
    call, inside = written("3 * Block(64)"), written("x -> conv(64, 3, dilation=2)", library=True)
    frames = (Frame("Net", call), Frame("Block", inside))
    graph = hole_at(Origin(inside, frames), count=3)
    (told,) = diagnostics(find_gaps(graph))
    assert (told.span, told.trace) == (call, frames[1:])


def test_a_place_without_calls_is_shown_itself() -> None:
    """A line in the network's own body is where its hole is told."""
    here = written("y = image -> conv(8, 3, dilation=2)")
    (told,) = diagnostics(find_gaps(hole_at(Origin(here))))
    assert told.span == here


def test_an_unfilled_hole_speaks_for_the_place() -> None:
    """Where one copy of a line is filled and another is not, the warning is what is told."""
    origin = Origin(written("2 * conv(3, 3, dilation=2)"))
    net = Net()
    settings = {"out": 3, "kernel": 3, "dilation": 2}
    filled, real = (net.builder.add("conv", [net.image], settings, origin=origin)[0] for _ in range(2))
    graph = net.finish(net.add("add", filled, net.conv(net.image, 5)), real)
    assert not finding(graph).filled


# --------------------------------------------------------------- channel by channel


def halves(net: Net) -> Ref:
    """Two channels with holes and two without, side by side."""
    left, right = net.split(net.image, 2)
    return net.add("concat", net.conv(left, dilation=2), net.conv(right))


def test_channels_that_are_split_again_fill_nothing() -> None:
    """A hole that leaves a concatenation as it came in is told once, where it is born."""
    net = Net(channels=4)
    left, right = net.split(halves(net), 2)
    found = finding(net.finish(left, right))
    assert (found.node.op, found.rate, found.filled) == ("conv", 2, False)
    assert find_gaps(net.finish(right)) == []


def test_the_gapped_part_that_no_output_reads_is_no_finding() -> None:
    """What is split off and never used leaves the network gap-free, with a hole in it or not."""
    net = Net(channels=2)
    both = net.add("concat", net.conv(net.image, dilation=2), net.conv(net.image, 1))
    _, right = net.split(both, 2)
    graph = net.finish(right)
    assert (find_gaps(graph), gap_free(graph)) == ([], True)


@pytest.mark.parametrize("after", ["output", "1x1", "3x3", "bn relu 1x1", "excite 1x1", "add 1x1", "depthwise 1x1"])
def test_channels_read_together_fill_a_hole(after: str) -> None:
    """A concatenation fills for those who read its channels together, at once or after channel-wise steps."""
    net = Net(channels=4)
    y = halves(net)
    for step in after.split():
        match step:
            case "bn" | "relu":
                y = net.add(step, y)
            case "1x1" | "3x3":
                y = net.conv(y, int(step[0]))
            case "excite":
                y = net.add("mul", y, net.add("sigmoid", net.conv(net.add("global_pool", y), 1)))
            case "add":
                y = net.add("add", y, net.image)
            case "depthwise":
                y = net.add("depthwise", y, kernel=3)
    assert [f.filled for f in find_gaps(net.finish(y))] == [True]


def test_taps_within_the_channels_of_a_hole_meet_it() -> None:
    """A depthwise convolution on the way does not unmake the hole of channels that then leave alone."""
    net = Net(channels=4)
    left, right = net.split(net.add("depthwise", halves(net), kernel=3), 2)
    assert not finding(net.finish(left, right)).filled
    assert find_gaps(net.finish(right)) == []


def test_groups_read_only_their_own_channels_together() -> None:
    """Over two groups the hole stays in the first; over one group the second fills it."""
    net = Net(channels=4)
    y = halves(net)
    grouped, over_all = net.conv(y, 1, groups=2), net.conv(y, 1)
    assert not finding(net.finish(net.split(grouped, 2)[0])).filled
    assert finding(net.finish(over_all)).filled
    assert finding(net.finish(grouped)).filled


def test_a_hole_born_in_some_channels_is_told_of_those() -> None:
    """The field of view before it is that of the channels with the hole, and only readers of these count."""
    net = Net(channels=4)
    left, right = net.split(net.image, 2)
    y = net.add("depthwise", net.add("concat", net.conv(left, 9), net.conv(right, 1)), kernel=3, dilation=2)
    wide, narrow = net.split(y, 2)
    assert find_gaps(net.finish(wide)) == []
    found = finding(net.finish(narrow))
    assert (found.k, found.bound, found.largest, found.filled) == (1, 1, 1, False)


def test_a_later_part_fills_a_concatenation() -> None:
    """Two dilated branches side by side keep a hole until a third, put beside both, is read with them."""
    net = Net(channels=2)
    both = net.add("concat", *(net.conv(net.image, dilation=rate) for rate in (2, 3)))
    alone, beside = net.conv(both, 1), net.conv(net.add("concat", both, net.conv(net.image, 7)), 1)
    assert [f.filled for f in find_gaps(net.finish(alone))] == [False, False]
    assert [f.filled for f in find_gaps(net.finish(beside))] == [True, True]
