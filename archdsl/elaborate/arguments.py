"""Arguments of blocks and networks: bound to parameters, completed with defaults, held against types and ranges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from archdsl.diagnostics import Label, Span
from archdsl.diagnostics.suggest import did_you_mean
from archdsl.elaborate import arithmetic as ar
from archdsl.elaborate import types
from archdsl.elaborate.evaluate import Evaluator
from archdsl.elaborate.files import BlockDef
from archdsl.elaborate.paths import Paths
from archdsl.elaborate.scope import Scope
from archdsl.elaborate.values import BlockModule, Fault, Range
from archdsl.lang import tree as t


class Binder(Evaluator):
    """Makes modules of blocks."""

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
            raise Fault("E0210", message, positional[len(params)][1], labels=(declared_at(block),))
        given = {p.name.text: v for p, v in zip(params, positional, strict=False)}
        names = [p.name.text for p in params]
        for name, (value, where) in named.items():
            if name not in names:
                help = did_you_mean(name, names) or (f"it has {', '.join(names)}" if names else "it has none")
                message = f"{block.name} has no parameter `{name}`"
                raise Fault("E0202", message, where, help=help, labels=(declared_at(block),))
            if name in given:
                raise Fault("E0109", f"`{name}` is given twice, once by its position", where)
            given[name] = (value, where)
        arguments = tuple(self.arguments(block, given, span).items())
        return BlockModule(block, arguments, span, self.deeper((value for _, value in arguments), span))

    def arguments(self, block: BlockDef, given: dict[str, tuple[Any, Span]], span: Span) -> dict[str, Any]:
        """Every parameter's value: given, or its default, which sees the parameters before it."""
        scope = Scope(block.file, {}, Paths("", "", False), is_network=block.tree.is_network)
        inner = type(self)(self.session, scope)
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


def declared_at(block: BlockDef) -> Label:
    return Label(block.tree.name.span, "declared here")
