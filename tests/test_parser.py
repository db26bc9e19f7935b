"""The parser: the tree of every construct, numbers, comments, and exact positions."""

from __future__ import annotations

import pytest
from helpers import body, errors, outline, parsed

from archdsl.lang import tree as t
from archdsl.lang.grammar import build_parser


def read(text: str) -> t.File:
    result = parsed(text)
    assert not result.diagnostics, result.diagnostics
    return result.file


def value(expression: str) -> t.Expr:
    (entry,) = read(f"a = {expression}").entries
    assert isinstance(entry, t.Definition)
    return entry.value


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
        ("in b", "Input(b, none, none, none)"),
        ("in b: indices", "Input(b, indices, none, none)"),
        ("in b [C, H // 2] = rgb()", "Input(b, none, [C, Arithmetic(H, [['//', 2]])], Call(rgb, []))"),
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
    assert build_parser(strict=True).parse("arch 1\n").data == "file"
