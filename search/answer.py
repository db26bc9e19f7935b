"""The spec's text with the answer in it, held against every check before anybody sees it."""

from __future__ import annotations

from archdsl.search.plan import Plan
from archdsl.search.write_back import write_back

from archdsl.analyses.gaps import gap_free
from archdsl.diagnostics import ArchError, Diagnostic


def checked_text(plan: Plan, rates: tuple[int, ...], provenance: str) -> str:
    """The text with these rates, read again and checked as `archdsl check` does, and by the exact trace.

    Raises ArchError: E1102 for a text that cannot hold them, E1108 for a hole, and whatever the checks find.
    """
    text = write_back(plan.network, plan.rates, rates, provenance)
    again = plan.network.reread(text)
    if not gap_free(again.ir):
        message = "the exact trace finds a hole with the rates that were found; they are not written"
        raise ArchError([Diagnostic("E1108", message, plan.rates[0].span)])
    return text
