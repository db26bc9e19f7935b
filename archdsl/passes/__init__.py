"""Rewrites of graphs, one a file. Each says where it fired and, where it did not, why."""

from archdsl.passes.fold_batch_norm import fold_batch_norm
from archdsl.passes.inference_only import inference_only
from archdsl.passes.infra import PASSES, Declined, Pass, PassResult, register, run_passes

__all__ = [
    "PASSES",
    "Declined",
    "Pass",
    "PassResult",
    "fold_batch_norm",
    "inference_only",
    "register",
    "run_passes",
]
