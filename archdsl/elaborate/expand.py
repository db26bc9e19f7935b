"""Statements, and modules applied: blocks expand into the nodes of the graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from archdsl.diagnostics import Label, Span
from archdsl.diagnostics.suggest import did_you_mean
from archdsl.elaborate import arithmetic as ar
from archdsl.elaborate import types
from archdsl.elaborate.assertions import Assertion, is_deferred
from archdsl.elaborate.evaluate import Evaluator, flatten
from archdsl.elaborate.files import BlockDef
from archdsl.elaborate.paths import Paths
from archdsl.elaborate.scope import Scope
from archdsl.elaborate.session import MAX_DEPTH, Hopeless, Session, TooLarge
from archdsl.elaborate.templates import key_of
from archdsl.elaborate.values import (
    POISON,
    BlockModule,
    Fault,
    MapValue,
    Module,
    OpModule,
    Poisoned,
    Range,
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


class Expander(Evaluator):
    """Runs the body of a block or network."""

    def __init__(self, session: Session, scope: Scope) -> None:
        super().__init__(session, scope)
        self.assertions: list[Assertion] = []
        self.module: BlockModule | None = None
        """The block whose body this is; None for a network's."""
        self.given: tuple[MapValue, ...] = ()
        """The values it is applied to."""

    # ------------------------------------------------------------ arguments

    def module_of(
        self,
        block: BlockDef,
        positional: Sequence[tuple[Any, Span]],
        named: dict[str, tuple[Any, Span]],
        span: Span,
    ) -> BlockModule:
        """A block with its arguments bound and checked."""
        params = block.tree.params
        if len(positional) > len(params):
            plural = "" if len(params) == 1 else "s"
            message = f"{block.name} has {len(params) or 'no'} parameter{plural}, and is given {len(positional)}"
            raise Fault("E0210", message, positional[len(params)][1], labels=(_declared(block),))
        given = {p.name.text: v for p, v in zip(params, positional, strict=False)}
        names = [p.name.text for p in params]
        for name, (value, where) in named.items():
            if name not in names:
                help = did_you_mean(name, names) or (f"it has {', '.join(names)}" if names else "it has none")
                message = f"{block.name} has no parameter `{name}`"
                raise Fault("E0202", message, where, help=help, labels=(_declared(block),))
            if name in given:
                raise Fault("E0109", f"`{name}` is given twice, once by its position", where)
            given[name] = (value, where)
        arguments = tuple(self.arguments(block, given, span).items())
        return BlockModule(block, arguments, span, self.deeper((value for _, value in arguments), span))

    def arguments(self, block: BlockDef, given: dict[str, tuple[Any, Span]], span: Span) -> dict[str, Any]:
        """Every parameter's value: given, or its default, which sees the parameters before it."""
        scope = Scope(block.file, {}, Paths("", "", False), is_network=block.tree.is_network)
        inner = Expander(self.session, scope)
        for param in block.tree.params:
            if param.type is not None:
                types.check_known(param.type)
            value, where = given.get(param.name.text) or inner._default(block, param, span)
            self.session.step(where, ar.weigh(value, where))
            types.check(param, value, where, inner._domain(param))
            scope.values[param.name.text] = value
        return scope.values

    def _default(self, block: BlockDef, param: t.Param, span: Span) -> tuple[Any, Span]:
        if param.default is None:
            message = f"{block.name} needs `{param.name.text}`"
            raise Fault("E0208", message, span, labels=(Label(param.span, "declared here"),))
        with self._working_out(param):
            return self.value(param.default), param.default.span

    @contextmanager
    def _working_out(self, param: t.Param) -> Iterator[None]:
        """Refuses a parameter whose default or range needs, by way of its own block, that default or range."""
        if param in self.session.binding:
            raise Fault("E0505", f"`{param.name.text}` is defined by itself", param.name.span)
        self.session.binding.append(param)
        try:
            yield
        finally:
            self.session.binding.pop()

    def _domain(self, param: t.Param) -> list[Any] | Range | None:
        domain = getattr(param.type, "domain", None)
        if domain is None:
            return None
        with self._working_out(param):
            if isinstance(domain, t.RangeExpr):
                return self._range(domain)
            return [self.value(item) for item in domain.items]

    # ---------------------------------------------------------- application

    def pipe_into(self, value: Any, stage: t.Stage) -> Any:
        module = self.chain_of(stage.module)
        inputs = self._operands(value, stage.span)
        alias = stage.alias.text if stage.alias else None
        if isinstance(module, list):
            if alias is not None:
                raise Fault("E0404", "`as` names one module, not a chain", stage.span, help="name the chain's parts")
            return self._chain(flatten(module), inputs, stage.span)
        return self.apply(module, inputs, self._paths(module, alias, stage.span), stage.span)

    def _operands(self, value: Any, span: Span) -> list[MapValue]:
        items = value if isinstance(value, list | tuple) else [value]
        for item in items:
            if not isinstance(item, MapValue):
                help = "a value that flows through `->` is a feature map"
                raise Fault("E0408", f"{kind_of(item)} cannot flow into a module", span, help=help)
        return list(items)

    def _paths(self, module: Module, alias: str | None, span: Span) -> tuple[str, str]:
        if isinstance(module, SharedModule):
            node = self.scope.paths.applied(self.scope.binding, module.kind, alias, span)[0]
            return node, module.path
        return self.scope.paths.applied(self.scope.binding, module.kind, alias, span)

    def _chain(self, modules: list[Module], inputs: list[MapValue], span: Span) -> Any:
        values = inputs
        for index, module in enumerate(modules):
            before = self.session.nodes
            paths = self.scope.paths.listed(self.scope.binding)
            if isinstance(module, SharedModule):
                paths = paths[0], module.path
            where = module.span if _inside(module.span, span) else span
            values = self._operands(self.apply(module, values, paths, where), where)
            self._foresee(modules, index, self.session.nodes - before, where)
        return values[0] if len(values) == 1 else tuple(values)

    def _foresee(self, modules: list[Module], index: int, count: int, span: Span) -> None:
        """Refuses a long run of one module as soon as its size is known from the first of them."""
        if index == 0 and len(modules) > 64 and all(m is modules[0] for m in modules):
            self.session.check_total(self.session.nodes + count * (len(modules) - 1), span)

    def apply(self, module: Module, inputs: Sequence[MapValue], paths: tuple[str, str], span: Span) -> Any:
        """Applies one module at `paths` (of its nodes, of its weights); several results come as a tuple."""
        if isinstance(module, OpModule):
            operands = [*inputs, *module.maps]
            results = self.session.emit(module.op, operands, module.settings, paths, span)
            return results[0] if len(results) == 1 else results
        if isinstance(module, SharedModule):
            return self._apply_shared(module, inputs, paths, span)
        if self.session.counting:
            return self._counted(module, inputs, paths, span)
        return self._copied(module, inputs, paths, span)

    def apply_op(self, op: str, inputs: Sequence[MapValue], settings: dict[str, Any], span: Span) -> Any:
        paths = self.scope.paths.applied(self.scope.binding, op, None, span)
        results = self.session.emit(op, inputs, tuple(settings.items()), paths, span)
        return list(results) if op == "split" else results[0] if len(results) == 1 else results

    def _apply_shared(
        self, module: SharedModule, inputs: Sequence[MapValue], paths: tuple[str, str], span: Span
    ) -> Any:
        values: Any = list(inputs)
        for index, part in enumerate(module.modules):
            single = len(module.modules) == 1
            node = paths[0] if single else f"{paths[0]}.{index}"
            weights = module.path if single else f"{module.path}.{index}"
            values = self.apply(part, self._operands(values, span), (node, weights), span)
        return values

    def _counted(self, module: BlockModule, inputs: Sequence[MapValue], paths: tuple[str, str], span: Span) -> Any:
        """Expansion for counting alone: a block met before with the same arguments and types is not expanded again."""
        key = _key(module, inputs)
        if key is not None and key in self.session.memo:
            count, results, single = self.session.memo[key]
            self.session.grow(count, span)
            values = self.session.phantom(results)
            return values[0] if single else values
        before = self.session.nodes
        value = self._expand(module, inputs, paths, span)
        results = [value] if isinstance(value, MapValue) else list(value)
        if key is not None:
            entry = (self.session.nodes - before, [m.type for m in results], isinstance(value, MapValue))
            self.session.memo[key] = entry
        return value

    def _copied(self, module: BlockModule, inputs: Sequence[MapValue], paths: tuple[str, str], span: Span) -> Any:
        """Expands a block, or copies what the same block gave for the same arguments and types before."""
        key = key_of(module, inputs)
        template = None if key is None else self.session.templates.get(key)
        if template is not None:
            results = self.session.copy(template, inputs, paths, span)
            return results[0] if template.single else tuple(results)
        since = self.session.mark(), len(self.assertions)
        value = self._expand(module, inputs, paths, span)
        if key is not None and len(self.assertions) == since[1]:
            made = self.session.template(since[0], inputs, paths, span, value)
            if made is not None:
                self.session.templates[key] = made
        return value

    def _expand(self, module: BlockModule, inputs: Sequence[MapValue], paths: tuple[str, str], span: Span) -> Any:
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
            raise Fault("E0412", message, span, labels=(_declared(block),))
        if not scope.outputs:
            message = f"{block.name} gives nothing out when it is used like this"
            raise Fault("E0501", message, span, labels=(_declared(block),))

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
            expander._expand(module, session.phantom([m.type for m in self.given]), ("tried", "tried"), span)
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


def _inside(inner: Span, outer: Span) -> bool:
    """Whether a chain's element was written in the chain itself, and is a better place to point at."""
    return inner.source is outer.source and outer.start <= inner.start and inner.end <= outer.end


def _declared(block: BlockDef) -> Label:
    return Label(block.tree.name.span, "declared here")


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


def _key(module: BlockModule, inputs: Sequence[MapValue]) -> Any:
    """What an expansion depends on, where that can be compared; None otherwise."""
    try:
        key = (
            "expansion",
            module.block.file.source.path,
            module.block.name,
            tuple((n, _frozen(v)) for n, v in module.arguments),
            tuple(m.type for m in inputs),
        )
        hash(key)
    except TypeError:
        return None
    return key


def _frozen(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_frozen(v) for v in value)
    if isinstance(value, MapValue):
        return value.type
    if isinstance(value, BlockModule):
        return value.block.file.source.path, value.block.name, tuple((n, _frozen(v)) for n, v in value.arguments)
    if isinstance(value, OpModule):
        return value.op, tuple((n, _frozen(v)) for n, v in value.settings), tuple(m.type for m in value.maps)
    return value


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
