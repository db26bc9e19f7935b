"""What expressions evaluate to, besides plain numbers, strings and lists."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from archdsl.diagnostics import Span
from archdsl.ir.dims import Dim
from archdsl.ir.graph import MapType, Ref

if TYPE_CHECKING:
    from archdsl.elaborate.files import BlockDef


class Literal(int):
    """An integer that knows where it was written. Arithmetic gives plain integers: they are written nowhere."""

    span: Span

    def __new__(cls, value: int, span: Span) -> Literal:
        made = super().__new__(cls, value)
        made.span = span
        return made

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        return int, (int(self),)


class Searched(Literal):
    """An integer that `archdsl search` may choose: `variable` is the number of the choice it belongs to."""

    variable: int

    @classmethod
    def of(cls, value: int, span: Span, variable: int) -> Searched:
        made = super().__new__(cls, value, span)
        assert isinstance(made, Searched)
        made.variable = variable
        return made


@dataclass(frozen=True, slots=True)
class Variable:
    """One `search(start in domain)` as evaluated: what it may become."""

    start: int
    domain: tuple[int, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class MapValue:
    """A value of the graph under construction."""

    ref: Ref
    type: MapType

    def __str__(self) -> str:
        return "a feature map"


@dataclass(frozen=True, slots=True)
class OpModule:
    """An op with settings, not applied yet. `maps` are map settings (`like=`), passed on as further operands."""

    op: str
    settings: tuple[tuple[str, Any], ...]
    maps: tuple[MapValue, ...]
    span: Span = field(compare=False)
    depth: int = field(default=1, compare=False)
    """How deep modules stand in one another's settings: 1 for none."""

    @property
    def kind(self) -> str:
        return self.op

    def __str__(self) -> str:
        return f"the module {self.op}"


@dataclass(frozen=True, slots=True)
class BlockModule:
    """A block with arguments, not applied yet."""

    block: BlockDef
    arguments: tuple[tuple[str, Any], ...]
    span: Span = field(compare=False)
    depth: int = field(default=1, compare=False)

    @property
    def kind(self) -> str:
        return self.block.name

    def __str__(self) -> str:
        return f"the module {self.block.name}"


@dataclass(frozen=True, slots=True)
class SharedModule:
    """A module, or a chain of them, with one set of weights at `path` however often it is applied."""

    name: str
    path: str
    modules: tuple[Module, ...]
    span: Span = field(compare=False)
    depth: int = field(default=1, compare=False)

    @property
    def kind(self) -> str:
        return self.name

    def __str__(self) -> str:
        return f"the module {self.name}"


Module = OpModule | BlockModule | SharedModule


@dataclass(frozen=True, slots=True)
class Range:
    """`first..last`, both included."""

    first: int
    last: int

    @property
    def count(self) -> int:
        return max(self.last - self.first + 1, 0)

    def items(self) -> range:
        return range(self.first, self.last + 1)

    def __str__(self) -> str:
        return f"{self.first}..{self.last}"


class Poisoned(Exception):
    """A value is missing because of an error that was reported already. Silences what depends on it."""


class _Poison:
    def __repr__(self) -> str:
        return "<unknown because of an error>"


POISON: Any = _Poison()


class Fault(Exception):
    """An error at a place in the text that is being evaluated; the elaborator adds the block chain."""

    def __init__(
        self, code: str, message: str, span: Span, *, label: str = "", help: str = "", labels: Any = ()
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.span = code, message, span
        self.label, self.help, self.labels = label, help, tuple(labels)


def is_module(value: Any) -> bool:
    return isinstance(value, OpModule | BlockModule | SharedModule)


def is_chain(value: Any) -> bool:
    """Whether a value is a module or a list of them, nested or not."""
    if isinstance(value, list):
        return all(is_chain(item) for item in value)
    return is_module(value)


def depth_of(value: Any) -> int:
    """How deep modules stand in one another, in a value or in the lists of it."""
    if isinstance(value, list | tuple):
        return max(map(depth_of, value), default=0)
    return value.depth if is_module(value) else 0


def odd_one(value: Any) -> Any:
    """What keeps a value from being a chain: the first thing in it, however deep, that is no module."""
    while isinstance(value, list) and value:
        value = next(item for item in value if not is_chain(item))
    return value


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def kind_of(value: Any) -> str:
    """What a value is, in the words of the language."""
    names: list[tuple[Any, str]] = [
        (bool, "true or false"),
        (int, "an integer"),
        (float, "a number"),
        (str, "a string"),
        (Dim, "a symbolic size"),
        (MapValue, "a feature map"),
        (Range, "a range"),
        (tuple, "a tuple"),
        ((OpModule, BlockModule, SharedModule), "a module"),
    ]
    if value is None:
        return "none"
    if isinstance(value, list):
        return "an empty list" if not value else "a list of modules" if is_chain(value) else "a list"
    return next((name for kind, name in names if isinstance(value, kind)), "a value")
