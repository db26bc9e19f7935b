"""Expressions: from syntax to values. Finite, and without any effect but the nodes that applied modules add."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from archdsl.diagnostics import Span
from archdsl.diagnostics.suggest import did_you_mean
from archdsl.elaborate import arithmetic as ar
from archdsl.elaborate import builtins
from archdsl.elaborate.files import AliasDef, BlockDef, BrokenDef, ConstantDef
from archdsl.elaborate.op_calls import bind_settings, check_maps, check_required
from archdsl.elaborate.operators import Operators
from archdsl.elaborate.paths import Paths
from archdsl.elaborate.scope import ANALYSES, BUILTINS, Scope
from archdsl.elaborate.session import MAX_DEPTH, Session
from archdsl.elaborate.values import (
    POISON,
    BlockModule,
    Fault,
    Literal,
    MapValue,
    Module,
    OpModule,
    Poisoned,
    Range,
    SharedModule,
    depth_of,
    is_chain,
    is_module,
    kind_of,
    odd_one,
)
from archdsl.ir.op import OPS, in_language
from archdsl.lang import tree as t

_UNDER_WAY: Any = object()
"""What the memo holds for a constant while it is worked out."""

_STEPS_PER_NEW_CALL = 36
"""What settings that may differ every time cost: they are bound, checked, and their op's rules asked anew."""


