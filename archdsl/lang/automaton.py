"""Lark's LALR table, driven token by token, with its stacks in the open so that recovery can mend them.

Lark's own driver sets positions and filters children in one Python call per reduction and per aspect; most of the
reductions in an expression grammar only pass a single child on, and this driver does nothing for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lark import Lark, Token, Tree
from lark.grammar import Rule
from lark.parsers.lalr_analysis import Shift
from lark.tree import Meta

END = "$END"


@dataclass(frozen=True, slots=True)
class _Reduction:
    """What Lark's tree builder does for one rule: which children it keeps, inlines, and puts `None` for."""

    name: str
    origin: str
    size: int
    kept: tuple[tuple[int, bool, int], ...]
    """Index of a child, whether its own children take its place, and how many `None` come before it."""
    missing: int
    inline: bool
    expand: bool
    passes: bool
    """Only hands on its single child, which is a list of children already."""


def _reduction(rule: Rule) -> _Reduction:
    gaps = [0] * (len(rule.expansion) + 1)
    if rule.options.empty_indices:
        present = "".join(str(int(absent)) for absent in rule.options.empty_indices).split("0")
        gaps = [len(run) for run in present]
    kept = []
    missing = 0
    for index, symbol in enumerate(rule.expansion):
        missing += gaps[index]
        if not getattr(symbol, "filter_out", False):
            kept.append((index, not symbol.is_term and symbol.name.startswith("_"), missing))
            missing = 0
    origin = str(rule.origin.name)
    inline = origin.startswith("_")
    return _Reduction(
        name=rule.alias or origin,
        origin=origin,
        size=len(rule.expansion),
        kept=tuple(kept),
        missing=missing + gaps[-1],
        inline=inline,
        expand=rule.options.expand1 and not rule.alias,
        passes=inline and len(rule.expansion) == 1 and kept == [(0, True, 0)],
    )


class Tables:
    """The table, with shifts as plain state numbers and reductions worked out ahead."""

    def __init__(self, grammar: Lark) -> None:
        table = grammar.parse_interactive().parser_state.parse_conf.parse_table
        rules: dict[int, _Reduction] = {}
        self.start = table.start_states["file"]
        self.end = table.end_states["file"]
        self.actions: dict[int, dict[str, int | _Reduction]] = {
            state: {
                symbol: target if action is Shift else self._once(rules, target)
                for symbol, (action, target) in actions.items()
            }
            for state, actions in table.states.items()
        }

    @staticmethod
    def _once(rules: dict[int, _Reduction], rule: Rule) -> _Reduction:
        """A rule's reduction; thousands of entries of the table share a hundred rules."""
        if id(rule) not in rules:
            rules[id(rule)] = _reduction(rule)
        return rules[id(rule)]

    def shifting(self, terminal: str) -> frozenset[int]:
        """The states that take this terminal without any reduction."""
        return frozenset(state for state, actions in self.actions.items() if isinstance(actions.get(terminal), int))


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
        self.starts.append(token.start_pos or 0)
        self._end = token.end_pos or 0
        return True

    def accepts(self, terminal: str) -> bool:
        """Whether `feed` would take this terminal now; changes nothing."""
        actions, states = self.tables.actions, list(self.states)
        while True:
            action = actions[states[-1]].get(terminal)
            if not isinstance(action, _Reduction):
                return action is not None
            if action.size:
                del states[-action.size :]
            states.append(self._goto(states[-1], action))

    def _goto(self, state: int, rule: _Reduction) -> int:
        target = self.tables.actions[state][rule.origin]
        assert isinstance(target, int)
        return target

    def _reduce(self, rule: _Reduction) -> None:
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

    def _value(self, rule: _Reduction, children: list[Any], start: int) -> Any:
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
        meta = Meta()  # type: ignore[no-untyped-call]
        meta.empty, meta.start_pos, meta.end_pos = False, start, self._end
        return Tree(rule.name, kept, meta)
