"""Lark's LALR table as a Python module, written when the package is built.

Building the table from the grammar takes about 0.3 s, reading it back 0.01 s. A source tree that was never installed
has no table; `grammar_parser` then builds it in memory.
"""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path
from pprint import pformat
from typing import Any

from lark import Lark

OPTIONS: dict[str, Any] = {
    "start": "file",
    "parser": "lalr",
    "lexer": "basic",
    "propagate_positions": True,
    "maybe_placeholders": True,
}


def _grammar() -> str:
    return resources.files("archdsl.lang").joinpath("grammar.lark").read_text(encoding="utf-8")


def _digest(grammar: str) -> str:
    return hashlib.sha256(grammar.encode()).hexdigest()


def build_parser(*, strict: bool = False) -> Lark:
    """The parser from the grammar's text. `strict` also proves that no terminals collide (needs interegular)."""
    return Lark(_grammar(), strict=strict, **OPTIONS)


def write_tables(path: Path) -> None:
    """Writes the table as a module of plain literals, with the digest of the grammar it was built from."""
    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    from lark.grammar import Rule
    from lark.lexer import TerminalDef

    data, memo = Lark(grammar, **OPTIONS).memo_serialize([TerminalDef, Rule])
    lines = [
        '"""Generated from grammar.lark when the package is built; do not edit."""',
        f"DIGEST = {_digest(grammar)!r}",
        f"DATA = {pformat(data, width=110)}",
        f"MEMO = {pformat(memo, width=110)}",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def grammar_parser() -> Lark:
    """The parser from the built table, or from the grammar where the table is missing or older than the grammar."""
    try:
        from archdsl.lang import _tables
    except ImportError:
        return build_parser()
    if _digest(_grammar()) != _tables.DIGEST:
        return build_parser()
    return Lark._load_from_dict(_tables.DATA, _tables.MEMO, propagate_positions=True)
