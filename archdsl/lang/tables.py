"""Lark's LALR table as a file, written when the package is built.

Building the table from the grammar takes about 0.3 s, reading it back 0.01 s. A source tree that was never installed
has no table; `grammar_parser` then builds it in memory.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from lark import Lark

OPTIONS: dict[str, Any] = {
    "start": "file",
    "parser": "lalr",
    "lexer": "basic",
    "propagate_positions": True,
    "maybe_placeholders": True,
}
TABLES = "_tables.json"
_FOLDER = Path(__file__).parent


def _grammar() -> str:
    return (_FOLDER / "grammar.lark").read_text(encoding="utf-8")


def _digest(grammar: str) -> str:
    return hashlib.sha256(grammar.encode()).hexdigest()


def build_parser(*, strict: bool = False) -> Lark:
    """The parser from the grammar's text. `strict` also proves that no terminals collide (needs interegular)."""
    return Lark(_grammar(), strict=strict, **OPTIONS)


def write_tables(folder: Path) -> None:
    """Writes the table into a folder, with the digest of the grammar it was built from."""
    from lark.grammar import Rule
    from lark.lexer import TerminalDef

    grammar = _grammar()
    data, memo = Lark(grammar, **OPTIONS).memo_serialize([TerminalDef, Rule])
    content = {"digest": _digest(grammar), "data": data, "memo": memo}
    (folder / TABLES).write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


def _integer_keys(pairs: list[tuple[str, Any]]) -> dict[Any, Any]:
    """JSON has no integer keys; the table's states and the memo's numbers are such."""
    return {int(key) if key.isdigit() else key: value for key, value in pairs}


def grammar_parser() -> Lark:
    """The parser from the built table, or from the grammar where the table is missing or older than the grammar."""
    try:
        content = json.loads((_FOLDER / TABLES).read_text(encoding="utf-8"), object_pairs_hook=_integer_keys)
    except (OSError, ValueError):
        return build_parser()
    if _digest(_grammar()) != content.get("digest"):
        return build_parser()
    parser: Lark = Lark._load_from_dict(content["data"], content["memo"], propagate_positions=True)  # type: ignore[no-untyped-call]
    return parser
