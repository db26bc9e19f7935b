"""Lark's LALR table, driven token by token, with its stacks in the open so that recovery can mend them.

Lark's own driver sets positions and filters children in one Python call per reduction and per aspect; most of the
reductions in an expression grammar only pass a single child on, and this driver does nothing for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from archdsl.lang.lexer import Token
from archdsl.lang.tables import Reduction, Tables

END = "$END"


class ParseTree:
    """What the grammar's rules made of a stretch of text: a rule's name, and its children in the order of the text."""

    __slots__ = ("children", "data", "end", "start")

    def __init__(self, data: str, children: list[Any], start: int, end: int) -> None:
        self.data = data
        self.children = children
        self.start = start
        self.end = end

    def subtrees(self) -> list[ParseTree]:
        """Every tree inside this one, inner ones before those they stand in."""
        found = []
        stack = [self]
        while stack:
            tree = stack.pop()
            found.append(tree)
            stack += [child for child in tree.children if isinstance(child, ParseTree)]
        return found[:0:-1]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The stacks as they were before some token."""

    states: tuple[int, ...]
    values: tuple[Any, ...]
    starts: tuple[int, ...]


class Automaton:
    """The stacks: states, what each symbol became, and where its text starts."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.states = [tables.start]
        self.values: list[Any] = []
        self.starts: list[int] = []
        self._end = 0

    def snapshot(self, *, without: int = 0) -> Snapshot:
        """The stacks, without their topmost `without` symbols."""
        depth = len(self.values) - without
        return Snapshot(tuple(self.states[: depth + 1]), tuple(self.values[:depth]), tuple(self.starts[:depth]))

    def restore(self, snapshot: Snapshot) -> None:
        self.states[:] = snapshot.states
        self.values[:] = snapshot.values
        self.starts[:] = snapshot.starts

    def feed(self, token: Token) -> bool:
        """Reduces as far as the token asks for and shifts it. False where it cannot stand here."""
        kind, actions, states = token.type, self.tables.actions, self.states
        while True:
            action = actions[states[-1]].get(kind)
            if type(action) is int:
                break
            if action is None:
                return False
            self._reduce(action)  # type: ignore[arg-type]
            if kind == END and states[-1] == self.tables.end:
                return True
        states.append(action)
        self.values.append(token)
        self.starts.append(token.start)
        self._end = token.end
        return True

    def accepts(self, terminal: str) -> bool:
        """Whether `feed` would take this terminal now; changes nothing."""
        actions, states = self.tables.actions, list(self.states)
        while True:
            action = actions[states[-1]].get(terminal)
            if not isinstance(action, Reduction):
                return action is not None
            if action.size:
                del states[-action.size :]
            states.append(self._goto(states[-1], action))

    def _goto(self, state: int, rule: Reduction) -> int:
        target = self.tables.actions[state][rule.origin]
        assert isinstance(target, int)
        return target

    def _reduce(self, rule: Reduction) -> None:
        states, values, starts = self.states, self.values, self.starts
        if not rule.passes:
            below = len(values) - rule.size
            children = values[below:]
            start = starts[below] if rule.size else self._end
            del states[below + 1 :], values[below:], starts[below:]
            values.append(self._value(rule, children, start))
            starts.append(start)
        else:
            states.pop()
        states.append(self._goto(states[-1], rule))

    def _value(self, rule: Reduction, children: list[Any], start: int) -> Any:
        kept: list[Any] = []
        for index, inline, missing in rule.kept:
            if missing:
                kept += [None] * missing
            if not inline:
                kept.append(children[index])
            elif kept:
                kept += children[index]
            else:
                # a repetition grows its own list: copying it at every step would take quadratic time
                kept = children[index]
        if rule.missing:
            kept += [None] * rule.missing
        if rule.inline:
            return kept
        if rule.expand and len(kept) == 1:
            return kept[0]
        return ParseTree(rule.name, kept, start, self._end)
