"""From graph and weights to a verified, compiled model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast, get_args

import torch
from archdsl.runtime.choose import TUNE_SECONDS, choose
from archdsl.runtime.costs import costs_on
from archdsl.runtime.engines import Engine, Program, Runner
from archdsl.runtime.engines.program import check_device
from archdsl.runtime.engines.samples import sample_inputs
from archdsl.runtime.machine import hand_back_memory, versions
from archdsl.runtime.manifest import DType, Manifest, PassRecord, WeightsKind
from archdsl.runtime.model import DTYPES, CompiledModel
from torch import Tensor

from archdsl.ir.graph import Graph
from archdsl.ir.state import layout
from archdsl.lower.module import ArchModule
from archdsl.lower.verify import Verification, verify, verify_at
from archdsl.passes import REFERENCE, PassResult, as_scores, passes_for, run_passes

OutputKind = Literal["logits", "labels"]


@dataclass(frozen=True)
class Description:
    """What an artifact remembers besides the network: its text, parameters, and the classes it was trained for.

    `weights` is "random" for weights as they were drawn.
    """

    spec: str = ""
    parameters: Mapping[str, Any] | None = None
    class_names: tuple[str, ...] | None = None
    palette: tuple[tuple[int, int, int], ...] | None = None
    weights: WeightsKind = "given"


def compile(
    model: ArchModule,
    *,
    sizes: Sequence[tuple[int, int]] = (),
    dtype: DType | torch.dtype = "float32",
    device: str = "cpu",
    engine: str = "auto",
    output: OutputKind = "logits",
    batch: int = 1,
    tune: float = TUNE_SECONDS,
    description: Description | None = None,
) -> CompiledModel:
    """A module with its present weights, compiled; see `compile_graph`. Later training does not change the result.

    Text and parameters of the network it was made from go into the description where that has none. Raises TypeError
    for anything but a module.
    """
    given: object = model
    if not isinstance(given, ArchModule):
        help = ": compile net.module()" if hasattr(given, "module") else ""
        raise TypeError(f"compile takes the module of a network, not {type(given).__name__}{help}")
    description, network = description or Description(), model.network
    if network is not None and not description.spec:
        description = replace(description, spec=network.source, parameters=network.parameters)
    name = cast(DType, str(dtype).removeprefix("torch."))
    weights = {key: tensor.detach().cpu() for key, tensor in model.state_dict().items()}
    return compile_graph(
        model.graph,
        weights,
        sizes=sizes,
        dtype=name,
        device=device,
        engine=engine,
        output=output,
        batch=batch,
        tune=tune,
        description=description,
    )


def compile_graph(
    graph: Graph,
    weights: Mapping[str, Tensor],
    *,
    sizes: Sequence[tuple[int, int]] = (),
    dtype: DType = "float32",
    device: str = "cpu",
    engine: str = "auto",
    output: OutputKind = "logits",
    batch: int = 1,
    tune: float = TUNE_SECONDS,
    description: Description | None = None,
) -> CompiledModel:
    """Rewrites a network for inference, prepares it for an engine, and verifies it against the oracle.

    `weights` holds every key of the layout; `sizes` are the (height, width) that will be used, `batch` the images of a
    call; any others run too and say so once. With output "labels" the result is the class of each pixel, [N, H, W] in
    uint8 (int16 above 256 classes), instead of logits. Engine "auto" measures those that can be ready in `tune` seconds
    at the declared sizes; what is chosen is verified. Raises ValueError for missing weights, an unknown dtype or
    engine, or a size that the network does not take; `archdsl.runtime.Unavailable` for what this machine lacks;
    ArchError E0808 when values overflow in `dtype`; InternalError when the result does not verify.
    """
    _check_request(dtype, device, output, sizes)
    missing = sorted(set(layout(graph)) - set(weights))
    if missing:
        raise ValueError(f"{len(missing)} weights of {graph.name} are missing, {missing[0]} first")
    place = torch.device(device)
    check_device(place)
    rewritten, each = run_passes(graph, weights, passes_for(output), costs_on(place, dtype, sizes))
    program = Program.of(rewritten.graph, rewritten.weights, DTYPES[dtype], place, tuple(sizes), batch)
    described = description or Description()
    passes = [_record(name, result) for name, result in each.items()]
    manifest = _manifest(graph, program, output, described).model_copy(update={"passes": passes})
    reference = each[REFERENCE]
    compared = as_scores(reference.graph) if output == "labels" else reference.graph
    # what passes made on the way would be held as long as engines are prepared and compared
    del rewritten, each
    proofs: dict[str, Verification] = {}

    def prove(candidate: Engine, run: Runner) -> None:
        model = CompiledModel(program, candidate, manifest, described.spec, run=run)
        hand_back_memory()  # that of packing weights: what verification holds comes on top
        found = verify(compared, reference.weights, model.outputs, DTYPES[dtype], output, device=device)
        proofs[candidate.name] = replace(found, declared=dict(_at_declared(model, compared, reference.weights, found)))

    chosen = choose(engine, program, prove, tune)
    made = {"engines": list(chosen.records), "verification": proofs[chosen.engine.name]}

    def again(changed: Mapping[str, Tensor]) -> CompiledModel:
        return compile_graph(
            graph,
            changed,
            sizes=sizes,
            dtype=dtype,
            device=device,
            engine=chosen.engine.name,
            output=output,
            batch=batch,
            description=replace(described, weights="given"),
        )

    complete = manifest.model_copy(update=made)
    return CompiledModel(program, chosen.engine, complete, described.spec, run=chosen.run, again=again)


def _at_declared(
    model: CompiledModel, graph: Graph, weights: Mapping[str, Tensor], found: Verification
) -> Iterator[tuple[str, float]]:
    """The error at each declared size, where engines may run other code than elsewhere. Raises InternalError."""
    program = model.program
    for size, sample in zip(program.sizes, sample_inputs(program), strict=True):
        inputs = {node.name: tensor for node, tensor in zip(program.graph.inputs, sample, strict=True)}
        yield f"{size[0]}x{size[1]}", verify_at(graph, weights, model.outputs, inputs, program.dtype, found)


def _check_request(dtype: str, device: str, output: str, sizes: Any) -> None:
    """Refuses what nothing could be compiled for. Raises ValueError."""
    if dtype not in DTYPES:
        raise ValueError(f"dtype is one of {', '.join(DTYPES)}, not {dtype}")
    if output not in get_args(OutputKind):
        raise ValueError(f"output is one of {', '.join(get_args(OutputKind))}, not {output}")
    if not all(isinstance(size, tuple | list) and len(size) == 2 for size in sizes):
        raise ValueError(f"sizes are pairs (height, width), as in [(512, 1024)], and not {sizes!r}")
    try:
        torch.device(device)
    except RuntimeError:
        raise ValueError(f"device is cpu or cuda, not {device}") from None


def _manifest(graph: Graph, program: Program, output: OutputKind, description: Description) -> Manifest:
    return Manifest(
        network=graph.name,
        parameters=dict(description.parameters or {}),
        sizes=list(program.sizes),
        batch=program.batch,
        dtype=cast(DType, str(program.dtype).removeprefix("torch.")),
        device=str(program.device),
        output=output,
        engines=[],
        class_names=description.class_names,
        palette=description.palette,
        weights=description.weights,
        versions=versions(),
    )


def _record(name: str, result: PassResult) -> PassRecord:
    return PassRecord(name=name, fired=list(result.fired), declined=list(result.declined))
