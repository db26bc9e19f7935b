"""What an op is: its settings, and its rules for shape, weights, field of view and cost, declared together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from archdsl.ir.access import POINTWISE, Access
from archdsl.ir.dims import Size, same
from archdsl.ir.graph import MapType

REQUIRED: Any = object()

SettingKind = Literal[
    "int",
    "float",
    "dim",
    "bool",
    "str",
    "size",
    "padding",
    "amounts",
    "offset",
    "dims",
    "scale",
    "sizes",
    "map",
    "int_or_none",
]
"""`dim`: a symbolic size; `size`: an int or a (height, width) pair; `dims`: a pair of sizes;
`sizes`: a list of ints; `map`: a feature map."""


class OpError(Exception):
    """An op that cannot be applied as asked. The elaborator adds the place and the block chain."""

    def __init__(self, code: str, message: str, help: str = "", label: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.help, self.label = code, message, help, label


@dataclass(frozen=True, slots=True)
class SettingSpec:
    """One setting: what kind of value it takes, its default (REQUIRED for none), bounds or choices, and its meaning."""

    name: str
    kind: SettingKind
    default: Any = REQUIRED
    doc: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class WeightSpec:
    """One tensor of a node's state: `init` names how it starts; buffers are no parameters."""

    name: str
    shape: tuple[int, ...]
    init: str
    trainable: bool = True
    buffer: bool = False


@dataclass
class OpCall:
    """An op about to be applied: its settings and the types of what it reads, and the equalities it relies on."""

    settings: dict[str, Any]
    inputs: tuple[MapType, ...]
    equalities: list[tuple[Size, Size]] = field(default_factory=list)
    positives: list[Size] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        return self.settings[name]

    def require_equal(self, a: Size, b: Size) -> None:
        """Notes that two sizes must agree; which input sizes allow that is worked out for the whole network."""
        if a != b and not same(a, b):
            self.equalities.append((a, b))

    def require_positive(self, size: Size) -> None:
        """Notes that something besides the results' extents must be at least 1, too."""
        self.positives.append(size)


ShapeRule = Callable[[OpCall], tuple[MapType, ...]]
AccessRule = Callable[[OpCall, int], tuple[Access, ...]]


def pointwise(call: OpCall, axis: int) -> tuple[Access, ...]:
    """The rule of ops whose results read the same position of every operand."""
    return (POINTWISE,) * len(call.inputs)


def _no_weights(call: OpCall) -> tuple[WeightSpec, ...]:
    return ()


def no_macs(call: OpCall, results: Sequence[MapType]) -> int:
    """The rule of ops that multiply no matrices: nothing is counted."""
    return 0


def _keep(call: OpCall) -> tuple[MapType, ...]:
    return (call.inputs[0],)


@dataclass(frozen=True, eq=False)
class Op:
    """One primitive op.

    `normalize` completes settings that depend on the input (padding "same", group_width) and checks them; `shape` gives
    the types of the results; `access` what an output position reads along an axis (0 vertical, 1 horizontal) of each
    operand; `channels` how reach follows channels: "mix" all to all, "keep" each to itself, "grouped" within groups,
    "concat", "split". `macs` counts multiply-adds of convolutions and matrix products for concrete types.
    `inputs` names the operands; a last name ending in `*` takes any number, `[…]` marks optional ones.
    """

    name: str
    doc: str
    settings: tuple[SettingSpec, ...] = ()
    inputs: tuple[str, ...] = ("x",)
    normalize: Callable[[OpCall], None] = lambda call: None
    shape: ShapeRule = _keep
    weights: Callable[[OpCall], tuple[WeightSpec, ...]] = _no_weights
    access: AccessRule = pointwise
    channels: Literal["mix", "keep", "grouped", "concat", "split"] = "keep"
    macs: Callable[[OpCall, Sequence[MapType]], int] = no_macs
    training_only: bool = False
    """True for ops that do nothing at inference (dropout)."""
    rewritten: bool = False
    """True for ops that only rewrites make: no text can call them."""

    @cached_property
    def _by_name(self) -> dict[str, SettingSpec]:
        return {s.name: s for s in self.settings}

    def setting(self, name: str) -> SettingSpec | None:
        return self._by_name.get(name)

    @cached_property
    def arity(self) -> tuple[int, int | None]:
        """The fewest and the most operands, None for any number."""
        required = sum(not n.startswith("[") and not n.endswith("*") for n in self.inputs)
        most = None if self.inputs and self.inputs[-1].endswith("*") else len(self.inputs)
        return required, most


OPS: dict[str, Op] = {}


def register(op: Op) -> Op:
    """Makes an op known to the language. Raises ValueError when the name is taken."""
    if op.name in OPS:
        raise ValueError(f"there is an op {op.name} already")
    OPS[op.name] = op
    return op


_OPERATORS = frozenset({"input", "add", "sub", "mul", "div", "scalar", "size_scalar"})


def in_language(name: str) -> bool:
    """Whether a name is that of an op that a text can call; inputs and operators have a notation of their own."""
    return name in OPS and name not in _OPERATORS and not OPS[name].rewritten


def call_of(settings: Mapping[str, Any] | Sequence[tuple[str, Any]], inputs: Sequence[MapType]) -> OpCall:
    """The call that a node stands for, for the rules of its op."""
    return OpCall(dict(settings), tuple(inputs))
