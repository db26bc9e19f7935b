"""What several test modules share."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from archdsl.diagnostics import Source, Span
from archdsl.lang import tree as t

_PLAIN = (t.Name, t.Ident)


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
