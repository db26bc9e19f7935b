"""A 1x1 convolution over a concatenation becomes a sum of 1x1 convolutions, where that is less work.

It is where an operand was resized: its share of the convolution can then be done below the resize.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from archdsl.ir.graph import Graph, Node
from archdsl.passes.below_upsample import below_upsample
from archdsl.passes.commuting import RESAMPLING, is_pointwise
from archdsl.passes.costs import Costs
from archdsl.passes.edit import Edit, lone_reader, made, why_not_alone
from archdsl.passes.infra import Pass, PassResult, Weights, register
from archdsl.passes.judged import Candidate, judged
from archdsl.passes.slices import concat_of, over_some


def _candidates(graph: Graph, weights: Weights, costs: Costs) -> Iterator[Candidate]:
    # an engine may write the concatenation in place: what replaces it has to be less than nothing
    strict, together = replace(costs, free_concat=True), below_upsample(graph, weights, costs)

    def gain(last: PassResult) -> float:
        return strict.gain(together.graph, below_upsample(last.graph, last.weights, costs).graph)

    for conv in graph.nodes:
        concat = concat_of(graph, conv) if is_pointwise(conv) else None
        if concat is not None:
            refusal = why_not_alone(graph, concat.refs[0], conv)
            yield Candidate((conv.name,), refusal, "as a sum", partial(_apart, graph, weights, conv, concat), gain)


def _apart(graph: Graph, weights: Weights, conv: Node, concat: Node) -> PassResult:
    """Each resized operand on its own and all others together; each on its own where none is resized."""
    edit = Edit.of(graph, weights)
    resized = [i for i, ref in enumerate(concat.inputs) if _resized(graph, concat, i)]
    others = [i for i in range(len(concat.inputs)) if i not in resized]
    groups = [[i] for i in resized] + ([others] if resized and others else [[i] for i in others])
    nodes, results = list[Node](), []
    for number, group in enumerate(groups):
        name = f"{conv.name}.part{number}"
        new, result = over_some(edit, conv, concat, group, name, bias=bool(conv["bias"]) and number == 0)
        nodes += new
        results.append(result)
    while len(results) > 1:
        name = conv.name if len(results) == 2 else edit.fresh(f"{conv.name}.sum")
        total = made(name, "add", results[:2], conv.types * 2, origin=conv.origin)
        nodes.append(total)
        results = [total.refs[0], *results[2:]]
    edit.put(conv, *nodes)
    return edit.finish()


def _resized(graph: Graph, concat: Node, operand: int) -> bool:
    ref = concat.inputs[operand]
    return graph.by_name[ref.node].op in RESAMPLING and lone_reader(graph, ref) is concat


split_pointwise = register(
    Pass(
        "split_pointwise",
        needs="nothing; below_upsample after it",
        rewrites="conv1x1(concat(a, b)) to conv1x1(a) + conv1x1(b), where that is less work",
        promises="equal outputs up to rounding",
        rule=judged(_candidates),
    )
)
