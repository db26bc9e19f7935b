"""Which rates of a network are searched: where each stands in the text, the nodes it governs, what it may become."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from archdsl.search.rounds import copies

from archdsl.diagnostics import ArchError, Diagnostic, Severity, Span
from archdsl.elaborate.values import Literal, Searched
from archdsl.ir.graph import Graph, Node, Setting
from archdsl.network import Network

LARGEST = 18
"""The largest rate that a rate written as a plain number may become."""
TRIED = 64
"""About as many values of marks are tried, as to whether they decide more than dilations."""
_CONVOLUTIONS = ("conv", "depthwise")
_OF_A_RATE = {"dilation", "padding"}


@dataclass(frozen=True)
class Rate:
    """A searched rate. `variable` is the number of its `search(…)`, None for a rate written as a plain number.

    `span` is the whole `search(…)`, or the number. All `nodes` have the rate; they come in the order of the network.
    """

    span: Span
    nodes: tuple[str, ...]
    start: int
    candidates: tuple[int, ...]
    variable: int | None = None

    @property
    def where(self) -> str:
        """The block of the text that it stands in, as the weights are named: `s16.7`."""
        return self.nodes[0].rpartition(".")[0] or self.nodes[0]


def marked_rates(network: Network) -> list[Rate]:
    """The rates that the spec marks with `search(…)`, in the order of the network.

    Raises ArchError (E1101) for a `search` that governs anything but dilation rates.
    """
    governed: dict[int, list[Node]] = {}
    for node in network.ir.nodes:
        for number in {number for _, value in node.settings for number in _numbers(value)}:
            governed.setdefault(number, []).append(node)
    wrong: dict[Span, Diagnostic] = {}
    rates = []
    more = _deciding_more(network, governed)
    for number, variable in enumerate(network.elaboration.variables):
        nodes = governed.get(number, [])
        fault = _fault(number, nodes, number in more)
        if fault is not None:
            wrong.setdefault(variable.span, _not_a_rate(variable.span, fault))
        else:
            names = tuple(node.name for node in nodes)
            rates.append(Rate(variable.span, names, variable.start, variable.domain, number))
    if wrong:
        raise ArchError(wrong.values())
    order = {node.name: i for i, node in enumerate(network.ir.nodes)}
    return sorted(rates, key=lambda rate: order[rate.nodes[0]])


def all_rates(network: Network, *, untie: bool = False) -> tuple[list[Rate], list[Node]]:
    """Every rate, marked or written in the spec's own file, with candidates 1..18; and the nodes whose rate is not.

    A number that several nodes read is one rate; with `untie` each copy of a repetition and each round of a
    comprehension has its own.
    """
    marked = marked_rates(network)
    taken = {name for rate in marked for name in rate.nodes}
    assert network.spec.file is not None
    text = network.spec.file.source
    own: dict[tuple[int, int], list[Node]] = {}
    elsewhere = []
    for node in network.ir.nodes:
        if node.op not in _CONVOLUTIONS or node.name in taken or max(_kernel(node)) == 1:
            continue
        span = written(node)
        if span is None or span.source is not text or not _is_centred(node):
            elsewhere.append(node)
        else:
            own.setdefault((span.start, span.end), []).append(node)
    repeats = copies(network) if untie else {}
    for place, nodes in own.items():
        count = repeats.get(place, 1)
        each = len(nodes) // count if len(nodes) % count == 0 else len(nodes)
        marked += [_plain(nodes[i : i + each]) for i in range(0, len(nodes), each)]
    order = {node.name: i for i, node in enumerate(network.ir.nodes)}
    return sorted(marked, key=lambda rate: order[rate.nodes[0]]), elsewhere


def _plain(nodes: Sequence[Node]) -> Rate:
    """A rate written as a plain number."""
    span, start = written(nodes[0]), _dilation(nodes[0])[0]
    assert span is not None
    return Rate(span, tuple(node.name for node in nodes), start, tuple(range(1, max(LARGEST, start) + 1)))


def labels(rates: Sequence[Rate]) -> list[str]:
    """What tables call each rate: its block, or its first node where a block has several."""
    count = Counter(rate.where for rate in rates)
    return [rate.where if count[rate.where] == 1 else rate.nodes[0] for rate in rates]


def with_rates(graph: Graph, rates: Mapping[str, int]) -> Graph:
    """The graph with other dilation rates for the named nodes, padded so that every size stays as it was."""
    nodes = (_at_rate(node, rates[node.name]) if node.name in rates else node for node in graph.nodes)
    return replace(graph, nodes=tuple(nodes))


def assignment(rates: Iterable[Rate], values: Iterable[int]) -> dict[str, int]:
    """The rate of every governed node, by its name."""
    return {name: value for rate, value in zip(rates, values, strict=True) for name in rate.nodes}


def _at_rate(node: Node, rate: int) -> Node:
    padding = tuple(rate * (size // 2) for size in _kernel(node))
    changed: dict[str, Setting] = {"dilation": (rate, rate), "padding": padding}
    return replace(node, settings=tuple((name, changed.get(name, value)) for name, value in node.settings))


def _numbers(setting: Setting) -> set[int]:
    """The variables that stand in a node's setting."""
    if isinstance(setting, tuple):
        return {number for value in setting for number in _numbers(value)}
    return {setting.variable} if isinstance(setting, Searched) else set()


