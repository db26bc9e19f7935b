"""The formatter: one layout for each spec, the tree and the comments unchanged."""

from __future__ import annotations

import pytest
from helpers import REGSEG_PAGE, outline, same_tree
from hypothesis import given, settings
from strategies import specs

from archdsl.diagnostics import ArchError, Source
from archdsl.lang import tree as t
from archdsl.lang.format import format_source
from archdsl.lang.parser import parse


def formatted(text: str) -> str:
    return format_source(Source("spec.arch", text))


def tree(text: str) -> t.File:
    parsed = parse(Source("spec.arch", text))
    assert not parsed.diagnostics
    return parsed.file


def in_body(statements: str) -> str:
    return f"block B {{\n{statements}}}\n"


def test_the_example_of_the_language_keeps_its_shape() -> None:
    """Only alignment goes, and the one comprehension that was aligned with its bracket is indented."""
    expected = (
        REGSEG_PAGE.replace("s4  =", "s4 =")
        .replace("s8  =", "s8 =")
        .replace("2047     #", "2047  #")
        .replace("=11)      #", "=11)  #")
        .replace("concat([part -> conv(width //", "concat([\n    part -> conv(width //")
        .replace("              for part, r in", "    for part, r in")
        .replace("rates)])\n", "rates)\n  ])\n")
    )
    assert formatted(REGSEG_PAGE) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a = 3.34M",
        "a = 1e-3",
        'a = "q\\"q"',
        "a = -b * c",
        "a = -(b * c)",
        "a = --b",
        "a = b - (c - d)",
        "a = (b - c) - d",
        "a = b - c - d",
        "a = b * (c + d)",
        "a = b * c + d",
        "a = (b * c)[0](1)",
        "a = not b and c or d",
        "a = not (b and c)",
        "a = (not b) == c",
        "a = (b or c) and d",
        "a = b < c <= d",
        "a = (b < c) <= d",
        "a = 1..n + 1",
        "a = (1..n) + 1",
        "a = -1..-n",
        "a = b -> c -> d as e",
        "a = (b -> c) -> d",
        "a = b -> (c -> d)",
        "a = (b -> c) + d",
        "a = b -> c + d",
        "a = b -> (c if d else e)",
        "a = b -> c if d else e -> f",
        "a = (b if c else d) if e else f",
        "a = b if (c if d else e) else f",
        "a = b if c else d if e else f",
        "a = [b -> c for c, d in zip(e, f) if d if not e for g in h]",
        "a = [b for c in (d -> e)]",
        "a = (b,)",
        "a = (b, c)",
        "a = []",
        "a = f()",
        "a = f(b, c=d, out=e if f else g)",
        "a = b[1:] + c[:-1] + d[:] + e[0] + f[i + 1:n]",
        "a = search(14 in 1..18)",
        "a = search(b if c else d in {1, 2, 4})",
        "a = true if none else false",
    ],
)
def test_expressions_keep_the_parentheses_they_need(text: str) -> None:
    """Each of these stands in its canonical form."""
    assert formatted(text) == text + "\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=((b))+(c*d)", "a = b + c * d"),
        ("a = ( b -> c ) -> ( d )", "a = (b -> c) -> d"),
        ("a = (b[0])(c) . . d".replace(" . . ", ".."), "a = b[0](c)..d"),
        ("a = [1 ,2,]", "a = [1, 2]"),
        ("a = f(b = c,)", "a = f(b=c)"),
        ("network A=B( )", "network A = B()"),
        ("use a . b:C,D as E", "use a.b: C, D as E"),
        ("block A ( ) { }", "block A {}"),
        (
            'block A(a:int in 1 .. 64=13,b:list[ (int,str) ],c:str in{"x",}="x",d:block,e=1,f){}',
            'block A(a: int in 1..64 = 13, b: list[(int, str)], c: str in {"x"} = "x", d: block, e = 1, f) {}',
        ),
    ],
)
def test_blanks_and_idle_parentheses_have_one_form(text: str, expected: str) -> None:
    """Spacing is the formatter's, and parentheses that change nothing go."""
    assert formatted(text) == expected + "\n"


