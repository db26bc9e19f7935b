"""A network's report as one HTML page that needs nothing else: picture, facts, table, fields of view, source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archdsl.analyses.fieldofview import FieldOfViewFacts
from archdsl.analyses.fieldofview import facts as field_of_view_facts
from archdsl.analyses.hardware import Hardware
from archdsl.analyses.planar import planar
from archdsl.diagnostics import Diagnostic, Severity, Source, Span
from archdsl.diagnostics.columns import safe
from archdsl.ir.graph import Graph
from archdsl.report.numbers import data, milliseconds, percent, shape, short
from archdsl.report.reach_svg import middle, reach_svg, strips_svg
from archdsl.report.rows import NetworkRows, Row, network_rows
from archdsl.report.strips import all_strips
from archdsl.report.svg import Picture, fact_line, widest_view

if TYPE_CHECKING:
    from archdsl.network import Network
    from archdsl.runtime.manifest import Manifest


_AXES = {"H": "height", "W": "width"}
_PLANES_TRIED, _PLANES_SHOWN = 8, 3


def render_html(
    net: Network,
    *,
    values: Mapping[str, int] | None = None,
    hardware: Hardware | None = None,
    dtype: str = "float32",
    budget: float | None = None,
    manifest: Manifest | None = None,
) -> str:
    """The report of a network.

    `values` is the input's size; with `hardware` each line has its floor in time, held against a `budget` in seconds;
    `manifest` is that of a compiled artifact. Raises ValueError where the hardware has no rate for the dtype.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("archdsl.report")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.lstrip_blocks = True
    table = network_rows(net.elaboration, values=values, hardware=hardware, dtype=dtype, budget=budget)
    return environment.get_template("report.html").render(
        _context(net, table, values),
        compiled=[] if manifest is None else list(_compiled(manifest)),
    )


def _context(net: Network, table: NetworkRows, values: Mapping[str, int] | None) -> dict[str, Any]:
    definition = net.elaboration.definition
    picture = Picture(net.ir, net.name, fact_line(net.ir, values))
    views = field_of_view_facts(net.ir, values)
    return {
        "name": net.name,
        "doc": [] if definition is None else safe(definition.tree.doc).split("\n\n"),
        "path": "" if table.source is None else safe(table.source.path),
        "parameters": [f"{name} = {value}" for name, value in _given(net)],
        "picture": _markup(picture.svg()),
        "picture_width": round(picture.width),
        "facts": list(_facts(net.ir, table, views)),
        "floor": _floor(table),
        "rows": [_row(table, row) for row in table.rows],
        "timed": table.floor is not None,
        "budgeted": bool(table.budget),
        "totals": _totals(table),
        "size": _size(table.values),
        "views": list(_views(net.ir, table, values)),
        "planes": _planes(net.ir, values, views),
        "assertions": [_assertion(a.statement.span, table, net.warnings) for a in net.elaboration.assertions],
        "diagnostics": [_diagnostic(d, table) for d in net.warnings],
        "source": [] if table.source is None else list(_source(table.source)),
    }


def _source(source: Source) -> Iterator[str]:
    """The lines, as they are counted in diagnostics."""
    last = len(source.line_starts) - source.text.endswith("\n")
    return (safe(source.line_text(line)) for line in range(1, last + 1))


def _markup(svg: str) -> Any:
    """Our own SVG, in which the user's text is escaped already."""
    from markupsafe import Markup

    return Markup(svg)


def _given(net: Network) -> list[tuple[str, str]]:
    from archdsl.ir.settings import describe

    return [(name, safe(describe(value))) for name, value in net.parameters.items()]


def _size(values: Mapping[str, int]) -> str:
    return " × ".join(str(values[name]) for name in ("H", "W"))


# ----------------------------------------------------------------- facts


def _facts(graph: Graph, table: NetworkRows, views: FieldOfViewFacts) -> Iterator[tuple[str, str, str]]:
    """A number, what it is of, and a remark."""
    cost = table.cost
    extra = f"{cost.params_train:,} in training" if cost.params_train != cost.params else ""
    yield f"{cost.params:,}", "parameters", extra
    yield short(cost.macs), "multiply-adds", f"{cost.macs:,} at {_size(table.values)}"
    widest = widest_view(views)
    if widest is not None:
        name, (y, x) = widest
        yield f"{y} × {x}", "field of view", f"of {name}"
    yield "yes" if views.gap_free else "no", "gap-free", _holes(views)
    yield data(cost.moved), "bytes moved", f"every op on its own, {cost.dtype}"
    yield data(cost.peak.bytes), "peak of maps", f"at {cost.peak.node}"
    yield data(cost.weight_bytes), "weights", cost.dtype
    for name, rule in graph.size_rules:
        yield str(rule), f"input {_AXES.get(name, name)}", ""


def _holes(views: FieldOfViewFacts) -> str:
    unfilled = sum(not gap.filled for gap in views.gaps)
    if not views.gaps:
        return "no op leaves a hole"
    return f"{_counted(len(views.gaps), 'hole')}, {unfilled or 'none'} unfilled"


def _counted(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}" if number == 1 else f"{number or 'no'} {noun}s"


def _floor(table: NetworkRows) -> list[tuple[str, str]]:
    """The least time on the hardware, in words."""
    if table.floor is None:
        return []
    found = table.floor
    rows = [
        ("node by node", f"{milliseconds(found.op_by_op)} ms"),
        ("every map kept on the chip", f"{milliseconds(found.fused)} ms, {found.fused_limit} bound"),
    ]
    if table.budget:
        rows.append(("budget", f"{milliseconds(table.budget)} ms"))
        rows.append(("node by node takes", f"{percent(found.op_by_op / table.budget)} of it"))
    return [("hardware", safe(found.hardware)), ("dtype", found.dtype), *rows]


