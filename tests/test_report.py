"""The report: rows per line of text, the table, the pictures, the page."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from markupsafe import escape

from archdsl.analyses.hardware import Hardware
from archdsl.analyses.planar import planar
from archdsl.elaborate.network import Elaboration
from archdsl.ir.graph import Graph, MapType, Node, Output, Ref
from archdsl.network import Network, load, loads
from archdsl.report.html import render_html
from archdsl.report.numbers import data, milliseconds, percent, short
from archdsl.report.picture.boxes import diagram
from archdsl.report.picture.layout import arrange
from archdsl.report.picture.lettering import fitted, text_width, wrapped
from archdsl.report.reach_svg import reach_svg, strips_svg
from archdsl.report.rows import NetworkRows, Row, network_rows
from archdsl.report.strips import all_strips, shares, strip_lines, strips
from archdsl.report.svg import Picture, network_svg
from archdsl.report.table import display_width, plain, rich_table, write_table
from archdsl.spec import Spec, locate

SIZE = {"H": 1024, "W": 2048}
T4 = Hardware("a T4", {"float16": 65e12, "float32": 8.1e12}, 320e9)

BRANCHES = """
use std.pyramid: ASPP
use std.conv: ConvBnAct
network N {
  in image [3, H, W]
  s = image -> ConvBnAct(64, 3, stride=2) -> ConvBnAct(128, 3, stride=2)
  y = s -> ASPP(64)
  aux out side = y -> conv(5)
  out logits = y -> conv(19) -> resize(like=image)
}
"""
DENSE = """
network N {
  in image [3, H, W]
  y = image
  for i in 1..9 { y = concat([y, y -> conv(8, 3) -> bn -> relu]) }
  out y
}
"""
LONG = "network N {\n in image [3, H, W]\n y = image\n for i in 1..150 { y = y -> conv(8 + i, 3) -> bn }\n out y\n}"
CROSSED = """
network N {
  in a [3, H, W]
  in b [1, H, W]
  x = a -> conv(8, 3, stride=2)
  y = b -> conv(8, 3, stride=2)
  z = x * y + x
  p, q = split(z, 2)
  out one = p -> conv(3) -> resize(scale=2)
  out two = concat([q, p]) -> sigmoid
}
"""
NAMES = """
block AnExtraordinarilyLongBlockNameThatNobodyWouldWrite { in x  out x -> conv(8, 3) -> bn -> relu }
network ANetworkWithAnExtraordinarilyLongNameThatNobodyWouldEverWriteButSomebodyMight {
  in an_input_with_a_long_name [3, H, W]
  a_value_with_a_very_long_name = an_input_with_a_long_name -> AnExtraordinarilyLongBlockNameThatNobodyWouldWrite
  out a_result_with_a_long_name = a_value_with_a_very_long_name -> global_pool -> conv(3, 1)
}
"""
FIXED = (
    "network N { in a [3, 65, 129]\n x = a -> conv(8, 3, stride=2) -> conv(16, 3, stride=2)\n out y = x -> conv(2) }"
)
HOLES = """
network N {
  in image [3, H, W]
  a = image -> conv(8, 3, stride=2) -> conv(8, 3, dilation=4)
  out b = a -> conv(8, 3)
}
"""
TEXTS = {
    "branches": BRANCHES,
    "dense": DENSE,
    "long": LONG,
    "crossed": CROSSED,
    "names": NAMES,
    "fixed": FIXED,
    "holes": HOLES,
    "one node": "network N { in image [3, H, W]\n out image }",
}
SHIPPED = ("regseg", "dwrseg", "gun")


def elaborated(text: str) -> Elaboration:
    """The first network of a text without its first line."""
    found, diagnostics = Spec.parse("arch 1\n" + text).elaborate()
    assert found is not None and found.graph is not None, [d.message for d in diagnostics.items]
    return found


def shipped(name: str, network: str | None = None, **parameters: Any) -> Elaboration:
    """A network of a shipped spec."""
    found, _ = Spec.read(locate(f"specs/{name}.arch").path).elaborate(network, parameters)
    assert found is not None and found.graph is not None
    return found


def graph_of(name: str) -> Graph:
    """The graph of one of the texts above, or of a shipped spec."""
    graph = (elaborated(TEXTS[name]) if name in TEXTS else shipped(name)).graph
    assert graph is not None
    return graph


@pytest.fixture(scope="module")
def regseg() -> NetworkRows:
    """RegSeg's rows, without an input size."""
    return network_rows(shipped("regseg"))


