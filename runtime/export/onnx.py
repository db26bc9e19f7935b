"""ONNX, by torch's own exporter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from archdsl.runtime.export.pools import spell_peaks
from archdsl.runtime.export.traced import open_axes, quiet, traced
from torch import Tensor, fx

from archdsl.ir.graph import Graph
from archdsl.lower.fx import lower_fx
from archdsl.passes import plain


def to_onnx(graph: Graph, weights: Mapping[str, Tensor], inputs: Sequence[Tensor], *, dynamic: bool) -> bytes:
    """The network as an ONNX model: inputs and outputs go by their names in the text.

    With `dynamic`, batch, height and width are open, else they are those of `inputs`. Raises RuntimeError when the
    exporter cannot express it.
    """
    apart = plain(graph, weights)
    return module_to_onnx(lower_fx(apart.graph, apart.weights), graph, inputs, {}, dynamic=dynamic)


def module_to_onnx(
    module: fx.GraphModule, graph: Graph, inputs: Sequence[Tensor], about: Mapping[str, str], *, dynamic: bool
) -> bytes:
    """The same of a graph's module, with what is to be known about it in the model's metadata."""
    spell_peaks(module)
    program = traced(module, graph, inputs, dynamic=dynamic)
    outputs = [out.name for out in graph.outputs if not out.aux]
    with quiet():
        exported = torch.onnx.export(program, dynamo=True, verbose=False, output_names=outputs)
    assert exported is not None
    model = exported.model_proto
    if dynamic:
        _name_axes(model.graph, open_axes(graph))
    for key, value in about.items():
        model.metadata_props.add(key=key, value=value)
    content: bytes = model.SerializeToString()
    return content


def _name_axes(graph: Any, names: Sequence[Mapping[int, str]]) -> None:
    """Gives open axes the names of the text, in place of the exporter's numbered ones."""
    renamed: dict[str, str] = {}
    for value, axes in zip(graph.input, names, strict=True):
        dims = value.type.tensor_type.shape.dim
        renamed |= {dims[axis].dim_param: name for axis, name in axes.items() if dims[axis].dim_param}
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in renamed:
                dim.dim_param = renamed[dim.dim_param]
