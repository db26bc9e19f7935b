"""Text to syntax tree, with recovery: one run reads every statement it can and says what is wrong with the others.

Lark's LALR table does the reading. After an error the parser goes back to where the broken statement began, puts a
`broken` statement in its place, and goes on at the next line that starts a statement.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

from archdsl.diagnostics import Diagnostic, Source, Span
from archdsl.lang import tree as t
from archdsl.lang.build import TreeBuilder
from archdsl.lang.messages import OPERAND_END, describe_error
from archdsl.lang.scan import doc_comment, scan
from archdsl.lang.tables import grammar_parser

MAX_BYTES = 256 * 1024
MAX_DEPTH = 100
MAX_ERRORS = 40

STATEMENTS = frozenset({"IN", "AUX", "OUT", "SHARED", "ASSERT", "FOR", "WHEN"})
ENTRIES = frozenset({"USE", "BLOCK", "NETWORK"})
_OPEN = {"LPAR": "RPAR", "LSQB": "RSQB"}
_CLOSE = frozenset(_OPEN.values())


@dataclass(frozen=True)
class Parse:
    """The tree, as far as the text could be read, and what could not be."""

    file: t.File
    diagnostics: tuple[Diagnostic, ...]


@cache
def _grammar() -> Lark:
    return grammar_parser()


def parse(source: Source) -> Parse:
    """Reads a text. Never raises on account of it: what is wrong is in `diagnostics`."""
    if len(source.text) > MAX_BYTES:
        return _refused(source, Diagnostic("E0901", _too_large(len(source.text)), Span(source, 0, 0)))
    scanned = scan(source)
    tokens = list(_grammar().lex(scanned.clean))
    deep = _too_deep(source, tokens)
    if deep is not None:
        return _refused(source, deep)
    reader = _Reader(source, tokens, {d.span.line for d in scanned.diagnostics if d.span})
    tree = reader.read()
    found = [*scanned.diagnostics, *reader.diagnostics]
    deep = _tree_too_deep(source, tree)
    if deep is not None:
        return _refused(source, deep)
    docs = doc_comment(scanned.comments, source)
    builder = _FileBuilder(source, lambda line: docs.get(line, ""), reader)
    version, entries = builder.file(tree)
    found.sort(key=lambda d: d.span.start if d.span else 0)
    return Parse(t.File(source, version, entries, scanned.comments), tuple(found))


def _too_large(size: int) -> str:
    return f"the file has {size:,} characters, and {MAX_BYTES:,} is the most that is read"


def _refused(source: Source, diagnostic: Diagnostic) -> Parse:
    return Parse(t.File(source, None, (), ()), (diagnostic,))


def _too_deep(source: Source, tokens: list[Token]) -> Diagnostic | None:
    depth = 0
    for token in tokens:
        if token.type in _OPEN or token.type == "LBRACE":
            depth += 1
            if depth > MAX_DEPTH:
                return _depth_error(source, token.start_pos or 0, token.end_pos or 0)
        elif token.type in _CLOSE or token.type == "RBRACE":
            depth -= 1
    return None


def _tree_too_deep(source: Source, tree: Tree[Any]) -> Diagnostic | None:
    """Nesting that needs no brackets: `- - - x`, `not not x`, `a if b else c if d else …`."""
    stack: list[tuple[Tree[Any], int]] = [(tree, 0)]
    while stack:
        node, depth = stack.pop()
        if depth > 3 * MAX_DEPTH:
            return _depth_error(source, node.meta.start_pos, node.meta.end_pos)
        stack += [(child, depth + 1) for child in node.children if isinstance(child, Tree)]
    return None


def _depth_error(source: Source, start: int, end: int) -> Diagnostic:
    message = f"this is nested more than {MAX_DEPTH} deep"
    return Diagnostic(
        "E0105", message, Span(source, start, end), help="give the inner parts names of their own"
    )


@dataclass(frozen=True)
class _Checkpoint:
    """The parser just before a statement (or top-level entry) that begins at token `index`."""

    index: int
    states: tuple[Any, ...]
    values: tuple[Any, ...]
    in_body: bool


class _Reader:
    """Feeds tokens to the LALR automaton, and mends its stack after an error."""

    def __init__(self, source: Source, tokens: list[Token], suspect_lines: set[int]) -> None:
        self.source = source
        self.tokens = tokens
        self.suspect_lines = suspect_lines
        self.diagnostics: list[Diagnostic] = []
        self.broken: list[tuple[str, ...]] = []
        self.headless: set[int] = set()
        """Start offsets of blocks whose header could not be read: their bodies were, for their errors."""
        self.state = _grammar().parse_interactive().parser_state
        table = self.state.parse_conf.parse_table.states
        self._body_states = {s for s, actions in table.items() if _shifts(actions, "ASSERT")}
        self._entry_states = {s for s, actions in table.items() if _shifts(actions, "USE")}
        self.checkpoint = _Checkpoint(0, tuple(self.state.state_stack), tuple(self.state.value_stack), False)
        self._first_on_line = _first_on_line(tokens)

    def read(self) -> Tree[Any]:
        position = 0
        while position < len(self.tokens):
            try:
                self._feed(position)
                position += 1
            except UnexpectedInput as error:
                position = self._recover(position, error)
        return self._finish()

    def _feed(self, position: int) -> None:
        token = self.tokens[position]
        self.state.feed_token(token)
        stack = self.state.state_stack
        below = stack[-2] if len(stack) > 1 else None
        if below in self._body_states or below in self._entry_states:
            self.checkpoint = _Checkpoint(
                position, tuple(stack[:-1]), tuple(self.state.value_stack[:-1]), below in self._body_states
            )

    def _finish(self) -> Tree[Any]:
        last = self.tokens[-1] if self.tokens else Token("NAME", "", 0, 1, 1, 1, 1, 0)
        end = Token.new_borrow_pos("$END", "", last)
        for _ in range(MAX_DEPTH + 2):
            try:
                tree = self.state.feed_token(end, True)
                assert isinstance(tree, Tree)
                return tree
            except UnexpectedInput as error:
                self._recover(len(self.tokens), error)
        raise AssertionError("closing every open body must end the text")

    # ------------------------------------------------------------ recovery

    def _recover(self, at: int, error: UnexpectedInput) -> int:
        """Reports the error at token `at` (or at the end), and returns the token to go on with."""
        complete = self._accepts("ASSERT") or self._accepts("USE")
        starts_entry = at == len(self.tokens) or self.tokens[at].type in ENTRIES
        if complete and starts_entry and self._accepts("RBRACE"):
            return self._close_body(at)
        cut = self._cut(self.checkpoint.index, at)
        complete = complete and (cut is None or cut == at)
        begin = at if complete else self.checkpoint.index
        self._report(begin, cut, at, error)
        if not complete:
            resumed = self._restore(begin)
            if resumed is not None:
                return resumed
        self._leave_out(begin, at)
        if len(self.diagnostics) > MAX_ERRORS:
            return len(self.tokens)
        return cut if cut is not None else self._next_start(max(at, begin + 1))

    def _close_body(self, at: int) -> int:
        opening = self._open_brace(at)
        self._add(
            Diagnostic("E0102", "this `{` is never closed", self._span(opening), help="add the missing `}`")
        )
        brace = self.tokens[min(at, len(self.tokens) - 1)]
        self.state.feed_token(Token.new_borrow_pos("RBRACE", "}", brace))
        return at

    def _open_brace(self, at: int) -> int:
        """The innermost `{` that is open before token `at`; the parser knows there is one."""
        depth = 0
        for i in range(at - 1, -1, -1):
            kind = self.tokens[i].type
            depth += (kind == "RBRACE") - (kind == "LBRACE")
            if depth < 0:
                return i
        return max(at - 1, 0)

    def _restore(self, begin: int) -> int | None:
        """Back to before the broken statement. A block whose header is broken goes on with its body."""
        self.state.state_stack[:] = self.checkpoint.states
        self.state.value_stack[:] = self.checkpoint.values
        if self.checkpoint.in_body or self.tokens[begin].type not in ("BLOCK", "NETWORK"):
            return None
        brace = self._header_end(begin)
        if brace is None:
            return None
        self.headless.add(self.tokens[begin].start_pos or 0)
        self.state.feed_token(self.tokens[begin])
        self.state.feed_token(self.tokens[begin + 1])
        return brace

    def _header_end(self, begin: int) -> int | None:
        """The `{` that opens the body of the block whose header begins at `begin`: the first that ends its line."""
        if begin + 1 >= len(self.tokens) or self.tokens[begin + 1].type != "NAME":
            return None
        for i in range(begin + 2, len(self.tokens)):
            if self.tokens[i].type in ENTRIES and self._first_on_line[i]:
                return None
            ends_line = i + 1 == len(self.tokens) or self._first_on_line[i + 1]
            if self.tokens[i].type == "LBRACE" and ends_line:
                return i
        return None

    def _leave_out(self, begin: int, at: int) -> None:
        anchor = self.tokens[min(begin, len(self.tokens) - 1)] if self.tokens else Token("NAME", "")
        names = self._bound(begin)
        if begin == at and 0 < at < len(self.tokens) and not self._first_on_line[at]:
            names += self._bound(
                self.checkpoint.index
            )  # the statement before it, on the same line, is suspect too
        self.broken.append(names)
        if self._accepts("BROKEN"):
            self.state.feed_token(Token.new_borrow_pos("BROKEN", str(len(self.broken) - 1), anchor))

    def _bound(self, begin: int) -> tuple[str, ...]:
        """The names that the statement at `begin` would bind."""
        skip = {"IN", "OUT", "AUX", "SHARED", "FOR", "BLOCK", "NETWORK"}
        i = begin
        while i < len(self.tokens) and self.tokens[i].type in skip:
            i += 1
        names = []
        while i < len(self.tokens) and self.tokens[i].type == "NAME":
            names.append(str(self.tokens[i]))
            if i + 1 == len(self.tokens) or self.tokens[i + 1].type != "COMMA":
                break
            i += 2
        return tuple(names)

    def _cut(self, begin: int, at: int) -> int | None:
        """Where a new statement starts inside what was read as one: that is where this one was left open."""
        for i in range(begin + 1, min(at + 1, len(self.tokens))):
            if self._starts(i):
                return i
        return None

    def _next_start(self, position: int) -> int:
        braces = brackets = 0
        for i in range(position, len(self.tokens)):
            kind = self.tokens[i].type
            if braces == 0 and (self._starts(i) or (brackets == 0 and self._juxtaposed(i))):
                return i
            brackets = max(brackets + (kind in _OPEN) - (kind in _CLOSE), 0)
            if kind == "LBRACE":
                braces += 1
            elif kind == "RBRACE":
                if braces == 0 and self._accepts("RBRACE"):
                    return i
                braces = max(braces - 1, 0)
        return len(self.tokens)

    def _juxtaposed(self, i: int) -> bool:
        """Whether token `i` is a name at the start of a line that cannot continue the line before."""
        return (
            self.checkpoint.in_body
            and self.tokens[i].type == "NAME"
            and self._first_on_line[i]
            and self.tokens[i - 1].type in OPERAND_END
        )

    def _starts(self, i: int) -> bool:
        """Whether token `i` begins a line that starts a statement (or an entry)."""
        if not self._first_on_line[i]:
            return False
        kind = self.tokens[i].type
        if kind in ENTRIES:
            return True
        if kind in STATEMENTS:
            return self.checkpoint.in_body or kind == "BLOCK"
        if kind != "NAME" or self.tokens[i - 1].type in ("COMMA", "LPAR", "LBRACE"):
            return kind == "NAME" and self.tokens[i - 1].type == "LBRACE"
        while (
            i + 2 < len(self.tokens)
            and self.tokens[i + 1].type == "COMMA"
            and self.tokens[i + 2].type == "NAME"
        ):
            i += 2
        return i + 1 < len(self.tokens) and self.tokens[i + 1].type == "EQUAL"

    def _accepts(self, terminal: str) -> bool:
        """Whether the automaton would take this terminal now (reductions simulated on a copy of its states)."""
        table = self.state.parse_conf.parse_table.states
        states = list(self.state.state_stack)
        while terminal in table[states[-1]]:
            action, target = table[states[-1]][terminal]
            if str(action) == "Shift":
                return True
            if target.expansion:
                del states[-len(target.expansion) :]
            states.append(table[states[-1]][target.origin.name][1])
        return False

    # ----------------------------------------------------------- reporting

    def _report(self, begin: int, cut: int | None, at: int, error: UnexpectedInput) -> None:
        line = self.tokens[min(at, len(self.tokens) - 1)].line if self.tokens else 1
        if line in self.suspect_lines or (
            begin < len(self.tokens) and self.tokens[begin].line in self.suspect_lines
        ):
            return
        stop = at if cut is None else cut
        unclosed = self._unclosed(begin, stop)
        if unclosed is not None and (cut is not None or at == len(self.tokens)):
            what = self.tokens[unclosed]
            self._add(Diagnostic("E0102", f"this `{what}` is never closed", self._span(unclosed)))
        else:
            self._add(describe_error(self, begin, stop if cut is not None and cut <= at else at, at))

    def _unclosed(self, begin: int, stop: int) -> int | None:
        """The innermost bracket that is open when the statement is cut off."""
        stack: list[int] = []
        for i in range(begin, min(stop, len(self.tokens))):
            if self.tokens[i].type in _OPEN:
                stack.append(i)
            elif self.tokens[i].type in _CLOSE and stack:
                stack.pop()
        return stack[-1] if stack else None

    def _span(self, i: int) -> Span:
        return self.span_of(i)

    def span_of(self, i: int) -> Span:
        """The span of token `i`; past the last token, the end of the text."""
        if i >= len(self.tokens):
            end = self.tokens[-1].end_pos or 0 if self.tokens else len(self.source.text)
            return Span(self.source, end, end)
        token = self.tokens[i]
        return Span(self.source, token.start_pos or 0, token.end_pos or 0)

    def starts_line(self, i: int) -> bool:
        return self._first_on_line[i]

    def accepts(self, terminal: str) -> bool:
        return self._accepts(terminal)

    def _add(self, diagnostic: Diagnostic) -> None:
        self.diagnostics.append(diagnostic)


def _shifts(actions: dict[str, Any], terminal: str) -> bool:
    return terminal in actions and str(actions[terminal][0]) == "Shift"


def _first_on_line(tokens: list[Token]) -> list[bool]:
    lines = [token.line for token in tokens]
    ends = [token.end_line for token in tokens]
    return [i == 0 or lines[i] != ends[i - 1] for i in range(len(tokens))]


class _FileBuilder(TreeBuilder):
    """The tree builder, with what recovery left out put in its place."""

    def __init__(self, source: Source, docs: Any, reader: _Reader) -> None:
        super().__init__(source, docs)
        self.reader = reader

    def file(self, tree: Tree[Any]) -> tuple[t.Number | None, tuple[t.Entry, ...]]:
        version, *entries = tree.children
        built = (self._entry(entry) for entry in entries)
        return self.maybe(version), tuple(entry for entry in built if entry is not None)

    def _entry(self, node: Tree[Any]) -> t.Entry:
        if node.data == "broken":
            return t.BrokenEntry(self.span(node), self._names(node))
        entry: t.Entry = self.build(node)
        if isinstance(entry, t.Block) and entry.span.start in self.reader.headless:
            return t.BrokenEntry(entry.span, (entry.name.text,))
        return entry

    def r_broken(self, node: Tree[Any]) -> t.Broken:
        return t.Broken(self.span(node), self._names(node))

    def _names(self, node: Tree[Any]) -> tuple[str, ...]:
        return self.reader.broken[int(node.children[0])]