def _dilation(node: Node) -> tuple[int, int]:
    return cast(tuple[int, int], node["dilation"])


def _kernel(node: Node) -> tuple[int, int]:
    return cast(tuple[int, int], node["kernel"])


def _is_rate(node: Node, number: int) -> bool:
    """Whether the searched integer is this node's dilation on both axes, and a rate that can be moved."""
    if node.op not in _CONVOLUTIONS:
        return False
    both = all(isinstance(rate, Searched) and rate.variable == number for rate in _dilation(node))
    return both and _is_centred(node)


def _is_centred(node: Node) -> bool:
    """Whether the padding is what keeps the taps centred: rate times half an odd kernel, on both axes alike."""
    rows, columns = _dilation(node)
    sizes = _kernel(node)
    padding = tuple(rows * (size // 2) for size in sizes)
    return rows == columns and all(size % 2 for size in sizes) and node["padding"] == padding


def written(node: Node) -> Span | None:
    """Where a node's rate was written as a number, when both axes have it from there."""
    rows, columns = _dilation(node)
    if isinstance(rows, Literal) and isinstance(columns, Literal) and rows.span == columns.span:
        return rows.span
    return None


def _deciding_more(network: Network, governed: Mapping[int, Sequence[Node]]) -> set[int]:
    """The variables of which some choice changes the network in anything but the rates of the nodes they govern.

    Each value is tried by all variables together first, of very many some. A choice that an assert forbids says
    nothing: asserts are constraints.
    """
    variables = network.elaboration.variables
    found: set[int] = set()
    values = sorted({value for variable in variables for value in variable.domain})
    for value in [*values[: -1 : 1 + len(values) // TRIED], *values[-1:]]:
        able = [n for n, variable in enumerate(variables) if value in variable.domain and value != variable.start]
        if _changes_more(network, dict.fromkeys(able, value), governed):
            found |= {n for n in able if n not in found and _changes_more(network, {n: value}, governed)}
    return found


def _changes_more(network: Network, choices: Mapping[int, int], governed: Mapping[int, Sequence[Node]]) -> bool:
    rates = {node.name: value for number, value in choices.items() for node in governed.get(number, ())}
    elaboration, diagnostics = network.spec.elaborate(network.name, network.settings, choices)
    if elaboration is not None and elaboration.graph is not None:
        return elaboration.graph.nodes != with_rates(network.ir, rates).nodes
    return any(d.code != "E0601" for d in diagnostics.items if d.severity is Severity.ERROR)


def _fault(number: int, nodes: Sequence[Node], more: bool) -> str | None:
    """What is wrong with a mark as a dilation rate; None for one that can be searched."""
    if not nodes:
        return "changes more than dilation rates" if more else "decides nothing"
    if any(not {name for name, value in node.settings if number in _numbers(value)} <= _OF_A_RATE for node in nodes):
        return "changes more than dilation rates"
    if other := [node.op for node in nodes if node.op not in _CONVOLUTIONS]:
        return f"is the rate of `{other[0]}`, and only those of {' and '.join(_CONVOLUTIONS)} are searched"
    if not all(_is_rate(node, number) for node in nodes):
        return "is the rate of one axis only, or of a convolution that its padding or even kernel does not centre"
    if all(max(_kernel(node)) == 1 for node in nodes):
        return "is the rate of 1x1 convolutions alone, which read the same at every rate"
    return "changes more than dilation rates" if more else None


def _not_a_rate(span: Span, what: str) -> Diagnostic:
    help = "write a number there: widths, depths and what is worked out from a mark cannot be searched yet"
    return Diagnostic("E1101", f"this `search` {what}", span, help=help)
