"""The parser: the tree of every construct, exact positions, and recovery from whatever stands in the text."""

from __future__ import annotations

import time
from random import Random

import pytest
from helpers import outline
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import specs
from test_format import REGSEG

from archdsl.diagnostics import Source
from archdsl.lang import tree as t
from archdsl.lang.parser import MAX_BYTES, MAX_TOKENS, Parse, parse
from archdsl.lang.tables import build_parser


def parsed(text: str) -> Parse:
    return parse(Source("spec.arch", text))


def read(text: str) -> t.File:
    result = parsed(text)
    assert not result.diagnostics, result.diagnostics
    return result.file


def value(expression: str) -> t.Expr:
    (entry,) = read(f"a = {expression}").entries
    assert isinstance(entry, t.Definition)
    return entry.value


def body(text: str) -> tuple[t.Statement, ...]:
    block = parsed(text).file.entries[0]
    assert isinstance(block, t.Block)
    return block.body.statements


def errors(text: str) -> list[str]:
    """Every diagnostic as `code line:column stretch of the text`, after checking that its position is in the text."""
    found = []
    for diagnostic in parsed(text).diagnostics:
        span = diagnostic.span
        assert span is not None and 0 <= span.start <= span.end <= len(text)
        assert diagnostic.message
        found.append(f"{diagnostic.code} {span.line}:{span.column} {span.text}")
    return found


