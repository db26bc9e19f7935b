"""Values of a network's parameters from outside: from the command line, and from Python."""

from __future__ import annotations

from typing import Any

from archdsl.diagnostics import ArchError, Diagnostic, Diagnostics, Source
from archdsl.elaborate.evaluate import Evaluator
from archdsl.elaborate.files import SpecFile
from archdsl.elaborate.paths import Paths
from archdsl.elaborate.scope import Scope
from archdsl.elaborate.session import Session, TooLarge
from archdsl.elaborate.values import Fault, Poisoned
from archdsl.lang import tree as t
from archdsl.lang.parser import parse


def parse_value(text: str, name: str = "value") -> Any:
    """The value of an expression written as in a spec: `11`, `[[1], [1, 2]]`, `"fusion"`, `4 * [1]`.

    A lone word that is neither true, false nor none is taken as a string, so that shells need no double quotes.
    `name` is what it is given to, for messages. Raises ArchError for anything that does not parse or evaluate.
    """
    word = text.strip()
    if word.replace("-", "_").isidentifier() and word not in ("true", "false", "none"):
        return word
    source = Source("--set", f"{name} = {text}")
    parsed = parse(source)
    if parsed.diagnostics:
        raise ArchError(parsed.diagnostics)
    entry, *others = parsed.file.entries
    if others or not isinstance(entry, t.Definition):
        second = others[0].span if others else entry.span
        raise ArchError([Diagnostic("E0101", "a parameter is given one value", second, help="repeat `--set`")])
    session = Session(Diagnostics())
    evaluator = Evaluator(session, Scope(SpecFile(parsed.file), {}, Paths("", "", False)))
    try:
        return evaluator.value(entry.value)
    except Fault as fault:
        session.report(fault)
    except TooLarge as over:
        session.diagnostics.add(over.diagnostic)
    except Poisoned:
        pass
    raise ArchError(session.diagnostics.items)


def from_python(value: Any) -> Any:
    """A Python value in the language's terms: sequences become lists. Raises TypeError for what has no counterpart."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [from_python(v) for v in value]
    raise TypeError(f"{type(value).__name__} is no value of the language")
