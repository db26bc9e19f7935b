"""Tokens to the parse tree, with recovery: what cannot be read is left out, and everything else is kept.

After an error the reader goes back to where the broken statement began, puts a `broken` statement in its place, and
goes on at the next line that starts a statement.
"""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.diagnostics import Diagnostic, Source, Span
from archdsl.lang.automaton import END, Automaton, ParseTree, Snapshot
from archdsl.lang.lexer import Token
from archdsl.lang.lines import ENTRIES, Lines
from archdsl.lang.messages import describe_error, unclosed_body
from archdsl.lang.tables import Tables

MAX_ERRORS = 40


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    """The parser just before a statement (or top-level entry) that begins at token `index`."""

    index: int
    snapshot: Snapshot
    in_body: bool


class Reader:
    """Feeds tokens to the LALR automaton, and mends its stacks after an error."""

    def __init__(self, source: Source, tokens: list[Token], tables: Tables) -> None:
        self.source = source
        self.lines = Lines(tokens)
        self.diagnostics: list[Diagnostic] = []
        self.broken: list[tuple[str, ...]] = []
        """The names that each `broken` of the tree would have bound; its token holds the index."""
        self.headless: set[int] = set()
        """Start offsets of blocks whose header could not be read: their bodies were, for their errors."""
        self._tokens = tokens
        self._automaton = Automaton(tables)
        self._body_states = tables.shifting("ASSERT")
        self._entry_states = tables.shifting("USE")
        self._previous = _Checkpoint(0, self._automaton.snapshot(), False)
        self._checkpoints = [self._previous]
        """For the file and for every open body, the statement that is being read."""
        self._braces: list[int] = []
        """Where the open bodies begin."""
        self._patience = len(tokens)
        """How many tokens may be read a second time."""

    def read(self) -> ParseTree:
        """The parse tree of all tokens; `diagnostics`, `broken` and `headless` say what it lacks."""
        position = 0
        while position < len(self._tokens):
            position = position + 1 if self._feed(position) else self._recover(position)
        end = Token(END, "", len(self.source.text), len(self.source.text))
        while not self._automaton.feed(end):
            self._recover(len(self._tokens))
        tree = self._automaton.values[-1]
        assert isinstance(tree, ParseTree)
        return tree

    def accepts(self, terminal: str) -> bool:
        """Whether the grammar allows this terminal at the place of the error."""
        return self._automaton.accepts(terminal)

    def span(self, i: int) -> Span:
        """The span of token `i`; past the last token, the end of the last one."""
        if i >= len(self._tokens):
            end = self._tokens[-1].end if self._tokens else len(self.source.text)
            return Span(self.source, end, end)
        token = self._tokens[i]
        return Span(self.source, token.start, token.end)

    @property
    def in_body(self) -> bool:
        return self._checkpoints[-1].in_body

    def _feed(self, position: int) -> bool:
        token, automaton = self._tokens[position], self._automaton
        if token.type == "BROKEN":
            return self._ends_statement(position)
        if not automaton.feed(token):
            return False
        below, now = automaton.states[-2], automaton.states[-1]
        if token.type == "RBRACE" and below in self._body_states:
            self._leave_body()
        elif below in self._body_states or below in self._entry_states:
            self._previous = self._checkpoints[-1]
            snapshot = automaton.snapshot(without=1)
            self._checkpoints[-1] = _Checkpoint(position, snapshot, below in self._body_states)
        elif token.type == "LBRACE" and now in self._body_states:
            self._braces.append(position)
            self._checkpoints.append(_Checkpoint(position + 1, automaton.snapshot(), True))
        return True

    def _leave_body(self) -> None:
        self._braces.pop()
        self._checkpoints.pop()

    def _ends_statement(self, position: int) -> bool:
        """Whether stray characters, at the end of a line, leave the statement before them whole."""
        return self._automaton.accepts("BROKEN") and self.lines.starts_line(position + 1)

    # ------------------------------------------------------------ recovery

    def _recover(self, at: int) -> int:
        """Reports the error at token `at` (or at the end), and returns the token to go on with."""
        complete = self._automaton.accepts("BROKEN")
        if complete and self._ends_body(at):
            return self._close_body(at)
        checkpoint = self._checkpoints[-1]
        cut = self._cut(checkpoint, at, complete)
        if complete and cut in (None, at) and self._stands_apart(at):
            self._report(at, cut, at)
            return self._resume(at, at, None)
        begin = checkpoint.index
        self._report(begin, cut, at)
        self._automaton.restore(checkpoint.snapshot)
        body = None if checkpoint.in_body else self.lines.body_after(begin, at)
        if body is None:
            return self._resume(begin, at, cut)
        self.headless.add(self._tokens[begin].start)
        self._feed(begin)
        self._feed(begin + 1)
        return body

    def _stands_apart(self, at: int) -> bool:
        """Whether the error at `at` leaves the complete statement before it whole; stray characters inside do not."""
        return (
            self.lines.kind(at) != "BROKEN"
            or self.lines.starts_line(at)
            or self.lines.kind(at - 1) in ("RBRACE", "LBRACE")
        )

    def _cut(self, checkpoint: _Checkpoint, at: int, complete: bool) -> int | None:
        if complete and self.lines.kind(at - 1) == "RBRACE":
            return None
        return self.lines.start_between(checkpoint.index, at, checkpoint.in_body)

    def _ends_body(self, at: int) -> bool:
        """Whether the open body can only end here: at the end of the text, or where the next block begins."""
        if not self._automaton.accepts("RBRACE"):
            return False
        entry = self._checkpoints[0].index
        kind = self.lines.kind(at)
        return kind == END or (kind in ENTRIES and self.lines.column(at) <= self.lines.column(entry))

    def _close_body(self, at: int) -> int:
        self._add(unclosed_body(self, self._braces[-1]))
        self._automaton.feed(Token("RBRACE", "}", self.span(at - 1).end, self.span(at - 1).end))
        self._leave_body()
        return at

    def _resume(self, begin: int, at: int, cut: int | None) -> int:
        """Leaves out the statement from `begin`, and finds the token to go on with."""
        position = cut if cut is not None else self._next(begin, at)
        self._leave_out(begin, position)
        self._patience -= max(at - position, 0)
        exhausted = self._patience < 0 or len(self.diagnostics) >= MAX_ERRORS
        return len(self._tokens) if exhausted else position

    def _next(self, begin: int, at: int) -> int:
        body_ends = self._automaton.accepts("RBRACE")
        return self.lines.next_start(begin, at, self._checkpoints[-1].in_body, body_ends)

    def _leave_out(self, begin: int, stop: int) -> None:
        names = self.lines.bound(begin, stop)
        if begin and not self.lines.starts_line(begin):
            # the statement before it, on the same line, was probably meant to go on
            before = self._previous if self._checkpoints[-1].index == begin else self._checkpoints[-1]
            names = (*self.lines.bound(before.index, begin), *names)
        self.broken.append(names)
        place = self.span(min(begin, max(len(self._tokens) - 1, 0)))
        fed = self._automaton.feed(
            Token("BROKEN", str(len(self.broken) - 1), place.start, max(place.end, self._end_of(stop)))
        )
        assert fed, "a statement can be left out wherever one can stand"

    def _end_of(self, stop: int) -> int:
        return self.span(stop - 1).end if stop else 0

    def _report(self, begin: int, cut: int | None, at: int) -> None:
        # stray characters were reported when the text was scanned
        if cut is not None or self.lines.kind(at) != "BROKEN":
            self._add(describe_error(self, begin, cut, at))

    def _add(self, diagnostic: Diagnostic) -> None:
        if len(self.diagnostics) < MAX_ERRORS:
            self.diagnostics.append(diagnostic)
