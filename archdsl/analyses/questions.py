"""The analyses as an assert can ask for them: what `params`, `macs(h, w)`, `field_of_view(x)` and so on evaluate to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from archdsl.analyses.contributions import field_of_view_by_node, largest_lines, narrower_axis
from archdsl.analyses.cost import macs_by_node, parameters_by_node
from archdsl.analyses.once import Analyses
from archdsl.diagnostics import ArchError, Span
from archdsl.elaborate.evaluate import Evaluator
from archdsl.elaborate.scope import Scope
from archdsl.elaborate.session import Session
from archdsl.elaborate.values import Fault, MapValue, kind_of
from archdsl.ir.dims import Dim, same
from archdsl.ir.graph import Ref
from archdsl.ir.settings import describe
from archdsl.lang import tree as t

if TYPE_CHECKING:
    from archdsl.analyses.hardware import Hardware


@dataclass(frozen=True, slots=True)
class PerAxis:
    """A number for rows and another for columns. It compares with a number as both of them do."""

    rows: Any
    columns: Any

    def __str__(self) -> str:
        return f"{self.rows:,} in rows and {self.columns:,} in columns"


class _OnBoth(int):
    """A number that holds for rows and for columns alike, and can be told apart from any other number."""


def per_axis(rows: Any, columns: Any) -> Any:
    """A plain number where both axes agree."""
    return rows if rows == columns else PerAxis(rows, columns)


def _axes(value: Any) -> tuple[Any, Any]:
    return (value.rows, value.columns) if isinstance(value, PerAxis) else (value, value)


def _is_per_axis(value: Any) -> bool:
    return isinstance(value, PerAxis | _OnBoth)


def _beside(value: Any, other: Any, span: Span) -> tuple[Any, Any]:
    """What a value says of rows and of columns where the `other` side of a comparison is a field of view.

    Raises Fault E0410 for a list that is no pair.
    """
    if not (_is_per_axis(other) and isinstance(value, list | tuple)):
        return _axes(value)
    if len(value) != 2:
        help = "compare with one number, or with [rows, columns]"
        raise Fault("E0410", f"a field of view has 2 axes, and this list {len(value)} items", span, help=help)
    return value[0], value[1]


class Questioner(Evaluator):
    """Evaluates an assert. It remembers what was asked, for the notes of one that does not hold.

    Without `analyses` it evaluates constants of the file, which cannot ask for any.
    """

    def __init__(self, session: Session, scope: Scope, analyses: Analyses | None = None) -> None:
        super().__init__(session, scope)
        self.analyses = analyses
        self.gapped: list[Ref] = []
        """Values that were asked to have no hole, and have one."""
        self._asked: dict[object, Callable[[Analyses], tuple[Mapping[str, int], str]]] = {}

    def notes(self) -> Iterator[str]:
        """The lines that contribute most to what was asked."""
        for amounts_of in self._asked.values() if self.analyses else ():
            assert self.analyses is not None
            amounts, unit = amounts_of(self.analyses)
            yield from largest_lines(self.analyses.graph, amounts, unit)

    # ------------------------------------------------------------ questions

    def value(self, expr: t.Expr) -> Any:
        """The value of an expression; calls of analyses are answered here, all else as everywhere."""
        if self.analyses is not None and isinstance(expr, t.Call) and isinstance(expr.function, t.Name):
            name = expr.function.text
            if name in _FUNCTIONS and name not in self.scope.values and name not in self.scope.file.names:
                self.session.step(expr.span)
                return self._answer(name, expr, self.analyses)
        return super().value(expr)

    def unknown(self, name: str, span: Span) -> Any:
        """A name that is bound nowhere: one of the analyses without arguments. Raises Fault for any other."""
        if self.analyses is not None and name in _FACTS:
            return _FACTS[name](self, self.analyses)
        if self.analyses is not None and name in _FUNCTIONS:
            help = f"`{name}({', '.join(_FUNCTIONS[name][0])})`"
            raise Fault("E0404", f"`{name}` is a function; it stands before its arguments", span, help=help)
        return super().unknown(name, span)

    def _answer(self, name: str, call: t.Call, analyses: Analyses) -> Any:
        wanted, answer = _FUNCTIONS[name]
        positional, named = self._arguments(call)
        for key, (_, span) in named.items():
            if key not in wanted:
                raise Fault("E0202", f"`{name}` has no argument `{key}`", span, help=f"it takes {', '.join(wanted)}")
        given = dict(zip(wanted, positional, strict=False)) | named
        if len(positional) + len(named) != len(wanted) or len(given) != len(wanted):
            message = f"`{name}` takes {len(wanted)} argument{'s' if len(wanted) > 1 else ''}: {', '.join(wanted)}"
            raise Fault("E0210", message, call.span)
        return answer(self, analyses, [given[key] for key in wanted])

    def _params(self, analyses: Analyses) -> int:
        self._asked["params"] = lambda a: (parameters_by_node(a.graph), "parameters")
        return analyses.params

    def _params_train(self, analyses: Analyses) -> int:
        self._asked["params_train"] = lambda a: (parameters_by_node(a.graph, training=True), "parameters")
        return analyses.params_train

    def _gap_free(self, analyses: Analyses) -> bool:
        if not analyses.gap_free:
            self.gapped += [out.value for out in analyses.graph.outputs]
        return analyses.gap_free

    def _value_gap_free(self, analyses: Analyses, arguments: Sequence[tuple[Any, Span]]) -> bool:
        ref = _map(arguments[0])
        if not analyses.is_gap_free(ref):
            self.gapped.append(ref)
            return False
        return True

    def _field_of_view(self, analyses: Analyses, arguments: Sequence[tuple[Any, Span]]) -> Any:
        ref = _map(arguments[0])
        view = analyses.field_of_view(ref)
        axis, unit = narrower_axis(view), "pixels of the field of view"
        self._asked["field_of_view", ref] = lambda a: (field_of_view_by_node(a.graph, ref, axis, a.values), unit)
        return _OnBoth(view[0]) if view[0] == view[1] else PerAxis(*view)

    def items(self, value: Any, span: Span) -> Any:
        """The items of a value; those of a field of view are its rows and its columns."""
        return list(_axes(value)) if _is_per_axis(value) else super().items(value, span)

    def _macs(self, analyses: Analyses, arguments: Sequence[tuple[Any, Span]]) -> int:
        values = _size(analyses, *arguments)
        self._asked["macs", *values.values()] = lambda a: (macs_by_node(a.graph, values), "MACs")
        return analyses.macs(values)

    def _latency(self, analyses: Analyses, arguments: Sequence[tuple[Any, Span]]) -> float:
        from archdsl.analyses.hardware import find_hardware

        name, span = arguments[0]
        folder = Path(self.scope.file.source.path).parent
        if not isinstance(name, str) or Path(name).name != name:
            message = "hardware is a machine that ships, or a file beside the spec"
            raise Fault("E0820", message, span, help='for example "t4", or "mine.toml"')
        values = _size(analyses, *arguments[1:])
        try:
            hardware = find_hardware(name, folder)
        except ArchError as error:
            first = error.diagnostics[0]
            raise Fault(first.code, first.message, span, help=first.help) from None
        self._asked["latency", hardware.name, *values.values()] = lambda a: _time_by_node(a, values, hardware)
        return round(analyses.latency(hardware, values), 4)

    # ------------------------------------------------------------ operators

    def compare(self, symbol: str, a: Any, b: Any, span: Span) -> bool:
        """`a symbol b`: on both axes for fields of view, and by value for sizes that hang on the input's."""
        listed = isinstance(a, list | tuple) or isinstance(b, list | tuple)
        if isinstance(a, PerAxis) or isinstance(b, PerAxis) or (listed and (_is_per_axis(a) or _is_per_axis(b))):
            pairs = list(zip(_beside(a, b, span), _beside(b, a, span), strict=True))
            # different on one axis is different; everything else must hold on both
            decide = any if symbol == "!=" else all
            return decide(self.compare(symbol, x, y, span) for x, y in pairs)
        if symbol in ("==", "!=") and (_has_size(a) or _has_size(b)):
            return _same_value(a, b) == (symbol == "==")
        return super().compare(symbol, a, b, span)

    def _binary(self, symbol: str, a: Any, b: Any, span: Span) -> Any:
        if isinstance(a, PerAxis) or isinstance(b, PerAxis):
            pairs = zip(_axes(a), _axes(b), strict=True)
            return per_axis(*(self._binary(symbol, x, y, span) for x, y in pairs))
        return super()._binary(symbol, a, b, span)

    def refuse(self, span: Span) -> NoReturn:
        """The graph is finished: an assert cannot add to it."""
        help = "give the value a name before the assertion, and ask about the name"
        raise Fault("E0605", "an assertion asks about the network; it adds nothing to it", span, help=help)


