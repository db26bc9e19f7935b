"""Everything that a search needs to go on, in the folder of its run."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from archdsl.search.decode import Rates
from archdsl.search.retry import Retry
from archdsl.search.searcher import Searcher

from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.training.optimizer import restore, tensors_of
from archdsl.training.run_folder import RunFolder
from archdsl.training.state import State, load_state, save_state

Pairs = list[list[Any]]


class SearchState:
    """Saves a search and restores it. `seconds` adds up over the times it was gone on with."""

    def __init__(self, searcher: Searcher, folder: RunFolder) -> None:
        self.searcher, self.folder, self.seconds = searcher, folder, 0.0

    def save(self) -> None:
        """Writes the state; in the first process."""
        if self.searcher.among.first:
            save_state(self.folder.path, State(self._tensors(), self._facts()))

    def restore(self) -> None:
        """Goes on from the folder's state. Raises ArchError E0834 where that cannot be."""
        state, s = load_state(self.folder.path), self.searcher
        try:
            s.module.load_state_dict(state.part("module"))
            restore(s.fit.optimizer, state.part("optimizer"))
            restore(s.alternation.optimizer, state.part("rates"))
            for name, relaxation in s.relaxations.items():
                relaxation.load_state_dict(state.part(f"relaxation.{name}"))
            self._recall(state.facts)
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            message = f"the state in {self.folder.path} is of another network, recipe or version of archdsl"
            raise ArchError([Diagnostic("E0834", message, notes=(str(error).split(chr(10))[0],))]) from error

    def _recall(self, facts: dict[str, Any]) -> None:
        self.searcher.alternation.restore(facts["alternation"])
        if self.searcher.plan.budget is not None:
            self.searcher.plan.budget.multiplier = facts["multiplier"]
        self.seconds = facts["seconds"]
        known = self.searcher.known
        known.retries = [Retry(**retry) for retry in facts["retries"]]
        known.diverged = [(tuple(rates), steps, seed) for rates, steps, seed in facts["diverged"]]
        known.relaxed = facts["relaxed"]
        known.validated = {tuple(rates): scores for rates, scores in facts["validated"]}
        known.seeds = {(tuple(rates), seed): score for rates, seed, score in facts["seeds"]}
        known.decision.rates = tuple(facts["decided"])
        known.decision.inherited = {tuple(rates): score for rates, score in facts["inherited"]}
        known.decision.trained = {(tuple(rates), steps): score for rates, steps, score in facts["trained"]}

    def _tensors(self) -> dict[str, Any]:
        s = self.searcher
        tensors = {f"module.{name}": tensor for name, tensor in s.module.state_dict().items()}
        tensors |= {f"optimizer.{name}": tensor for name, tensor in tensors_of(s.fit.optimizer).items()}
        tensors |= {f"rates.{name}": tensor for name, tensor in tensors_of(s.alternation.optimizer).items()}
        for name, relaxation in s.relaxations.items():
            tensors |= {f"relaxation.{name}.{key}": tensor for key, tensor in relaxation.state_dict().items()}
        return tensors

    def _facts(self) -> dict[str, Any]:
        s, known = self.searcher, self.searcher.known
        return {
            "alternation": s.alternation.facts(),
            "multiplier": 0.0 if s.plan.budget is None else s.plan.budget.multiplier,
            "seconds": self.seconds,
            "retries": [asdict(retry) for retry in known.retries],
            "diverged": [[list(rates), steps, seed] for rates, steps, seed in known.diverged],
            "relaxed": known.relaxed,
            "validated": [[list(rates), scores] for rates, scores in known.validated.items()],
            "seeds": [[list(rates), seed, score] for (rates, seed), score in known.seeds.items()],
            "decided": list(known.decision.rates),
            "inherited": _listed(known.decision.inherited),
            "trained": [[list(rates), steps, score] for (rates, steps), score in known.decision.trained.items()],
        }


def _listed(scores: dict[Rates, float]) -> Pairs:
    return [[list(rates), score] for rates, score in scores.items()]
