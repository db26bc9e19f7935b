"""What a terminal shows of a search: a live table of its rates, and lines about the trainings that follow."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.cli.training_progress import Reading

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from archdsl.search.retry import Retry
    from archdsl.search.searcher import Searcher

_TABLES = 4
"""Tables that a search prints where there is no terminal."""


class SearchProgress:
    """To be told of what happens. A live table on a terminal, else a table now and then; lines for trainings."""

    def __init__(self, reading: Reading, quiet: bool = False) -> None:
        """`quiet` says nothing on standard output."""
        self._reading, self._quiet = reading, quiet
        self._live: Live | None = None
        self._printed = 0.0

    def __call__(self, event: str, *about: Any) -> None:
        handler = getattr(self, f"_{event}", None)
        if event == "started":
            self._reading.close()
        if handler is not None and not self._quiet:
            handler(*about)

    def close(self) -> None:
        """Ends what is live."""
        self._reading.close()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _started(self, searcher: Searcher, folder: Path) -> None:
        plan, setup = searcher.plan, searcher.setup
        print(f"{plan.network.name}: {len(plan.rates)} rates, {plan.spread} candidates, by {plan.wish.method}")
        print(
            f"{setup.recipe.title or 'a recipe without a title'}: {setup.steps} steps of {setup.recipe.batch} on "
            f"{setup.data_name}, {len(setup.train)} images for weights and {len(searcher.judging.train)} for rates"
        )
        if searcher.alternation.step:
            print(f"going on from step {searcher.alternation.step}")
        print(f"run: {folder}", flush=True)
        if sys.stdout.isatty() and not searcher.alternation.done:
            from rich.live import Live

            self._live = Live(rate_table(searcher), refresh_per_second=4)
            self._live.start()

    def _settled(self, searcher: Searcher) -> None:
        if self._live is not None:
            self._live.update(rate_table(searcher))
        elif searcher.alternation.step >= self._printed + searcher.steps / _TABLES or searcher.alternation.done:
            self._printed = searcher.alternation.step
            _print(rate_table(searcher))

    def _retried(self, retry: Retry) -> None:
        print(
            f"no number any more at step {retry.noticed}: going on from step {retry.back} with {retry.factor:g} of the "
            "learning rate",
            flush=True,
        )

    def _training(self, rates: Sequence[int], steps: int, seed: int) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        print(f"training {_said(rates)} for {steps} steps, seed {seed}:", end=" ", flush=True)

    def _trained(self, rates: Sequence[int], steps: int, score: float) -> None:
        print(f"mIoU {score:.4f}", flush=True)


def rate_table(searcher: Searcher) -> Table:
    """A row per rate: its block, start, what it would be now, its bound, how undecided it is."""
    from rich.table import Table

    from archdsl.search.space import labels

    search, plan = searcher.alternation, searcher.plan
    losses = search.trace.losses
    loss = f", loss {losses[-1]:.3f}" if losses else ""
    table = Table(title=f"step {search.step}/{searcher.steps}{loss}", title_justify="left")
    for name in ("block", "line", "start", "now", "bound", "entropy"):
        table.add_column(name, justify="left" if name == "block" else "right")
    now = searcher.masks.decided()
    rows = zip(plan.rates, labels(plan.rates), searcher.relaxations.values(), strict=True)
    for index, (rate, name, relaxation) in enumerate(rows):
        bound = plan.bounds.bound_of(index, now)
        undecided = entropy(relaxation.shares(search.progress).tolist())
        moved = f"[bold]{now[index]}[/]" if now[index] != rate.start else str(now[index])
        row = (name, str(rate.span.line), str(rate.start), moved, "?" if bound is None else str(bound))
        table.add_row(*row, f"{undecided:.2f}")
    return table


def entropy(shares: Sequence[float]) -> float:
    """In nats: 0 for a rate that is decided, the logarithm of their number where all are alike."""
    return abs(sum(share * math.log(share) for share in shares if share > 0))


def found_table(record: dict[str, Any]) -> None:
    """Prints the answer."""
    from rich.table import Table

    table = Table(title=f"{record['network']}, {record['seconds']:.0f} s", title_justify="left")
    for name in ("block", "line", "start", "found", "bound"):
        table.add_column(name, justify="left" if name == "block" else "right")
    for rate in record["rates"]:
        found = f"[bold]{rate['found']}[/]" if rate["found"] != rate["start"] else str(rate["found"])
        bound = "?" if rate["bound"] is None else str(rate["bound"])
        table.add_row(rate["where"], str(rate["line"]), str(rate["start"]), found, bound)
    _print(table)


def _print(table: Table) -> None:
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 80).print(table)
    sys.stdout.flush()


def _said(rates: Sequence[int]) -> str:
    return "[" + ", ".join(str(rate) for rate in rates) + "]"
