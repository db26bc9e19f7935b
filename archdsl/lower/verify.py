"""Comparing what compiles with the oracle in float64, at a size at which a wrong dilation cannot hide."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import cast

import torch
from torch import Tensor

from archdsl.analyses.cost import macs
from archdsl.diagnostics import ArchError, Diagnostic, InternalError
from archdsl.ir.dims import Size, Solutions, positive_for, value_at
from archdsl.ir.graph import Graph, Node
from archdsl.ir.op import OPS
from archdsl.lower.oracle import run

Weights = Mapping[str, Tensor]
Outputs = Mapping[str, Tensor]

FLOORS = {torch.float32: 1e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}
"""Error relative to the rms of the output that is always allowed, by dtype."""

LABEL_FLOOR = 1e-5
"""Share of clear pixels whose label may differ in any case."""

CLEAR = {torch.float32: 1e-5, torch.float16: 2**-11, torch.bfloat16: 2**-8}
"""A pixel is clear when its two largest logits differ by more than this part of the largest."""

MAX_MACS = 6e9
"""A verification in float64 costs seconds, and no more: multiply-adds at its input size."""

_BAND = 64
_SMALLEST = 64
_WIDER = 32
_MOVED = (41, 7)


@dataclass(frozen=True)
class VerificationSize:
    """The sizes to verify at, by symbol, and whether every tap of every window can fall inside its map there."""

    values: dict[str, int]
    every_tap: bool


@dataclass(frozen=True)
class Verification:
    """What a comparison with the oracle found.

    `error` and `eager_error` (of plain eager in the same dtype) are the rms of the difference over the rms of the
    float64 output, the worst over outputs; for labels, the share of clear pixels that differ. The result is accepted
    when error ≤ 2 · eager_error + floor. Where it would not be, `eager_error` is that of eager with every weight
    rounded otherwise, if that is larger: what a network that amplifies rounding gives is one draw of many. `declared`
    has the error at each size that was declared, against float32.
    """

    sizes: dict[str, int]
    every_tap: bool
    output: str
    error: float
    eager_error: float
    floor: float
    declared: dict[str, float] = field(default_factory=dict)

    @property
    def limit(self) -> float:
        return 2 * self.eager_error + self.floor

    @property
    def passed(self) -> bool:
        return self.error <= self.limit


def verification_size(graph: Graph, max_macs: float = MAX_MACS) -> VerificationSize:
    """The smallest allowed input at which each tap of each window reads inside its map at some position.

    At a smaller one, the outer taps of a large dilation would read padding only, and a wrong rate would not show. Where
    it costs more than `max_macs`, a smaller one all the same, marked as not seeing every tap.
    """
    values = _smallest(graph)
    if macs(graph, values) <= max_macs:
        return VerificationSize(values, True)
    while macs(graph, values) > max_macs:
        smaller = {name: _allowed(graph, name, int(size * 0.8)) for name, size in values.items()}
        if smaller == values or min(smaller.values()) < _SMALLEST:
            break
        values = smaller
    return VerificationSize(values, False)


def another_size(graph: Graph, values: Mapping[str, int]) -> VerificationSize | None:
    """The next larger allowed input of another shape, or None where the network takes no other."""
    moved = {name: _allowed(graph, name, n + _MOVED[place % 2]) for place, (name, n) in enumerate(values.items())}
    return None if moved == dict(values) else VerificationSize(moved, True)


def _smallest(graph: Graph) -> dict[str, int]:
    least: dict[str, int] = {}
    more: dict[str, int] = {}
    for node in graph.inputs:
        for axis, size in enumerate((node.types[0].height, node.types[0].width)):
            for name in () if isinstance(size, int) else size.symbols:
                least[name] = _SMALLEST
                # unequal sides, so that rows taken for columns show
                more[name] = axis * _WIDER
    for size, extent in _extents(graph):
        found = positive_for(size, extent)
        if not isinstance(size, int) and not found.empty:
            (name,) = size.symbols
            least[name] = max(least[name], found.minimum)
    return {name: _allowed(graph, name, minimum + more[name]) for name, minimum in least.items()}


def _extents(graph: Graph) -> Iterator[tuple[Size, int]]:
    """Sizes of maps that windows slide over, and how large each must be for both outermost taps to read inside it."""
    for node in graph.nodes:
        if OPS[node.op].setting("kernel") is None or OPS[node.op].setting("padding") is None:
            continue
        read = graph.input_types(node)[0]
        for axis, size in enumerate((read.height, read.width)):
            if isinstance(size, int) or len(size.symbols) == 1:
                padding = _along(node, "padding", axis)
                span = _along(node, "dilation", axis) * (_along(node, "kernel", axis) - 1)
                yield size, max(span - padding, padding) + 1


def _along(node: Node, setting: str, axis: int) -> int:
    return cast(tuple[int, int], dict(node.settings).get(setting, (1, 1)))[axis]


def _allowed(graph: Graph, name: str, minimum: int) -> int:
    """The smallest allowed value of a symbol from a minimum on, or the largest where there is none."""
    rule = dict(graph.size_rules).get(name, Solutions())
    if rule.only is not None:
        return min((n for n in rule.only if n >= minimum), default=max(rule.only))
    start = max(minimum, rule.minimum)
    return next(n for n in range(start, start + rule.modulus + 1) if rule.allows(n))


def noise_for(graph: Graph, values: Mapping[str, int], seed: int = 0) -> dict[str, Tensor]:
    """Standard normal inputs [1, C, H, W] in float64 at the given sizes, by name."""
    generator = torch.Generator().manual_seed(seed)
    return {
        node.name: torch.randn(
            (1, node.types[0].channels, *(value_at(size, values) for size in node.types[0].shape[1:])),
            dtype=torch.float64,
            generator=generator,
        )
        for node in graph.inputs
    }


def verify(
    graph: Graph,
    weights: Weights,
    compiled: Callable[[Mapping[str, Tensor]], Outputs],
    dtype: torch.dtype,
    output: str = "logits",
    *,
    device: torch.device | str = "cpu",
    max_macs: float = MAX_MACS,
    at: VerificationSize | None = None,
) -> Verification:
    """Compares `compiled`, which maps inputs to outputs by name, with the oracle in float64.

    `graph` and `weights` are those before any rewrite; `at` is a size other than that of `verification_size`. With
    output "labels", `compiled` gives class numbers [N, H, W]. Raises InternalError when the error is above the limit,
    ArchError E0808 when values of the network overflow.
    """
    at = at or verification_size(graph, max_macs)
    inputs = noise_for(graph, at.values)
    expected = run(graph, {key: tensor.double().cpu() for key, tensor in weights.items()}, inputs)
    _check_finite(graph, expected, torch.float64)
    working = {name: tensor.to(device, dtype) for name, tensor in inputs.items()}
    eager = run(graph, {key: tensor.to(device, dtype) for key, tensor in weights.items()}, working)
    _check_finite(graph, eager, dtype)
    got = compiled(working)
    error, eager_error = _errors(got, eager, expected, dtype, output)
    floor = LABEL_FLOOR if output == "labels" else FLOORS[dtype]
    result = Verification(at.values, at.every_tap, output, error, eager_error, floor)
    if not result.passed:
        rounded = run(
            graph, {key: _rounded_otherwise(tensor, dtype, device) for key, tensor in weights.items()}, working
        )
        _, spread = _errors(got, rounded, expected, dtype, output)
        result = replace(result, eager_error=max(eager_error, spread))
    if not result.passed:
        found = f"error {error:.3g} at {at.values}, allowed {result.limit:.3g}"
        raise InternalError(f"{graph.name} as compiled differs from the oracle: {found}")
    return result


def _rounded_otherwise(tensor: Tensor, dtype: torch.dtype, device: torch.device | str) -> Tensor:
    """A weight moved by up to one rounding of `dtype`, as a rewrite that folds scales into it would."""
    drawn = torch.rand(tensor.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return (tensor.cpu().double() * (1 + torch.finfo(dtype).eps * (2 * drawn - 1))).to(device, dtype)


def verify_at(
    graph: Graph,
    weights: Weights,
    compiled: Callable[[Mapping[str, Tensor]], Outputs],
    inputs: Mapping[str, Tensor],
    dtype: torch.dtype,
    known: Verification,
) -> float:
    """Compares `compiled` with the oracle in float32 on inputs in the working dtype: the error, as in Verification.

    What runs at a declared size may be other code than what `verify` has seen at its own. The oracle's own rounding,
    which cannot be seen here, is taken to be what eager's was in float64. Raises InternalError above the limit.
    """
    device = next(iter(inputs.values())).device
    wide = {key: tensor.to(device, torch.float32) for key, tensor in weights.items()}
    with torch.no_grad():
        expected = {k: v.cpu() for k, v in run(graph, wide, {k: x.float() for k, x in inputs.items()}).items()}
        eager: Outputs = expected
        if dtype != torch.float32:
            eager = run(graph, {key: tensor.to(device, dtype) for key, tensor in weights.items()}, inputs)
    error, eager_error = _errors(compiled(inputs), eager, expected, dtype, known.output)
    limit = 2 * max(eager_error, known.eager_error) + known.floor + known.eager_error
    if error > limit:
        size = "x".join(map(str, next(iter(inputs.values())).shape[-2:]))
        message = f"{graph.name} as compiled differs from the oracle: error {error:.3g} at {size}, allowed {limit:.3g}"
        raise InternalError(message)
    return error


def _errors(got: Outputs, eager: Outputs, expected: Outputs, dtype: torch.dtype, output: str) -> tuple[float, float]:
    """The error of what was compiled, which gives labels where labels are wanted, and that of eager's logits."""
    if output == "labels":
        eager = {name: logits.argmax(1) for name, logits in eager.items()}
    measure = _label_error if output == "labels" else _rms_error
    return _worst(measure, got, expected, dtype), _worst(measure, eager, expected, dtype)


