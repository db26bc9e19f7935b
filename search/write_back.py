"""The spec's text with other rates: the smallest edit that holds them, everything else byte for byte as it was.

A place of the text that is one rate is one number replaced. Where one place became several rates, the comprehension or
the repetition around it is written out, and only there; in a `for` the place reads from a list instead.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from archdsl.search.rounds import Place, Rounds, repeated
from archdsl.search.space import Rate, assignment, with_rates

from archdsl.diagnostics import ArchError, Diagnostic, Severity, Source, Span
from archdsl.elaborate.values import Range
from archdsl.lang import tree as t
from archdsl.lang.format import format_source
from archdsl.lang.walk import children, walk
from archdsl.network import Network

MARK = "# archdsl search:"
AS_A_LIST = "write the network's rates as a list, and search that"

Values = Mapping[Place, tuple[int, ...]]
"""What each place of the text became, evaluation by evaluation; one value where all evaluations share it."""


def write_back(network: Network, rates: Sequence[Rate], values: Sequence[int], provenance: str = "") -> str:
    """The network's text with `values` in place of `rates`, and `provenance` in a comment above the network.

    The result is read again and held against the graph with these rates. Raises ArchError (E1102) for a rate that
    stands in another file, or in a text that cannot hold the answer.
    """
    assert network.spec.file is not None
    source, text = network.spec.file.source, edited(network, rates, values)
    if format_source(source) == source.text:
        text = format_source(Source(source.path, text))
    text = _noted(network, text, provenance)
    if source.text.count("\r\n") == source.text.count("\n"):
        text = re.sub(r"\r?\n", "\r\n", text)
    if not _holds(network, text, rates, values):
        message = "the text with the rates that were found gives another network"
        note = "they decide more than dilations, or rounds inside of rounds have different numbers of them"
        span = rates[0].span if rates else None
        raise ArchError([Diagnostic("E1102", message, span, notes=(note,), help=AS_A_LIST)])
    return text


def can_hold(network: Network, rates: Sequence[Rate], values: Sequence[int]) -> bool:
    """Whether the text can hold these rates, and then says the network with them and nothing else.

    What the text asserts is left aside.
    """
    try:
        return _holds(network, edited(network, rates, values), rates, values)
    except ArchError as error:
        return all(d.code == "E0601" for d in error.diagnostics if d.severity is Severity.ERROR)


def edited(network: Network, rates: Sequence[Rate], values: Sequence[int]) -> str:
    """The text with the values, laid out as it was. Raises ArchError E1102 where it cannot hold them."""
    assert network.spec.file is not None
    source = network.spec.file.source
    wanted = _by_place(rates, values, source)
    writer = _Writer(network, source)
    text = source.text
    edits = [edit for entry in network.spec.file.tree.entries for edit in writer.edits(entry, wanted)]
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _by_place(rates: Sequence[Rate], values: Sequence[int], source: Source) -> Values:
    wrong = [rate.span for rate in rates if rate.span.source is not source]
    if wrong:
        help = "search that file, or pass the rate as an argument from this one"
        raise ArchError(
            Diagnostic("E1102", "a searched rate stands in another file", span, help=help) for span in wrong
        )
    # variables are numbered as they were evaluated; plain numbers that were untied come as the network has them
    pairs = sorted(
        zip(rates, values, strict=True), key=lambda pair: -1 if pair[0].variable is None else pair[0].variable
    )
    found: dict[Place, list[int]] = defaultdict(list)
    moved = set[Place]()
    for rate, value in pairs:
        place = rate.span.start, rate.span.end
        found[place].append(value)
        if value != rate.start:
            moved.add(place)
    return {place: tuple(all_values) for place, all_values in found.items() if place in moved}


class _Writer:
    """Goes through a network's tree along with the values that its places became."""

    def __init__(self, network: Network, source: Source) -> None:
        assert network.spec.file is not None
        self.text, self.rounds, self.comments = source.text, Rounds(network), network.spec.file.tree.comments

    def edits(self, node: t.Node, values: Values) -> Iterator[tuple[int, int, str]]:
        """Replacements (start, end, new text), each of an outermost expression that holds places."""
        if isinstance(node, t.For):
            values = self._in_loop(node, values)
        for child in children(node):
            if isinstance(child, t.Expr):
                if _inside(child, values):
                    yield child.span.start, child.span.end, self.written(child, values)
            else:
                yield from self.edits(child, _inside(child, values))

    def written(self, node: t.Node, values: Values) -> str:
        """The node's text, with its places' values put in."""
        values = _inside(node, values)
        own = values.get((node.span.start, node.span.end))
        # a positional argument is no longer than the expression in it, which knows its marks
        if own is not None and isinstance(node, t.Expr):
            return self._number(node, own)
        if isinstance(node, t.Name) and node.text in self.rounds.bound:
            return _literal(self.rounds.bound[node.text], node.span)
        if any(len(own) > 1 for own in values.values()):
            if isinstance(node, t.Comprehension):
                return self._comprehension(node, values)
            if (repetition := repeated(node)) is not None and not _inside(repetition[0], values):
                return self._repetition(node, *repetition, values)
        return self._with_children(node, values)

    def _with_children(self, node: t.Node, values: Values) -> str:
        text, position = "", node.span.start
        for child in sorted(children(node), key=lambda child: child.span.start):
            text += self.text[position : child.span.start] + self.written(child, values)
            position = child.span.end
        return text + self.text[position : node.span.end]

    def _number(self, node: t.Node, values: tuple[int, ...]) -> str:
        """A plain number is replaced; `search(14 in 1..18)` keeps its marks."""
        if len(set(values)) > 1:
            raise ArchError([Diagnostic("E1102", "this one place would need several rates", node.span, help=AS_A_LIST)])
        if not isinstance(node, t.Search):
            return str(values[0])
        start, domain = node.start.span, node.domain.span
        before, between = self.text[node.span.start : start.start], self.text[start.end : domain.start]
        after = self.text[domain.end : node.span.end]
        return f"{before}{values[0]}{between}{self.written(node.domain, {})}{after}"

    # ---------------------------------------------------------- unrolling

    def _comprehension(self, node: t.Comprehension, values: Values) -> str:
        """As it stands when every round has the same values, else a list of what its rounds give."""
        rounds = self.rounds.of(node)
        gone_over = _inside(node.clauses[0].iterable, values)
        each = {place: own for place, own in values.items() if place not in gone_over}
        chunks = _chunks(each, len(rounds), node.span) if each else []
        if all(chunk == chunks[0] for chunk in chunks):
            return self._with_children(node, {**gone_over, **(chunks[0] if chunks else {})})
        if any(_inside(clause.iterable, values) for clause in node.clauses):
            message = "the rounds of this would differ, and what they go over is searched too"
            raise ArchError([Diagnostic("E1102", message, node.span, help=AS_A_LIST)])
        elements = []
        for names, chunk in zip(rounds, chunks, strict=True):
            with self.rounds.inside(names):
                elements.append(self.written(node.element, chunk))
        return self._listed(node, [node.element], elements)

    def _repetition(self, node: t.Node, count: t.Expr, copied: t.Expr, values: Values) -> str:
        """`n * x`, written out where its copies differ, which they can after untying."""
        chunks = _chunks(values, self.rounds.count(count), node.span)
        if all(chunk == chunks[0] for chunk in chunks):
            return self._with_children(node, chunks[0])
        items = copied.items if isinstance(copied, t.ListExpr) else (copied,)
        return self._listed(node, items, [self.written(item, chunk) for chunk in chunks for item in items])

    def _listed(self, node: t.Node, parts: Sequence[t.Node], elements: Sequence[str]) -> str:
        """The elements as a list, and before them the comments of a node that stand in none of its copied parts."""
        lost = [c.text.rstrip() for c in self.comments if _within(c, node) and not any(_within(c, p) for p in parts)]
        line = self.text[self.text.rfind("\n", 0, node.span.start) + 1 : node.span.start]
        margin = "\n" + line[: len(line) - len(line.lstrip())] + "  "
        head = "".join(margin + comment for comment in lost) + (margin if lost else "")
        return f"[{head}{', '.join(elements)}]"

    def _in_loop(self, node: t.For, values: Values) -> Values:
        """The values of one round of a `for`, which has one text for all rounds."""
        inside = _inside(node.body, values)
        if all(len(own) == 1 for own in inside.values()):
            return values
        chunks = _chunks(inside, self.rounds.rounds(node.iterable), node.span)
        differing = [place for place in inside if any(chunk[place] != chunks[0][place] for chunk in chunks)]
        if differing:
            span = next(inner.span for inner in walk(node) if (inner.span.start, inner.span.end) == differing[0])
            help = "take the rates of the rounds from a list (`for r in [search(…), …]`), and search that"
            raise ArchError(
                [Diagnostic("E1102", "each round of this `for` would need a rate of its own", span, help=help)]
            )
        return {**values, **chunks[0]}


