"""The passes that compiling runs, in order, each before those that it makes room for."""

from __future__ import annotations

from archdsl.passes.after_shrinking import after_shrinking
from archdsl.passes.argmax_of_upsample import argmax_of_upsample
from archdsl.passes.below_upsample import below_upsample
from archdsl.passes.common_subexpressions import common_subexpressions
from archdsl.passes.constants import constants
from archdsl.passes.dead_code import dead_code
from archdsl.passes.epilogues import epilogues
from archdsl.passes.fold_batch_norm import fold_batch_norm
from archdsl.passes.fold_into_next import fold_into_next
from archdsl.passes.fold_scalar import fold_scalar
from archdsl.passes.gates import gates
from archdsl.passes.inference_only import inference_only
from archdsl.passes.infra import ADDED, Pass
from archdsl.passes.join_pointwise import join_pointwise
from archdsl.passes.labels import labels
from archdsl.passes.merge_resizes import merge_resizes
from archdsl.passes.monotone_argmax import monotone_argmax
from archdsl.passes.no_ops import no_ops
from archdsl.passes.pad_into_conv import pad_into_conv
from archdsl.passes.parallel_convs import parallel_convs
from archdsl.passes.placed_concat import placed_concat
from archdsl.passes.pooled_bias import pooled_bias
from archdsl.passes.space_to_batch import space_to_batch
from archdsl.passes.split_pointwise import split_pointwise
from archdsl.passes.through_concat import through_concat

REFERENCE = inference_only.name
"""The pass whose result compiled models are held against: what is left for inference, nothing rewritten."""

_TIDY = [no_ops, common_subexpressions, constants]

_FOLD = [below_upsample, fold_scalar, fold_batch_norm, fold_scalar, fold_into_next, through_concat, fold_batch_norm]

_RESTRUCTURE = [
    pad_into_conv,
    pooled_bias,
    split_pointwise,
    below_upsample,
    after_shrinking,
    merge_resizes,
    join_pointwise,
    no_ops,
    parallel_convs,
    space_to_batch,
]


def passes_for(output: str) -> list[Pass]:
    """The passes for a network that gives "logits" or "labels", with those that users added."""
    wanted = [labels] if output == "labels" else []
    classes = [monotone_argmax, argmax_of_upsample] if output == "labels" else []
    return [
        inference_only,
        *wanted,
        *_TIDY,
        *_FOLD,
        *_RESTRUCTURE,
        *ADDED,
        *classes,
        gates,
        epilogues,
        placed_concat,
        dead_code,
    ]
