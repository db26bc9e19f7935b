"""Rewrites of graphs, one a file. Each says where it fired and, where it did not, why.

Beside them stand the contract of a pass (`infra`), the order in which compiling runs them (`pipeline`), what changes a
graph (`edit`), what judges a change (`costs`, `judged`), and what several of them know: scales and shifts (`affine`),
convolutions over concatenations (`slices`), and which neighbours change places (`commuting`).
"""

from archdsl.passes.after_shrinking import after_shrinking
from archdsl.passes.argmax_of_upsample import argmax_of_upsample
from archdsl.passes.below_upsample import below_upsample
from archdsl.passes.common_subexpressions import common_subexpressions
from archdsl.passes.constants import constants
from archdsl.passes.costs import Costs
from archdsl.passes.dead_code import dead_code
from archdsl.passes.epilogues import epilogues
from archdsl.passes.fold_batch_norm import fold_batch_norm
from archdsl.passes.fold_into_next import fold_into_next
from archdsl.passes.fold_scalar import fold_scalar
from archdsl.passes.gates import gates
from archdsl.passes.inference_only import inference_only
from archdsl.passes.infra import PASSES, Declined, Pass, PassResult, add, register, run_passes
from archdsl.passes.join_pointwise import join_pointwise
from archdsl.passes.labels import as_scores, labels
from archdsl.passes.merge_resizes import merge_resizes
from archdsl.passes.monotone_argmax import monotone_argmax
from archdsl.passes.no_ops import no_ops
from archdsl.passes.pad_into_conv import pad_into_conv
from archdsl.passes.parallel_convs import parallel_convs
from archdsl.passes.pipeline import REFERENCE, passes_for
from archdsl.passes.placed_concat import placed_concat
from archdsl.passes.plain import plain
from archdsl.passes.pooled_bias import pooled_bias
from archdsl.passes.space_to_batch import space_to_batch
from archdsl.passes.split_pointwise import split_pointwise
from archdsl.passes.through_concat import through_concat

__all__ = [
    "PASSES",
    "REFERENCE",
    "Costs",
    "Declined",
    "Pass",
    "PassResult",
    "add",
    "after_shrinking",
    "argmax_of_upsample",
    "as_scores",
    "below_upsample",
    "common_subexpressions",
    "constants",
    "dead_code",
    "epilogues",
    "fold_batch_norm",
    "fold_into_next",
    "fold_scalar",
    "gates",
    "inference_only",
    "join_pointwise",
    "labels",
    "merge_resizes",
    "monotone_argmax",
    "no_ops",
    "pad_into_conv",
    "parallel_convs",
    "passes_for",
    "placed_concat",
    "plain",
    "pooled_bias",
    "register",
    "run_passes",
    "space_to_batch",
    "split_pointwise",
    "through_concat",
]