def _inside(node: t.Node, values: Values) -> Values:
    """Those of the values whose place is in a node."""
    return {place: own for place, own in values.items() if node.span.start <= place[0] and place[1] <= node.span.end}


def _within(comment: t.Comment, node: t.Node) -> bool:
    return node.span.start <= comment.span.start < node.span.end


def _chunks(values: Values, rounds: int, span: Span) -> list[Values]:
    """What each round of a repetition has; a single value is shared by all rounds."""
    if any(len(own) != 1 and (rounds == 0 or len(own) % rounds) for own in values.values()):
        message = "the rounds of this do not all have the same rates"
        raise ArchError([Diagnostic("E1102", message, span, help=AS_A_LIST)])
    return [
        {
            place: own if len(own) == 1 else own[i * len(own) // rounds : (i + 1) * len(own) // rounds]
            for place, own in values.items()
        }
        for i in range(rounds)
    ]


def _literal(value: Any, span: Span) -> str:
    """A value as the language writes it. Raises ArchError for what has no literal."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, list | tuple):
        items = ", ".join(_literal(item, span) for item in value)
        return f"[{items}]" if isinstance(value, list) else f"({items},)" if len(value) == 1 else f"({items})"
    if isinstance(value, Range):
        return str(value)
    message = "what this name stands for in each round cannot be written as text"
    raise ArchError([Diagnostic("E1102", message, span, help=AS_A_LIST)])


def _noted(network: Network, text: str, provenance: str) -> str:
    """The text with a comment line of provenance above the network; an earlier one of the same network is replaced."""
    if not provenance:
        return text
    mark = f"{MARK} {network.name}:"
    lines = [line for line in text.split("\n") if not line.startswith(mark)]
    at = _head(network, "\n".join(lines))
    while at and lines[at - 1].lstrip().startswith("##"):
        at -= 1
    return "\n".join([*lines[:at], f"{mark} {provenance}", *lines[at:]])


def _head(network: Network, text: str) -> int:
    """The line, from 0, on which the network or the variant of that name begins."""
    file = network.spec.reread(text).file
    entries = () if file is None else file.tree.entries
    starts = [e.span.start for e in entries if _is_network(e) and e.name.text == network.name]
    return text.count("\n", 0, starts[0]) if starts else 0


def _is_network(entry: t.Node) -> TypeGuard[t.Block | t.Alias]:
    return isinstance(entry, t.Alias) or (isinstance(entry, t.Block) and entry.is_network)


def _holds(network: Network, text: str, rates: Sequence[Rate], values: Sequence[int]) -> bool:
    """Whether a text, read again, gives the graph with these rates, node for node. Raises ArchError for its errors."""
    elaboration, diagnostics = network.spec.reread(text).elaborate(network.name, network.settings)
    if elaboration is None or elaboration.graph is None:
        raise ArchError(diagnostics.items)
    return elaboration.graph.nodes == with_rates(network.ir, assignment(rates, values)).nodes