# ------------------------------------------------------------------- grammar


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("b", "b"),
        ("true", "true"),
        ("none", "none"),
        ('"a\\n\\"b\\\\"', repr('a\n"b\\')),
        ("[]", "ListExpr([])"),
        ("[b, 1,]", "ListExpr([b, 1])"),
        ("(b)", "b"),
        ("(b,)", "TupleExpr([b])"),
        ("(b, c)", "TupleExpr([b, c])"),
        ("f()", "Call(f, [])"),
        ("f(b, c=d, out=e)", "Call(f, [Argument(none, b), Argument(c, d), Argument(out, e)])"),
        ("b[1]", "Index(b, 1)"),
        ("b[1:]", "Index(b, Slice(1, none))"),
        ("b[:c]", "Index(b, Slice(none, c))"),
        ("b[:]", "Index(b, Slice(none, none))"),
        ("f(1)[2](3)", "Call(Index(Call(f, [Argument(none, 1)]), 2), [Argument(none, 3)])"),
        ("-b", "Negative(b)"),
        ("-b[0] * c", "Arithmetic(Negative(Index(b, 0)), [['*', c]])"),
        ("b + c - d", "Arithmetic(b, [['+', c], ['-', d]])"),
        ("b // c / d % e * f", "Arithmetic(b, [['//', c], ['/', d], ['%', e], ['*', f]])"),
        ("b - (c - d)", "Arithmetic(b, [['-', Arithmetic(c, [['-', d]])]])"),
        ("1..n + 1", "RangeExpr(1, Arithmetic(n, [['+', 1]]))"),
        ("b < c <= d != e", "Comparison(b, [['<', c], ['<=', d], ['!=', e]])"),
        ("not b and c or d", "Logic('or', [Logic('and', [Not(b), c]), d])"),
        ("not b == c", "Not(Comparison(b, [['==', c]]))"),
        ("b -> c -> d as e", "Pipe(b, [Stage(c, none), Stage(d, e)])"),
        ("b -> c + d", "Pipe(b, [Stage(Arithmetic(c, [['+', d]]), none)])"),
        ("b if c else d if e else f", "Conditional(b, c, Conditional(d, e, f))"),
        ("b -> c if d else e", "Conditional(Pipe(b, [Stage(c, none)]), d, e)"),
        ("search(14 in 1..18)", "Search(14, RangeExpr(1, 18))"),
        ("search(8 in {1, 8,})", "Search(8, Choices([1, 8]))"),
        (
            "[b for b, c in d if e if f for g in h]",
            "Comprehension(b, [CompFor([b, c], d, [e, f]), CompFor([g], h, [])])",
        ),
    ],
)
def test_expressions(text: str, expected: str) -> None:
    """Each construct gives its node, and precedence is the grammar's."""
    assert outline(value(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("b, c = d", "Assign([b, c], d)"),
        ("in b", "Input(b, none, none)"),
        ("in b [C, H // 2] = rgb()", "Input(b, [C, Arithmetic(H, [['//', 2]])], Call(rgb, []))"),
        ("out b, c", "Output(none, [b, c], false)"),
        ("out b = c", "Output(b, [c], false)"),
        ("aux out b", "Output(none, [b], true)"),
        ("aux out b = c", "Output(b, [c], true)"),
        ("shared b = c", "Shared(b, c)"),
        ("assert b <= 1", "Assert(Comparison(b, [['<=', 1]]))"),
        ("for i, j in 1..n { b = i }", "For([i, j], RangeExpr(1, n), Body([Assign([b], i)]))"),
        ("when b {}", "When(b, Body([]), none)"),
        ("when b {} else { c = d }", "When(b, Body([]), Body([Assign([c], d)]))"),
        ("when b {} else when c {} else {}", "When(b, Body([]), When(c, Body([]), Body([])))"),
    ],
)
def test_statements(text: str, expected: str) -> None:
    """Each kind of statement, in a body."""
    read(f"block A {{ {text} }}")
    assert outline(body(f"block A {{ {text} }}")) == f"[{expected}]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("use std.conv: A, B as C", "Use(['std', 'conv'], [Imported(A, none), Imported(B, C)])"),
        ("block A {}", "Block(A, [], Body([]), false, '')"),
        ("block A() {}", "Block(A, [], Body([]), false, '')"),
        ("network A {}", "Block(A, [], Body([]), true, '')"),
        ("network A = B(c=1)", "Alias(A, Call(B, [Argument(c, 1)]), '')"),
        ("a = 1", "Definition(a, 1)"),
        ("block A(b) {}", "Block(A, [Param(b, none, none)], Body([]), false, '')"),
        ("block A(b: int = 1,) {}", "Block(A, [Param(b, NamedType('int', [], none), 1)], Body([]), false, '')"),
    ],
)
def test_entries(text: str, expected: str) -> None:
    """What may stand at top level."""
    assert outline(read(text).entries) == f"[{expected}]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int", "NamedType('int', [], none)"),
        ("block", "NamedType('block', [], none)"),
        ("list[list[rate]]", "NamedType('list', [NamedType('list', [NamedType('rate', [], none)], none)], none)"),
        ("int in 1..2 * n", "NamedType('int', [], RangeExpr(1, Arithmetic(2, [['*', n]])))"),
        ('str in {"b", "c"}', "NamedType('str', [], Choices(['b', 'c']))"),
        ("(int, block,)", "TupleType([NamedType('int', [], none), NamedType('block', [], none)])"),
    ],
)
def test_types(text: str, expected: str) -> None:
    """Types of parameters, with their domains."""
    block = read(f"block A(b: {text}) {{}}").entries[0]
    assert isinstance(block, t.Block)
    assert outline(block.params[0].type) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("1_000", 1000),
        ("2k", 2000),
        ("3.34M", 3340000),
        ("39.2G", 39200000000),
        ("0.0005k", 0.5),
        ("0.5", 0.5),
        ("2.0", 2.0),
        ("1e-3", 0.001),
        ("1E3", 1000.0),
    ],
)
def test_numbers_are_exact(text: str, expected: int | float) -> None:
    """Suffixes give whole numbers where the number is whole; a point or an exponent alone gives a float."""
    number = value(text)
    assert isinstance(number, t.Number)
    assert (number.value, type(number.value)) == (expected, type(expected))


def test_spans_are_exact() -> None:
    """A node spans its own text, without parentheses around it, with the ones inside it."""
    block = read("# é\nblock A(b: int = (1)) {\n  c = (x + 1) * f(2) -> g as h\n}").entries[0]
    assert isinstance(block, t.Block)
    assert (block.span.line, block.span.column, block.span.end_line, block.span.end_column) == (2, 1, 4, 2)
    assert [node.span.text for node in (block.name, block.params[0], block.body)] == [
        "A",
        "b: int = (1)",
        "{\n  c = (x + 1) * f(2) -> g as h\n}",
    ]
    assign = block.body.statements[0]
    assert isinstance(assign, t.Assign) and isinstance(assign.value, t.Pipe)
    product = assign.value.value
    assert isinstance(product, t.Arithmetic)
    stage = assign.value.stages[0]
    spans = [assign, assign.value, product, product.first, product.rest[0][1], stage, stage.module]
    assert [node.span.text for node in spans] == [
        "c = (x + 1) * f(2) -> g as h",
        "(x + 1) * f(2) -> g as h",
        "(x + 1) * f(2)",
        "x + 1",
        "f(2)",
        "g as h",
        "g",
    ]
    assert (stage.span.line, stage.span.column) == (3, 25)


