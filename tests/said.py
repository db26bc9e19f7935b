"""What is said about a spec: for the tests of errors."""

from __future__ import annotations

from archdsl.checking import Checked, check_network
from archdsl.diagnostics import Diagnostic
from archdsl.spec import Spec


def every_network(spec: Spec) -> list[Checked]:
    """Every network of a spec after its checks; a spec without one is checked too."""
    return [check_network(spec, name) for name in spec.networks] or [check_network(spec)]


def diagnostics(spec: Spec) -> list[Diagnostic]:
    """What is said about the networks of a spec; what holds for all of them is taken once."""
    said = [d for checked in every_network(spec) for d in checked.diagnostics]
    return list({(d.code, d.span, d.message): d for d in said}.values())


def errors(text: str, above: int = 0) -> list[str]:
    """Every diagnostic of a text as `code line`, lines counted from the one after the first `above`."""
    found = diagnostics(Spec.parse(text, "spec.arch"))
    return [f"{d.code} {d.span.line - above}" for d in found if d.span is not None]


def only(statements: str) -> Diagnostic:
    """The one diagnostic of a network with these statements."""
    text = f"arch 1\nnetwork Net {{\n  in image [3, H, W]\n{statements}\nout last = image -> bn\n}}\n"
    (diagnostic,) = diagnostics(Spec.parse(text, "spec.arch"))
    return diagnostic