class Evaluator(Operators):
    """Evaluates expressions of one body. `Expander` adds the application of modules."""

    def __init__(self, session: Session, scope: Scope) -> None:
        self.session = session
        self.scope = scope

    def value(self, expr: t.Expr) -> Any:
        """The value of an expression. Raises Fault, or Poisoned where it depends on an earlier error."""
        self.session.step(expr.span)
        result = _HANDLERS[type(expr)](self, expr)
        if isinstance(result, list | tuple) and not isinstance(expr, t.Name):
            self.session.spend(ar.weigh(result, expr.span), expr.span)
        return result

    # ------------------------------------------------------------- literals

    def _number(self, expr: t.Number) -> Any:
        ar.check_number(expr.value, expr.span)
        return Literal(expr.value, expr.span) if isinstance(expr.value, int) else expr.value

    def _string(self, expr: t.String) -> str:
        return expr.value

    def _constant(self, expr: t.Constant) -> bool | None:
        return expr.value

    def _list(self, expr: t.ListExpr) -> list[Any]:
        return [self.value(item) for item in expr.items]

    def _tuple(self, expr: t.TupleExpr) -> tuple[Any, ...]:
        return tuple(self.value(item) for item in expr.items)

    def _range(self, expr: t.RangeExpr) -> Range:
        ends = [self.value(end) for end in (expr.first, expr.last)]
        for end, part in zip(ends, (expr.first, expr.last), strict=True):
            if isinstance(end, bool) or not isinstance(end, int):
                raise Fault("E0401", f"the ends of a range are integers, not {kind_of(end)}", part.span)
        return Range(*ends)

    def _comprehension(self, expr: t.Comprehension) -> list[Any]:
        saved = dict(self.scope.values)
        self.session.spend(len(saved), expr.span)
        result: list[Any] = []
        try:
            self._clause(expr, 0, result)
        finally:
            self.scope.values.clear()
            self.scope.values.update(saved)
        return result

    def _clause(self, expr: t.Comprehension, index: int, result: list[Any]) -> None:
        if index == len(expr.clauses):
            result.append(self.value(expr.element))
            ar.check_count(len(result), "list", expr.span)
            return
        clause = expr.clauses[index]
        items = ar.iterate(self.value(clause.iterable), clause.iterable.span)
        before = self.session.nodes
        for done, item in enumerate(items, 1):
            self.bind(clause.targets, item, clause.iterable.span)
            if all(self.condition(c) for c in clause.conditions):
                self._clause(expr, index + 1, result)
            self.session.check_pace(self.session.nodes - before, done, len(items), clause.iterable.span)

    # ---------------------------------------------------------------- names

    def _name(self, expr: t.Name) -> Any:
        found = self.lookup(expr.text, expr.span)
        if isinstance(found, BlockDef):
            return self.module_of(found, (), {}, expr.span)
        return found

    def lookup(self, name: str, span: Span) -> Any:
        """What a name means here: a value, a block's definition, or an op without settings given."""
        if name in self.scope.values:
            found = self.scope.values[name]
            if found is POISON:
                raise Poisoned
            return found
        if name in self.scope.file.names:
            return self._definition(name, span)
        if in_language(name):
            return OpModule(name, (), (), span)
        return self.unknown(name, span)

    def unknown(self, name: str, span: Span) -> Any:
        if span.start in self.scope.file.unknown:
            raise Poisoned
        if name in BUILTINS:
            raise Fault("E0404", f"`{name}` is a function; it stands before its arguments", span, help=f"`{name}(…)`")
        if name in ANALYSES:
            raise Fault("E0604", f"`{name}` can be asked only in an `assert`", span)
        help = did_you_mean(name, self.scope.visible())
        raise Fault("E0201", f"`{name}` is not defined", span, help=help)

    def _definition(self, name: str, span: Span) -> Any:
        definition = self.scope.file.names[name]
        if isinstance(definition, BrokenDef):
            raise Poisoned
        if isinstance(definition, ConstantDef):
            return self.constant(name, definition)
        if isinstance(definition, AliasDef) or definition.tree.is_network:
            message = f"`{name}` is a network, and cannot be part of one"
            raise Fault("E0404", message, span, help="make what both share a block")
        return definition

    def constant(self, name: str, definition: ConstantDef) -> Any:
        """The value of a constant of a file. Raises Poisoned where it has none, after the error was reported."""
        key = ("constant", definition.file.source.path, definition.tree.name.text)
        if key not in self.session.memo:
            self.session.memo[key] = _UNDER_WAY
            scope = Scope(definition.file, {}, Paths("", "", False))
            inner = type(self)(self.session, scope)
            try:
                self.session.memo[key] = inner.value(definition.tree.value)
            except Fault as fault:
                self.session.memo[key] = POISON
                self.session.report(fault)
            except Poisoned:
                self.session.memo[key] = POISON
        found = self.session.memo[key]
        if found is _UNDER_WAY:
            raise Fault("E0505", f"`{name}` is defined by itself", definition.tree.name.span)
        if found is POISON:
            raise Poisoned
        return found

    def _conditional(self, expr: t.Conditional) -> Any:
        return self.value(expr.then if self.condition(expr.condition) else expr.otherwise)

    def _index(self, expr: t.Index) -> Any:
        value = self.items(self.value(expr.value), expr.value.span)
        if isinstance(expr.subscript, t.Slice):
            start, stop = (
                None if end is None else self._integer(end) for end in (expr.subscript.start, expr.subscript.stop)
            )
            return value[start:stop]
        index = self._integer(expr.subscript)
        if not -len(value) <= index < len(value):
            message = f"there is no item {index} in a list of {len(value)}"
            raise Fault("E0409", message, expr.subscript.span, help="items count from 0; -1 is the last")
        return value[index]

    def items(self, value: Any, span: Span) -> Any:
        """What can be picked from a value by index. Raises Fault E0401 for one without items."""
        if not isinstance(value, list | tuple | Range):
            raise Fault("E0401", f"{kind_of(value)} has no items to pick", span)
        return ar.iterate(value, span) if isinstance(value, Range) else value

    def _integer(self, expr: t.Expr) -> int:
        value = self.value(expr)
        if isinstance(value, bool) or not isinstance(value, int):
            raise Fault("E0401", f"an index is an integer, not {kind_of(value)}", expr.span)
        return value

    # ---------------------------------------------------------------- calls

    def _call(self, expr: t.Call) -> Any:
        if isinstance(expr.function, t.Name):
            name = expr.function.text
            shadowed = name in self.scope.values or name in self.scope.file.names
            if not shadowed and name in BUILTINS:
                return self._builtin(name, expr)
            function = self.lookup(name, expr.function.span)
        else:
            function = self.value(expr.function)
        if isinstance(function, BlockDef):
            return self.module_of(function, *self._arguments(expr), expr.span)
        if isinstance(function, OpModule):
            return self._op_call(function, expr)
        if isinstance(function, BlockModule):
            return self._refine(function, expr)
        if isinstance(function, SharedModule):
            message = f"`{function.name}` is shared, and has its settings already"
            raise Fault("E0404", message, expr.function.span, help="give them where it is declared `shared`")
        raise Fault("E0404", f"{kind_of(function)} cannot be called", expr.function.span)

    def _arguments(self, expr: t.Call) -> tuple[tuple[tuple[Any, Span], ...], dict[str, tuple[Any, Span]]]:
        positional: list[tuple[Any, Span]] = []
        named: dict[str, tuple[Any, Span]] = {}
        for argument in expr.arguments:
            value = self.value(argument.value)
            if argument.name is None:
                if named:
                    raise Fault("E0109", "a positional argument stands after a named one", argument.span)
                positional.append((value, argument.span))
            elif argument.name.text in named:
                raise Fault("E0109", f"`{argument.name.text}` is given twice", argument.span)
            else:
                named[argument.name.text] = (value, argument.span)
        return tuple(positional), named

    def _refine(self, module: BlockModule, expr: t.Call) -> BlockModule:
        """A module given to a block as a parameter, called there with further arguments."""
        positional, named = self._arguments(expr)
        merged = {name: (value, module.span) for name, value in module.arguments}
        for param, given in zip(module.block.tree.params, positional, strict=False):
            merged[param.name.text] = given
        return self.module_of(module.block, (), {**merged, **named}, expr.span)

    def _op_call(self, module: OpModule, expr: t.Call) -> Any:
        """A call that holds nothing but literals gives the same module every time it is evaluated."""
        known = self.session.modules.get(id(expr))
        if known is not None and known.op == module.op and not module.settings and not module.maps:
            return known
        self.session.step(expr.span, _STEPS_PER_NEW_CALL)
        made = self._op_with(module, *self._arguments(expr), expr.span)
        written = all(isinstance(a.value, t.Number | t.String | t.Constant) for a in expr.arguments)
        if written and isinstance(made, OpModule) and not module.settings and not module.maps:
            self.session.modules[id(expr)] = made
        return made

    def _op_with(
        self,
        module: OpModule,
        positional: Sequence[tuple[Any, Span]],
        named: dict[str, tuple[Any, Span]],
        span: Span,
    ) -> Any:
        """An op's module with more settings given, or what it gives where maps are given too."""
        op = OPS[module.op]
        inputs: list[MapValue] = []
        first_is_map = bool(op.settings) and op.settings[0].kind == "map"
        while positional and not first_is_map and _holds_maps(positional[0][0]):
            value = positional[0][0]
            inputs += value if isinstance(value, list | tuple) else [value]
            positional = positional[1:]
        if positional and op.arity[1] is None:
            value, where = positional[0]
            odd = next((v for v in value if not isinstance(v, MapValue)), value) if isinstance(value, list) else value
            raise Fault("E0408", f"{op.name} takes feature maps, not {kind_of(odd)}", where)
        settings = {
            **{n: (v, module.span) for n, v in module.settings},
            **bind_settings(op, positional, named),
        }
        maps = tuple(v for n, (v, _) in settings.items() if isinstance(v, MapValue))
        plain = {n: v for n, (v, _) in settings.items() if not isinstance(v, MapValue)}
        check_maps(op, settings)
        if inputs:
            return self.apply_op(module.op, [*inputs, *maps], plain, span)
        check_required(op, plain, span)
        depth = self.deeper(plain.values(), span)
        return OpModule(module.op, tuple(plain.items()), (*module.maps, *maps), span, depth)

    def deeper(self, values: Iterable[Any], span: Span) -> int:
        """The depth of a module that is made with these values. Raises Fault E0903 when it is over the limit."""
        depth = 1 + max(map(depth_of, values), default=0)
        if depth > MAX_DEPTH:
            raise Fault("E0903", f"modules stand in one another more than {MAX_DEPTH} deep", span)
        return depth

    def _search(self, expr: t.Search) -> Any:
        start = self.value(expr.start)
        if isinstance(expr.domain, t.RangeExpr):
            domain = tuple(ar.iterate(self.value(expr.domain), expr.domain.span))
            self.session.step(expr.span, len(domain))
        else:
            domain = tuple(self.value(item) for item in expr.domain.items)
        if not all(isinstance(v, int) and not isinstance(v, bool) for v in (start, *domain)):
            odd = next(v for v in (start, *domain) if isinstance(v, bool) or not isinstance(v, int))
            raise Fault("E0401", f"`search` chooses among integers, not {kind_of(odd)}", expr.span)
        if start not in domain:
            raise Fault("E0402", f"the start value {start} is not in the range searched", expr.start.span)
        return self.session.choose(int(start), tuple(map(int, domain)), expr.span, own=self.scope.is_network)

    # ---------------------------------------------------------------- pipes

    def _pipe(self, expr: t.Pipe) -> Any:
        value = self.value(expr.value)
        if is_chain(value) and value != []:
            return self._compose(value, expr)
        for item in value if isinstance(value, list | tuple) else [value]:
            if not isinstance(item, MapValue):
                help = "a value that flows through `->` is a feature map"
                raise Fault("E0408", f"{kind_of(item)} cannot flow into a module", expr.value.span, help=help)
        for stage in expr.stages:
            value = self.pipe_into(value, stage)
        return value

    def _compose(self, first: Any, expr: t.Pipe) -> list[Any]:
        """`A -> B` between modules is the chain [A, B]."""
        chain = [*flatten(first)]
        for stage in expr.stages:
            chain += flatten(self.chain_of(stage.module))
        return chain

    def chain_of(self, expr: t.Expr) -> Any:
        value = self.value(expr)
        if is_chain(value):
            return value
        help = "wrap it: only modules follow `->`"
        if isinstance(value, list) and any(is_module(v) for v in value):
            odd = kind_of(odd_one(value))
            raise Fault("E0404", f"a chain holds modules only, and this list has {odd} in it", expr.span)
        if isinstance(value, MapValue):
            help = "to bring two maps together use `+`, `concat([…])`, or a module with several inputs: `(a, b) -> M`"
        raise Fault("E0404", f"{kind_of(value)} cannot stand after `->`", expr.span, help=help)

    def refuse(self, span: Span) -> NoReturn:
        """What there is to say where a module would be made or applied, and there is no network to add it to."""
        raise Fault("E0605", "this is a value by itself; no module can be applied here", span)

    def pipe_into(self, value: Any, stage: t.Stage) -> Any:
        """A value fed into one stage of a pipe."""
        self.refuse(stage.span)

    def apply_op(self, op: str, inputs: Sequence[MapValue], settings: dict[str, Any], span: Span) -> Any:
        """An op applied to maps."""
        self.refuse(span)

    def module_of(
        self,
        block: BlockDef,
        positional: Sequence[tuple[Any, Span]],
        named: dict[str, tuple[Any, Span]],
        span: Span,
    ) -> BlockModule:
        """A block with its arguments bound."""
        self.refuse(span)

    # ------------------------------------------------------------- builtins

    def _builtin(self, name: str, expr: t.Call) -> Any:
        positional, named = self._arguments(expr)
        values = [value for value, _ in positional]
        if name in ("sum", "max") and values and _holds_maps(values[0]):
            return self._op_with(OpModule(name, (), (), expr.span), positional, named, expr.span)
        if named:
            raise Fault("E0202", f"`{name}` takes no named arguments", next(iter(named.values()))[1])
        self.session.spend(sum(ar.weigh(v, expr.span) for v in values), expr.span)
        return builtins.call(name, values, expr.span)

    # -------------------------------------------------------------- binding

    def bind(self, targets: Sequence[t.Ident], value: Any, span: Span) -> None:
        """Gives names to a value, or to its parts. Raises Fault E0413 when the counts differ."""
        if len(targets) == 1:
            self.scope.values[targets[0].text] = value
            return
        if isinstance(value, Range):
            value = ar.iterate(value, span)
        if not isinstance(value, list | tuple) or len(value) != len(targets):
            count = len(value) if isinstance(value, list | tuple) else 1
            message = f"{len(targets)} names are given to {count} value{'s' if count != 1 else ''}"
            raise Fault("E0413", message, span)
        for target, item in zip(targets, value, strict=True):
            self.scope.values[target.text] = item


