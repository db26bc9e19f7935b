"""What to say about a token that cannot stand where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.diagnostics import Diagnostic
from archdsl.lang.automaton import END
from archdsl.lang.lexer import Token
from archdsl.lang.lines import CLOSE, CLOSING, ENTRIES, OPERAND_END, STATEMENTS

if TYPE_CHECKING:
    from archdsl.lang.reader import Reader

_OPERATORS = frozenset({"PLUS", "MINUS", "TIMES", "DIVIDE", "COMPARE", "EQUAL", "COMMA", "COLON", "DOT"})
_WORDS = frozenset({"AND", "OR", "NOT", "IF", "ELSE", "IN", "AS", "ARCH"}) | STATEMENTS | ENTRIES
_SYMBOLS = frozenset({"->", ".."})
_LONGEST = 40
_ELSEWHERE = {
    "return": "a block gives its values out with `out …`",
    "def": "what Python has functions for is a block: `block Name(…) { in x … out … }`",
    "class": "what PyTorch has modules for is a block: `block Name(…) { in x … out … }`",
    "lambda": "there are no functions but blocks: `block Name(…) { in x … out … }`",
    "import": "names come in with `use std.conv: ConvBnAct`",
    "from": "names come in with `use std.conv: ConvBnAct`",
    "while": "a loop is finite: `for i in 1..n { … }`",
    "elif": "it is spelled `else when … { … }`",
    "pass": "an empty body is `{ }`",
}
"""Words of Python, and what stands for them here."""


def describe_error(reader: Reader, begin: int, cut: int | None, at: int) -> Diagnostic:
    """The diagnostic for the statement from token `begin`, in which token `at` did not fit.

    `cut` is where another statement starts before the error, if one does: this one was left open there.
    """
    stop = at if cut is None else cut
    return (
        _unclosed_bracket(reader, begin, cut, at)
        or _left_open(reader, begin, stop, at)
        or _juxtaposed(reader, begin, at)
        or _unexpected(reader, begin, at, _mend(reader, begin, at))
    )


def unclosed_body(reader: Reader, opening: int) -> Diagnostic:
    """The diagnostic for a body whose `}` is missing."""
    return Diagnostic("E0102", "this `{` is never closed", reader.span(opening), help="add the missing `}`")


def _unclosed_bracket(reader: Reader, begin: int, cut: int | None, at: int) -> Diagnostic | None:
    lines = reader.lines
    opening = lines.open_bracket(begin, at if cut is None else cut)
    if opening is None:
        return None
    wrong_closer = lines.kind(at) in CLOSE and lines.kind(at) != CLOSING[lines.kind(opening)]
    statement = lines.starts_line(at) and lines.kind(at) in (*STATEMENTS, *ENTRIES)
    if cut is None and lines.kind(at) != END and not wrong_closer and not statement:
        return None
    return Diagnostic("E0102", f"this `{lines.tokens[opening]}` is never closed", reader.span(opening))


def _left_open(reader: Reader, begin: int, stop: int, at: int) -> Diagnostic | None:
    """The statement ends in the middle: at the end of the text, of a line, or of a bracket."""
    lines, last = reader.lines, stop - 1
    ends = stop != at or lines.starts_line(at) or lines.kind(at) in CLOSE
    if not ends or last < begin:
        return None
    token = lines.tokens[last]
    # a comma may stand before a closing bracket: then the bracket is not what is wrong
    allowed = token.type == "COMMA" and lines.kind(at) in ("RPAR", "RSQB")
    if _is_open(token) and not allowed:
        return Diagnostic("E0108", f"nothing follows this `{token}`", reader.span(last), help=_finish(token))
    if lines.kind(at) == END:
        return Diagnostic("E0101", "the text ends in the middle of a statement", reader.span(last))
    return None


def _finish(token: Token) -> str:
    if token.type in _WORDS:
        return "finish the statement, or remove it"
    return "finish the list, or remove the comma" if token == "," else "finish the expression, or remove the operator"


def _is_open(token: Token) -> bool:
    return token.type in _OPERATORS or token.type in _WORDS or str(token) in _SYMBOLS


def _juxtaposed(reader: Reader, begin: int, at: int) -> Diagnostic | None:
    """`x conv(3)` where `x -> conv(3)` was meant: the parser takes `conv` for the next statement."""
    lines = reader.lines
    if at != begin + 1 or lines.kind(begin) != "NAME":
        return None
    if lines.starts_line(begin):
        word = lines.tokens[begin]
        if _augments(reader, at):
            mend = f"write it out: `{_shown(word)} = {_shown(word)} {lines.tokens[at]} …`"
            return _unexpected(reader, begin, at, mend)
        mend = _ELSEWHERE.get(word, f"a statement gives a name to what it makes: `y = {_shown(word)} …`")
        return _unexpected(reader, begin, begin if lines.starts_line(at) else at, mend)
    before = lines.kind(begin - 1)
    applied = f"`{_shown(lines.tokens[begin - 1])} -> {_shown(lines.tokens[begin])}`"
    mend = f"to apply a module to a value, write {applied}" if before in OPERAND_END else ""
    mend = _ELSEWHERE.get(lines.tokens[begin - 1], mend) if begin else mend
    return _unexpected(reader, begin, begin, mend)


def _augments(reader: Reader, at: int) -> bool:
    """Whether an operator and a `=` right after it stand at `at`, as in `x += y`."""
    lines = reader.lines
    if lines.kind(at) not in ("PLUS", "MINUS", "TIMES", "DIVIDE") or lines.kind(at + 1) != "EQUAL":
        return False
    return lines.tokens[at].end == lines.tokens[at + 1].start


def _in_clause(reader: Reader, begin: int, at: int) -> bool:
    """Whether token `at` belongs to what the `for … in` or `if` of a comprehension, or the `for` of a loop, reads."""
    lines = reader.lines
    kinds = [lines.kind(i) for i in range(begin, at)]
    while kinds and kinds[-1] not in ("IN", "IF", "WHEN", "COMMA", "EQUAL", "LBRACE"):
        kinds.pop()
    return bool(kinds) and (kinds[-1] == "WHEN" or (kinds[-1] in ("IN", "IF") and "FOR" in kinds))


def _names_targets(reader: Reader, begin: int, at: int) -> bool:
    """Whether token `at` stands among the names that a loop gives."""
    while at > begin and reader.lines.kind(at - 1) in ("COMMA", "NAME"):
        at -= 1
    return reader.lines.kind(at - 1) == "FOR"


def _unexpected(reader: Reader, begin: int, at: int, mend: str) -> Diagnostic:
    return Diagnostic("E0101", f"`{_shown(reader.lines.tokens[at])}` cannot stand here", reader.span(at), help=mend)


def _shown(token: Token) -> str:
    return str(token) if len(token) <= _LONGEST else f"{token[:_LONGEST]}…"


def _mend(reader: Reader, begin: int, at: int) -> str:
    """A mend for the mistakes that people make most."""
    lines = reader.lines
    kind, before = lines.kind(at), lines.kind(at - 1)
    if kind in CLOSE and lines.open_bracket(begin, at) is None:
        return "there is no matching opening bracket"
    if kind in ENTRIES and reader.in_body:
        return f"`{lines.tokens[at]}` stands outside of every block and network"
    if kind in ("IF", "FOR", "WHEN") and reader.in_body:
        return f"a statement is spelled `{'for' if kind == 'FOR' else 'when'} … {{ … }}`"
    if lines.kind(begin) == "USE":
        return "imports reach `std` and files beside the spec: `use std.conv: ConvBnAct`, `use blocks: MyBlock`"
    if kind in STATEMENTS and not reader.in_body:
        return "statements stand inside a block or a network"
    if kind == "DOT":
        return "values have no attributes or methods; a module is applied with `x -> conv(3)`"
    if str(lines.tokens[at] if at < len(lines.tokens) else "") == "->" and _in_clause(reader, begin, at):
        return "what is gone through stands in parentheses where it holds a `->`: `for x in (y -> split(2))`"
    if kind == "LPAR" and before in ("FOR", "COMMA") and _names_targets(reader, begin, at):
        return "a loop gives plain names: `for i, pair in …`, and then `a, b = pair`"
    if (kind, before) == ("TIMES", "TIMES"):
        return "there are no powers; write the product: `2 * 2 * 2`"
    if kind == "EQUAL" and before == "NAME":
        return "compare with `==`; settings are written `name=value` inside a call"
    if (kind, before) == ("NAME", "NUMBER") and lines.tokens[at - 1].end == lines.tokens[at].start:
        return "numbers are decimal, with k, M or G behind them at most; a name does not begin with a digit"
    missing = before in OPERAND_END and (kind in OPERAND_END or kind in ("LPAR", "LSQB", "NOT", "SEARCH"))
    if missing and reader.accepts("COMMA") and (reader.accepts("RPAR") or reader.accepts("RSQB")):
        return "a comma is missing before it"
    return ""
