"""Networks that are others with parameters given: `network RegSegCamVid = RegSeg(classes=11)`."""

from __future__ import annotations

from typing import Any

from archdsl.diagnostics import Span
from archdsl.diagnostics.suggest import did_you_mean
from archdsl.elaborate.expand import Expander
from archdsl.elaborate.files import AliasDef, BlockDef, BrokenDef, SpecFile
from archdsl.elaborate.paths import Paths
from archdsl.elaborate.scope import Scope
from archdsl.elaborate.session import Session
from archdsl.elaborate.values import Fault, Poisoned
from archdsl.lang import tree as t


def network_of(file: SpecFile, name: str, session: Session) -> tuple[BlockDef, dict[str, tuple[Any, Span]]]:
    """The network's block, and the parameters that aliases on the way to it give."""
    found: Any = dict(file.networks())[name]
    given: dict[str, tuple[Any, Span]] = {}
    seen: list[AliasDef] = []
    while isinstance(found, AliasDef):
        if found in seen:
            # whichever network of the circle is asked for, the error is the same
            circle = seen[seen.index(found) :]
            first = min((alias.tree.name for alias in circle), key=lambda name: (name.span.path, name.span.start))
            raise Fault("E0505", f"`{first.text}` is a variant of itself", first.span)
        seen.append(found)
        found, more = _alias(session, found)
        given = {**more, **given}
    return found, given


def _alias(session: Session, alias: AliasDef) -> tuple[Any, dict[str, tuple[Any, Span]]]:
    call = alias.tree.value
    function = call.function if isinstance(call, t.Call) else call
    if not isinstance(function, t.Name):
        raise Fault("E0404", "a variant is another network with parameters given", call.span)
    target = alias.file.names.get(function.text)
    if isinstance(target, BrokenDef):
        raise Poisoned
    if not (isinstance(target, AliasDef) or (isinstance(target, BlockDef) and target.tree.is_network)):
        raise _no_such_variant(alias, function, target)
    if not isinstance(call, t.Call):
        return target, {}
    evaluator = Expander(session, Scope(alias.file, {}, Paths("", "", False), is_network=True))
    positional, named = evaluator._arguments(call)
    if positional:
        help = "for example RegSeg(classes=11)"
        raise Fault("E0109", "a variant gives parameters by name", positional[0][1], help=help)
    if isinstance(target, BlockDef):
        _check_given(target, named)
    return target, named


def _no_such_variant(alias: AliasDef, function: t.Name, target: Any) -> Fault:
    if target is not None:
        what = "a block" if isinstance(target, BlockDef) else "a constant"
        help = "a variant is of another network"
        return Fault("E0209", f"`{function.text}` is {what}, not a network", function.span, help=help)
    known = alias.file.names.items()
    networks = [n for n, d in known if isinstance(d, AliasDef) or (isinstance(d, BlockDef) and d.tree.is_network)]
    help = did_you_mean(function.text, networks)
    return Fault("E0209", f"there is no network `{function.text}`", function.span, help=help)


def _check_given(target: BlockDef, named: dict[str, tuple[Any, Span]]) -> None:
    known = [p.name.text for p in target.tree.params]
    for name, (_, span) in named.items():
        if name not in known:
            help = did_you_mean(name, known) or "it has " + (", ".join(known) or "none")
            raise Fault("E0202", f"{target.name} has no parameter `{name}`", span, help=help)
