"""The table from op names to their torch lowerings, and how a lowering is declared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from archdsl.ir.graph import MapType


@dataclass(frozen=True, slots=True)
class Applied:
    """One op applied to tensors.

    Every symbolic size in `settings` has its value; `weights` go by their short names; `types` are of the results.
    """

    inputs: tuple[Tensor, ...]
    types: tuple[MapType, ...]
    settings: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    training: bool

    def __getitem__(self, setting: str) -> Any:
        return self.settings[setting]

    @property
    def x(self) -> Tensor:
        """The first operand."""
        return self.inputs[0]

    @property
    def bias(self) -> Tensor | None:
        return self.weights.get("bias")


Result = Tensor | tuple[Tensor, ...]
"""A tensor for an op with one result, a tuple for one with several."""

Lowering = Callable[[Applied], Result]

LOWERINGS: dict[str, Lowering] = {}

_AnyLowering = TypeVar("_AnyLowering", bound=Callable[[Applied], Any])
_Function = TypeVar("_Function", bound=Callable[..., Any])


def lowers(op: str) -> Callable[[_AnyLowering], _AnyLowering]:
    """Registers a function as the lowering of an op. Raises ValueError when the op has one.

    The same function computes tensors and records torch.fx calls, so it must not branch on shapes or iterate over them.
    """

    def add(function: _AnyLowering) -> _AnyLowering:
        if op in LOWERINGS:
            raise ValueError(f"there is a lowering of {op} already")
        LOWERINGS[op] = function
        return function

    return add


def whole(function: _Function) -> _Function:
    """Makes a function one call in torch.fx code, free to look at shapes, by torch's own override protocol."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if has_torch_function(args):
            return handle_torch_function(call, args, *args, **kwargs)
        return function(*args, **kwargs)

    return call  # type: ignore[return-value]
