"""Diagnostics: what a user reads, what a tool reads, what is suggested, and the pages that explain."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from archdsl.diagnostics import ArchError, Diagnostic, Frame, Label, Severity, Source, Span, pages
from archdsl.diagnostics.jsonform import to_json
from archdsl.diagnostics.sarif import to_sarif
from archdsl.diagnostics.suggest import did_you_mean, nearest
from archdsl.diagnostics.text import render, render_all

MINE = Source("specs/mine.arch", "\n" * 13 + "  s16 = s8 -> DBlock(256, [1, 2, 4])\n")
LIBRARY = Source("archdsl/std/dilated.arch", "\n" * 8 + "  y = concat([part for part in split(y, 3)])\n")


def at(source: Source, text: str) -> Span:
    """The first place where `text` stands in the source."""
    start = source.text.index(text)
    return Span(source, start, start + len(text))


def shown(diagnostic: Diagnostic) -> list[str]:
    """The lines a user sees, without colour."""
    return render(diagnostic, color=False).split("\n")


def error(source: Source, text: str, label: str = "here", **more: Any) -> Diagnostic:
    """An error about the first place where `text` stands."""
    return Diagnostic("E0001", "something is wrong", at(source, text), label, **more)


SPLIT = Diagnostic(
    "E0302",
    "256 channels cannot be split into 3 equal parts",
    at(MINE, "DBlock(256, [1, 2, 4])"),
    "width 256 over 3 rates is not a whole number",
    trace=(Frame("DBlock", at(LIBRARY, "part for")),),
    help="use 2 or 4 rates, or width 240 or 288",
)


# Text


def test_the_example_of_the_language_page() -> None:
    """The whole form: message, place, line, underline with words, the block it was raised in, help."""
    assert shown(SPLIT) == [
        "error[E0302]: 256 channels cannot be split into 3 equal parts",
        "  --> specs/mine.arch:14:15",
        "   |",
        "14 |   s16 = s8 -> DBlock(256, [1, 2, 4])",
        "   |               ^^^^^^^^^^^^^^^^^^^^^^ width 256 over 3 rates is not a whole number",
        "   |",
        "  raised in block DBlock, here",
        "  --> archdsl/std/dilated.arch:9:15",
        "   = help: use 2 or 4 rates, or width 240 or 288",
    ]


def test_underlines_stand_under_tabs_wide_and_combining_characters() -> None:
    """Carets are placed by what a terminal draws, while the column counts code points."""
    source = Source("a.arch", "\tx = 通道 -> cafe\u0301 + y")
    assert shown(error(source, "cafe\u0301")) == [
        "error[E0001]: something is wrong",
        "  --> a.arch:1:12",
        "   |",
        " 1 |     x = 通道 -> cafe\u0301 + y",
        "   |                 ^^^^ here",
    ]
    assert shown(error(source, "通道"))[-1] == "   |         ^^^^ here"


def test_a_tab_reaches_to_the_next_stop() -> None:
    """A tab in the middle of a line takes as many columns as are left to the stop."""
    source = Source("a.arch", "ab\tcd")
    assert shown(error(source, "cd"))[-2:] == [" 1 | ab  cd", "   |     ^^ here"]


def test_control_characters_cannot_reach_the_terminal() -> None:
    """An escape sequence in a spec, its path or a message is shown, not obeyed."""
    source = Source("a\x1b[2J.arch", "x = \x1b[31m\u202e + y\x07\x9b\x7f")
    text = render(Diagnostic("E0001", "no `\x1b[31m`", at(source, "y"), "\x1b"), color=False)
    assert text.replace("\n", "").isprintable()
    assert " 1 | x = ␛[31m\ufffd + y␇\ufffd␡\n   |              ^ ␛" in text


def test_a_span_of_several_lines_shows_the_first_and_the_last() -> None:
    """The words stand at the end of the stretch, and the first line says how far it goes."""
    source = Source("a.arch", "y = concat([  \n  a,\n  b,\n  ])\nz = 1")
    assert shown(error(source, "concat([  \n  a,\n  b,\n  ])\n"))[2:] == [
        "   |",
        " 1 | y = concat([",
        "   |     ^^^^^^^^ goes on to line 4",
        "...",
        " 4 |   ])",
        "   |   ^^ here",
    ]


def test_a_span_that_only_takes_its_line_end_along_is_one_line() -> None:
    """A line end at the end of a span, of either kind, is nothing to point at."""
    source = Source("a.arch", "y = 1\r\nz = 2")
    assert shown(error(source, "1\r\n"))[-2:] == [" 1 | y = 1", "   |     ^ here"]


def test_the_end_of_the_text_can_be_pointed_at() -> None:
    """An empty span still gets a caret, also on the empty line after the last one."""
    source = Source("a.arch", "network N {\n")
    end = Span(source, len(source.text), len(source.text))
    assert shown(Diagnostic("E0001", "unclosed", end, "`}` expected"))[1:] == [
        "  --> a.arch:2:1",
        "   |",
        " 2 |",
        "   | ^ `}` expected",
    ]


def test_an_empty_source_shows_its_place_only() -> None:
    """A missing or empty file has no line to quote."""
    span = Span(Source("gone.arch", ""), 0, 0)
    assert shown(Diagnostic("E0001", "no such file", span, "here")) == [
        "error[E0001]: no such file",
        "  --> gone.arch",
    ]


def test_labels_in_the_same_text_have_lines_of_their_own() -> None:
    """Lines come in the order of the text, and what lies between them is left out."""
    source = Source("a.arch", "a = conv(3)\nb = conv(4)\n\n\ny = a + b\n")
    labels = (Label(at(source, "conv(4)"), "4 channels"), Label(at(source, "conv(3)"), "3 channels"))
    assert shown(error(source, "a + b", labels=labels))[1:] == [
        "  --> a.arch:5:5",
        "   |",
        " 1 | a = conv(3)",
        "   |     ------- 3 channels",
        " 2 | b = conv(4)",
        "   |     ------- 4 channels",
        "...",
        " 5 | y = a + b",
        "   |     ^^^^^ here",
    ]


def test_a_label_on_the_line_of_the_error_is_a_row_below() -> None:
    """The line is quoted once."""
    source = Source("a.arch", "y = a + b\n")
    diagnostic = error(source, "b", labels=(Label(at(source, "a"), "against this"),))
    assert shown(diagnostic)[3:] == [
        " 1 | y = a + b",
        "   |         ^ here",
        "   |     - against this",
    ]


def test_a_label_in_another_text_has_an_arrow_of_its_own() -> None:
    """The gutter is as wide as the longest line number of all places."""
    long = Source("b.arch", "\n" * 122 + "block B {\n")
    source = Source("a.arch", "y = B(1)\n")
    assert shown(error(source, "B(1)", labels=(Label(at(long, "block B"), "declared here"),)))[1:] == [
        "   --> a.arch:1:5",
        "    |",
        "  1 | y = B(1)",
        "    |     ^^^^ here",
        "    |",
        "   --> b.arch:123:1",
        "    |",
        "123 | block B {",
        "    | ------- declared here",
    ]


def test_a_diagnostic_without_a_place_is_message_help_and_notes() -> None:
    """Further lines of a remark are indented under its first."""
    bare = Diagnostic("N0001", "a fact", severity=Severity.NOTE, help="do this,\nthen that", notes=("one", "two"))
    assert shown(bare) == [
        "note[N0001]: a fact",
        "   = help: do this,",
        "           then that",
        "   = note: one",
        "   = note: two",
    ]


@pytest.mark.parametrize(("depth", "middle"), [(6, None), (7, "1 more call"), (64, "58 more calls")])
def test_a_long_trace_loses_its_middle(depth: int, middle: str | None) -> None:
    """Six calls are shown; of more, the outermost three and the innermost three."""
    trace = tuple(Frame(f"B{i}", at(LIBRARY, "y")) for i in range(depth))
    rows = shown(error(MINE, "s8", trace=trace))
    raised = [row for row in rows if "raised in" in row]
    assert len(raised) == 6
    assert raised[0] == "  raised in block B0, here"
    assert raised[-1] == f"  raised in block B{depth - 1}, here"
    assert [row for row in rows if "more call" in row] == ([f"  … {middle} …"] if middle else [])


def test_a_very_long_line_is_shown_around_the_span() -> None:
    """Both cut ends are marked, and the caret stands under its character."""
    source = Source("a.arch", "q" * 500 + "X" + "z" * 500)
    quoted, underline = shown(error(source, "X"))[-2:]
    assert quoted.startswith(" 1 | …qq")
    assert quoted.endswith("zz…")
    assert len(quoted) < 160
    assert quoted.index("X") == underline.index("^")


def test_two_places_on_one_very_long_line_are_both_shown() -> None:
    """Each place gets a window of its own, since one window may not hold both."""
    source = Source("a.arch", "X" + "q" * 1000 + "Y")
    rows = shown(error(source, "Y", labels=(Label(at(source, "X"), "there"),)))
    assert [row[:6] for row in rows[3:]] == [" 1 | X", "   | -", " 1 | …", "   |  "]
    assert rows[-2].index("Y") == rows[-1].index("^")


def test_colour_changes_nothing_but_the_colour() -> None:
    """Without its escape sequences the coloured text is the plain text."""
    colored = render(SPLIT, color=True)
    assert colored.startswith("\x1b[1;31merror[E0302]\x1b[0m")
    for style in ("1;31", "1;34", "1", "0"):
        colored = colored.replace(f"\x1b[{style}m", "")
    assert colored == render(SPLIT, color=False)


# Several


def many(severity: Severity, number: int) -> list[Diagnostic]:
    """Distinct diagnostics without a place."""
    letter = severity[0].upper()
    return [Diagnostic(f"{letter}{i:04}", "said", severity=severity) for i in range(number)]


def test_each_severity_is_capped_on_its_own() -> None:
    """Twenty warnings leave room for the errors, order stays, and the last line counts everything."""
    found = many(Severity.WARNING, 21) + many(Severity.ERROR, 23) + many(Severity.NOTE, 1)
    parts = render_all(found, color=False).split("\n\n")
    assert parts[:20] == [f"warning[W{i:04}]: said" for i in range(20)]
    assert parts[20:40] == [f"error[E{i:04}]: said" for i in range(20)]
    assert parts[40:] == [
        "note[N0000]: said",
        "… and 3 more errors",
        "… and 1 more warning",
        "23 errors, 21 warnings, 1 note",
    ]


def test_the_count_names_only_what_there_is() -> None:
    """One error is not `1 errors, 0 warnings`, and nothing is nothing."""
    assert render_all(many(Severity.ERROR, 1), color=False) == "error[E0000]: said\n\n1 error"
    assert render_all([], color=False) == ""


def test_an_uncaught_exception_shows_the_diagnostics() -> None:
    """A Python user who catches nothing reads the same text as on the command line."""
    assert "14 |   s16 = s8 -> DBlock(256, [1, 2, 4])" in str(ArchError([SPLIT]))


# JSON and SARIF


def test_json_has_the_promised_fields() -> None:
    """Positions count from 1, the end is exclusive."""
    noted = error(MINE, "s8", labels=(Label(at(LIBRARY, "y"), "there"),), notes=("n",))
    assert to_json(SPLIT) == {
        "code": "E0302",
        "severity": "error",
        "message": "256 channels cannot be split into 3 equal parts",
        "path": "specs/mine.arch",
        "line": 14,
        "column": 15,
        "end_line": 14,
        "end_column": 37,
        "label": "width 256 over 3 rates is not a whole number",
        "labels": [],
        "help": "use 2 or 4 rates, or width 240 or 288",
        "notes": [],
        "trace": [{"block": "DBlock", "path": "archdsl/std/dilated.arch", "line": 9, "column": 15}],
    }
    place = {"path": "archdsl/std/dilated.arch", "line": 9, "column": 3, "end_line": 9, "end_column": 4}
    assert to_json(noted)["labels"] == [{"text": "there", **place}]
    assert json.loads(json.dumps(to_json(noted)))["notes"] == ["n"]


def test_json_without_a_place_has_nulls() -> None:
    """The keys are always there."""
    data = to_json(Diagnostic("E0001", "m"))
    assert [data[key] for key in ("path", "line", "column", "end_line", "end_column")] == [None] * 5


def test_sarif_has_rules_results_and_related_places() -> None:
    """Labels and calls are related locations; a code without a page is still a rule."""
    warning = Diagnostic("W9999", "m", severity=Severity.WARNING, labels=(Label(at(MINE, "s8"), "there"),))
    log = to_sarif([SPLIT, warning], "1.2.3")
    (run,) = log["runs"]
    assert (log["version"], run["columnKind"]) == ("2.1.0", "unicodeCodePoints")
    assert (run["tool"]["driver"]["name"], run["tool"]["driver"]["version"]) == ("archdsl", "1.2.3")
    described, bare = run["tool"]["driver"]["rules"]
    assert described["shortDescription"] == {"text": "channels cannot be split into equal parts"}
    assert described["help"]["markdown"].startswith("# E0302: ")
    assert bare == {"id": "W9999"}
    first, second = run["results"]
    assert (first["ruleId"], first["ruleIndex"], first["level"]) == ("E0302", 0, "error")
    assert first["message"]["text"].endswith("\nhelp: use 2 or 4 rates, or width 240 or 288")
    region = {"startLine": 14, "startColumn": 15, "endLine": 14, "endColumn": 37}
    place = {"artifactLocation": {"uri": "specs/mine.arch"}, "region": region}
    assert first["locations"] == [{"physicalLocation": place}]
    assert first["relatedLocations"][0]["message"] == {"text": "raised in block DBlock, here"}
    assert (second["level"], second["ruleIndex"], second["locations"]) == ("warning", 1, [])
    assert second["relatedLocations"][0]["id"] == 0


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("my nets/näher#1.arch", "my%20nets/n%C3%A4her%231.arch"),
        ("./a.arch", "a.arch"),
        ("<text>", "%3Ctext%3E"),
        (str(Path.cwd() / "b.arch"), "b.arch"),
        ("/elsewhere/c d.arch", "file:///elsewhere/c%20d.arch"),
    ],
)
def test_sarif_addresses_are_relative_and_encoded(path: str, uri: str) -> None:
    """A file under the working folder is relative to it; one elsewhere has a whole address."""
    log = to_sarif([error(Source(path, "x"), "x")], "1")
    place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": uri}


# Suggestions


@pytest.mark.parametrize(
    ("name", "candidates", "expected"),
    [
        ("covn", ["conv", "cost"], "conv"),
        ("rleu", ["relu"], "relu"),
        ("bm", ["bn", "dropout"], "bn"),
        ("conc", ["concat"], None),
        ("cnocat", ["concat"], "concat"),
        ("cnocta", ["concat"], "concat"),
        ("abcdef", ["badcfe"], None),
        ("depthwsie_cnvo", ["depthwise_conv"], "depthwise_conv"),
        ("SE", ["sE", "SEE"], "sE"),
        ("convbnact", ["ConvBnAct", "convbnadt"], "ConvBnAct"),
        ("x", ["y"], None),
        ("x", ["xs"], "xs"),
        ("", ["a"], None),
        ("conv", ["conv"], None),
        ("pool", [], None),
    ],
)
def test_the_nearest_name(name: str, candidates: list[str], expected: str | None) -> None:
    """One edit in short names, two or three in long ones; a swap of neighbours is one edit."""
    assert nearest(name, candidates) == ([expected] if expected else [])


def test_a_letter_is_not_edited_twice() -> None:
    """The distance is that of optimal string alignment: `ca` to `abc` takes three edits and not two."""
    assert nearest("ca", ["abc"]) == []
    assert nearest("caxyz", ["abcxyz"]) == []


def test_nearer_names_come_first_and_equals_by_alphabet() -> None:
    """Of several candidates, closeness decides before the alphabet, and each is named once."""
    assert nearest("block", ["clocks", "clock", "black", "black"], limit=5) == ["black", "clock", "clocks"]


def test_the_question_is_asked_only_with_an_answer() -> None:
    """The help of an unknown name is empty when nothing is near."""
    assert did_you_mean("rellu", ["relu"]) == "did you mean `relu`?"
    assert did_you_mean("rellu", ["conv"]) == ""


def test_suggestions_are_quick() -> None:
    """Neither a thousand near candidates nor names of ten thousand letters make a user wait."""
    start = time.process_time()
    nearest("a" * 10_000, ["a" * 9_990 + f"{i:010}" for i in range(1000)])
    nearest("global_average_pool", [f"global_average_poo{i}" for i in range(1000)])
    nearest("a" * 256, ["a" * 253 + f"{i:03}" for i in range(1000)])
    assert time.process_time() - start < 5


# Pages

FENCE = "```"
PAGE = f"""\
# E0001: a title

