"""What to say about a token that cannot stand where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.diagnostics import Diagnostic

if TYPE_CHECKING:
    from archdsl.lang.parser import _Reader

_OPERATORS = frozenset(
    {
        "PLUS",
        "MINUS",
        "TIMES",
        "DIVIDE",
        "COMPARE",
        "EQUAL",
        "COMMA",
        "AND",
        "OR",
        "NOT",
        "IF",
        "ELSE",
        "IN",
        "AS",
    }
)
_OPERATOR_TEXT = frozenset({"->", "..", "=", ","})
OPERAND_END = frozenset({"NAME", "NUMBER", "STRING", "RPAR", "RSQB", "TRUE", "FALSE", "NONE"})


def describe_error(reader: _Reader, begin: int, stop: int, at: int) -> Diagnostic:
    """The diagnostic for a statement from token `begin`, cut off at `stop`, in which token `at` did not fit."""
    tokens = reader.tokens
    last = min(stop, len(tokens)) - 1
    if stop != at or at == len(tokens):
        if last >= begin and _is_operator(tokens[last]):
            text = str(tokens[last])
            return Diagnostic(
                "E0108", f"nothing follows this `{text}`", reader.span_of(last), help=_left_open(text)
            )
        if at == len(tokens):
            return Diagnostic(
                "E0101", "the text ends in the middle of a statement", reader.span_of(max(last, 0))
            )
    if at > begin and _is_operator(tokens[at - 1]) and reader.starts_line(at):
        text = str(tokens[at - 1])
        return Diagnostic(
            "E0108", f"nothing follows this `{text}`", reader.span_of(at - 1), help=_left_open(text)
        )
    return Diagnostic(
        "E0101", f"`{tokens[at]}` cannot stand here", reader.span_of(at), help=_mend(reader, begin, at)
    )


def _is_operator(token: object) -> bool:
    return getattr(token, "type", "") in _OPERATORS or str(token) in _OPERATOR_TEXT


def _left_open(text: str) -> str:
    return (
        "finish the list, or remove the comma"
        if text == ","
        else "finish the expression, or remove the operator"
    )


def _mend(reader: _Reader, begin: int, at: int) -> str:
    """A mend for the mistakes that people make most."""
    tokens = reader.tokens
    kind, text = tokens[at].type, str(tokens[at])
    before = tokens[at - 1].type if at else ""
    if at == begin + 1 and tokens[begin].type == "NAME" and not reader.starts_line(begin) and begin:
        return f"to apply a module to a value, write `{tokens[begin - 1]} -> {tokens[begin]}`"
    if at == begin + 1 and tokens[begin].type == "NAME" and kind != "EQUAL":
        return f"a statement gives a name to what it makes: `y = {tokens[begin]} …`"
    if kind in ("RPAR", "RSQB", "RBRACE"):
        return "there is no matching opening bracket"
    if text == "=" and before == "NAME":
        return "compare with `==`; settings are written `name=value` inside a call"
    if kind in ("NAME", "NUMBER", "STRING") and before in OPERAND_END and reader.accepts("COMMA"):
        return "a comma is missing before it" if reader.accepts("RPAR") or reader.accepts("RSQB") else ""
    if kind in ("IF", "FOR"):
        return f"a statement is spelled `{'when' if kind == 'IF' else 'for'} … {{ … }}`"
    return ""