def _compiled(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """What a manifest says of the artifact."""
    yield "input sizes", ", ".join(f"{h} × {w}" for h, w in manifest.sizes)
    yield "dtype and device", f"{manifest.dtype} on {manifest.device}"
    yield "output", manifest.output
    yield "weights", manifest.weights
    for choice in manifest.engines:
        times = ", ".join(f"{name} {ms:.3g} ms" for name, ms in choice.milliseconds.items())
        yield f"engine of {choice.part}", f"{choice.engine}" + (f" ({times})" if times else "")
    for record in (found for found in manifest.passes if found.fired or found.declined):
        yield record.name, f"{_counted(len(record.fired), 'place')}, not in {len(record.declined)}"
    if manifest.verification is not None:
        yield "checked", str(manifest.verification)
    yield "made with", ", ".join(f"{name} {version}" for name, version in manifest.versions.items())


# ----------------------------------------------------------------- table


@dataclass(frozen=True)
class _Line:
    """A row as the template shows it.

    `shape` is in numbers where the input's size is given, and `other_shape` then in symbols, or the other way round.
    `share` is the part of the time or of the MACs that the row takes, in percent.
    """

    row: Row
    text: str
    shape: str
    other_shape: str
    view: str
    room: str
    params: str
    macs: str
    share: float
    moved: str
    ms: str
    budget: str
    parts: tuple[_Line, ...]

    @property
    def over(self) -> bool:
        """Whether a dilation in it is over its bound."""
        return self.row.headroom.least is not None and self.row.headroom.least < 0


def _row(table: NetworkRows, row: Row) -> _Line:
    y, x = row.view.y, row.view.x
    given = table.sized or table.floor is not None
    share = table.share(row) if table.floor is not None else row.macs / (table.cost.macs or 1)
    return _Line(
        row,
        safe(row.text),
        shape(row.type, table.values if given else None),
        shape(row.type, None if given else table.values),
        f"{y} × {x}" + (" ~" if row.view.nominal else "") + (" *" if row.view.context else ""),
        _room(row),
        short(row.params),
        short(row.macs),
        round(100 * min(1.0, share or 0.0), 1),
        data(row.moved),
        milliseconds(row.seconds or 0.0),
        percent(share) if share else "-",
        tuple(_row(table, part) for part in row.parts),
    )


def _room(row: Row) -> str:
    least = row.headroom.least
    if least is not None and least < 0:
        return str(least)
    return "unknown" if row.headroom.unknown else "-" if least is None else str(least)


def _totals(table: NetworkRows) -> dict[str, str]:
    whole = table.floor.op_by_op if table.floor is not None else 0.0
    return {
        "params": f"{table.cost.params:,}",
        "macs": short(table.cost.macs),
        "moved": data(table.cost.moved),
        "ms": milliseconds(whole),
        "budget": percent(whole / table.budget) if table.budget else "",
    }


# ----------------------------------------------------------------- fields of view


def _views(graph: Graph, table: NetworkRows, values: Mapping[str, int] | None) -> Iterator[tuple[str, str, Any]]:
    """Each named value: its name, its size, its strips."""
    refs = dict(graph.names)
    near = {name: middle(graph, ref, table.values) for name, ref in refs.items()}
    for name, pair in all_strips(graph, values=values, near=near).items():
        yield name, shape(graph.type_of(refs[name])), _markup(strips_svg(pair))


def _planes(graph: Graph, values: Mapping[str, int] | None, views: FieldOfViewFacts) -> list[Any]:
    """The planes worth a picture: those with unread pixels, or that of the value that sees furthest.

    Where no op ever left a hole on an axis, there is none in the plane.
    """
    exact = [name for name in views.field_of_view if name not in views.nominal] or list(views.field_of_view)
    furthest = sorted(exact, key=lambda name: views.field_of_view[name], reverse=True)[:_PLANES_TRIED]
    refs = dict(graph.names)
    holed = [name for name in furthest if views.gaps and planar(graph, refs[name], values=values).unread]
    return [_markup(reach_svg(graph, name, values=values)) for name in (holed or furthest[:1])[:_PLANES_SHOWN]]


# ----------------------------------------------------------------- checks


def _where(span: Span | None, table: NetworkRows) -> dict[str, Any]:
    """The line to link to where the place is in the source that the page shows, and the place in words."""
    if span is None:
        return {"line": 0, "where": ""}
    shown = span.source is table.source
    return {"line": span.line if shown else 0, "where": f"{'' if shown else safe(span.path) + ', '}line {span.line}"}


def _assertion(span: Span, table: NetworkRows, diagnostics: tuple[Diagnostic, ...]) -> dict[str, Any]:
    """An assert, and whether an error speaks of it."""
    broken = any(d.severity is Severity.ERROR and _within(d.span, span) for d in diagnostics)
    return {**_where(span, table), "text": " ".join(safe(span.text).split()), "holds": not broken}


def _within(inner: Span | None, outer: Span) -> bool:
    return inner is not None and inner.source is outer.source and outer.start <= inner.start and inner.end <= outer.end


def _diagnostic(diagnostic: Diagnostic, table: NetworkRows) -> dict[str, Any]:
    return {
        **_where(diagnostic.span, table),
        "severity": str(diagnostic.severity),
        "code": diagnostic.code,
        "message": safe(diagnostic.message),
        "help": safe(diagnostic.help),
        "notes": [safe(note) for note in diagnostic.notes],
    }