def test_documentation_comments() -> None:
    """The `##` lines directly above a block or network are its documentation, for the first on its line."""
    text = (
        "## one\n##\n## two\nblock A {}\n## not\n\nblock B {}\n# not\nblock C {}\n"
        "## D\nnetwork D = A() network E {}\n## not\nf = 1 block F {}\n"
    )
    docs = [e.doc for e in read(text).entries if isinstance(e, t.Block | t.Alias)]
    assert docs == ["one\n\ntwo", "", "", "D", "", ""]


def test_comments_know_whether_they_stand_alone() -> None:
    """Blanks before a comment do not count, and those after it are not part of it."""
    file = read('  # one  \r\na = "# no" # two')
    assert [(c.text, c.own_line, c.span.text) for c in file.comments] == [
        ("# one", True, "# one"),
        ("# two", False, "# two"),
    ]


def test_the_version_is_read() -> None:
    """`arch 1` comes first, or not at all."""
    assert outline(read("arch 1").version) == "1"
    assert read("a = 1").version is None
    assert errors("a = 1\narch 1") == ["E0101 2:1 arch"]


def test_the_strict_grammar_builds() -> None:
    """No two terminals of the grammar can match the same text, and the table has no conflicts."""
    build_parser(strict=True)


# ------------------------------------------------------------------ recovery


def network(lines: str) -> str:
    return f"network N {{\n{lines}\n}}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # an expression left open is reported at its last operator
        (network("  y = x ->\n  z = 1"), ["E0108 2:9 ->"]),
        (network("  y = x +  # more\n\n  out y"), ["E0108 2:9 +"]),
        (network("  y =\n  z = 1"), ["E0108 2:5 ="]),
        (network("  out y,\n  z = 1"), ["E0108 2:8 ,"]),
        (network("  assert\n  out y"), ["E0108 2:3 assert"]),
        (network("  y = x and"), ["E0108 2:9 and"]),
        (network("  y = f(x + )"), ["E0108 2:11 +"]),
        ("use std.conv:\nblock A {}", ["E0108 1:13 :"]),
        ("a = 1 +", ["E0108 1:7 +"]),
        # brackets
        (network("  y = f(1, [2, 3)\n  z = 1"), ["E0102 2:12 ["]),
        (network("  y = f(1,\n  z = 1"), ["E0102 2:8 ("]),
        (network("  y = [f(1),\n    2\n  out z"), ["E0102 2:7 ["]),
        (network("  y = f(1"), ["E0102 2:8 ("]),
        ("block A {\n  in x\nblock B {}", ["E0102 1:9 {"]),
        ("block A {\n  when x {\n    y = 1\n", ["E0102 1:9 {", "E0102 2:10 {"]),
        ("a = (1", ["E0102 1:5 ("]),
        (network("  y = f(x))\n  z = [1]]"), ["E0101 2:11 )", "E0101 3:10 ]"]),
        # tokens that cannot stand where they stand
        (network("  y = 1 2\n  z = = 3"), ["E0101 2:9 2", "E0101 3:7 ="]),
        (network("  y = x conv(3)"), ["E0101 2:9 conv"]),
        (network("  y = x relu\n  z = 1"), ["E0101 2:9 relu"]),
        (network("  x conv(3)"), ["E0101 2:5 conv"]),
        (network("  y = f(a=1,\n    b=2\n    c=3)\n  z = 1"), ["E0101 4:5 c"]),
        (network("  if x {\n    y = 1\n  }\n  z = 1"), ["E0101 2:3 if"]),
        (network("  when y = 1 {\n    a = 2\n  } else {\n    a = 3\n  }"), ["E0101 2:10 ="]),
        (network("  for i 1..3 {\n    a = 2\n  }"), ["E0101 2:9 1"]),
        (network("  use a: b\n  block C {\n    out 1\n  }\n  out x"), ["E0101 2:3 use", "E0101 3:3 block"]),
        (network("  when a {\n  } else (\n  out x"), ["E0102 3:10 ("]),
        ("a = 1\nin x\nassert y\nout y\n", ["E0101 2:1 in"]),
        ("block A(a: int b: int) {\n  y = = 1\n}", ["E0101 1:16 b", "E0101 2:7 ="]),
        ("block {\n  in x\n}\nblock B {}", ["E0101 1:7 {"]),
        # characters and strings
        (network("  y = x ≤ 1\n  z = a × b × c"), ["E0103 2:9 ≤", "E0103 3:9 ×", "E0103 3:13 ×"]),
        (network("  y = 'same'\n  z = 1;"), ["E0103 2:7 'same'", "E0103 3:8 ;"]),
        (network('  y = f(x, "same, 3)\n  z = = 1'), ['E0104 2:12 "same, 3', "E0101 3:7 ="]),
        (network('  y = f(\n    "a,\n    2)\n  z = 1'), ['E0104 3:5 "a,']),
        (network(f"  y = {'9' * 5000}\n  z = 1e999"), [f"E0901 2:7 {'9' * 5000}", "E0901 3:7 1e999"]),
        # nesting
        (f"a = {'(' * 101}1{')' * 101}", ["E0105 1:105 ("]),
    ],
)
def test_one_mistake_gives_one_error(text: str, expected: list[str]) -> None:
    """Each at its place with its code, and none that follows from another."""
    assert errors(text) == expected


