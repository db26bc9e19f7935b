"""Bodies, statement by statement: blocks expand into the nodes of the graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from archdsl.diagnostics import Span
from archdsl.elaborate import arithmetic as ar
from archdsl.elaborate import types
from archdsl.elaborate.apply import Applier
from archdsl.elaborate.arguments import declared_at
from archdsl.elaborate.assertions import Assertion, is_deferred
from archdsl.elaborate.evaluate import flatten
from archdsl.elaborate.files import BlockDef
from archdsl.elaborate.paths import Paths
from archdsl.elaborate.scope import Scope
from archdsl.elaborate.session import MAX_DEPTH, Hopeless, Session, TooLarge
from archdsl.elaborate.values import (
    POISON,
    BlockModule,
    Fault,
    MapValue,
    Poisoned,
    SharedModule,
    is_chain,
    kind_of,
    odd_one,
)
from archdsl.ir.builder import never_agree
from archdsl.ir.dims import Dim, Size, same
from archdsl.ir.graph import Origin
from archdsl.ir.op import OpError
from archdsl.lang import tree as t

_STEPS_PER_ASSERT = 64
_STEPS_PER_BLOCK = 48
_AXES = ("the number of channels", "the height", "the width")


class Expander(Applier):
    """Runs the body of a block or network."""

    def __init__(self, session: Session, scope: Scope) -> None:
        super().__init__(session, scope)
        self.module: BlockModule | None = None
        """The block whose body this is; None for a network's."""
        self.given: tuple[MapValue, ...] = ()
        """The values it is applied to."""

    def expand(self, module: BlockModule, inputs: Sequence[MapValue], paths: tuple[str, str], span: Span) -> Any:
        """The results of a block's body on these inputs. Raises Poisoned after errors in it."""
        block = module.block
        self.session.expansions += 1
        self.session.step(span, _STEPS_PER_BLOCK + len(self.session.stack))
        if len(self.session.stack) > MAX_DEPTH:
            message = f"blocks call one another more than {MAX_DEPTH} deep"
            raise self.session.too_large(
                Fault("E0903", message, span, help=f"does {block.name} call itself without an end?")
            )
        scope = Scope(block.file, dict(module.arguments), Paths(*paths, False), inputs=list(inputs))
        setbacks = self.session.setbacks
        self._check_written(block)
        self.session.stack.append((block.name, span))
        try:
            inner = Expander(self.session, scope)
            inner.module, inner.given = module, tuple(inputs)
            inner.run(block.tree.body)
            self._take_asserts(inner)
        finally:
            self.session.stack.pop()
        if self.session.setbacks == setbacks:
            self._check_ends(block, scope, len(inputs), span)
        return self._results(scope)

    def _check_written(self, block: BlockDef) -> None:
        """Refuses a block in whose text there is no input or no output."""
        if t.Broken in block.kinds:
            return
        for kind, code, what in ((t.Input, "E0502", "no input"), (t.Output, "E0501", "no output")):
            if kind not in block.kinds:
                raise Fault(code, f"{block.name} has {what}", block.tree.name.span)

    def _check_ends(self, block: BlockDef, scope: Scope, given: int, span: Span) -> None:
        """Refuses a block that left some of its inputs unread, or gave nothing out."""
        if scope.inputs:
            wanted = given - len(scope.inputs)
            message = f"{block.name} reads {wanted} value{'s' if wanted != 1 else ''}, and is given {given}"
            raise Fault("E0412", message, span, labels=(declared_at(block),))
        if not scope.outputs:
            message = f"{block.name} gives nothing out when it is used like this"
            raise Fault("E0501", message, span, labels=(declared_at(block),))

    def _take_asserts(self, inner: Expander) -> None:
        self.assertions += inner.assertions

    def _results(self, scope: Scope) -> Any:
        values = [value for _, value, _ in scope.outputs]
        if not values or any(v is POISON for v in values):
            raise Poisoned
        return values[0] if len(values) == 1 else tuple(values)

    # ----------------------------------------------------------- statements

    def run(self, body: t.Body) -> None:
        """Runs statements in order. A faulty one is reported, and what it binds is unknown from there on."""
        for statement in body.statements:
            try:
                getattr(self, _STATEMENTS[type(statement)])(statement)
            except (Fault, Poisoned) as setback:
                if isinstance(setback, Fault):
                    self.session.report(self._mended(setback, statement))
                self._poison(statement)
                self.session.set_back()

    def _mended(self, fault: Fault, statement: t.Statement) -> Fault:
        """A fault with a mend that was tried, where its kind has one."""
        if fault.code != "E0302" or self.module is None or self.session.counting:
            return fault
        from archdsl.elaborate.mends import even

        return even(fault, statement, self.scope, self.module.block.tree, self._works)

    def _works(self, name: str, value: object) -> bool:
        """Whether this block, applied to the same kinds of maps, works out when a parameter has another value."""
        from archdsl.elaborate.mends import without_followers

        assert self.module is not None
        session = self.session.aside()
        if session is None:
            return False
        block, span = self.module.block, self.module.span
        arguments = {**without_followers(block.tree, self.module.arguments, name), name: value}
        expander = Expander(session, Scope(block.file, {}, Paths("", "", False)))
        try:
            module = expander.module_of(block, (), {key: (of, span) for key, of in arguments.items()}, span)
            expander.expand(module, session.phantom([m.type for m in self.given]), ("tried", "tried"), span)
        except (Fault, Poisoned, TooLarge, Hopeless):
            return False
        return not session.diagnostics.failed

    def _poison(self, statement: t.Statement) -> None:
        for name in bound_names(statement):
            self.scope.values[name] = POISON
        if isinstance(statement, t.Output):
            names = [statement.name.text] if statement.name else [None] * len(statement.values)
            self.scope.outputs += [(name, POISON, statement.aux) for name in names]
            if statement.name:
                self.scope.values[statement.name.text] = POISON

    def _assign(self, statement: t.Assign) -> None:
        self.scope.binding = statement.targets[0].text
        self.bind(statement.targets, self.value(statement.value), statement.value.span)

    def _broken(self, statement: t.Broken) -> None:
        raise Poisoned

    def _input(self, statement: t.Input) -> None:
        if not self.scope.inputs:
            if self.scope.starved:
                raise Poisoned
            self.scope.starved = True
            name = self.session.stack[-1][0]
            message = f"{name} reads more values than it is given: none is left for `{statement.name.text}`"
            raise Fault("E0412", message, statement.span)
        value = self.scope.inputs.pop(0)
        if statement.preprocessing is not None:
            message = "only a network's input has preprocessing"
            raise Fault("E0508", message, statement.preprocessing.span)
        types.check_input(statement, value.type.kind)
        self.scope.values[statement.name.text] = value
        if statement.dims is not None:
            self._match(statement, statement.dims, value)

    def _match(self, statement: t.Input, dims: Sequence[t.Expr], value: MapValue) -> None:
        """Binds the names in `[C, H, W]` that are new, and holds the others against the map."""
        if len(dims) != 3:
            message = f"a feature map has 3 dimensions, [C, H, W], and {len(dims)} are named"
            raise Fault("E0310", message, statement.span)
        for dim, size, axis in zip(dims, value.type.shape, _AXES, strict=True):
            if isinstance(dim, t.Name) and dim.text not in self.scope.values:
                self.scope.values[dim.text] = size
                continue
            wanted = self.value(dim)
            if isinstance(wanted, bool) or not isinstance(wanted, int | Dim):
                raise Fault("E0401", f"{axis} is an integer or a size, not {kind_of(wanted)}", dim.span)
            if not self._agree(wanted, size, dim.span):
                message = f"`{statement.name.text}` is {value.type}, and {axis} must be {wanted}"
                label = f"`{dim.text}` is {wanted} here" if isinstance(dim, t.Name) else ""
                raise Fault("E0307", message, statement.span, label=label)

    def _agree(self, wanted: Size, size: Size, span: Span) -> bool:
        """Whether two sizes are equal, or can be; then which inputs make them so is worked out at the end."""
        if same(wanted, size):
            return True
        try:
            apart = isinstance(wanted - size, int) or never_agree(wanted, size)
        except OpError as error:
            raise Fault(error.code, error.message, span, help=error.help) from None
        if not apart:
            self.session.builder.require(wanted, size, Origin(span, self.session.frames(span)))
        return not apart

    def _output(self, statement: t.Output) -> None:
        self.scope.binding = statement.name.text if statement.name else "out"
        for expr in statement.values:
            value = self.value(expr)
            items = value if isinstance(value, list | tuple) else [value]
            if statement.name is not None and len(items) != 1:
                message = f"`{statement.name.text}` names one output, and is given {len(items)} values"
                raise Fault("E0413", message, expr.span, help="give each a name, and those names out: `out a, b`")
            for item in items:
                if not isinstance(item, MapValue):
                    raise Fault("E0408", f"an output is a feature map, not {kind_of(item)}", expr.span)
                if statement.aux and not self.scope.is_network:
                    help = "give it out as a further output, and let the network say `aux out`"
                    raise Fault("E0503", "only networks have `aux out`", statement.span, help=help)
                self._put_out(statement, expr if len(items) == 1 else None, item)

    def _put_out(self, statement: t.Output, expr: t.Expr | None, value: MapValue) -> None:
        """Adds an output; `expr` is what it was written as, None for one of several values of an expression."""
        named = statement.name or (expr if isinstance(expr, t.Name) else None)
        name = named.text if named else None
        # a block's values are told apart by their order, as in Python's `return a, a`; a network's by their names
        counts = self.scope.is_network or statement.name is not None
        if named and counts and any(name == earlier for earlier, _, _ in self.scope.outputs):
            raise Fault("E0504", f"`{name}` is an output already", named.span)
        self.scope.outputs.append((name, value, statement.aux))
        if statement.name is not None:
            self.scope.values[statement.name.text] = value

    def _shared(self, statement: t.Shared) -> None:
        name = statement.name.text
        value = self.value(statement.value)
        if not is_chain(value) or value == []:
            message = f"only a module can be shared, not {kind_of(odd_one(value))}"
            raise Fault("E0404", message, statement.value.span)
        if isinstance(value, SharedModule):
            self.scope.values[name] = value  # another name for the same weights
            return
        path = self.scope.paths.applied("", name, name, statement.span)[1]
        depth = self.deeper([value], statement.span)
        self.scope.values[name] = SharedModule(name, path, tuple(flatten(value)), statement.span, depth)

    def _for(self, statement: t.For) -> None:
        items = ar.iterate(self.value(statement.iterable), statement.iterable.span)
        before = self.session.nodes
        for done, item in enumerate(items, 1):
            self.session.step(statement.span)
            self.bind(statement.targets, item, statement.iterable.span)
            setbacks = self.session.setbacks
            self.run(statement.body)
            if self.session.setbacks != setbacks:
                # further rounds would say the same again
                raise Poisoned
            self.session.check_pace(self.session.nodes - before, done, len(items), statement.iterable.span)

    def _when(self, statement: t.When) -> None:
        if self.condition(statement.condition):
            self.run(statement.body)
        elif isinstance(statement.otherwise, t.When):
            self._when(statement.otherwise)
        elif statement.otherwise is not None:
            self.run(statement.otherwise)

    def _assert(self, statement: t.Assert) -> None:
        frames = self.session.frames(statement.span)
        scope = Scope(self.scope.file, dict(self.scope.values), Paths("", "", False))
        self.session.step(statement.span, len(scope.values) + _STEPS_PER_ASSERT)
        assertion = Assertion(statement, scope, frames)
        if is_deferred(statement.condition, self.scope):
            self.assertions.append(assertion)
        elif not self.condition(statement.condition):
            raise Fault("E0601", "this assertion does not hold", statement.span, labels=assertion.sides(self))


def bound_names(statement: t.Statement) -> Iterator[str]:
    """Every name that a statement may bind."""
    if isinstance(statement, t.Broken):
        yield from statement.names
    elif isinstance(statement, t.Assign | t.For):
        yield from (target.text for target in statement.targets)
    elif isinstance(statement, t.Input | t.Shared):
        yield statement.name.text
        if isinstance(statement, t.Input):
            yield from (d.text for d in statement.dims or () if isinstance(d, t.Name))
    elif isinstance(statement, t.When) and statement.otherwise is not None:
        inner = [statement.otherwise] if isinstance(statement.otherwise, t.When) else statement.otherwise.statements
        for part in inner:
            yield from bound_names(part)
    if isinstance(statement, t.For | t.When):
        for part in statement.body.statements:
            yield from bound_names(part)


_STATEMENTS: dict[type[t.Statement], str] = {
    t.Assign: "_assign",
    t.Broken: "_broken",
    t.Input: "_input",
    t.Output: "_output",
    t.Shared: "_shared",
    t.For: "_for",
    t.When: "_when",
    t.Assert: "_assert",
}
