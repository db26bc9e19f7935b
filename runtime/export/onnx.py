"""ONNX, by torch's own exporter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from archdsl.runtime.export.traced import quiet, traced
from torch import Tensor

from archdsl.ir.graph import Graph
from archdsl.passes import plain


def to_onnx(graph: Graph, weights: Mapping[str, Tensor], inputs: Sequence[Tensor], *, dynamic: bool) -> bytes:
    """The network as an ONNX model: inputs and outputs go by their names in the text.

    With `dynamic`, batch, height and width are open, else they are those of `inputs`. Raises RuntimeError when the
    exporter cannot express it.
    """
    apart = plain(graph, weights)
    program = traced(apart.graph, apart.weights, inputs, dynamic=dynamic)
    outputs = [out.name for out in graph.outputs if not out.aux]
    with quiet():
        exported = torch.onnx.export(program, dynamo=True, verbose=False, output_names=outputs)
    assert exported is not None
    content: bytes = exported.model_proto.SerializeToString()
    return content
