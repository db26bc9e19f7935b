"""Lark's LALR table and terminals as plain data, read back from the file that the build wrote.

Reading them takes a few milliseconds; importing Lark and making its table from the grammar takes 0.3 s, and is only
done where the file is missing or older than the grammar: in a source tree that was never installed.
"""

from __future__ import annotations

import pickle
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLES = "_tables.pickle"
GRAMMAR = Path(__file__).parent / "grammar.lark"


@dataclass(slots=True)
class Reduction:
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


@dataclass(slots=True)
class Lexicon:
    """The terminals: one pattern with a named group each, the words that a name may not be, and what is skipped."""

    pattern: str
    keywords: dict[str, str]
    ignored: frozenset[str]


@dataclass(slots=True)
class Tables:
    """The LALR table, with shifts as plain state numbers and reductions worked out ahead."""

    start: int
    end: int
    actions: dict[int, dict[str, int | Reduction]]
    lexicon: Lexicon

    def shifting(self, terminal: str) -> frozenset[int]:
        """The states that take this terminal without any reduction."""
        return frozenset(state for state, actions in self.actions.items() if isinstance(actions.get(terminal), int))


def fingerprint(grammar: bytes) -> tuple[int, int]:
    """Tells a grammar from an edited one; nothing here guards against anybody's intent."""
    return len(grammar), zlib.crc32(grammar)


@cache
def tables() -> Tables:
    """The tables of the built package, or fresh ones where those are missing or older than the grammar."""
    try:
        written, found = pickle.loads((GRAMMAR.parent / TABLES).read_bytes())
        if written == fingerprint(GRAMMAR.read_bytes()) and isinstance(found, Tables):
            return found
    except (OSError, ValueError, TypeError, EOFError, AttributeError, ImportError, pickle.UnpicklingError):
        pass
    from archdsl.lang.grammar import make_tables

    return make_tables()
