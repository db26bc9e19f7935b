"""The syntax tree of a spec. Every node knows where it stands; nothing here knows what a name means."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.diagnostics import Source, Span


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Ident(Node):
    """A name where it is bound or imported, as opposed to `Name`, which reads it."""

    text: str


# ---------------------------------------------------------------- expressions


@dataclass(frozen=True, slots=True, eq=False)
class Expr(Node):
    pass


@dataclass(frozen=True, slots=True, eq=False)
class Name(Expr):
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Number(Expr):
    value: int | float


@dataclass(frozen=True, slots=True, eq=False)
class String(Expr):
    value: str


@dataclass(frozen=True, slots=True, eq=False)
class Constant(Expr):
    """`true`, `false` or `none`."""

    value: bool | None


@dataclass(frozen=True, slots=True, eq=False)
class ListExpr(Expr):
    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TupleExpr(Expr):
    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class CompFor(Node):
    targets: tuple[Ident, ...]
    iterable: Expr
    conditions: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Comprehension(Expr):
    element: Expr
    clauses: tuple[CompFor, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Argument(Node):
    name: Ident | None
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Call(Expr):
    function: Expr
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Slice(Node):
    start: Expr | None
    stop: Expr | None


@dataclass(frozen=True, slots=True, eq=False)
class Index(Expr):
    value: Expr
    subscript: Expr | Slice


@dataclass(frozen=True, slots=True, eq=False)
class Negative(Expr):
    operand: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Not(Expr):
    operand: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Arithmetic(Expr):
    """A run of operators of one precedence, left to right: `first op1 rest1 op2 rest2 …`."""

    first: Expr
    rest: tuple[tuple[str, Expr], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Comparison(Expr):
    """A chain as in Python: `a < b <= c` compares each pair of neighbours."""

    first: Expr
    rest: tuple[tuple[str, Expr], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Logic(Expr):
    """`and` or `or` over two or more operands."""

    operator: str
    operands: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class RangeExpr(Expr):
    """`first..last`, both ends included."""

    first: Expr
    last: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Choices(Node):
    """`{a, b, c}`: a set of values that a parameter or a search may take."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Search(Expr):
    """`search(start in domain)`."""

    start: Expr
    domain: RangeExpr | Choices


@dataclass(frozen=True, slots=True, eq=False)
class Conditional(Expr):
    """`then if condition else otherwise`; only the side taken is evaluated."""

    then: Expr
    condition: Expr
    otherwise: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Stage(Node):
    module: Expr
    alias: Ident | None


@dataclass(frozen=True, slots=True, eq=False)
class Pipe(Expr):
    """`value -> stage -> stage`."""

    value: Expr
    stages: tuple[Stage, ...]


# ----------------------------------------------------------------- statements


@dataclass(frozen=True, slots=True, eq=False)
class Statement(Node):
    pass


@dataclass(frozen=True, slots=True, eq=False)
class Body(Node):
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Assign(Statement):
    targets: tuple[Ident, ...]
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Input(Statement):
    """`in name [C, H, W] = preprocessing`."""

    name: Ident
    dims: tuple[Expr, ...] | None
    preprocessing: Expr | None


@dataclass(frozen=True, slots=True, eq=False)
class Output(Statement):
    """`out …` or `aux out …`; `name` where the output is named, and then exactly one value."""

    name: Ident | None
    values: tuple[Expr, ...]
    aux: bool


@dataclass(frozen=True, slots=True, eq=False)
class Shared(Statement):
    name: Ident
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Assert(Statement):
    condition: Expr


@dataclass(frozen=True, slots=True, eq=False)
class For(Statement):
    targets: tuple[Ident, ...]
    iterable: Expr
    body: Body


@dataclass(frozen=True, slots=True, eq=False)
class When(Statement):
    condition: Expr
    body: Body
    otherwise: Body | When | None


@dataclass(frozen=True, slots=True, eq=False)
class Broken(Statement):
    """A statement that could not be read. The names it would have bound are known, their values are not."""

    names: tuple[str, ...]


# ------------------------------------------------------------------ top level


@dataclass(frozen=True, slots=True, eq=False)
class NamedType(Node):
    """`int`, `list[rate]`, `str in {"a", "b"}`, `int in 1..64`."""

    name: str
    arguments: tuple[TypeExpr, ...]
    domain: RangeExpr | Choices | None


@dataclass(frozen=True, slots=True, eq=False)
class TupleType(Node):
    items: tuple[TypeExpr, ...]


TypeExpr = NamedType | TupleType


@dataclass(frozen=True, slots=True, eq=False)
class Param(Node):
    name: Ident
    type: TypeExpr | None
    default: Expr | None


@dataclass(frozen=True, slots=True, eq=False)
class Imported(Node):
    name: Ident
    alias: Ident | None

    @property
    def bound(self) -> Ident:
        return self.alias or self.name


@dataclass(frozen=True, slots=True, eq=False)
class Use(Node):
    module: tuple[str, ...]
    module_span: Span
    names: tuple[Imported, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Block(Node):
    """A block, or a network where `is_network`; `doc` is the `##` comment above it."""

    name: Ident
    params: tuple[Param, ...]
    body: Body
    is_network: bool
    doc: str


@dataclass(frozen=True, slots=True, eq=False)
class Alias(Node):
    """`network Name = Other(parameters)`."""

    name: Ident
    value: Expr
    doc: str


@dataclass(frozen=True, slots=True, eq=False)
class Definition(Node):
    """A constant of the file: `name = expression` outside every block."""

    name: Ident
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
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


@dataclass(frozen=True, slots=True, eq=False)
class File:
    source: Source
    version: Number | None
    entries: tuple[Entry, ...]
    comments: tuple[Comment, ...]
