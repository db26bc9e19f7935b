"""Reads the text form of a graph back. `archdsl.ir.text` says how it looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from archdsl.diagnostics import Source, Span
from archdsl.diagnostics.suggest import did_you_mean
from archdsl.ir.dims import Solutions
from archdsl.ir.graph import Graph, MapType, Node, Output, Preprocessing, Ref
from archdsl.ir.op import OPS, Op, OpError, call_of
from archdsl.ir.text import VERSION, defaults
from archdsl.ir.text_tokens import Token, TokenLine, text_error, tokens_of

_T = TypeVar("_T")


def read_graph(text: str, path: str) -> Graph:
    """The graph of a text. Raises ArchError E0821 at the first thing that is wrong."""
    source = Source(path, text)
    reader = _GraphReader()
    start = 0
    for line in text.split("\n"):
        tokens = list(tokens_of(source, start, start + len(line)))
        if tokens:
            end = Span(source, start + len(line), start + len(line))
            try:
                reader.line(TokenLine(tokens, end))
            except RecursionError:
                raise text_error("the line is nested too deeply", tokens[0].span) from None
        start += len(line) + 1
    return reader.finish(Span(source, 0, 0))


class _GraphReader:
    """The graph so far, line by line."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.nodes: list[Node] = []
        self.outputs: list[Output] = []
        self.names: dict[str, Ref] = {}
        self.preprocessing: dict[str, Preprocessing] = {}
        self.rules: dict[str, Solutions] = {}
        self._types: dict[Ref, MapType] = {}
        self._version: int | None = None

    def line(self, line: TokenLine) -> None:
        if self._version is None:
            self._header(line)
        elif len(line.tokens) > 1 and line.tokens[1].text == ":":
            self._node(line)
        elif line.sees(*_ENTRIES):
            _ENTRIES[line.take().text](self, line)
        else:
            help = did_you_mean(line.next.text, _ENTRIES)
            raise text_error("a line is a node, `name: type = op(…)`, or begins with a word", line.next.span, help)
        if line.next.kind != "end":
            line.fail("the end of the line")

    def finish(self, start: Span) -> Graph:
        if self.name is None:
            raise text_error(
                "the text has no graph", start, f"it begins with the lines `ir {VERSION}` and `graph NAME`"
            )
        return Graph(
            self.name,
            tuple(self.nodes),
            tuple(self.outputs),
            tuple(self.names.items()),
            tuple(self.preprocessing.items()),
            tuple(self.rules.items()),
        )

    def _header(self, line: TokenLine) -> None:
        token = line.expect("ir")
        self._version = line.integer()
        if self._version != VERSION:
            raise text_error(
                f"version {self._version} of the form is not known here", token.span, f"this reads {VERSION}"
            )

    def _graph(self, line: TokenLine) -> None:
        self.name = line.name()

    def _prepare(self, line: TokenLine) -> None:
        name = line.name()
        line.expect(":")
        self.preprocessing[name] = self._made(Preprocessing, line)

    def _allow(self, line: TokenLine) -> None:
        name = line.name()
        line.expect(":")
        self.rules[name] = self._made(Solutions, line)

    def _made(self, kind: Callable[..., _T], line: TokenLine) -> _T:
        start = line.next.span
        try:
            return kind(**self._settings(line))
        except TypeError as error:
            raise text_error(str(error), start) from None

    def _named(self, line: TokenLine) -> None:
        name = line.name()
        line.expect("=")
        self.names[name] = self._ref(line)

    def _output(self, line: TokenLine, *, aux: bool = False) -> None:
        name = line.name()
        line.expect("=")
        self.outputs.append(Output(name, self._ref(line), aux))

    def _aux_output(self, line: TokenLine) -> None:
        line.expect("out")
        self._output(line, aux=True)

    # ------------------------------------------------------------ nodes

    def _node(self, line: TokenLine) -> None:
        token = line.next
        name = line.name()
        if Ref(name) in self._types:
            raise text_error(f"there are two nodes called {name}", token.span)
        line.expect(":")
        types = self._result_types(line)
        line.expect("=")
        word = line.next
        op = self._op(line)
        exactly = line.accept("!")
        line.expect("(")
        inputs = tuple(line.many(lambda: self._ref(line), ")"))
        written = self._settings(line)
        settings = written if exactly else self._completed(op, written, word)
        node = Node(name, op.name, inputs, tuple(settings.items()), types, self._weights(line, name))
        self._check(op, node, word)
        self.nodes.append(node)
        self._types.update(zip(node.refs, types, strict=True))

    def _result_types(self, line: TokenLine) -> tuple[MapType, ...]:
        types = [self._type(line)]
        while line.accept(","):
            types.append(self._type(line))
        return tuple(types)

    def _type(self, line: TokenLine) -> MapType:
        indices = line.accept("indices")
        line.expect("[")
        channels = line.integer()
        line.expect(",")
        height = line.size()
        line.expect(",")
        width = line.size()
        line.expect("]")
        return MapType(channels, height, width, "indices" if indices else "map")

    def _op(self, line: TokenLine) -> Op:
        token = line.next
        name = line.name()
        if name not in OPS:
            raise text_error(f"there is no op {name}", token.span, did_you_mean(name, OPS))
        return OPS[name]

    def _ref(self, line: TokenLine) -> Ref:
        token = line.next
        ref = Ref(line.name(), line.integer() if line.accept(":") else 0)
        if ref not in self._types:
            help = did_you_mean(ref.node, (known.node for known in self._types))
            raise text_error(f"there is no value {ref} before this line", token.span, help)
        return ref

    def _settings(self, line: TokenLine) -> dict[str, Any]:
        settings: dict[str, Any] = {}
        while line.next.kind == "name":
            token = line.take()
            if token.text in settings:
                raise text_error(f"`{token.text}` is given twice", token.span)
            line.expect("=")
            settings[token.text] = line.value()
        return settings

    def _completed(self, op: Op, written: Mapping[str, Any], word: Token) -> dict[str, Any]:
        known = [spec.name for spec in op.settings]
        for name in written:
            if name not in known:
                raise text_error(f"{op.name} has no setting `{name}`", word.span, did_you_mean(name, known))
        given = {**defaults(op), **written}
        for name in known:
            if name not in given:
                raise text_error(f"{op.name} needs `{name}`", word.span)
        return {name: given[name] for name in known}

    def _weights(self, line: TokenLine, name: str) -> str:
        if not line.accept("@"):
            return ""
        return name if line.next.kind == "end" else line.name()

    def _check(self, op: Op, node: Node, word: Token) -> None:
        """The types that a line states are those that the op gives."""
        if op.name == "input":
            return
        try:
            found = op.shape(call_of(node.settings, [self._types[ref] for ref in node.inputs]))
        except (OpError, IndexError, KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise text_error(f"{op.name} cannot be applied so: {error}", word.span) from None
        if found != node.types:
            raise text_error(f"{op.name} gives {', '.join(map(str, found))} here", word.span)


_ENTRIES: Mapping[str, Callable[[_GraphReader, TokenLine], None]] = {
    "graph": _GraphReader._graph,
    "prepare": _GraphReader._prepare,
    "allow": _GraphReader._allow,
    "name": _GraphReader._named,
    "out": _GraphReader._output,
    "aux": _GraphReader._aux_output,
}