def test_every_independent_error_is_reported() -> None:
    """One run reports them all, and keeps every statement around them."""
    text = (
        "arch 1\n"
        "use std.conv ConvBnAct\n"
        "a = 3 +\n"
        "b = 4\n"
        "block B(width: int, rates list) {\n"
        "  in x\n"
        "  y = x -> conv(width, 1 -> bn\n"
        "  z = y ? 2\n"
        "  out z\n"
        "}\n"
        "network N {\n"
        "  in x\n"
        "  for i in 1..3 {\n"
        "    y = x y\n"
        "    w = 2\n"
        "  }\n"
        "  out w\n"
        "  out y = \n"
        "}\n"
        "network M = N(\n"
    )
    assert errors(text) == [
        "E0101 2:14 ConvBnAct",
        "E0108 3:7 +",
        "E0101 5:27 list",
        "E0102 7:16 (",
        "E0103 8:9 ?",
        "E0101 14:11 y",
        "E0108 18:9 =",
        "E0102 20:14 (",
    ]
    entries = parsed(text).file.entries
    assert [type(entry).__name__ for entry in entries] == [
        "BrokenEntry",
        "BrokenEntry",
        "Definition",
        "BrokenEntry",
        "Block",
        "BrokenEntry",
    ]
    assert outline(entries[4]).startswith("Block(N, [], Body([Input(x, none, none), For([i], RangeExpr(1, 3)")
    assert "Assign([w], 2)" in outline(entries[4]) and "Output(none, [w], false)" in outline(entries[4])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (network("  y = x ->\n  z = 1"), "[Broken([y]), Assign([z], 1)]"),
        (network("  a, b = f(x\n  z = 1"), "[Broken([a, b]), Assign([z], 1)]"),
        (network("  in x [\n  z = 1"), "[Broken([x]), Assign([z], 1)]"),
        (network("  shared s = (\n  z = 1"), "[Broken([s]), Assign([z], 1)]"),
        (network("  out o = = 1\n  z = 1"), "[Broken([o]), Assign([z], 1)]"),
        (network("  y = x conv(3)\n  z = 1"), "[Assign([y], x), Broken([y]), Assign([z], 1)]"),
        (network("  y = x ? 1\n  z = 1"), "[Broken([y]), Assign([z], 1)]"),
        (network("  y = x;\n  z = 1"), "[Assign([y], x), Assign([z], 1)]"),
        (network("  for i 1 {\n    y = 1\n  }\n  z = 1"), "[Broken([i, y]), Assign([z], 1)]"),
    ],
)
def test_what_is_left_out_says_what_it_would_bind(text: str, expected: str) -> None:
    """So that later steps do not report those names as unknown."""
    assert parsed(text).diagnostics
    assert outline(body(text)).replace("'", "") == expected


