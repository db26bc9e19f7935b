"""Rewrites of graphs, one a file. Each says where it fired and, where it did not, why."""

from archdsl.passes.argmax_of_upsample import argmax_of_upsample
from archdsl.passes.common_subexpressions import common_subexpressions
from archdsl.passes.costs import Costs
from archdsl.passes.dead_code import dead_code
from archdsl.passes.epilogues import epilogues
from archdsl.passes.fold_batch_norm import fold_batch_norm
from archdsl.passes.gates import gates
from archdsl.passes.inference_only import inference_only
from archdsl.passes.infra import PASSES, Declined, Pass, PassResult, register, run_passes
from archdsl.passes.labels import as_scores, labels
from archdsl.passes.no_ops import no_ops
from archdsl.passes.pipeline import REFERENCE, passes_for
from archdsl.passes.plain import plain

__all__ = [
    "PASSES",
    "REFERENCE",
    "Costs",
    "Declined",
    "Pass",
    "PassResult",
    "argmax_of_upsample",
    "as_scores",
    "common_subexpressions",
    "dead_code",
    "epilogues",
    "fold_batch_norm",
    "gates",
    "inference_only",
    "labels",
    "no_ops",
    "passes_for",
    "plain",
    "register",
    "run_passes",
]