def test_each_statement_has_a_line() -> None:
    """Every kind of statement, written without any layout."""
    text = (
        "block A{in x[C,H,W,]in y=rgb(scale=1/255)in z a,b=x->f out a,b out c=a aux out d=b aux out e "
        "shared s=f assert a<b for i,j in 1..3{k=i}when a{}else when b{c=1}else{d=2}}"
    )
    assert formatted(text) == (
        "block A {\n"
        "  in x [C, H, W]\n"
        "  in y = rgb(scale=1 / 255)\n"
        "  in z\n"
        "  a, b = x -> f\n"
        "  out a, b\n"
        "  out c = a\n"
        "  aux out d = b\n"
        "  aux out e\n"
        "  shared s = f\n"
        "  assert a < b\n"
        "  for i, j in 1..3 {\n"
        "    k = i\n"
        "  }\n"
        "  when a {} else when b {\n"
        "    c = 1\n"
        "  } else {\n"
        "    d = 2\n"
        "  }\n"
        "}\n"
    )


LONG = "a_name_that_is_rather_long"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"y = f({LONG}, g({LONG}, 2), h({LONG}), {LONG}, {LONG})",
            f"y = f(\n  {LONG},\n  g({LONG}, 2),\n  h({LONG}),\n  {LONG},\n  {LONG},\n)",
        ),
        (
            f"y = x -> f({LONG}) -> g({LONG}) -> h({LONG}) -> k({LONG})",
            f"y = x\n    -> f({LONG})\n    -> g({LONG})\n    -> h({LONG})\n    -> k({LONG})",
        ),
        (
            f"y = x -> [f({LONG}), g({LONG}), h({LONG}), k({LONG})]",
            f"y = x -> [\n  f({LONG}),\n  g({LONG}),\n  h({LONG}),\n  k({LONG}),\n]",
        ),
        (
            f"y = concat([f({LONG}), g({LONG}), h({LONG})]) -> {LONG} -> relu",
            f"y = concat([f({LONG}), g({LONG}), h({LONG})])\n    -> {LONG}\n    -> relu",
        ),
        (
            f"y = concat([f({LONG}), g({LONG}), h({LONG}), k({LONG})]) -> bn -> relu",
            f"y = concat([\n  f({LONG}),\n  g({LONG}),\n  h({LONG}),\n  k({LONG}),\n]) -> bn -> relu",
        ),
        (
            f"y = {LONG} -> f if {LONG} == {LONG} else {LONG} -> g",
            f"y = {LONG} -> f\n    if {LONG} == {LONG}\n    else {LONG} -> g",
        ),
        (
            f"y = {LONG} * {LONG} + {LONG} * {LONG} - {LONG}",
            f"y = {LONG} * {LONG}\n    + {LONG} * {LONG}\n    - {LONG}",
        ),
        (
            f"y = [f({LONG}, i, j, {LONG}) for i in {LONG} for j in {LONG}]",
            f"y = [\n  f({LONG}, i, j, {LONG})\n  for i in {LONG}\n  for j in {LONG}\n]",
        ),
        (
            "y = " + "[" + ", ".join(["[1, 14]"] * 16) + "]",
            "y = [\n  " + ", ".join(["[1, 14]"] * 12) + ",\n  " + ", ".join(["[1, 14]"] * 4) + ",\n]",
        ),
        (
            f"use std.a: {', '.join([LONG] * 4)}",
            f"use std.a: {', '.join([LONG] * 3)},\n    {LONG}",
        ),
    ],
)
def test_what_does_not_fit_is_broken(text: str, expected: str) -> None:
    """Brackets break to an item a line, tables fill their lines, operators start the lines they continue."""
    assert formatted(text) == expected + "\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1   # one\n\n\n\n# two\nb = 2", "a = 1  # one\n\n# two\nb = 2\n"),
        ("# first\n\n\n\narch 1\n# second\na = 1", "# first\n\narch 1\n\n# second\na = 1\n"),
        ("a = [1, # one\n# two\n2 # three\n# four\n]", "a = [\n  1,  # one\n  # two\n  2,  # three\n  # four\n]\n"),
        ("a = [# none\n]", "a = [  # none\n]\n"),
        ("a = f(b # one\n, c)", "a = f(\n  b,  # one\n  c,\n)\n"),
        ("a = b + # one\nc", "a = b  # one\n    + c\n"),
        ("a = b -> c # one\n# two\n-> d", "a = b\n    -> c  # one\n    # two\n    -> d\n"),
        ("a = # one\nb", "a =  # one\n    b\n"),
        ("a =\n# one\nb", "a =\n    # one\n    b\n"),
        ("a = (# one\nb + c)", "a =  # one\n    b + c\n"),
        ("block A { # one\n}", "block A {  # one\n}\n"),
        ("block A {\n\n# one\n\n}", "block A {\n  # one\n}\n"),
        ("block A {\nin x\n# one\n\n\n# two\n}", "block A {\n  in x\n  # one\n\n  # two\n}\n"),
        (
            in_body("when a { # one\n}\n# two\nelse { b = 1 } # three\n"),
            in_body("  when a {  # one\n  }\n  # two\n  else {\n    b = 1\n  }  # three\n"),
        ),
        (
            "block A(\n## the width\nw: int, # one\nd = 1 # two\n# three\n) {}",
            "block A(\n  ## the width\n  w: int,  # one\n  d = 1,  # two\n  # three\n) {}\n",
        ),
        ("a = 1\n# end", "a = 1\n# end\n"),
        ("a = 1\n\n\n# end\n\n", "a = 1\n\n# end\n"),
        ("# alone", "# alone\n"),
        ("a = f([1] # one\n)", "a = f(\n  [1],  # one\n)\n"),
        ("use a: B, # one\nC # two", "use a: B,  # one\n    C  # two\n"),
    ],
)
def test_comments_stay_where_they_were(text: str, expected: str) -> None:
    """At line ends, on lines of their own, before closing brackets, before `else`, at the end of the file."""
    assert formatted(text) == expected
    assert formatted(expected) == expected


