"""Everything a spec can be told before any weight exists: errors, warnings, asserts, and the facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archdsl.analyses.assertions import asked_values, check_assertions
from archdsl.analyses.fieldofview import facts as field_of_view_facts
from archdsl.analyses.gaps import diagnostics as gap_diagnostics
from archdsl.analyses.once import Analyses
from archdsl.diagnostics import Diagnostic, Diagnostics, Severity
from archdsl.elaborate.network import Elaboration
from archdsl.elaborate.session import Spent
from archdsl.interpreter import without_collection
from archdsl.ir.dims import Solutions
from archdsl.ir.graph import Graph
from archdsl.spec import Spec

FACTS_SIZE = {"H": 1024, "W": 2048}
"""Where facts that need a size are stated when none is given: a Cityscapes image."""


@dataclass(frozen=True)
class Checked:
    """One network of a spec after every check. `facts` is None when it has no graph."""

    network: str | None
    elaboration: Elaboration | None
    diagnostics: tuple[Diagnostic, ...]
    facts: dict[str, Any] | None

    @property
    def ok(self) -> bool:
        return not any(d.severity is Severity.ERROR for d in self.diagnostics)

    @property
    def graph(self) -> Graph | None:
        return None if self.elaboration is None else self.elaboration.graph


def check_network(
    spec: Spec,
    network: str | None = None,
    settings: Mapping[str, Any] | None = None,
    values: Mapping[str, int] | None = None,
    spent: Spent | None = None,
) -> Checked:
    """Elaborates a network (the first by default) and checks it, at an input size `{"H": …, "W": …}` if given.

    `spent` is what other networks of the file took, where the limits are to hold for all of them together.
    """
    elaboration, diagnostics = spec.elaborate(network, settings, spent=spent)
    graph = None if elaboration is None else elaboration.graph
    if elaboration is None or graph is None:
        return Checked(network, elaboration, tuple(diagnostics.items), None)
    if values is not None and not _size_allowed(elaboration, graph, values, diagnostics):
        return Checked(elaboration.name, elaboration, tuple(diagnostics.items), None)
    with without_collection():
        known = Analyses(graph, values, asked_values(elaboration.assertions))
        check_assertions(elaboration, diagnostics, values, known)
        _remark_gaps(known, diagnostics)
        facts = network_facts(graph, values, known)
    return Checked(elaboration.name, elaboration, tuple(diagnostics.items), facts)


def _remark_gaps(known: Analyses, diagnostics: Diagnostics) -> None:
    """Adds a warning or a note per hole, except where an assert has made an error of it already."""
    refused = {d.span for d in diagnostics.items if d.code == "E0603"}
    for diagnostic in gap_diagnostics(known.gaps):
        if diagnostic.span not in refused:
            diagnostics.add(diagnostic)


def _size_allowed(elaboration: Elaboration, graph: Graph, values: Mapping[str, int], diagnostics: Diagnostics) -> bool:
    broken = size_errors(graph, values)
    assert elaboration.definition is not None
    for message, help in broken:
        diagnostics.add(Diagnostic("E0311", message, elaboration.definition.tree.name.span, help=help))
    return not broken


def size_errors(graph: Graph, values: Mapping[str, int]) -> list[tuple[str, str]]:
    """For each axis that a network does not take at this size: what is wrong, and what would be right."""
    found = []
    for name, rule in graph.size_rules:
        axis = {"H": "height", "W": "width"}.get(name, name)
        if name in values and not rule.allows(values[name]):
            message = f"{graph.name} takes no input of {axis} {values[name]}"
            wanted = "at least 1" if rule.free else str(rule)
            found.append((message, f"the {axis} must be {wanted}; the nearest is {rule.nearest(values[name])}"))
    return found


def nearest_size(graph: Graph, values: Mapping[str, int]) -> dict[str, int]:
    """The allowed input size closest to a given one, per axis."""
    rules = dict(graph.size_rules)
    return {name: rules.get(name, Solutions()).nearest(n) or n for name, n in values.items()}


def network_facts(
    graph: Graph, values: Mapping[str, int] | None = None, known: Analyses | None = None
) -> dict[str, Any]:
    """The facts of `check --json`: counts, sizes, fields of view; at 1024x2048 where they need a size."""
    at = dict(values) if values is not None else nearest_size(graph, FACTS_SIZE)
    known = known or Analyses(graph, values)
    views = field_of_view_facts(graph, values, known)
    return {
        "params": known.params,
        "params_train": known.params_train,
        "macs": {size_text(at): known.macs(at)},
        "gap_free": views.gap_free,
        "size_rule": {name: _rule(dict(graph.size_rules).get(name, Solutions())) for name in ("H", "W")},
        "field_of_view": {name: list(pair) for name, pair in views.field_of_view.items()},
        "context": list(views.context),
        "nominal": list(views.nominal),
        "shapes": {out.name: list(graph.type_of(out.value).at(at).shape) for out in graph.outputs if not out.aux},
    }


def size_text(values: Mapping[str, int]) -> str:
    return f"{values['H']}x{values['W']}"


def _rule(rule: Solutions) -> dict[str, Any]:
    stated: dict[str, Any] = {"modulus": rule.modulus, "remainders": list(rule.remainders), "min": rule.least}
    if rule.only is not None:
        stated["only"] = list(rule.only)
    return stated