_LIMITS = {"compute": "ns of arithmetic", "memory": "ns of moving bytes"}


def _time_by_node(analyses: Analyses, values: Mapping[str, int], hardware: Hardware) -> tuple[Mapping[str, int], str]:
    """What the floor is made of: the arithmetic of each node, or the bytes it has to move, whichever takes longer."""
    from archdsl.analyses.floor import floor_by_node

    spent, limit = floor_by_node(analyses.graph, values, hardware)
    return spent, _LIMITS.get(limit, "ns of the floor")


def _map(argument: tuple[Any, Span]) -> Ref:
    value, span = argument
    if not isinstance(value, MapValue):
        raise Fault("E0408", f"this is asked of a feature map, not of {kind_of(value)}", span)
    return value.ref


def _size(analyses: Analyses, height: tuple[Any, Span], width: tuple[Any, Span]) -> dict[str, int]:
    """The input size asked about. Raises Fault E0401 for what is no size, E0602 for one the network does not take."""
    values: dict[str, int] = {}
    for symbol, (value, span) in zip(("H", "W"), (height, width), strict=True):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise Fault("E0401", f"a size of the input is a positive integer, not {describe(value)}", span)
        _check_allowed(analyses, symbol, value, span)
        values[symbol] = int(value)
    return values


