"""Activations and residual sums become the end of the convolution whose result they read.

Engines write the result of such a convolution once, instead of once per step. The steps are those of `fused_conv`: an
activation, a sum with another map or with one value per channel, and an activation of the sum.
"""

from __future__ import annotations

from archdsl.ir.graph import Graph, MapType, Node, Ref
from archdsl.ir.ops.fused import ACTIVATIONS
from archdsl.passes.costs import Costs
from archdsl.passes.edit import Edit, made, why_not_alone, with_settings
from archdsl.passes.infra import Pass, PassResult, Weights, register, until_stable

_CARRIERS = ("conv", "depthwise", "fused_conv")


def as_fused(graph: Graph, node: Node) -> Node:
    """A convolution as the op that can have an epilogue, still without one."""
    if node.op == "fused_conv":
        return node
    settings = dict(node.settings)
    if node.op == "depthwise":
        channels = graph.type_of(node.inputs[0]).channels
        settings |= {"groups": channels, "out": channels * settings.pop("multiplier")}  # type: ignore[operator]
    types = graph.input_types(node)
    return made(node.name, "fused_conv", node.inputs, types, settings, weights=node.weights, origin=node.origin)


def _sweep(graph: Graph, weights: Weights, costs: Costs) -> PassResult:
    edit = Edit.of(graph, weights)
    for node in graph.nodes:
        if node.op in ACTIVATIONS:
            _activation(edit, node)
        elif node.op in ("add", "sum"):
            _sum(edit, node)
    return edit.finish()


def _activation(edit: Edit, node: Node) -> None:
    graph = edit.graph
    conv = graph.by_name[node.inputs[0].node]
    reason = _refusal(graph, conv, node)
    if not reason and conv.op == "fused_conv" and conv["then"] is not None:
        reason = f"{conv.name} ends in an activation already"
    slot = "then" if conv.op == "fused_conv" and conv["residual"] else "act"
    if not reason and conv.op == "fused_conv" and conv[slot] is not None:
        reason = f"{conv.name} ends in an activation already"
    if reason:
        edit.decline(node, reason)
    elif edit.free(conv, node):
        _join(edit, with_settings(as_fused(graph, conv), **{slot: node.op}), node)


def _refusal(graph: Graph, conv: Node, node: Node) -> str:
    """Why a node cannot be the end of the one it reads, whatever that ends in; empty when it can."""
    if conv.op not in _CARRIERS:
        return f"it reads {conv.name}, which is {conv.op} and has no epilogue"
    return why_not_alone(graph, conv.refs[0], node)


def _sum(edit: Edit, node: Node) -> None:
    graph = edit.graph
    refused = {ref: _sum_refusal(graph, ref, node) for ref in node.inputs}
    able = [ref for ref, reason in refused.items() if not reason]
    if not able:
        edit.decline(node, "; ".join(dict.fromkeys(refused.values())))
        return
    # the last of them: what it is added to has been computed by then
    order = {other.name: i for i, other in enumerate(graph.nodes)}
    chosen = max(able, key=lambda ref: order[ref.node])
    conv, rest = graph.by_name[chosen.node], [ref for ref in node.inputs if ref != chosen]
    if edit.free(conv, node):
        _add(edit, as_fused(graph, conv), node, rest)


def _sum_refusal(graph: Graph, ref: Ref, node: Node) -> str:
    conv = graph.by_name[ref.node]
    if conv.op not in _CARRIERS:
        return f"it reads {ref}, which is {conv.op} and has no epilogue"
    if node.inputs.count(ref) > 1:
        return f"it adds {ref} to itself"
    others = [graph.type_of(other) for other in node.inputs if other != ref]
    if not _fits(graph.type_of(ref), node.types[0], others):
        return f"{ref} is spread over the sum, or what is added over it in a way that no epilogue has"
    if conv.op == "fused_conv" and (conv["residual"] or conv["then"] is not None):
        return f"{ref} is a sum already"
    return why_not_alone(graph, ref, node)


def _fits(result: MapType, total: MapType, others: list[MapType]) -> bool:
    """Whether what is added is of the result's size, or lone and one value per channel."""
    if result.shape != total.shape:
        return False
    per_channel = len(others) == 1 and others[0].shape == (result.channels, 1, 1)
    return per_channel or all(other.shape == result.shape for other in others)


def _add(edit: Edit, conv: Node, node: Node, rest: list[Ref]) -> None:
    before: tuple[Node, ...] = ()
    if len(rest) > 1:
        op = "add" if len(rest) == 2 else "sum"
        name = edit.fresh(f"{node.name}.rest")
        before = (made(name, op, rest, [edit.graph.type_of(ref) for ref in rest], origin=node.origin),)
        rest = [Ref(name)]
    summed = Node(
        conv.name,
        conv.op,
        (*conv.inputs, *rest),
        with_settings(conv, residual=True).settings,
        conv.types,
        conv.weights,
        conv.origin,
    )
    _join(edit, summed, node, *before)


def _join(edit: Edit, fused: Node, end: Node, *before: Node) -> None:
    """Puts a convolution where its last step stood, whose value it now gives."""
    conv = edit.graph.by_name[fused.name]
    edit.put(conv)
    edit.put(end, *before, fused)
    edit.rename_away(conv)
    edit.read_instead(end.refs[0], fused.refs[0])
    edit.fired.append(end.name)


epilogues = register(
    Pass(
        "epilogues",
        needs="batch normalisations folded, for it to fire where it should",
        rewrites="act(conv(x)), conv(x) + y and act(conv(x) + y) to fused_conv, where nothing else reads conv(x)",
        promises="equal outputs up to the rounding of single steps",
        rule=until_stable(_sweep),
    )
)
