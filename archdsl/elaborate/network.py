"""From a file and the name of a network to a graph."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from archdsl.diagnostics import Diagnostic, Diagnostics, Frame, Label, Span
from archdsl.diagnostics.place import diagnose, place
from archdsl.diagnostics.suggest import did_you_mean
from archdsl.elaborate.assertions import Assertion
from archdsl.elaborate.files import BlockDef, BrokenDef, ConstantDef, SpecFile
from archdsl.elaborate.inputs import NetworkExpander
from archdsl.elaborate.paths import Paths
from archdsl.elaborate.scope import Scope
from archdsl.elaborate.session import Hopeless, Session, Spent, TooLarge
from archdsl.elaborate.values import POISON, Fault, MapValue, Poisoned, Variable
from archdsl.elaborate.variants import network_of
from archdsl.interpreter import recursion_of, without_collection
from archdsl.ir.conditions import AXES, contradiction
from archdsl.ir.graph import Graph, Output, Ref

_STEPS_PER_NETWORK = 4_000
"""What a network costs besides its statements: the analyses of even the smallest one."""
_RECURSION = 12_000
"""64 blocks deep, each with expressions up to the parser's nesting limit; Python's own limit is 1,000."""


@dataclass
class Elaboration:
    """What a network became: its graph (None after errors), parameters, asserts and search variables."""

    name: str
    graph: Graph | None
    parameters: dict[str, Any] = field(default_factory=dict)
    assertions: list[Assertion] = field(default_factory=list)
    variables: list[Variable] = field(default_factory=list)
    names: dict[str, Ref] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    """What else names of the body stand for at its end: numbers, lists, modules."""
    definition: BlockDef | None = None


def elaborate(
    file: SpecFile,
    name: str | None,
    diagnostics: Diagnostics,
    settings: Mapping[str, Any] | None = None,
    choices: Mapping[int, int] | None = None,
    spent: Spent | None = None,
) -> Elaboration | None:
    """Expands a network of a file (the first when `name` is None).

    `settings` gives parameters of the network values, `choices` search variables by number; `spent` is what the file's
    other networks took, to which this one's is added. What is wrong is added to `diagnostics`; None when there is no
    such network.
    """
    networks = dict(file.networks())
    chosen = next(iter(networks), None) if name is None else name
    if chosen is None or chosen not in networks:
        _no_network(file, chosen, list(networks), diagnostics)
        return None
    with without_collection(), recursion_of(_RECURSION):
        run = _Run(file, chosen, diagnostics, dict(settings or {}), dict(choices or {}), spent or Spent())
        return run.elaborate()


def _no_network(file: SpecFile, name: str | None, known: list[str], diagnostics: Diagnostics) -> None:
    if name is None:
        if any(isinstance(d, BrokenDef) for d in file.names.values()) or diagnostics.failed:
            return
        message, help = f"{file.source.path} has no network", "a spec needs `network Name { … }`"
        diagnostics.add(Diagnostic("E0114", message, Span.of_file(file.source.path), help=help))
        return
    if isinstance(file.names.get(name), BrokenDef):
        return
    help = did_you_mean(name, known) or ("it has " + ", ".join(known) if known else "it has none")
    message = f"{file.source.path} has no network `{name}`"
    diagnostics.add(Diagnostic("E0209", message, Span.of_file(file.source.path), help=help))


class _Run:
    """One elaboration; counting runs it a second time, on a session of its own."""

    def __init__(
        self,
        file: SpecFile,
        name: str,
        diagnostics: Diagnostics,
        settings: dict[str, Any],
        choices: dict[int, int],
        spent: Spent,
    ) -> None:
        self.file, self.name, self.diagnostics = file, name, diagnostics
        self.settings, self.choices, self.spent = settings, choices, spent

    def elaborate(self) -> Elaboration:
        session = Session(self.diagnostics, choices=self.choices, before=self.spent, templates=self.file.templates)
        session.recount = self._count
        result = Elaboration(self.name, None)
        body = None
        try:
            session.step(dict(self.file.networks())[self.name].tree.name.span, _STEPS_PER_NETWORK)
            body = self._expand(session, result)
        except TooLarge as over:
            self.diagnostics.add(over.diagnostic)
            self.spent.over = True
        except Hopeless:
            self.spent.over = True
        self.spent.add(session)
        if body is not None:
            self._finish(session, body, result)
        return result

    def _count(self) -> int:
        """How many nodes the network will have, blocks of equal arguments expanded once."""
        session = Session(Diagnostics(), choices=self.choices, before=self.spent, counting=True)
        try:
            self._expand(session, Elaboration(self.name, None))
        except TooLarge as over:
            if over.diagnostic.code != "E0902":
                raise
            return sys.maxsize
        except Hopeless:
            return 0
        return session.nodes

    def _expand(self, session: Session, result: Elaboration) -> NetworkExpander | None:
        session.stack.append((self.name, None))
        try:
            return self._body(session, result)
        except Fault as fault:
            session.report(fault)
        except Poisoned:
            pass
        return None

    def _body(self, session: Session, result: Elaboration) -> NetworkExpander:
        definition, given = network_of(self.file, self.name, session)
        scope = Scope(definition.file, {}, Paths("", "", True), is_network=True)
        expander = NetworkExpander(session, scope)
        where = definition.tree.name.span
        known = {p.name.text for p in definition.tree.params}
        for key in self.settings:
            if key not in known:
                help = did_you_mean(key, known) or "it has " + (", ".join(sorted(known)) or "none")
                raise Fault("E0202", f"{definition.name} has no parameter `{key}`", where, help=help)
        given |= {key: (value, where) for key, value in self.settings.items()}
        result.parameters = expander.arguments(definition, given, where)
        result.definition = definition
        scope.values.update(result.parameters)
        self._constants(expander)
        expander.run(definition.tree.body)
        return expander

    def _constants(self, expander: NetworkExpander) -> None:
        """Works out the constants of the file, so that what is wrong in one that nothing reads is found too."""
        for name, definition in self.file.names.items():
            if isinstance(definition, ConstantDef) and definition.file is self.file:
                with suppress(Fault, Poisoned):
                    expander.constant(name, definition)

    # -------------------------------------------------------------- finish

    def _finish(self, session: Session, body: NetworkExpander, result: Elaboration) -> None:
        scope = body.scope
        result.assertions = body.assertions
        result.variables = session.variables
        result.names = {n: v.ref for n, v in scope.values.items() if isinstance(v, MapValue)}
        result.values = {n: v for n, v in scope.values.items() if not isinstance(v, MapValue) and v is not POISON}
        outputs = self._outputs(session, scope, result)
        if outputs is None or session.diagnostics.failed:
            return
        graph = session.builder.finish(self.name, outputs, result.names, body.preprocessing)
        impossible = [name for name, rule in graph.size_rules if rule.empty]
        for name in impossible:
            self._impossible(session, name, result)
        if not impossible:
            result.graph = graph

    def _outputs(self, session: Session, scope: Scope, result: Elaboration) -> list[Output] | None:
        assert result.definition is not None
        where = result.definition.tree.name.span
        if any(value is POISON for _, value, _ in scope.outputs):
            return None
        if not session.builder.inputs_given:
            if not session.diagnostics.failed:
                session.report(Fault("E0502", f"{self.name} has no input", where, help="`in image [3, H, W]`"))
            return None
        if not any(not aux for _, _, aux in scope.outputs):
            if not session.diagnostics.failed:
                what = "no output besides `aux out`" if scope.outputs else "no output"
                session.report(Fault("E0501", f"{self.name} has {what}", where, help="`out logits = …`"))
            return None
        if any(value.type.kind == "indices" for _, value, _ in scope.outputs):
            message, help = f"{self.name} gives out the indices of a pool", "only `unpool` can read them"
            session.report(Fault("E0407", message, where, help=help))
            return None
        return [Output(n or f"out{i}", v.ref, aux) for i, (n, v, aux) in enumerate(scope.outputs)]

    def _impossible(self, session: Session, name: str, result: Elaboration) -> None:
        """Reports the places that contradict one another: the last of them, with the others beside it."""
        assert result.definition is not None
        asked = contradiction(c for c in session.builder.conditions() if c.symbol == name)
        message = f"no input {AXES.get(name, name)} satisfies all of {self.name}'s sizes"
        help = "skip connections that resize with `like=` take any size"
        here = (Frame(self.name, result.definition.tree.name.span),)
        chains = [(c, here if c.origin is None else c.origin.frames) for c in asked]
        (last, chain), others = chains[-1], chains[:-1]
        labels: list[Label] = []
        for condition, frames in others:
            where = place(frames)
            labels += (Label(where.span, str(condition)), *where.labels)
        session.add(diagnose(chain, "E0308", message, label=str(last), help=help, labels=labels))