_AXES = {"H": (1, "height"), "W": (2, "width")}


def _check_allowed(analyses: Analyses, symbol: str, value: int, span: Span) -> None:
    axis, word = _AXES[symbol]
    message = f"{analyses.graph.name} takes no input of {word} {value}"
    fixed = analyses.graph.inputs[0].types[0].shape[axis]
    if isinstance(fixed, int) and fixed != value:
        raise Fault("E0602", message, span, help=f"its {word} is always {fixed}")
    rule = dict(analyses.graph.size_rules).get(symbol)
    if rule is not None and not rule.allows(value):
        raise Fault("E0602", message, span, help=f"the {word} must be {rule}; the nearest is {rule.nearest(value)}")


def _has_size(value: Any) -> bool:
    return any(map(_has_size, value)) if isinstance(value, list | tuple) else isinstance(value, Dim)


def _same_value(a: Any, b: Any) -> bool:
    """Equality that holds for every size of the input."""
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_same_value, a, b))
    sizes = all(isinstance(v, int | Dim) and not isinstance(v, bool) for v in (a, b))
    return same(a, b) if sizes else bool(a == b)


_FACTS: dict[str, Callable[[Questioner, Analyses], Any]] = {
    "params": Questioner._params,
    "params_train": Questioner._params_train,
    "gap_free": Questioner._gap_free,
}
_FUNCTIONS: dict[str, tuple[tuple[str, ...], Callable[[Questioner, Analyses, Sequence[tuple[Any, Span]]], Any]]] = {
    "macs": (("h", "w"), Questioner._macs),
    "field_of_view": (("x",), Questioner._field_of_view),
    "gap_free": (("x",), Questioner._value_gap_free),
    "latency": (("hardware", "h", "w"), Questioner._latency),
}
