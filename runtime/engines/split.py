"""Several engines for one network, each for a part of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from archdsl.runtime.engines.eager import eager
from archdsl.runtime.engines.parts import Part, split
from archdsl.runtime.engines.program import Program, Unavailable
from archdsl.runtime.engines.registry import ENGINES, Engine, Outputs, Runner
from archdsl.runtime.engines.samples import NO_SIZES, per_size
from torch import Tensor

from archdsl.ir.graph import Ref


class Split:
    """Engines one after the other. Its name tells all of it: `native:y.relu1+onnxruntime` is engine native as far as
    node y.relu1 of the rewritten network, and ONNX Runtime from there on. Sizes not declared run in eager PyTorch.
    """

    def __init__(self, engines: Sequence[Engine], behind: Sequence[str]) -> None:
        self.engines, self.behind = tuple(engines), tuple(behind)
        ends = [*(f":{node}" for node in behind), ""]
        self.name = "+".join(f"{engine.name}{end}" for engine, end in zip(engines, ends, strict=True))
        self.own = all(engine.own for engine in engines)
        self.seconds = sum(engine.seconds for engine in dict.fromkeys(engines))

    @classmethod
    def of(cls, name: str) -> Split:
        """The split of a name. Raises ValueError for one that is none, or has an engine that is unknown."""
        parts = [part.partition(":") for part in name.split("+")]
        wrong = [engine for engine, _, _ in parts if engine not in ENGINES]
        behind = [node for _, _, node in parts]
        if wrong or len(parts) < 2 or not all(behind[:-1]) or behind[-1]:
            names = f"auto, own, {', '.join(ENGINES)}, or a split such as native:NODE+onnxruntime"
            raise ValueError(f"there is no engine {name}; there are {names}")
        return cls([ENGINES[engine] for engine, _, _ in parts], behind[:-1])

    def parts(self, program: Program, size: tuple[int, int]) -> list[Part]:
        """The parts in the order of the engines. Raises ValueError where the network cannot be cut there."""
        return split(program, self.behind, size)

    def available(self, program: Program) -> str | None:
        if not program.sizes:
            return NO_SIZES
        try:
            parts = self.parts(program, program.sizes[0])
        except ValueError as error:
            return str(error)
        for engine, part in zip(self.engines, parts, strict=True):
            if (reason := engine.available(part.program)) is not None:
                return f"{engine.name}: {reason}"
        return None

    def prepare(self, program: Program) -> Runner:
        sizes = iter(program.sizes)

        def compiled(_: tuple[Tensor, ...]) -> Runner:
            parts = self.parts(program, next(sizes))
            runs = [engine.prepare(part.program) for engine, part in zip(self.engines, parts, strict=True)]
            return _one_after_another(program, parts, runs)

        return per_size(program, compiled, eager.prepare(program))


def _one_after_another(program: Program, parts: Sequence[Part], runs: Sequence[Runner]) -> Runner:
    names = [Ref(node.name) for node in program.graph.inputs]
    wanted = {out.name: out.value for out in program.graph.outputs}
    later = [{ref for part in parts[i:] for ref in part.reads} | set(wanted.values()) for i in range(1, len(parts) + 1)]

    def run(*inputs: Tensor) -> Outputs:
        values = dict(zip(names, inputs, strict=True))
        for part, work, needed in zip(parts, runs, later, strict=True):
            made = work(*(_channels_last(values[ref]) for ref in part.reads))
            tensors = (made,) if isinstance(made, Tensor) else tuple(made.values())
            values.update(zip(part.gives, tensors, strict=True))
            values = {ref: tensor for ref, tensor in values.items() if ref in needed}
        results = {name: values[ref] for name, ref in wanted.items()}
        return results if len(results) > 1 else next(iter(results.values()))

    return run


def _channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last)


def named(name: str, program: Program) -> Engine:
    """The engine of a name. Raises ValueError for an unknown one, Unavailable when it cannot run the program here."""
    engine = ENGINES[name] if name in ENGINES else Split.of(name)
    reason = engine.available(program)
    if reason is not None:
        raise Unavailable(f"{name} cannot run: {reason}")
    return engine
