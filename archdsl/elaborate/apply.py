"""Modules applied to maps: one by one, in chains, shared, and copied where the same was expanded before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archdsl.diagnostics import Span
from archdsl.elaborate.arguments import Binder
from archdsl.elaborate.assertions import Assertion
from archdsl.elaborate.evaluate import flatten
from archdsl.elaborate.scope import Scope
from archdsl.elaborate.session import Session
from archdsl.elaborate.templates import key_of
from archdsl.elaborate.values import BlockModule, Fault, MapValue, Module, OpModule, SharedModule, kind_of
from archdsl.lang import tree as t


class Applier(Binder):
    """Applies modules. What expanding a block means is `Expander`'s."""

    def __init__(self, session: Session, scope: Scope) -> None:
        super().__init__(session, scope)
        self.assertions: list[Assertion] = []

    def expand(self, module: BlockModule, inputs: Sequence[MapValue], paths: tuple[str, str], span: Span) -> Any:
        """The results of a block's body on these inputs."""
        raise NotImplementedError

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
        value = self.expand(module, inputs, paths, span)
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
        value = self.expand(module, inputs, paths, span)
        if key is not None and len(self.assertions) == since[1]:
            made = self.session.template(since[0], inputs, paths, span, value)
            if made is not None:
                self.session.templates[key] = made
        return value


def _inside(inner: Span, outer: Span) -> bool:
    """Whether a chain's element was written in the chain itself, and is a better place to point at."""
    return inner.source is outer.source and outer.start <= inner.start and inner.end <= outer.end


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
