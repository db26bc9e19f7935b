"""The passes that compiling runs, in order, each before those that it makes room for."""

from __future__ import annotations

from archdsl.passes.argmax_of_upsample import argmax_of_upsample
from archdsl.passes.common_subexpressions import common_subexpressions
from archdsl.passes.dead_code import dead_code
from archdsl.passes.epilogues import epilogues
from archdsl.passes.fold_batch_norm import fold_batch_norm
from archdsl.passes.gates import gates
from archdsl.passes.inference_only import inference_only
from archdsl.passes.infra import Pass
from archdsl.passes.labels import labels
from archdsl.passes.no_ops import no_ops

REFERENCE = inference_only.name
"""The pass whose result compiled models are held against: what is left for inference, nothing rewritten."""


def passes_for(output: str) -> list[Pass]:
    """The passes for a network that gives "logits" or "labels"."""
    wanted = [labels] if output == "labels" else []
    last = [argmax_of_upsample] if output == "labels" else []
    return [
        inference_only,
        *wanted,
        no_ops,
        common_subexpressions,
        fold_batch_norm,
        *last,
        gates,
        epilogues,
        dead_code,
    ]
