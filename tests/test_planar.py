"""The set of pixels in the plane, against gradients, against the axes, and against RegSeg's known case."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from views import BODIES, SIDE, Gradients, Net, extent, graphs, regseg

from archdsl.analyses.planar import PlanarReach, planar
from archdsl.analyses.reach import reach_both
from archdsl.ir.graph import Graph, Ref


def inside(seen: PlanarReach, side: int) -> bool:
    """Whether all that is read lies on the image, so that its borders play no part."""
    return all(s.extent and s.first >= 0 and s.first + s.extent <= side for s in (seen.rows, seen.columns))


def drawn(seen: PlanarReach, side: int) -> torch.Tensor:
    pixels = torch.zeros(side, side, dtype=torch.bool)
    for band in seen.bands:
        for first, last in band.columns.ranges():
            pixels[band.first : band.last + 1, first : last + 1] = True
    return pixels


@settings(deadline=None, max_examples=100)
@given(graphs())
def test_the_plane_is_what_has_a_gradient(case: tuple[Graph, Ref]) -> None:
    """With all weights above zero, the pixels with a gradient are exactly the set, whichever position is asked."""
    graph, ref = case
    height, width = extent(graph.type_of(ref))
    gradients = Gradients(graph, ref)
    for phase in range(3):
        at = height // 2 + phase, width // 2 - phase
        seen = planar(graph, ref, at)
        assume(inside(seen, SIDE))
        assert torch.equal(drawn(seen, SIDE), gradients.pixels(at))


@settings(deadline=None, max_examples=100)
@given(graphs())
def test_the_axes_are_the_shadows_of_the_plane(case: tuple[Graph, Ref]) -> None:
    """Rows and columns of the set found on the way back are those that the phases tell on the way forth."""
    graph, ref = case
    rows, columns = reach_both(graph)
    assume(not rows.nominal(ref) and not columns.nominal(ref))
    for y in range(4):
        for x in range(4):
            seen = planar(graph, ref, (y, x))
            if seen.bands:
                assert seen.rows.ranges() == rows.ranges(ref, y)
                assert seen.columns.ranges() == columns.ranges(ref, x)


def test_only_the_plane_has_holes() -> None:
    """After RegSeg's exp30 has its first rate of 4, over the bound of 3, 384 pixels stay unread, on no axis alone."""
    graph = regseg(BODIES["exp30"][0])
    seen = planar(graph, dict(graph.names)["b1"])
    assert (seen.rows.extent, seen.columns.extent, seen.unread, seen.only_in_plane) == (191, 191, 384, True)


@pytest.mark.parametrize("body", ["exp48", "exp50"])
def test_regseg_reads_a_full_square(body: str) -> None:
    """A network within its bounds leaves no pixel of its field of view unread."""
    rates, view = BODIES[body]
    graph = regseg(rates)
    seen = planar(graph, dict(graph.names)["s16"])
    assert (seen.pixels, seen.unread, seen.only_in_plane) == (view**2, 0, False)


def test_branches_across_and_down_make_a_cross() -> None:
    """A row and a column kernel side by side read a cross: the corners of its square stay unread."""
    net = Net()
    y = net.add("add", net.conv(net.image, (1, 5)), net.conv(net.image, (5, 1)))
    seen = planar(net.finish(y), y, at=(10, 20))
    assert (seen.pixels, seen.unread) == (9, 16)
    assert [(b.first, b.last, b.columns.ranges()) for b in seen.bands] == [
        (8, 9, ((20, 20),)),
        (10, 10, ((18, 22),)),
        (11, 12, ((20, 20),)),
    ]


def test_a_hole_on_an_axis_is_no_hole_of_the_plane_only() -> None:
    """A rate of 2 right at the image skips whole rows and columns."""
    net = Net()
    y = net.conv(net.image, dilation=2)
    seen = planar(net.finish(y), y)
    assert (seen.pixels, seen.unread, seen.only_in_plane) == (9, 16, False)


def test_the_plane_leaves_context_out() -> None:
    """Squeeze-and-excite sees every pixel, and counts for none."""
    net = Net()
    y = net.conv(net.image)
    gate = net.add("sigmoid", net.add("global_pool", y))
    graph = net.finish(net.add("mul", y, gate))
    assert planar(graph, graph.outputs[0].value).pixels == 9


def test_the_plane_follows_channels_back() -> None:
    """Half of the channels ask for half of their group, a full convolution asks for every channel before it."""
    net = Net(channels=4)
    left, right = net.split(net.image, 2)
    both = net.add("concat", net.conv(left, (1, 5)), right)
    mixed, grouped = net.split(net.conv(both, 1), 2), net.split(net.conv(both, 1, groups=2), 2)
    graph = net.finish(*mixed, *grouped)
    assert [planar(graph, part).pixels for part in (*mixed, *grouped)] == [5, 5, 5, 1]


def test_a_crop_around_the_centre_is_nominal_in_the_plane() -> None:
    """Where the centre lies depends on the input's size; a stated size says so exactly."""
    net = Net()
    y = net.add("crop", net.image, size=(32, 32))
    graph = net.finish(y)
    assert planar(graph, y).nominal
    exact = planar(graph, y, (0, 0), {"H": 64, "W": 96})
    assert (exact.nominal, exact.rows.first, exact.columns.first) == (False, 16, 32)
