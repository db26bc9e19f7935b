"""The syntax tree of a spec. Every node knows where it stands; nothing here knows what a name means."""

from __future__ import annotations

from dataclasses import Field, dataclass
from typing import Any, ClassVar, TypeVar, dataclass_transform

from archdsl.diagnostics import Source, Span

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True, eq_default=False)
def node(cls: type[_T]) -> type[_T]:
    """A dataclass, frozen for type checkers alone: at run time too it would add 15 ms to every start."""
    return dataclass(eq=False, repr=False)(cls)


@node
class Node:
    span: Span
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __repr__(self) -> str:
        parts = (f"{name}={getattr(self, name)!r}" for name in self.__dataclass_fields__ if name != "span")
        return f"{type(self).__name__}({', '.join(parts)})"


@node
class Ident(Node):
    """A name where it is bound or imported, as opposed to `Name`, which reads it."""

    text: str


# ---------------------------------------------------------------- expressions


@node
class Expr(Node):
    pass


@node
class Name(Expr):
    text: str


@node
class Number(Expr):
    value: int | float


@node
class String(Expr):
    value: str


@node
class Constant(Expr):
    """`true`, `false` or `none`."""

    value: bool | None


@node
class ListExpr(Expr):
    items: tuple[Expr, ...]


@node
class TupleExpr(Expr):
    items: tuple[Expr, ...]


@node
class CompFor(Node):
    targets: tuple[Ident, ...]
    iterable: Expr
    conditions: tuple[Expr, ...]


@node
class Comprehension(Expr):
    element: Expr
    clauses: tuple[CompFor, ...]


@node
class Argument(Node):
    name: Ident | None
    value: Expr


@node
class Call(Expr):
    function: Expr
    arguments: tuple[Argument, ...]


@node
class Slice(Node):
    start: Expr | None
    stop: Expr | None


@node
class Index(Expr):
    value: Expr
    subscript: Expr | Slice


@node
class Negative(Expr):
    operand: Expr


@node
class Not(Expr):
    operand: Expr


@node
class Arithmetic(Expr):
    """A run of operators of one precedence, left to right: `first op1 rest1 op2 rest2 …`."""

    first: Expr
    rest: tuple[tuple[str, Expr], ...]


@node
class Comparison(Expr):
    """A chain as in Python: `a < b <= c` compares each pair of neighbours."""

    first: Expr
    rest: tuple[tuple[str, Expr], ...]


@node
class Logic(Expr):
    """`and` or `or` over two or more operands."""

    operator: str
    operands: tuple[Expr, ...]


@node
class RangeExpr(Expr):
    """`first..last`, both ends included."""

    first: Expr
    last: Expr


@node
class Choices(Node):
    """`{a, b, c}`: a set of values that a parameter or a search may take."""

    items: tuple[Expr, ...]


@node
class Search(Expr):
    """`search(start in domain)`."""

    start: Expr
    domain: RangeExpr | Choices


@node
class Conditional(Expr):
    """`then if condition else otherwise`; only the side taken is evaluated."""

    then: Expr
    condition: Expr
    otherwise: Expr


@node
class Stage(Node):
    module: Expr
    alias: Ident | None


@node
class Pipe(Expr):
    """`value -> stage -> stage`."""

    value: Expr
    stages: tuple[Stage, ...]


# ----------------------------------------------------------------- statements


@node
class Statement(Node):
    pass


@node
class Body(Node):
    statements: tuple[Statement, ...]


@node
class Assign(Statement):
    targets: tuple[Ident, ...]
    value: Expr


@node
class Input(Statement):
    """`in name: indices [C, H, W] = preprocessing`; `kind` is the type's name where it is written."""

    name: Ident
    kind: Ident | None
    dims: tuple[Expr, ...] | None
    preprocessing: Expr | None


@node
class Output(Statement):
    """`out …` or `aux out …`; `name` where the output is named, and then exactly one value."""

    name: Ident | None
    values: tuple[Expr, ...]
    aux: bool


@node
class Shared(Statement):
    name: Ident
    value: Expr


@node
class Assert(Statement):
    condition: Expr


@node
class For(Statement):
    targets: tuple[Ident, ...]
    iterable: Expr
    body: Body


@node
class When(Statement):
    condition: Expr
    body: Body
    otherwise: Body | When | None


@node
class Broken(Statement):
    """A statement that could not be read. The names it would have bound are known, their values are not."""

    names: tuple[str, ...]


# ------------------------------------------------------------------ top level


@node
class NamedType(Node):
    """`int`, `list[rate]`, `str in {"a", "b"}`, `int in 1..64`."""

    name: str
    arguments: tuple[TypeExpr, ...]
    domain: RangeExpr | Choices | None


@node
class TupleType(Node):
    items: tuple[TypeExpr, ...]


TypeExpr = NamedType | TupleType


@node
class Param(Node):
    name: Ident
    type: TypeExpr | None
    default: Expr | None


@node
class Imported(Node):
    name: Ident
    alias: Ident | None

    @property
    def bound(self) -> Ident:
        return self.alias or self.name


@node
class Use(Node):
    module: tuple[str, ...]
    module_span: Span
    names: tuple[Imported, ...]


@node
class Block(Node):
    """A block, or a network where `is_network`; `doc` is the `##` comment above it."""

    name: Ident
    params: tuple[Param, ...]
    body: Body
    is_network: bool
    doc: str


@node
class Alias(Node):
    """`network Name = Other(parameters)`."""

    name: Ident
    value: Expr
    doc: str


@node
class Definition(Node):
    """A constant of the file: `name = expression` outside every block."""

    name: Ident
    value: Expr


@node
class BrokenEntry(Node):
    """A top-level entry that could not be read, and the names it would have defined."""

    names: tuple[str, ...]


Entry = Use | Block | Alias | Definition | BrokenEntry


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment with its `#`; `own_line` when nothing but blanks stands before it."""

    span: Span
    text: str
    own_line: bool


@node
class File:
    source: Source
    version: Number | None
    entries: tuple[Entry, ...]
    comments: tuple[Comment, ...]
