"""The pooled image in a concatenation becomes a bias per image of the convolution that reads it.

ASPP and its kin spread one value per channel over the whole map and convolve it with the rest. The spread value gives
the same at every position, where no padding is read: conv(concat(x, spread(p))) = conv(x) + W · p.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from archdsl.ir.graph import Graph, Node, Ref
from archdsl.passes.costs import Costs
from archdsl.passes.edit import Edit, made, why_not_alone
from archdsl.passes.infra import Pass, PassResult, Weights, register
from archdsl.passes.judged import Candidate, judged
from archdsl.passes.slices import concat_of, over_some, slice_of


def _candidates(graph: Graph, weights: Weights, costs: Costs) -> Iterator[Candidate]:
    for conv in graph.nodes:
        concat = concat_of(graph, conv)
        spread = [] if concat is None else [i for i, ref in enumerate(concat.inputs) if _pooled(graph, ref) is not None]
        if concat is not None and spread:
            names = [graph.by_name[concat.inputs[i].node].name for i in spread]
            refusal = _refusal(graph, conv, concat, spread)
            rewrite = partial(_rewritten, graph, weights, conv, concat, spread)
            yield Candidate((*names,), refusal, f"as a bias of {conv.name}", rewrite)


def _pooled(graph: Graph, ref: Ref) -> Ref | None:
    """The value of extent 1 that a resize spreads over a map."""
    node = graph.by_name[ref.node]
    if node.op != "resize":
        return None
    read = graph.type_of(node.inputs[0])
    return node.inputs[0] if (read.height, read.width) == (1, 1) else None


def _refusal(graph: Graph, conv: Node, concat: Node, spread: Sequence[int]) -> str:
    if conv["padding"] != (0, 0):
        return "it reads padding beside the spread value, which is another at the edge"
    if len(spread) == len(concat.inputs):
        return f"every operand of {concat.name} is spread"
    return why_not_alone(graph, concat.refs[0], conv)


def _rewritten(graph: Graph, weights: Weights, conv: Node, concat: Node, spread: Sequence[int]) -> PassResult:
    edit, of = Edit.of(graph, weights), conv.types[0]
    rest = [i for i in range(len(concat.inputs)) if i not in spread]
    nodes, result = over_some(edit, conv, concat, rest, f"{conv.name}.map", bias=bool(conv["bias"]))
    for operand in spread:
        bias = _bias(edit, conv, concat, operand)
        name = conv.name if operand == spread[-1] else edit.fresh(f"{conv.name}.sum")
        total = made(name, "add", [result, bias.refs[0]], [of, bias.types[0]], origin=conv.origin)
        nodes += [bias, total]
        result = total.refs[0]
    edit.put(conv, *nodes)
    return edit.finish()


def _bias(edit: Edit, conv: Node, concat: Node, operand: int) -> Node:
    """The convolution of the pooled value alone; all its taps read the same."""
    graph = edit.graph
    pooled = _pooled(graph, concat.inputs[operand])
    assert pooled is not None
    name, weight = edit.fresh(f"{conv.name}.pooled"), edit.weights[f"{conv.weights}.weight"]
    part = slice_of(graph, concat, weight, [operand])
    edit.weights[f"{name}.weight"] = part.double().sum((2, 3), keepdim=True).to(part.dtype)
    settings = {"out": conv["out"], "init": conv["init"], "frozen": conv["frozen"]}
    return made(name, "conv", [pooled], [graph.type_of(pooled)], settings, origin=conv.origin)


pooled_bias = register(
    Pass(
        "pooled_bias",
        needs="what stands between the concatenation and its convolution folded",
        rewrites="conv(concat(x, resize(p))) with p of extent 1 to conv(x) + conv(p), where no padding is read",
        promises="equal outputs up to rounding; one full-size operand less",
        rule=judged(_candidates),
    )
)
