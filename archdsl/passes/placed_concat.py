"""Says of each concatenation which operands can be written where they end up, so that nothing is copied.

A decision for engines that plan memory: the producer of such an operand writes a range of the concatenation's channels.
Others who read the operand read that range.
"""

from __future__ import annotations

from archdsl.analyses.memory import is_free
from archdsl.ir.graph import Graph, Node, Ref
from archdsl.passes.costs import Costs
from archdsl.passes.edit import Edit, is_output, made
from archdsl.passes.infra import Pass, PassResult, Weights, register


def _rule(graph: Graph, weights: Weights, costs: Costs) -> PassResult:
    edit = Edit.of(graph, weights)
    for node in graph.nodes:
        if node.op != "concat":
            continue
        kept = {ref: reason for ref in node.inputs if (reason := not_placeable(graph, ref, node))}
        if len(kept) == len(set(node.inputs)):
            edit.decline(node, "; ".join(dict.fromkeys(kept.values())))
            continue
        placed = tuple(int(ref not in kept) for ref in node.inputs)
        types = graph.input_types(node)
        edit.put(node, made(node.name, "placed_concat", node.inputs, types, {"placed": placed}, origin=node.origin))
        edit.fired.append(node.name)
    return edit.finish()


def not_placeable(graph: Graph, ref: Ref, concat: Node) -> str:
    """Why an operand cannot be written into a concatenation by what makes it; empty when it can."""
    made_by = graph.by_name[ref.node]
    if made_by.op == "constant" or is_free(made_by):
        return f"{ref} is {made_by.op}, which writes nothing"
    if concat.inputs.count(ref) > 1:
        return f"{ref} is there twice"
    if is_output(graph, ref):
        return f"{ref} is an output, which its caller keeps"
    first = next(user for user in graph.users[ref] if user.op in ("concat", "placed_concat"))
    return f"{ref} is part of {first.name} already" if first.name != concat.name else ""


placed_concat = register(
    Pass(
        "placed_concat",
        needs="every other rewrite done: it speaks of the nodes that will run",
        rewrites="concat to placed_concat, which says per operand whether its producer can write into the result",
        promises="the same graph otherwise",
        rule=_rule,
    )
)