@pytest.fixture(scope="module")
def timed() -> NetworkRows:
    """RegSeg's rows on a T4 with a budget."""
    return network_rows(shipped("regseg"), values=SIZE, hardware=T4, dtype="float16", budget=0.033)


@pytest.fixture(scope="module")
def net() -> Network:
    """RegSeg as users load it."""
    return load("specs/regseg.arch")


def row_of(table: NetworkRows, name: str) -> Row:
    """The row that binds a name."""
    return next(row for row in table.rows if name in row.names)


# Rows


def test_each_line_that_applies_something_has_one_row(regseg: NetworkRows) -> None:
    """Rows stand in the order of the text, and carry it."""
    assert [row.names[0] for row in regseg.rows] == ["image", "stem", "s4", "s8", "s16", "logits"]
    lines = [row.line for row in regseg.rows]
    assert lines == sorted(set(lines))
    assert regseg.source is not None
    assert all(row.text == regseg.source.line_text(row.line).strip() for row in regseg.rows)


@pytest.mark.parametrize("name", SHIPPED)
def test_rows_add_up_to_the_totals(name: str) -> None:
    """Every node is in exactly one row, and parts add up to their line."""
    table = network_rows(shipped(name), values=SIZE, hardware=T4, dtype="float16")
    names = [n for row in table.rows for n in row.nodes]
    assert sorted(names) == sorted(node.name for node in table.graph.nodes)
    assert sum(row.params for row in table.rows) == table.cost.params
    assert sum(row.macs for row in table.rows) == table.cost.macs
    assert sum(row.moved for row in table.rows) == table.cost.moved
    assert sum(row.seconds or 0 for row in table.rows) == pytest.approx(table.seconds)
    for row in (row for row in table.rows if row.parts):
        assert [n for part in row.parts for n in part.nodes] == list(row.nodes)
        assert sum(part.macs for part in row.parts) == row.macs


def test_equal_parts_in_a_row_are_folded(regseg: NetworkRows) -> None:
    """RegSeg's thirteen blocks at 1/16 are six different parts; folded ones see as far as the last, and add up."""
    parts = row_of(regseg, "s16").parts
    assert [len(part.parts) or 1 for part in parts] == [1, 1, 1, 4, 6, 1]
    assert parts[4].label == "s16.7 … s16.12"
    assert parts[4].text == "DBlock rates 1, 14"
    assert parts[4].view == parts[4].parts[-1].view
    assert parts[4].params == sum(part.params for part in parts[4].parts)


def test_the_field_of_view_and_headroom_of_a_row(regseg: NetworkRows) -> None:
    """The numbers are those of the analyses; squeeze-and-excite marks context."""
    s16 = row_of(regseg, "s16")
    assert (s16.view.y, s16.view.x, s16.view.context, s16.view.nominal) == (3807, 3807, True, False)
    assert s16.headroom.least == 2 and not s16.headroom.unknown
    assert row_of(regseg, "image").headroom.least is None


def test_headroom_is_unknown_after_a_broken_bound() -> None:
    """The line that breaks it shows by how much, the next one only that nothing is known."""
    table = network_rows(shipped("regseg", "RegSegAblation", body="exp30"))
    assert row_of(table, "s16").headroom.least == -1
    assert row_of(table, "logits").headroom.unknown
    assert "  ?  " in plain(table) and " -1 " in plain(table)