def test_there_is_an_end_to_reporting() -> None:
    """A text full of errors gets a page of them, not a book."""
    assert 40 <= len(errors(network("  y = 1 2\n" * 500))) <= 42
    assert len(errors("a = @\n" * 500)) == 40


def test_large_files_are_refused() -> None:
    """By their size, and by their number of tokens."""
    assert errors("#" * (MAX_BYTES + 1)) == ["E0901 1:1 "]
    assert errors("é" * (MAX_BYTES // 2 + 1)) == ["E0901 1:1 "]
    assert errors("a=1\n" * (MAX_TOKENS // 3 + 1)) == ["E0901 1:1 "]


PATHOLOGICAL = [
    *("(", "{", "[", "- ", "not ", "a b c ", "@", '"', '" ', "'", "\0", "\\", "a=1\n", "a = \n", "a = (\n", "a,\n"),
    *("in x\n", "}", "])", "a if ", "a -> ", "for ", "when x {", "else ", "block A {\n", "block A(\n", '"a" ', "..\n"),
    *('a = "\n', "use a: b\n", "network N {\n y = x ->\n}\n", "## x\n", "\n", "x = f(\n", "1e", "block A { in in\n"),
]


@pytest.mark.parametrize("piece", PATHOLOGICAL)
def test_no_text_takes_long(piece: str) -> None:
    """A file of the largest size, of one thing over and over: read or refused within seconds."""
    tokens = max(len(piece.split()), 1) * 2
    for size in (MAX_BYTES, min(MAX_BYTES, MAX_TOKENS * len(piece) // tokens)):
        text = (piece * (size // len(piece) + 1))[:size]
        start = time.perf_counter()
        parsed(text)
        parsed("network N {\n in x\n" + text[:-30])
        assert time.perf_counter() - start < 8


def test_rereading_is_bounded() -> None:
    """Statements left open before a long rest are not each read to the end of it."""
    text = "network N {\n" + "  a = f(\n" * 90 + "1, " * 29000 + "@\n}\n"
    start = time.perf_counter()
    errors(text)
    assert time.perf_counter() - start < 8


TOKENS = (
    'arch 1 use block network in out aux shared assert for when else if and or not as search x y.z 2.5k "s" [ ] ( ) '
    "{ } { } , : = == <= .. -> + - * / // % # \n \n \n @ ' \" × \\ \0 \r\n \t é"
).split(" ")


@given(st.lists(st.sampled_from(TOKENS), max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_tokens_in_any_order_are_read(tokens: list[str]) -> None:
    """Nothing is raised, every position is in the text, and the same text gives the same errors."""
    text = " ".join(tokens)
    assert errors(text) == errors(text)


@given(st.text(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_text_is_read(text: str) -> None:
    """Whatever the characters."""
    errors(text)


@given(st.binary(max_size=300))
@settings(max_examples=50, deadline=None)
def test_binary_files_are_read(data: bytes) -> None:
    """As far as they can be called text at all."""
    errors(data.decode("latin-1"))
    errors(data.decode("utf-8", "surrogateescape"))


@given(st.integers(0, len(REGSEG)), st.integers(0, len(REGSEG)), st.sampled_from([*'(){}[]=,"#@x1\n>', "", " "]))
@settings(max_examples=100, deadline=None)
def test_a_damaged_spec_is_read(end: int, place: int, replacement: str) -> None:
    """Cut short, or with one character changed: errors near the damage, and few of them."""
    errors(REGSEG[:end])
    assert len(errors(REGSEG[:place] + replacement + REGSEG[place + 1 :])) <= 6


@given(specs(), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_a_spec_with_a_line_gone_is_read(text: str, seed: int) -> None:
    """Any valid spec has no errors; with a line taken out it is still read."""
    assert errors(text) == []
    lines = text.split("\n")
    del lines[Random(seed).randrange(len(lines))]
    errors("\n".join(lines))