def flatten(value: Any) -> list[Module]:
    """A module or nested lists of them, in order."""
    if not isinstance(value, list):
        return [value]
    flat: list[Module] = []
    for item in value:
        flat += flatten(item)
    return flat


def _holds_maps(value: Any) -> bool:
    return isinstance(value, MapValue) or (
        isinstance(value, list | tuple) and bool(value) and all(isinstance(v, MapValue) for v in value)
    )


_HANDLERS: dict[type[t.Expr], Callable[[Any, Any], Any]] = {
    t.Name: Evaluator._name,
    t.Number: Evaluator._number,
    t.String: Evaluator._string,
    t.Constant: Evaluator._constant,
    t.ListExpr: Evaluator._list,
    t.TupleExpr: Evaluator._tuple,
    t.RangeExpr: Evaluator._range,
    t.Comprehension: Evaluator._comprehension,
    t.Call: Evaluator._call,
    t.Index: Evaluator._index,
    t.Negative: Evaluator._negative,
    t.Not: Evaluator._not,
    t.Arithmetic: Evaluator._arithmetic,
    t.Comparison: Evaluator._comparison,
    t.Logic: Evaluator._logic,
    t.Conditional: Evaluator._conditional,
    t.Search: Evaluator._search,
    t.Pipe: Evaluator._pipe,
}