def _check_finite(graph: Graph, outputs: Outputs, dtype: torch.dtype) -> None:
    if not all(tensor.isfinite().all() for tensor in outputs.values()):
        name = str(dtype).removeprefix("torch.")
        help = "" if dtype == torch.float64 else "use bfloat16 or float32"
        raise ArchError([Diagnostic("E0808", f"values in {graph.name} overflow in {name}", help=help)])


def _worst(
    measure: Callable[[Tensor, Tensor, torch.dtype], float], got: Outputs, expected: Outputs, dtype: torch.dtype
) -> float:
    return max(measure(got[name].cpu(), tensor, dtype) for name, tensor in expected.items())


def _rms_error(got: Tensor, expected: Tensor, dtype: torch.dtype) -> float:
    """Root mean square of the difference over that of what was expected; infinite when something is not finite.

    Of an output that holds numbers of classes, the share of pixels that differ.
    """
    if not expected.is_floating_point():
        return float((got != expected).double().mean())
    if got.shape != expected.shape:
        return math.inf
    difference = scale = 0.0
    # a band of rows at a time: float64 copies of whole maps would be what compiling takes most memory for
    for top in range(0, expected.shape[-2], _BAND):
        band = (..., slice(top, top + _BAND), slice(None))
        wide = expected[band].double()
        difference += float((got[band].double() - wide).square().sum())
        scale += float(wide.square().sum())
    error = math.sqrt(difference / max(scale, sys.float_info.min)) if math.isfinite(difference) else math.inf
    return error if math.isfinite(error) else math.inf


def _label_error(got: Tensor, expected: Tensor, dtype: torch.dtype) -> float:
    """Share of clear pixels with another label than the float64 logits give."""
    top = expected.topk(min(2, expected.shape[1]), dim=1).values
    clear = (top[:, 0] - top[:, -1]) > CLEAR[dtype] * top[:, 0].abs()
    wrong = clear & (got.long() != expected.argmax(1))
    return float(wrong.sum() / clear.sum().clamp(min=1))
