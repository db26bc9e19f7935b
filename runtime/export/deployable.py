"""An artifact as exporters take it: plain ops, outputs in the form that `archdsl.runtime` gives, and how to use it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from archdsl.runtime.export.pools import open_means
from archdsl.runtime.manifest import Manifest
from archdsl.runtime.model import DTYPES, contents, label_types
from torch import Tensor, fx

from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.ir.graph import Graph
from archdsl.lower.fx import lower_fx
from archdsl.lower.interpret import plain_symbol
from archdsl.lower.verify import Verification, VerificationSize, another_size, noise_for, verification_size, verify
from archdsl.passes import as_scores, plain

Run = Callable[[Sequence[Tensor]], Sequence[Tensor]]
"""What an exported file computes: outputs for inputs, both in the order of the graph."""


@dataclass(frozen=True)
class Deployable:
    """`size` is the (height, width) that is fixed in the export; None leaves batch and size open."""

    graph: Graph
    weights: Mapping[str, Tensor]
    manifest: Manifest
    dtype: torch.dtype
    size: tuple[int, int] | None = None

    @classmethod
    def of(cls, folder: Path, size: tuple[int, int] | None = None) -> Deployable:
        """What an artifact's folder holds. Raises ArchError as `archdsl.runtime.load` does."""
        manifest, graph, weights, _ = contents(folder)
        apart = plain(graph, weights)
        return cls(apart.graph, apart.weights, manifest, DTYPES[manifest.dtype], size)

    def widened(self, dtypes: Sequence[torch.dtype]) -> Deployable:
        """The same in float32 where a format's runtimes do not compute in the artifact's dtype."""
        if self.dtype in dtypes:
            return self
        weights = {key: tensor.float() for key, tensor in self.weights.items()}
        return Deployable(self.graph, weights, self.manifest, torch.float32, self.size)

    @property
    def outputs(self) -> list[str]:
        return [out.name for out in self.graph.outputs if not out.aux]

    @property
    def about(self) -> dict[str, str]:
        """What a program needs to know to use the exported file, each as JSON."""
        facts = {
            "network": self.manifest.network,
            "parameters": self.manifest.parameters,
            "output": self.manifest.output,
            "preprocessing": {name: asdict(steps) for name, steps in self.graph.preprocessing},
            "class_names": self.manifest.class_names,
            "palette": self.manifest.palette,
        }
        return {f"archdsl.{key}": json.dumps(value) for key, value in facts.items() if value is not None}

    def module(self) -> fx.GraphModule:
        """The network as torch calls; labels leave as [N, H, W] in the type that a CompiledModel gives them."""
        module = lower_fx(self.graph, self.weights)
        if self.manifest.output == "labels":
            _squeeze_labels(module, list(label_types(self.graph).values()))
        if self.size is None:
            open_means(module)
        return module

    def at(self) -> VerificationSize:
        """Where the export is held against the oracle: its own size, or one that shows every tap."""
        if self.size is None:
            return verification_size(self.graph)
        node = self.graph.inputs[0].types[0]
        symbols = (plain_symbol(node.height), plain_symbol(node.width))
        return VerificationSize({name: n for name, n in zip(symbols, self.size, strict=True) if name is not None}, True)

    def samples(self) -> list[Tensor]:
        """Inputs [1, C, H, W] of that size."""
        made = noise_for(self.graph, self.at().values)
        return [made[node.name].to(self.dtype) for node in self.graph.inputs]

    def check(self, run: Run) -> Verification:
        """Holds what was exported against the oracle in float64. Raises InternalError when it differs.

        What leaves its size open is held against it at a second size, too: exporters turn sizes that they should
        follow into constants, and what they made is right at the one size that they saw. Raises ArchError E0815 then.
        """
        found = self._held(run, self.at())
        other = another_size(self.graph, found.sizes) if self.size is None else None
        if other is not None:
            try:
                self._held(run, other)
            except ArchError:
                raise
            except Exception as error:  # runtimes raise whatever they like where a constant does not fit
                raise self._bound(found.sizes, other.values) from error
        return found

    def _bound(self, seen: Mapping[str, int], other: Mapping[str, int]) -> ArchError:
        one, two = ("x".join(map(str, sizes.values())) for sizes in (seen, other))
        message = (
            f"{self.manifest.network} cannot be exported for any size: the file is right at {one} and not at {two}"
        )
        help = f"fix its size and a batch of one: --input HxW, as in --input {one}"
        return ArchError([Diagnostic("E0815", message, help=help)])

    def _held(self, run: Run, at: VerificationSize) -> Verification:
        def named(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
            found = run([inputs[node.name] for node in self.graph.inputs])
            return dict(zip(self.outputs, found, strict=True))

        compared = as_scores(self.graph) if self.manifest.output == "labels" else self.graph
        return verify(compared, self.weights, named, self.dtype, self.manifest.output, at=at)


def _squeeze_labels(module: fx.GraphModule, types: Sequence[torch.dtype]) -> None:
    (out,) = module.graph.find_nodes(op="output")
    given = out.args[0]
    with module.graph.inserting_before(out):
        if isinstance(given, fx.Node):
            out.args = (_squeezed(module.graph, given, types[0]),)
        else:
            assert isinstance(given, dict)
            pairs = zip(given.items(), types, strict=True)
            out.args = ({name: _squeezed(module.graph, node, dtype) for (name, node), dtype in pairs},)
    module.recompile()


def _squeezed(graph: fx.Graph, labels: object, dtype: torch.dtype) -> fx.Node:
    assert isinstance(labels, fx.Node)
    return graph.call_method("to", (graph.call_method("select", (labels, 1, 0)), dtype))


def cannot(deployable: Deployable, format: str, error: BaseException) -> ArchError:
    """A network with something in it that a format, or the exporter to it, has no word for."""
    # exporters wrap what went wrong in advice on how to report it
    while error.__cause__ is not None:
        error = error.__cause__
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    at = "x".join(map(str, deployable.at().values.values()))
    fixed = f"a fixed size may do, --input HxW, as in --input {at}; or " if deployable.size is None else ""
    message = f"{deployable.manifest.network} cannot be exported to {format}: {reason}"
    return ArchError([Diagnostic("E0815", message, help=f"{fixed}another format may take it")])
