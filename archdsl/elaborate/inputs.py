"""A network's own statements: its inputs, which come from outside, with their sizes and preprocessing."""

from __future__ import annotations

from typing import Any

from archdsl.diagnostics.suggest import did_you_mean
from archdsl.elaborate import types
from archdsl.elaborate.expand import Expander
from archdsl.elaborate.scope import Scope
from archdsl.elaborate.session import Session
from archdsl.elaborate.values import Fault, MapValue, kind_of
from archdsl.ir.dims import Dim, grows, symbol
from archdsl.ir.graph import Preprocessing
from archdsl.ir.settings import describe
from archdsl.lang import tree as t

MAX_INPUT_CHANNELS = 1 << 16
_SYMBOLS = ("H", "W")
_WORDS = {"H": "height", "W": "width"}


class NetworkExpander(Expander):
    """The body of a network: its inputs come from outside."""

    def __init__(self, session: Session, scope: Scope) -> None:
        super().__init__(session, scope)
        self.preprocessing: dict[str, Preprocessing] = {}

    def _input(self, statement: t.Input) -> None:
        name = statement.name.text
        if name in self.preprocessing:
            raise Fault("E0203", f"`{name}` is an input already", statement.name.span, help="give it another name")
        types.check_input(statement, "map")
        channels, height, width = self._size(statement)
        ref = self.session.builder.input(name, channels, height, width)
        self.scope.values[name] = MapValue(ref, self.session.builder.type_of(ref))
        self.preprocessing[name] = self._preprocess(statement, channels)

    def _size(self, statement: t.Input) -> tuple[int, Any, Any]:
        dims = statement.dims
        if dims is None or len(dims) != 3:
            message = "a network's input says its shape: `[3, H, W]`"
            raise Fault("E0507", message, statement.span)
        channels = dims[0]
        if isinstance(channels, t.Name) and channels.text not in self.scope.values:
            message = f"the number of channels of `{statement.name.text}` must be known"
            raise Fault("E0507", message, channels.span, help="write a number, or a parameter")
        count = self.value(channels)
        if isinstance(count, bool) or not isinstance(count, int):
            raise Fault("E0401", f"a number of channels is an integer, not {kind_of(count)}", channels.span)
        if not 1 <= count <= MAX_INPUT_CHANNELS:
            message = f"an input has 1 to {MAX_INPUT_CHANNELS:,} channels, not {count:,}"
            raise Fault("E0402", message, channels.span)
        return count, *(self._extent(statement, dim, s) for dim, s in zip(dims[1:], _SYMBOLS, strict=True))

    def _extent(self, statement: t.Input, dim: t.Expr, axis: str) -> Any:
        """A new name is the input's height (or width), which stays symbolic."""
        if isinstance(dim, t.Name) and dim.text not in self.scope.values:
            if dim.text in _SYMBOLS and dim.text != axis:
                message = f"`{dim.text}` stands where the {_WORDS[axis]} does, which is `{axis}` everywhere"
                raise Fault("E0507", message, dim.span, help="the order is `[channels, H, W]`")
            if self.session.builder.nodes:
                message = f"`{dim.text}` is new here: a further input gives its size in terms of the first one's"
                raise Fault("E0507", message, dim.span, help="for example `[1, H // 2, W // 2]`")
            self.scope.values[dim.text] = symbol(axis)
            return symbol(axis)
        size = self.value(dim)
        if isinstance(size, bool) or not isinstance(size, int | Dim):
            raise Fault("E0401", f"an input's size is a name or an integer, not {kind_of(size)}", dim.span)
        if isinstance(size, int) and size < 1:
            raise Fault("E0402", f"an input has at least 1 row and 1 column, not {size}", dim.span)
        if isinstance(size, Dim) and not grows(size):
            raise Fault("E0402", f"an input's size must grow with the first one's, and {size} does not", dim.span)
        if isinstance(size, Dim) and size.symbols != {axis}:
            raise Fault("E0507", f"the {_WORDS[axis]} has a name of its own", dim.span, help="`[3, H, W]`")
        return size

    def _preprocess(self, statement: t.Input, channels: int) -> Preprocessing:
        call = statement.preprocessing
        if call is None:
            return Preprocessing() if channels == 3 else Preprocessing("rgb", (0.0,) * channels, (1.0,) * channels)
        function = call.function if isinstance(call, t.Call) else call
        if not isinstance(function, t.Name) or function.text not in ("rgb", "bgr"):
            message = "preprocessing is `rgb(…)` or `bgr(…)`"
            raise Fault("E0508", message, call.span, help="rgb(mean=[…], std=[…], scale=1/255)")
        given = self._preprocessing_arguments(call, channels) if isinstance(call, t.Call) else {}
        default = Preprocessing()
        return Preprocessing(
            "rgb" if function.text == "rgb" else "bgr",
            given.get("mean", default.mean if channels == 3 else (0.0,) * channels),
            given.get("std", default.std if channels == 3 else (1.0,) * channels),
            given.get("scale", default.scale),
        )

    def _preprocessing_arguments(self, call: t.Call, channels: int) -> dict[str, Any]:
        positional, named = self._arguments(call)
        if positional:
            raise Fault("E0508", "preprocessing takes named arguments", positional[0][1], help="mean, std, scale")
        made: dict[str, Any] = {}
        for name, (value, span) in named.items():
            if name not in ("mean", "std", "scale"):
                help = did_you_mean(name, ("mean", "std", "scale")) or "it takes mean, std and scale"
                raise Fault("E0202", f"preprocessing has no `{name}`", span, help=help)
            numbers = value if isinstance(value, list | tuple) and name != "scale" else [value]
            if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in numbers):
                wanted = "a number" if name == "scale" else "a number, or one per channel"
                raise Fault("E0401", f"`{name}` is {wanted}, not {describe(value)}", span)
            if name != "scale" and len(numbers) not in (1, channels):
                raise Fault("E0402", f"`{name}` has {len(numbers)} numbers for {channels} channels", span)
            if name != "mean" and not all(v > 0 for v in numbers):
                raise Fault("E0402", f"`{name}` must be above 0, not {describe(value)}", span)
            spread = tuple(float(v) for v in numbers) * (channels // len(numbers) if len(numbers) == 1 else 1)
            made[name] = float(numbers[0]) if name == "scale" else spread
        return made
