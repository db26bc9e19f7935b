"""Going on with a run from what its folder says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.network import load
from archdsl.training.callbacks import Callback
from archdsl.training.recipes import overridden
from archdsl.training.recipes.read import recipe_from
from archdsl.training.run_folder import RUN, SPEC, RunFolder
from archdsl.training.setup import Seen
from archdsl.training.train import Trained, train


def resume(
    folder: str | Path,
    *,
    data: str | None = None,
    options: Sequence[str] = (),
    device: str | None = None,
    callbacks: Sequence[Callback] = (),
    seen: Seen = lambda what, done, of: None,
    remark: Callable[[str], None] = lambda text: None,
) -> Trained:
    """Goes on with the run in a folder, to the same result as if it had never stopped.

    That is bit for bit on the CPU with the same number of threads, the same torch and the same settings; `remark` is
    told of what differs. `data` says where the data set is now, `options` change the recipe from here on. Raises
    ArchError E0834 where there is nothing to go on with, and whatever `train` raises.
    """
    run = RunFolder.open(Path(folder))
    facts = run.read()
    if facts.get("kind") == "search":
        help_ = f"archdsl search --resume {folder}"
        raise ArchError([Diagnostic("E0834", f"{folder} is the run of a search, not of a training", help=help_)])
    net = load(str(run.path / SPEC), network=facts["network"], **facts["parameters"])
    recipe = overridden(recipe_from(facts["recipe"], str(run.path / RUN)), options)
    return train(
        net,
        data or facts["data"],
        recipe,
        out=run.path,
        resume=True,
        device=device or facts["numerics"]["device"],
        callbacks=callbacks,
        seen=seen,
        remark=remark,
        given=facts["given"],
    )
