"""The grammar, through Lark, to the tables that reading a text needs. Runs when the package is built."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

from lark import Lark
from lark.grammar import Rule
from lark.lexer import PatternStr, TerminalDef
from lark.parsers.lalr_analysis import Shift

from archdsl.lang.tables import GRAMMAR, TABLES, Lexicon, Reduction, Tables, fingerprint

OPTIONS: dict[str, Any] = {
    "start": "file",
    "parser": "lalr",
    "lexer": "basic",
    "propagate_positions": True,
    "maybe_placeholders": True,
}


def build_parser(*, strict: bool = False) -> Lark:
    """The parser from the grammar's text. `strict` also proves that no terminals collide (needs interegular)."""
    return Lark(GRAMMAR.read_text(encoding="utf-8"), strict=strict, **OPTIONS)


def write_tables(folder: Path) -> None:
    """Writes the tables into a folder, with the fingerprint of the grammar they were made from."""
    content = (fingerprint(GRAMMAR.read_bytes()), make_tables())
    (folder / TABLES).write_bytes(pickle.dumps(content, protocol=5))


def make_tables() -> Tables:
    """The tables of the grammar."""
    grammar = build_parser()
    table = grammar.parse_interactive().parser_state.parse_conf.parse_table
    rules: dict[int, Reduction] = {}
    actions = {
        state: {
            # thousands of entries share a hundred rules
            symbol: target if action is Shift else rules.setdefault(id(target), _reduction(target))
            for symbol, (action, target) in entries.items()
        }
        for state, entries in table.states.items()
    }
    return Tables(table.start_states["file"], table.end_states["file"], actions, _lexicon(grammar))


def _lexicon(grammar: Lark) -> Lexicon:
    name = next(terminal for terminal in grammar.terminals if terminal.name == "NAME")
    words = [terminal for terminal in grammar.terminals if _is_word(terminal, name)]
    # the order in which Lark's own lexer tries them
    order = sorted(
        (terminal for terminal in grammar.terminals if terminal not in words),
        key=lambda t: (-t.priority, -t.pattern.max_width, -len(t.pattern.value), t.name),
    )
    pattern = "|".join(f"(?P<{terminal.name}>{terminal.pattern.to_regexp()})" for terminal in order)
    return Lexicon(pattern, {word.pattern.value: word.name for word in words}, frozenset(grammar.ignore_tokens))


def _is_word(terminal: TerminalDef, name: TerminalDef) -> bool:
    is_name = re.fullmatch(name.pattern.to_regexp(), terminal.pattern.value)
    return isinstance(terminal.pattern, PatternStr) and is_name is not None


def _reduction(rule: Rule) -> Reduction:
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
    return Reduction(
        name=rule.alias or origin,
        origin=origin,
        size=len(rule.expansion),
        kept=tuple(kept),
        missing=missing + gaps[-1],
        inline=inline,
        expand=rule.options.expand1 and not rule.alias,
        passes=inline and len(rule.expansion) == 1 and kept == [(0, True, 0)],
    )
