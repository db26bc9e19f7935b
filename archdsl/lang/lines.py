"""What the line breaks of a text say about its statements. The grammar ignores them; recovery does not."""

from __future__ import annotations

from itertools import pairwise

from archdsl.lang.automaton import END
from archdsl.lang.lexer import Token

STATEMENTS = frozenset({"IN", "AUX", "OUT", "SHARED", "ASSERT", "FOR", "WHEN"})
ENTRIES = frozenset({"USE", "BLOCK", "NETWORK"})
CLOSING = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
CLOSE = frozenset(CLOSING.values())
OPERAND_END = frozenset({"NAME", "NUMBER", "STRING", "RPAR", "RSQB", "TRUE", "FALSE", "NONE"})

_BINDERS = frozenset({"IN", "SHARED", "FOR", "BLOCK", "NETWORK"})
_CONTINUES = frozenset({"(", "[", ".", "->"})
_INSIDE = frozenset({"COMMA", "LPAR", "LBRACE"})


class Lines:
    """The tokens of a text, and which of them begin a line, a statement, a bracket."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        lines = [0, *(token.line for token in tokens)]
        self._first = [line != before for before, line in pairwise(lines)]

    def kind(self, i: int) -> str:
        """The type of token `i`, `$END` past the last and "" before the first."""
        if i < 0:
            return ""
        return self.tokens[i].type if i < len(self.tokens) else END

    def column(self, i: int) -> int:
        return self.tokens[i].column

    def starts_line(self, i: int) -> bool:
        """Whether nothing but blanks stands before token `i` on its line; true at the end of the text."""
        return i >= len(self.tokens) or self._first[i]

    def starts_statement(self, i: int, in_body: bool) -> bool:
        """Whether token `i` begins a line that can only be read as the start of a statement (or an entry)."""
        if i >= len(self.tokens) or not self._first[i]:
            return False
        kind = self.kind(i)
        if kind in STATEMENTS:
            return in_body
        return kind in ENTRIES or (kind == "NAME" and self._assigns(i))

    def _assigns(self, i: int) -> bool:
        """Whether `name =` or `name, name =` stands at token `i`, on one line."""
        while self.kind(i + 1) == "COMMA" and self.kind(i + 2) == "NAME" and not self._first[i + 2]:
            i += 2
        return self.kind(i + 1) == "EQUAL"

    def start_between(self, begin: int, at: int, in_body: bool) -> int | None:
        """Where a new statement starts inside what was read as one: that is where the first was left open."""
        depth = 0
        for i in range(begin, min(at + 1, len(self.tokens))):
            if i > begin and self._interrupts(i, begin, depth, in_body):
                return i
            depth = max(depth + (self.kind(i) in CLOSING) - (self.kind(i) in CLOSE), 0)
        return None

    def _interrupts(self, i: int, begin: int, depth: int, in_body: bool) -> bool:
        """Whether a statement starts at `i` even though the one from `begin` has `depth` open brackets.

        Inside brackets a line may begin with `name =` (a setting) or `for` (a comprehension). What is indented no
        further than the statement itself is not inside.
        """
        if not self.starts_statement(i, in_body):
            return False
        if depth == 0 or self.kind(i) in ENTRIES:
            return True
        if self._first[begin]:
            return self.column(i) <= self.column(begin)
        return self.kind(i - 1) not in _INSIDE and self.kind(i) != "FOR"

    def next_start(self, begin: int, at: int, in_body: bool, body_ends: bool) -> int:
        """The token to go on with when the statement from `begin` is left out because of token `at`."""
        stray = not in_body and begin == at and self.kind(at) in STATEMENTS
        depth = braces = 0
        for i in range(begin, len(self.tokens)):
            kind = self.kind(i)
            if i >= at and i > begin:
                if kind == "RBRACE" and braces == 0 and body_ends:
                    return i
                if self._goes_on(i, begin, depth, in_body) and not (stray and self._belongs_to(i, begin)):
                    return i
            braces = max(braces + (kind == "LBRACE") - (kind == "RBRACE"), 0)
            depth = max(depth + (kind in CLOSING) - (kind in CLOSE), 0)
        return len(self.tokens)

    def _goes_on(self, i: int, begin: int, depth: int, in_body: bool) -> bool:
        return self._interrupts(i, begin, depth, in_body) or (in_body and depth == 0 and self._juxtaposed(i))

    def _belongs_to(self, i: int, stray: int) -> bool:
        """Whether token `i` goes on with the stray body that begins at `stray`, outside of every block."""
        return self.kind(i) == "NAME" and self.column(i) >= self.column(stray)

    def _juxtaposed(self, i: int) -> bool:
        """Whether token `i` is a name at the start of a line that cannot continue the line before."""
        return self._first[i] and self.kind(i) == "NAME" and self.kind(i - 1) in OPERAND_END

    def body_after(self, begin: int, at: int) -> int | None:
        """The `{` that opens the body of the block from `begin`, whose header fails at `at`: it ends its line."""
        if self.kind(begin) not in ("BLOCK", "NETWORK") or self.kind(begin + 1) != "NAME":
            return None
        for i in range(max(at, begin + 2), len(self.tokens)):
            if self.kind(i) == "LBRACE" and self.starts_line(i + 1):
                return i
            if self._first[i] and self.kind(i) in STATEMENTS | ENTRIES:
                return None
        return None

    def open_bracket(self, begin: int, stop: int) -> int | None:
        """The innermost bracket that is open at token `stop` in the statement from `begin`."""
        stack: list[int] = []
        for i in range(begin, min(stop, len(self.tokens))):
            if self.kind(i) in CLOSING:
                stack.append(i)
            elif self.kind(i) in CLOSE and stack:
                stack.pop()
        return stack[-1] if stack else None

    def bound(self, begin: int, stop: int) -> tuple[str, ...]:
        """The names that the statements from token `begin` to `stop` would bind, as far as one can tell."""
        names: dict[str, None] = {}
        depth = 0
        for i in range(begin, min(stop, len(self.tokens))):
            kind = self.kind(i)
            if kind == "NAME" and depth == 0 and self._binds(i, begin):
                names |= dict.fromkeys(self._run_to(i, begin))
            depth = max(depth + (kind in ("LPAR", "LSQB")) - (kind in ("RPAR", "RSQB")), 0)
        return tuple(names)

    def _binds(self, i: int, begin: int) -> bool:
        following = str(self.tokens[i + 1]) if i + 1 < len(self.tokens) else ""
        if following == "=" or self.kind(i - 1) in _BINDERS or self.kind(begin) == "USE":
            return True
        return i == begin and self._first[i] and following not in _CONTINUES

    def _run_to(self, i: int, begin: int) -> list[str]:
        """The names of `name, name, name` up to the one at `i`."""
        names = [str(self.tokens[i])]
        while i - 2 >= begin and self.kind(i - 1) == "COMMA" and self.kind(i - 2) == "NAME":
            i -= 2
            names.append(str(self.tokens[i]))
        return names[::-1]
