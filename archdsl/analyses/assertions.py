"""Asserts that ask for an analysis: params, macs, field_of_view, gap_free, latency, and shapes by value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from archdsl.analyses.contributions import place_of
from archdsl.analyses.gap_messages import diagnostics as gap_diagnostics
from archdsl.analyses.gaps import GapFinding
from archdsl.analyses.once import Analyses
from archdsl.analyses.questions import Questioner
from archdsl.diagnostics import Diagnostic, Diagnostics, Frame, Label, Severity
from archdsl.diagnostics.place import diagnose
from archdsl.elaborate.assertions import Assertion, is_vacuous
from archdsl.elaborate.files import BlockDef
from archdsl.elaborate.network import Elaboration
from archdsl.elaborate.session import Session, TooLarge
from archdsl.elaborate.values import Fault, MapValue, Poisoned
from archdsl.ir.graph import Ref
from archdsl.lang import tree as t
from archdsl.lang.walk import names_in, walk


def check_assertions(
    elaboration: Elaboration,
    diagnostics: Diagnostics,
    values: Mapping[str, int] | None = None,
    analyses: Analyses | None = None,
) -> None:
    """Checks the asserts of a network and of its blocks, and adds what does not hold to `diagnostics`.

    E0601 an assert that does not hold; E0603 for each hole where the network asserts `gap_free`; E0602 a size that the
    network does not take; W1004 an assert that nothing could change. `values` is the input's size, where one is given.
    A network without a graph has no analyses, and only gets the warnings.
    """
    _warn_of_vacuous(elaboration, diagnostics)
    if elaboration.graph is None:
        return
    known = analyses or Analyses(elaboration.graph, values, asked_values(elaboration.assertions))
    session = Session(diagnostics)
    for assertion in elaboration.assertions:
        for diagnostic in _check(assertion, known, session):
            diagnostics.add(diagnostic)


def holds(assertion: Assertion, analyses: Analyses) -> bool:
    """Whether an assert holds of a graph.

    Raises Fault when it asks what cannot be answered, TooLarge when it takes too many steps.
    """
    return Questioner(Session(Diagnostics()), assertion.scope, analyses).condition(assertion.condition)


def asked_values(assertions: Iterable[Assertion]) -> Iterator[Ref]:
    """The maps that asserts name, so that one pass over the graph answers for all of them."""
    for assertion in assertions:
        named = (assertion.scope.values.get(name.text) for name in names_in(assertion.condition))
        yield from (value.ref for value in named if isinstance(value, MapValue))


# ----------------------------------------------------------------- one assert


def _check(assertion: Assertion, analyses: Analyses, session: Session) -> list[Diagnostic]:
    try:
        if _ask(assertion, analyses, session).condition(assertion.condition):
            return []
        return _failed(assertion, analyses, session)
    except TooLarge as over:
        return [over.diagnostic]
    except Fault as fault:
        return [_at_fault(assertion, fault)]
    except Poisoned:
        return []


def _ask(assertion: Assertion, analyses: Analyses, session: Session) -> Questioner:
    return Questioner(session, assertion.scope, analyses)


def _at_fault(assertion: Assertion, fault: Fault) -> Diagnostic:
    *outer, last = assertion.frames
    frames = (*outer, Frame(last.block, fault.span))
    return diagnose(frames, fault.code, fault.message, label=fault.label, help=fault.help, labels=fault.labels)


def _failed(assertion: Assertion, analyses: Analyses, session: Session) -> list[Diagnostic]:
    """The holes that the assert forbids, each an error of its own; else that it does not hold, and why."""
    holes: list[GapFinding] = []
    labels: list[Label] = []
    notes: list[str] = []
    for part in _failing(assertion.condition, _ask(assertion, analyses, session)):
        questioner = _ask(assertion, analyses, session)
        questioner.condition(part)
        born = _born_before(analyses, questioner.gapped)
        holes += (gap for gap in born if not gap.filled)
        labels += (*Assertion(t.Assert(part.span, part), assertion.scope, ()).sides(questioner), *_births(born))
        notes += questioner.notes()
    if holes:
        return gap_diagnostics(holes, Severity.ERROR)
    unique = tuple(dict.fromkeys(notes))
    return [diagnose(assertion.frames, "E0601", "this assertion does not hold", labels=labels, notes=unique)]


def _failing(condition: t.Expr, questioner: Questioner) -> Iterator[t.Expr]:
    """The parts that make a condition false: the first false one of an `and`, every one of an `or`."""
    if not isinstance(condition, t.Logic):
        yield condition
        return
    false = (operand for operand in condition.operands if not questioner.condition(operand))
    for operand in islice(false, 1) if condition.operator == "and" else false:
        yield from _failing(operand, questioner)


def _born_before(analyses: Analyses, gapped: Iterable[Ref]) -> list[GapFinding]:
    """The holes that values may have from nodes that they are computed from."""
    gapped = tuple(gapped)
    before = analyses.graph.reaching(*gapped) if gapped else set()
    return [gap for gap in analyses.gaps if gap.node.name in before]


def _births(born: Iterable[GapFinding]) -> Iterator[Label]:
    for gap in born:
        span = place_of(gap.node)
        if span is not None:
            yield Label(span, f"leaves {gap.width} input pixels unread")


# ----------------------------------------------------------------- asserts that cannot fail


def _warn_of_vacuous(elaboration: Elaboration, diagnostics: Diagnostics) -> None:
    if elaboration.definition is None:
        return
    help = "ask for a parameter, `shape(x)`, `params`, `macs(h, w)`, `field_of_view(x)` or `gap_free`"
    entries = elaboration.definition.file.tree.entries
    constants = {entry.name.text: entry.value for entry in entries if isinstance(entry, t.Definition)}
    for body in _bodies(elaboration.definition):
        for statement in walk(body):
            if isinstance(statement, t.Assert) and is_vacuous(statement.condition, body, constants):
                message = "this assertion mentions nothing that could ever change it"
                diagnostics.add(Diagnostic("W1004", message, statement.span, help=help, severity=Severity.WARNING))


def _bodies(definition: BlockDef) -> Iterator[t.Block]:
    """The network, and the blocks written in its file."""
    yield definition.tree
    entries = definition.file.tree.entries
    yield from (entry for entry in entries if isinstance(entry, t.Block) and not entry.is_network)