def test_a_comment_that_moves_documents_nothing() -> None:
    """A `##` comment inside an import cannot stay there; it must not become the next block's documentation."""
    text = "use a: B as\n## inside\nC ## behind\nblock D {}\n"
    assert [entry.doc for entry in tree(formatted(text)).entries if isinstance(entry, t.Block)] == [""]
    assert formatted(formatted(text)) == formatted(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        (" \n\n\t", ""),
        ("arch 1", "arch 1\n"),
        ("arch 1\na = 1", "arch 1\n\na = 1\n"),
        ("a = 1\r\nb = 2\r\n", "a = 1\nb = 2\n"),
        ("a = 1\n\n\n\nb = 2\nnetwork C = D", "a = 1\n\nb = 2\nnetwork C = D\n"),
        ("use a: B\nuse c: D\na = 1\nblock E {}\nblock F {}", None),
        (in_body("  in x\n  y = x\n\n\n  out y\n"), in_body("  in x\n  y = x\n\n  out y\n")),
        (in_body("\n\n  in x\n\n"), in_body("  in x\n")),
    ],
)
def test_empty_lines(text: str, expected: str | None) -> None:
    """One at most, one between definitions, none at the ends of a body or of the file."""
    if expected is None:
        expected = "use a: B\nuse c: D\n\na = 1\n\nblock E {}\n\nblock F {}\n"
    assert formatted(text) == expected


def test_a_text_with_errors_is_not_formatted() -> None:
    """Its diagnostics are raised instead."""
    with pytest.raises(ArchError) as caught:
        formatted("a = \nb = (1\n")
    assert [d.code for d in caught.value.diagnostics] == ["E0108", "E0102"]


@pytest.mark.parametrize("shape", ["[{}]", "f({})", "(a -> {})", "(1 + {})", "(a if b else {})", "-{}", "{}(1)"])
def test_deep_nesting_is_formatted(shape: str) -> None:
    """What the parser reads, the formatter writes, however deep."""
    before, after = shape.split("{}")
    text = f"a = {before * 45}x{after * 45}\n"
    assert same_tree(tree(formatted(text)), tree(text))


def test_a_large_file_is_formatted() -> None:
    """Long runs are laid out like short ones."""
    text = formatted("a = [" + "f(1), " * 6000 + "]\nb = x" + " -> c" * 6000 + "\n")
    assert same_tree(tree(formatted(text)), tree(text))
    assert text.count("f(1)") == text.count("-> c") == 6000


@given(specs())
@settings(max_examples=60, deadline=None)
def test_formatting_keeps_tree_and_comments(text: str) -> None:
    """Any valid spec: the tree and the comments are the same, and a second run changes nothing."""
    before = tree(text)
    once = formatted(text)
    after = tree(once)
    assert outline(after) == outline(before)
    assert [c.text for c in after.comments] == [c.text for c in before.comments]
    assert formatted(once) == once
    assert not any(line != line.rstrip() for line in once.split("\n"))
