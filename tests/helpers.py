"""What several test modules share."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from archdsl.diagnostics import Source, Span
from archdsl.lang import tree as t
from archdsl.lang.parser import Parse, parse

_PLAIN = (t.Name, t.Ident)


def parsed(text: str) -> Parse:
    """What the parser makes of a text."""
    return parse(Source("spec.arch", text))


def body(text: str) -> tuple[t.Statement, ...]:
    """The statements of a text's first entry, a block or a network."""
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


def outline(node: Any) -> str:
    """A syntax tree as one line of text, positions aside: `Pipe(x, [Stage(Call(conv, [Argument(none, 3)]), none)])`."""
    if isinstance(node, _PLAIN):
        return node.text
    if isinstance(node, t.Number | t.String):
        return repr(node.value)
    if isinstance(node, t.Constant):
        return outline(node.value)
    if isinstance(node, tuple):
        return f"[{', '.join([outline(item) for item in node])}]"
    if node is None or isinstance(node, bool):
        return str(node).lower()
    if isinstance(node, str):
        return f"'{node}'"
    parts = [(field.name, getattr(node, field.name)) for field in fields(node)]
    kept = [outline(value) for name, value in parts if name != "comments" and not isinstance(value, Span | Source)]
    return f"{type(node).__name__}({', '.join(kept)})"


def same_tree(a: t.Node, b: t.Node) -> bool:
    """Whether two syntax trees differ in positions only."""
    return outline(a) == outline(b)