def test_what_only_training_needs_costs_nothing() -> None:
    """An auxiliary head has a row without costs, and says why."""
    side = row_of(network_rows(elaborated(BRANCHES)), "side")
    assert side.training_only and side.params == side.macs == 0
    assert re.search(r"side = .*aux$", plain(network_rows(elaborated(BRANCHES))), re.M)


def test_rows_of_a_loop_stand_at_the_line_in_the_loop() -> None:
    """All rounds of a loop are one line of the text."""
    table = network_rows(elaborated(DENSE))
    assert [row.line for row in table.rows] == [4, 6]
    assert len(table.rows[1].nodes) == 9 * 4


# Table


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("hardware", [None, T4])
def test_the_table_fits_a_hundred_columns(name: str, hardware: Hardware | None) -> None:
    """Whatever the shapes, no line is wider, notes included."""
    text = plain(network_rows(shipped(name), hardware=hardware, values=SIZE if hardware else None))
    assert max(map(display_width, text.splitlines())) <= 100


def test_the_table_without_a_terminal_is_plain_text(timed: NetworkRows) -> None:
    """A pipe gets no escape sequences, and all columns."""
    target = io.StringIO()
    write_table(timed, target)
    head = target.getvalue().splitlines()[0].split()
    assert head == ["line", "text", "shape", "view", "room", "params", "MACs", "moved", "ms", "share", "bound"]
    assert "\x1b" not in target.getvalue()
    assert "budget 33.00 ms" in target.getvalue()


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def test_the_table_on_a_terminal_is_coloured_unless_told_not_to(
    timed: NetworkRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NO_COLOR wins over the terminal."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = Terminal()
    write_table(timed, coloured)
    monkeypatch.setenv("NO_COLOR", "1")
    bare = Terminal()
    write_table(timed, bare)
    assert "\x1b[" in coloured.getvalue() and "\x1b" not in bare.getvalue()


def test_the_rich_table_says_what_the_plain_one_says(timed: NetworkRows) -> None:
    """Both are laid out from the same cells."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(rich_table(timed))
    assert isinstance(console.file, io.StringIO)
    words = console.file.getvalue().split()
    assert all(word in words for word in plain(timed).split() if not set(word) <= {"-"})


def test_numbers_keep_three_digits() -> None:
    """Also where rounding carries into the next unit."""
    assert [short(n) for n in (0, 7, 999, 1000, 9994, 9996, 999_499, 999_500, 38_353_000_000)] == [
        *("-", "7", "999", "1.00k", "9.99k", "10.0k", "999k", "1.00M", "38.4G"),
    ]
    assert data(12_600_000) == "12.6MB"
    assert [milliseconds(s) for s in (0, 0.0004, 0.0125, 0.25)] == ["-", "0.400", "12.50", "250"]
    assert percent(0.3456) == "34.6%"


# Picture


@pytest.mark.parametrize("name", [*TEXTS, *SHIPPED])
def test_a_picture_is_valid_and_always_the_same(name: str) -> None:
    """It parses as XML, and drawing it twice gives the same text."""
    svg = network_svg(graph_of(name))
    assert ET.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert svg == network_svg(graph_of(name))


@pytest.mark.parametrize("name", [*TEXTS, *SHIPPED])
def test_no_text_of_a_picture_overlaps_another_or_leaves_it(name: str) -> None:
    """By an upper estimate of each text's width."""
    picture = Picture(graph_of(name), "title", "facts")
    letterings = picture.letterings()
    for a, b in combinations(letterings, 2):
        apart = a.right <= b.left or b.right <= a.left or a.bottom <= b.top or b.bottom <= a.top
        assert apart, (a, b)
    assert all(t.left > 0 and t.right < picture.width and t.top > 0 and t.bottom < picture.height for t in letterings)


@pytest.mark.parametrize("name", [*TEXTS, *SHIPPED])
def test_boxes_stay_in_their_lane_and_apart(name: str) -> None:
    """A box is inside the lane of its resolution, and touches no other box."""
    geometry = Picture(graph_of(name), "title", "facts").geometry
    frames = {}
    for box in geometry.layout.diagram.boxes:
        left, right = geometry.sides(box.name)
        middle, half = geometry.y(geometry.layout.rows[box.name]), geometry.drawn[box.name].height / 2
        frames[box.name] = (left, middle - half, right, middle + half)
        top, bottom = geometry.lane(geometry.layout.lanes.index(box.lane))
        assert top <= middle - half and middle + half <= bottom
    for (ax, ay, bx, by), (cx, cy, dx, dy) in combinations(frames.values(), 2):
        assert bx <= cx or dx <= ax or by <= cy or dy <= ay


@pytest.mark.parametrize("name", [*TEXTS, *SHIPPED])
def test_no_wire_crosses_a_box(name: str) -> None:
    """Wires are level or upright, begin and end at their boxes, and go around all others."""
    picture = Picture(graph_of(name), "title", "facts")
    geometry = picture.geometry
    for way in picture.router.ways(geometry):
        for (ax, ay), (bx, by) in zip(way.points, way.points[1:], strict=False):
            assert ax == bx or ay == by
            for box in geometry.layout.diagram.boxes:
                left, right = geometry.sides(box.name)
                middle, half = geometry.y(geometry.layout.rows[box.name]), geometry.drawn[box.name].height / 2
                across = max(ax, bx) > left + 0.01 and min(ax, bx) < right - 0.01
                down = max(ay, by) > middle - half + 0.01 and min(ay, by) < middle + half - 0.01
                assert not (across and down), (way, box)


def test_a_wire_to_another_resolution_runs_straight_down_where_it_can() -> None:
    """RegSeg's stem stands under the image, and its decoder's resizes above what they enlarge."""
    layout = arrange(diagram(graph_of("regseg")))
    assert ("image", "stem.ConvBnAct1") in layout.uprights
    assert ("logits.decoder.conv8", "logits.decoder.resize2") in layout.uprights
    assert layout.columns["s4.0"] == layout.columns["image"]


def test_a_box_tells_kind_channels_rates_and_how_many() -> None:
    """RegSeg's six last blocks of width 256 are one box; the name of the value stands above the last block."""
    boxes = {box.name: box for box in diagram(graph_of("regseg")).boxes}
    assert boxes["s16.7"].label == "DBlock" and boxes["s16.7"].count == 6
    assert boxes["s16.7"].lines == ("256", "r 1, 14")
    assert boxes["s8.0"].lines == ("128 ↓2",)
    assert boxes["s16.13"].tags == ("s16",)


def test_a_decoder_is_opened_and_a_block_is_not() -> None:
    """What brings several values together is shown inside; what works on one map is a box."""
    names = {box.name for box in diagram(graph_of("regseg")).boxes}
    assert "logits.decoder.add1" in names and "logits.decoder" not in names
    assert "s16.1" in names and not any(name.startswith("s16.1.") for name in names)


def test_normalisation_and_activation_belong_to_the_box_before() -> None:
    """Flat text gives one box for conv, bn and relu."""
    boxes = diagram(graph_of("dense")).boxes
    assert [box.label for box in boxes] == ["image", *(["conv", "c"] * 9), "y"]


def test_hundreds_of_parts_are_told_as_one() -> None:
    """A chain too long to see becomes one box that says how many parts it has."""
    boxes = diagram(graph_of("long")).boxes
    assert len(boxes) == 3 and "150 parts" in boxes[1].lines


def test_shared_weights_are_marked() -> None:
    """GUN's encoder runs at two resolutions with one set of weights."""
    boxes = {box.name: box for box in diagram(graph_of("gun")).boxes}
    assert "shared" in boxes["medium.early1.0"].lines and "shared" in boxes["low.early1.0"].lines
    assert "shared" not in boxes["low.0"].lines


def test_a_graph_without_text_is_drawn() -> None:
    """Nodes made by hand have no origin and any name, even such as interleave."""
    of = MapType(3, 8, 8)
    nodes = [Node("a.b.1", "input", (), (("channels", 3),), (of,))]
    for name, read in (("c.d.1", "a.b.1"), ("a.b.2", "c.d.1"), ("c.d.2", "a.b.2")):
        nodes.append(Node(name, "relu", (Ref(read),), (), (of,)))
    graph = Graph("hand made", tuple(nodes), (Output("y", Ref("c.d.2")),))
    ET.fromstring(network_svg(graph))
    rows = network_rows(Elaboration("hand made", graph)).rows
    assert [row.line for row in rows] == [0, 0]


def test_names_are_wrapped_where_words_meet_and_cut_where_they_must_be() -> None:
    """What is drawn fits by our own measure."""
    assert wrapped("ConvBnAct", 13, 60) == ("Conv", "BnAct")
    assert wrapped("conv_transpose", 13, 80) == ("conv_", "transpose")
    assert wrapped("relu", 13, 60) == ("relu",)
    cut = fitted("abcdefghijklmnop", 12, 50)
    assert cut.endswith("…") and text_width(cut, 12) <= 50


# Reach


def test_strips_show_the_holes() -> None:
    """A rate of 4 over a field of view of 3 at stride 2 leaves two holes of five positions; a bar shows each."""
    rows, columns = strips(graph_of("holes"), "a")
    assert rows.read.gaps() == columns.read.gaps() == ((-6, -2), (2, 6))
    line = strip_lines([rows, columns], 80)[0]
    assert line.startswith("a rows     -9 █") and line.endswith("█ 9  2 holes, 10 unread")
    assert "░" in line and len(line) <= 80


def test_a_strip_without_holes_is_solid() -> None:
    """And says so."""
    first, _ = all_strips(graph_of("regseg"))["s16"]
    line = strip_lines([first])[0]
    assert "█" in line and "▒" not in line and "no holes" in line


def test_shares_count_every_bit_once() -> None:
    """The last group may be narrower."""
    assert list(shares(0b1_0011_1111, 9, 4)) == [1.0, 0.5, 1.0]


def test_the_plane_shows_what_the_axes_do_not() -> None:
    """RegSeg's ablation exp30 has no hole on either axis, and unread pixels in the plane."""
    graph = shipped("regseg", "RegSegAblation", body="exp30").graph
    assert graph is not None
    svg = reach_svg(graph, "s16", values=SIZE)
    unread = planar(graph, dict(graph.names)["s16"], (32, 64), SIZE).unread
    assert f"{unread:,} pixels of that rectangle are not read, and only the plane shows it" in svg
    assert ">input 1024 × 2048</text>" in svg
    assert svg.count("no holes") == 2 and "hole shade" in svg
    ET.fromstring(svg)


def test_red_covers_as_much_as_is_unread() -> None:
    """Summed over its cells, the picture's unread share is the plane's."""
    from archdsl.report.reach_svg import Drawing

    graph = graph_of("holes")
    plane = planar(graph, dict(graph.names)["a"], (0, 0))
    drawing = Drawing("a", strips(graph, "a"), plane, (64, 64))
    assert sum(map(sum, drawing.missing(1))) == pytest.approx(plane.unread)
    assert sum(map(sum, drawing.missing(3))) > 0


@pytest.mark.parametrize("name", ["branches", "names", "one node", "fixed", "gun"])
def test_every_named_value_can_be_drawn(name: str) -> None:
    """Also one that sees nothing but context."""
    graph = graph_of(name)
    for value, pair in all_strips(graph).items():
        for drawn in (reach_svg(graph, value), strips_svg(pair)):
            assert ET.fromstring(drawn).tag.endswith("svg")


# Page


def test_the_page_has_all_of_the_source_with_anchors(net: Network) -> None:
    """Each line of the text stands there under its number, and the table links to it."""
    page = render_html(net)
    assert page.startswith("<!DOCTYPE html>")
    lines = Path(net.spec.path).read_text(encoding="utf-8").splitlines()
    for number, text in enumerate(lines, 1):
        assert f'id="L{number}" data-line="{number}">{escape(text)}</span>' in page
    anchors = re.findall(r'href="#L(\d+)"', page)
    assert anchors and all(1 <= int(number) <= len(lines) for number in anchors)


def test_the_page_stands_alone(net: Network) -> None:
    """No script, nothing loaded from elsewhere; the same input gives the same page."""
    page = render_html(net)
    assert "<script" not in page and "src=" not in page and "@import" not in page
    assert set(re.findall(r"https?://[^\"' <)]+", re.sub(r'<div class="wide"><pre>.*', "", page, flags=re.S))) <= {
        "http://www.w3.org/2000/svg"
    }
    assert page == render_html(net)


def test_the_page_tells_facts_asserts_and_sizes(net: Network) -> None:
    """Exact counts, each assert with its verdict, and what the input may be."""
    page = render_html(net)
    assert "3,334,951" in page and "38,353,186,560" in page and "any size" in page
    assert page.count('<span class="good">holds</span>') == 4
    assert "assert field_of_view(s16) &gt;= 2047" in page


def test_the_page_holds_time_against_a_budget(net: Network) -> None:
    """With hardware, each line has its floor, and the whole its share of the budget."""
    page = render_html(net, values=SIZE, hardware=T4, dtype="float16", budget=0.033)
    assert "a T4" in page and "of budget" in page and "33.00 ms" in page
    assert "Least time" not in render_html(net)


def test_the_page_of_an_artifact_tells_how_it_was_compiled(net: Network) -> None:
    """Sizes, engine and its times, passes, and the proof, as the manifest has them."""
    manifest: Any = SimpleNamespace(
        sizes=[(512, 1024)],
        dtype="float32",
        device="cpu",
        output="logits",
        weights="random",
        engines=[SimpleNamespace(part="all", engine="torch", milliseconds={"torch": 12.345})],
        passes=[SimpleNamespace(name="fold <bn>", fired=["a", "b"], declined=[])],
        verification="largest error 1e-6",
        versions={"torch": "2.11"},
    )
    page = render_html(net, manifest=manifest)
    assert "512 × 1024" in page and "torch (torch 12.3 ms)" in page and "largest error 1e-6" in page
    assert "fold &lt;bn&gt;" in page and "2 places, not in 0" in page


def test_text_of_the_user_is_harmless() -> None:
    """Comments and strings with markup come out as text."""
    page = render_html(
        loads(
            'arch 1\n# <script>alert(1)</script> & "quotes"\n## <img src=x onerror=alert(2)>\n'
            'network N(mode: str = "</pre><script>alert(3)</script>") {\n'
            "  in image [3, H, W]\n  out y = image -> conv(8, 3)  # </span><script>alert(4)</script>\n}\n"
        )
    )
    assert "<script" not in page and "<img" not in page
    assert page.count("&lt;script&gt;") >= 3


def test_warnings_come_with_their_place() -> None:
    """A hole that no branch fills is told with code and line."""
    page = render_html(loads("arch 1\n" + HOLES))
    assert re.search(r'class="warning">warning W07\d\d', page)
    assert 'href="#L5"' in page


def test_the_picture_of_the_readme_is_what_show_draws() -> None:
    shown = (Path(__file__).parents[1] / "docs" / "regseg.svg").read_text(encoding="utf-8")
    assert shown == network_svg(graph_of("regseg"))
