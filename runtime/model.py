"""A compiled network: call it, save it, load it."""

from __future__ import annotations

import json
import math
import threading
import warnings
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path

import safetensors.torch
import torch
from archdsl.runtime import artifact
from archdsl.runtime.engines import ENGINES, Engine, Program, Runner, named, place
from archdsl.runtime.manifest import Choice, DType, Manifest
from archdsl.runtime.segment import Image, Segmentation, segment
from safetensors import SafetensorError
from torch import Tensor

from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.ir.graph import Graph
from archdsl.ir.serial import from_json, to_json
from archdsl.ir.state import layout
from archdsl.lower.interpret import bind_sizes, shape_of

DTYPES: dict[DType, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class CompiledModel:
    """A network made ready by an engine. May be called from any thread; outputs are the caller's to keep."""

    def __init__(
        self,
        program: Program,
        engine: Engine,
        manifest: Manifest,
        spec: str,
        report: str = "",
        run: Runner | None = None,
        again: Callable[[Mapping[str, Tensor]], CompiledModel] | None = None,
    ) -> None:
        self.program = program
        self.engine = engine
        self.manifest = manifest
        self.spec = spec
        self.report = report
        self._run = run or engine.prepare(program)
        self._again = again
        self._said: set[tuple[int, ...]] = set()
        self._lock = threading.Lock()

    @property
    def graph(self) -> Graph:
        """The graph as rewritten."""
        return self.program.graph

    def __repr__(self) -> str:
        m = self.manifest
        return f"<CompiledModel {m.network}: {m.output} in {m.dtype} on {m.device}, {self.engine.name}>"

    def memory(self) -> dict[str, int]:
        """Bytes held between calls, by what they are for: the weights, and what the engine says of its own."""
        weights = sum(tensor.numel() * tensor.element_size() for tensor in self.program.weights.values())
        more = getattr(self._run, "memory", dict)
        return {"weights": weights, **more()}

    def profile(self, *inputs: Tensor) -> dict[str, float] | None:
        """Seconds of each step of a call, by the name of a node of `graph`; None where the engine cannot tell."""
        told: Callable[..., dict[str, float]] | None = getattr(self._run, "profile", None)
        if told is None:
            return None
        return told(*(place(tensor, self.program.dtype, self.program.device) for tensor in inputs))

    def update(self, weights: Mapping[str, Tensor]) -> None:
        """Takes other weights, a `state_dict` of the network's module: rewritten, verified, and captured again.

        Calls that are under way end with the old ones. Raises ValueError for an artifact, which does not know the
        network as it was before its rewrites, and for missing weights; otherwise as `compile_graph` does.
        """
        if self._again is None:
            raise ValueError(
                f"{self.manifest.network} comes from an artifact: compile the network with the new weights"
            )
        fresh = self._again({key: tensor.detach().cpu() for key, tensor in weights.items()})
        with self._lock:
            self.program, self.manifest, self._run = fresh.program, fresh.manifest, fresh._run

    def __call__(self, *inputs: Tensor, copy: bool = True) -> Tensor | dict[str, Tensor]:
        """Runs on inputs [N, C, H, W] in the order of the graph; they are brought to the device and dtype.

        Returns the output, or a dict by name where there are several: logits [N, classes, H, W] in the working dtype,
        or labels [N, H, W]. They are the caller's to keep; with `copy` off, an engine may hand out buffers that its
        next call overwrites. Warns once about each size that was not declared, and about each batch that the engine
        was not prepared for. Raises ValueError for inputs that the network does not take.
        """
        names = [node.name for node in self.graph.inputs]
        if len(inputs) != len(names):
            raise ValueError(f"{self.graph.name} takes {len(names)} inputs ({', '.join(names)}), not {len(inputs)}")
        named = dict(zip(names, inputs, strict=True))
        outputs = self.outputs(named, copy=copy)
        self._note_size(named[names[0]])
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def segment(self, image: Image) -> Segmentation:
        """The class of every pixel of one RGB image [H, W, 3], uint8, prepared as the network's text says.

        Raises ValueError for a network that has not one input and one output, and for a size that it does not take.
        """
        inputs = self.graph.inputs
        if len(inputs) != 1 or sum(not out.aux for out in self.graph.outputs) != 1:
            raise ValueError(f"{self.graph.name} has not one input and one output, as segmenting an image needs")
        prepared = self.graph.preprocessing[0][1]
        return segment(
            lambda x: self.outputs({inputs[0].name: x}).popitem()[1],
            image,
            prepared,
            channels=inputs[0].types[0].channels,
        )

    def outputs(self, inputs: Mapping[str, Tensor], *, copy: bool = True) -> dict[str, Tensor]:
        """Outputs by name for inputs by name, at any size the network takes. Raises ValueError as calling does."""
        for name, tensor in inputs.items():
            if tensor.dim() != 4:
                raise ValueError(f"{name} must be [batch, channels, height, width], and has shape {list(tensor.shape)}")
        bind_sizes(self.graph, {name: shape_of(tensor) for name, tensor in inputs.items()})
        placed = [place(inputs[node.name], self.program.dtype, self.program.device) for node in self.graph.inputs]
        run = self._run
        result = (run if copy else getattr(run, "borrowed", run))(*placed)
        named = {self.graph.outputs[0].name: result} if isinstance(result, Tensor) else result
        return {name: self._finish(name, tensor) for name, tensor in named.items()}

    def _note_size(self, first: Tensor) -> None:
        """Says once of a size, or of a batch at a declared size, that it is not what was prepared for."""
        batch, size = first.shape[0], (first.shape[-2], first.shape[-1])
        if not self.program.sizes:
            return
        if size not in self.program.sizes:
            declared = ", ".join(f"{h}x{w}" for h, w in self.program.sizes)
            self._say(size, f"compiled for {declared}; {size[0]}x{size[1]} runs, perhaps slower")
        elif batch != self.program.batch and getattr(self._run, "fixed_batch", False):
            self._say(
                (batch, *size), f"compiled for batch {self.program.batch}; a batch of {batch} runs, perhaps slower"
            )

    def _say(self, key: tuple[int, ...], message: str) -> None:
        with self._lock:
            new = key not in self._said
            self._said.add(key)
        if new:
            warnings.warn(f"{self.manifest.network} was {message}", stacklevel=4)

    def _finish(self, name: str, tensor: Tensor) -> Tensor:
        if self.manifest.output != "labels":
            return tensor
        return tensor[:, 0].to(label_types(self.graph)[name])

    def save(self, folder: str | Path, report: str = "") -> Path:
        """Writes the artifact and returns its folder; `report` is the text of `report.html`.

        An artifact that is there already is replaced. Raises ArchError E0807 when something else stands there, E0803
        when it cannot be written.
        """
        files = {
            "graph.json": json.dumps(to_json(self.graph), indent=1, ensure_ascii=False).encode(),
            "weights.safetensors": safetensors.torch.save(
                {key: tensor.cpu().contiguous() for key, tensor in self.program.weights.items()}
            ),
            "spec.arch": self.spec.encode(),
            "report.html": (report or self.report or _plain_report(self.manifest)).encode(),
        }
        self.manifest = artifact.write(Path(folder), self.manifest, files)
        return Path(folder)


def label_types(graph: Graph) -> dict[str, torch.dtype]:
    """What labels are kept in, by output: uint8 for up to 256 classes, int16 above."""
    counts = {out.name: graph.type_of(graph.by_name[out.value.node].inputs[0]).channels for out in graph.outputs}
    return {name: torch.uint8 if count <= 256 else torch.int16 for name, count in counts.items()}


def _plain_report(manifest: Manifest) -> str:
    facts = escape(manifest.model_dump_json(indent=2, exclude={"files"}))
    return f'<!doctype html>\n<meta charset="utf-8">\n<title>{escape(manifest.network)}</title>\n<pre>{facts}</pre>\n'


def load(folder: str | Path, *, device: str | None = None) -> CompiledModel:
    """The model that was saved in a folder, on the device it was compiled for or another.

    An engine that cannot run here is replaced by the fastest known one that can, with a warning. Raises ArchError E0805
    or E0806 for a folder that is damaged or no artifact, `archdsl.runtime.Unavailable` when the device is missing.
    """
    manifest, graph, weights, files = contents(Path(folder))
    on = torch.device(device or manifest.device)
    program = Program.of(graph, weights, DTYPES[manifest.dtype], on, manifest.sizes, manifest.batch)
    engine, run = _prepared(manifest, program)
    return CompiledModel(program, engine, manifest, files["spec.arch"].decode(), files["report.html"].decode(), run)


def contents(folder: Path) -> tuple[Manifest, Graph, dict[str, Tensor], dict[str, bytes]]:
    """The manifest, network and weights of an artifact, and its files. Raises ArchError as `load` does."""
    manifest, files = artifact.read(folder)
    graph = _graph(folder, files["graph.json"])
    return manifest, graph, _weights(folder, graph, files["weights.safetensors"], DTYPES[manifest.dtype]), files


def _prepared(manifest: Manifest, program: Program) -> tuple[Engine, Runner]:
    wanted = manifest.engines[0].engine
    try:
        engine = named(wanted, program)
        return engine, engine.prepare(program)
    except (ValueError, RuntimeError, ImportError) as error:
        instead = _instead(manifest.engines[0], program)
        warnings.warn(f"{manifest.network} was compiled for {wanted}: {error}; {instead.name} runs it", stacklevel=3)
        return instead, instead.prepare(program)


def _instead(choice: Choice, program: Program) -> Engine:
    """Of the engines that run here the one that took least where the network was compiled, or the first."""
    able = [engine for engine in ENGINES.values() if engine.available(program) is None]
    right = [engine for engine in able if engine.name not in choice.skipped]
    return min(right or able, key=lambda engine: choice.milliseconds.get(engine.name, math.inf))


def _damaged(path: Path, what: object) -> ArchError:
    return ArchError([Diagnostic("E0806", f"{path} is damaged: {what}", help="compile the spec again")])


def _graph(folder: Path, content: bytes) -> Graph:
    try:
        return from_json(json.loads(content))
    except (ValueError, RecursionError) as error:
        raise _damaged(folder / "graph.json", error) from error


def _weights(folder: Path, graph: Graph, content: bytes, dtype: torch.dtype) -> dict[str, Tensor]:
    """The weights of a graph, exactly those it reads, each of its shape."""
    path = folder / "weights.safetensors"
    try:
        weights = safetensors.torch.load(content)
    except (SafetensorError, ValueError) as error:
        raise _damaged(path, error) from error
    expected = layout(graph)
    if set(weights) != set(expected):
        odd = min(set(weights) ^ set(expected))
        raise _damaged(path, f"{odd} is there and not needed, or needed and not there")
    for key, tensor in weights.items():
        if tuple(tensor.shape) != expected[key].shape or tensor.dtype != dtype:
            raise _damaged(path, f"{key} is {list(tensor.shape)} in {tensor.dtype}, and not as the graph needs it")
    return weights