## What it means

Means.

{FENCE}text
## not a heading
{FENCE}

## Why it matters
Matters.

## Bad
First:
{FENCE}arch
use blocks: B
## documentation
{FENCE}

{FENCE}arch file=blocks.arch
block A {{}}
{FENCE}
{FENCE}console
$ archdsl check
{FENCE}
{FENCE}arch
arch 1
{FENCE}

## Good
{FENCE}arch
arch 1
{FENCE}

## See also
E0302, and W0001.
"""


def test_a_page_is_taken_apart() -> None:
    """Side files belong to the spec before them; `##` inside a fence is text of the spec."""
    page = pages.parse("E0001", PAGE)
    assert (page.code, page.title, page.why) == ("E0001", "a title", "Matters.")
    assert page.meaning.startswith("Means.") and "## not a heading" in page.meaning
    with_file = pages.Example("use blocks: B\n## documentation\n", (("blocks.arch", "block A {}\n"),))
    assert page.bad == (with_file, pages.Example("arch 1\n"))
    assert page.good == (pages.Example("arch 1\n"),)
    assert page.see_also == ("E0302", "W0001")


def test_a_page_is_shown_without_its_markup() -> None:
    """Fences become an indent, and a side file stands under its name."""
    text = pages.render_page(pages.parse("E0001", PAGE), color=False)
    assert text.startswith("E0001: a title\n\nWhat it means\n\nMeans.\n\n    ## not a heading\n")
    assert "    ## documentation\n\n  blocks.arch:\n    block A {}\n" in text
    assert FENCE not in text
    colored = pages.render_page(pages.parse("E0001", PAGE), color=True)
    assert colored.startswith("\x1b[1mE0001: a title\x1b[0m\n")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("# E0001: a title", "# E0001 a title", "first line"),
        ("## Why it matters", "## Why", "sections are"),
        ("## Good", "### Good", "sections are"),
        ("\n## What it means", "stray\n## What it means", "before the first section"),
        ("arch file=blocks.arch", "arch blocks.arch", "neither"),
        (
            "use blocks: B\n## documentation\n```\n\n```arch file",
            "a\n```\n## Bad\n```arch file",
            "belongs to",
        ),
    ],
)
def test_a_page_out_of_form_is_refused(old: str, new: str, complaint: str) -> None:
    """Whoever writes a page hears what is wrong with it."""
    with pytest.raises(ValueError, match=complaint):
        pages.parse("E0001", PAGE.replace(old, new))


def test_pages_are_found_in_any_case() -> None:
    """`explain e0302` is as good as `explain E0302`."""
    assert "E0302" in pages.codes()
    assert pages.load("e0302") == pages.load("E0302")
    assert pages.title("E0302") == "channels cannot be split into equal parts"


@pytest.mark.parametrize("code", ["E9999", "", "E030", "../pages/E0302", "E０３０２"])
def test_an_unknown_page_is_a_key_error(code: str) -> None:
    """What is no code reaches no file."""
    with pytest.raises(KeyError):
        pages.load(code)


@pytest.mark.parametrize("code", pages.codes())
def test_every_page_keeps_the_form(code: str) -> None:
    """Each page that ships can be read, and says something in every section."""
    page = pages.load(code)
    assert page.title and page.meaning and page.why
    assert pages.render_page(page, color=False)


def test_importing_diagnostics_stays_cheap() -> None:
    """Nothing outside the standard library is loaded, not even to draw."""
    code = (
        "import sys, archdsl.diagnostics.text, archdsl.diagnostics.sarif, archdsl.diagnostics.suggest\n"
        "print(*{name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"archdsl", "__main__"}
