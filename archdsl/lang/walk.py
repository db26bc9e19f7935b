"""Going through a syntax tree without knowing its classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from typing import Any

from archdsl.lang import tree as t


@cache
def _parts(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if field.name != "span")


def children(node: t.Node) -> Iterator[t.Node]:
    """The nodes directly inside a node, in the order of the text."""
    kind: Any = type(node)
    for name in _parts(kind):
        yield from _nodes(getattr(node, name))


def _nodes(value: Any) -> Iterator[t.Node]:
    if isinstance(value, t.Node):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _nodes(item)


def walk(node: t.Node) -> Iterator[t.Node]:
    """A node and everything inside it, outermost first."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        stack += reversed(list(children(current)))


def names_in(node: t.Node) -> Iterator[t.Name]:
    """Every name that is read inside a node."""
    return (n for n in walk(node) if isinstance(n, t.Name))
