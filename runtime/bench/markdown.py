"""A bench as a Markdown table that reads well on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from archdsl.runtime.bench.measured import Measured
from archdsl.runtime.bench.result import Ratio, Report, Row
from archdsl.runtime.engines.native import NAME as NATIVE

_HEADS = ("engine", "ms", "p5–p95", "images/s", "error", "peak MB", "compile s", "load s", "first call s")
_SHOWN_STEPS = 12
_LONGEST_TEXT = 72


def markdown(report: Report) -> str:
    """Every case: a table of its contenders, how archdsl stands against the best peer, and who was skipped and why."""
    limits = report.limits
    rates = ", ".join(f"{rate * 1e3:.0f} GFLOP/s {dtype}" for dtype, rate in limits.get("matmul_tflops", {}).items())
    lines = [f"{report.hardware['processor']}, {report.hardware['threads']} threads; {report.date}"]
    if rates:
        lines.append(f"measured here: copy {limits['copy_gb_s']:.1f} GB/s, matrix product {rates}")
    for case, rows in groupby(report.rows, key=case_of):
        lines += ["", f"## {case}", "", *_case(list(rows), report)]
    if report.interrupted:
        lines += ["", "Interrupted: what was measured until then."]
    return "\n".join(lines)


def case_of(row: Row | Ratio) -> str:
    """What a row is about, in words."""
    batch = f", batch {row.batch}" if row.batch != 1 else ""
    return f"{row.network} {row.input} {row.dtype} on {row.device}{batch}, {row.output}"


def _case(rows: list[Row], report: Report) -> Iterator[str]:
    timed = sorted((row for row in rows if row.median_ms is not None), key=lambda row: row.median_ms or 0.0)
    if timed:
        yield from _table([_HEADS, *(_cells(row) for row in timed)])
        yield ""
    for ratio in report.ratios:
        if case_of(ratio) == case_of(rows[0]):
            yield _verdict(ratio)
            if ratio.device == "cpu" and (why := ratio.passed_over.get(NATIVE)):
                yield f"- archdsl's engine {NATIVE}: {why}"
    for row in rows:
        if row.skipped is not None:
            yield f"- {row.engine}: {row.skipped}"
        elif row.agrees is False:
            yield f"- {row.engine}: its output is not the network's ({_error(row)}); it does not count"
    nodes = report.nodes.get(case_of(rows[0]))
    if nodes:
        yield from _nodes(nodes)


def _cells(row: Row) -> tuple[str, ...]:
    name = f"**{row.engine}** ({row.detail})" if row.engine == "archdsl" else row.engine
    return (
        name,
        _number(row.median_ms),
        f"{_number(row.p5_ms)}–{_number(row.p95_ms)}",
        _number(row.images_s),
        _error(row),
        "-" if row.peak_mb is None else f"{row.peak_mb:.0f}",
        _number(row.compile_s),
        _number(row.load_s),
        _number(row.first_call_s),
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _error(row: Row) -> str:
    if row.labels_differ is not None:
        return f"{100 * row.labels_differ:.2g} % of labels"
    return "-" if row.rms_error is None else f"{row.rms_error:.1e} rms, {row.max_abs_error:.1e} max"


def _verdict(ratio: Ratio) -> str:
    whose = "its own engine" if ratio.own else "an engine of others, which is no win"
    line = f"archdsl chose {ratio.chosen} ({whose})"
    if ratio.ratio is not None:
        interval = f"95 % interval {ratio.ratio_low:.2f}–{ratio.ratio_high:.2f}"
        line += f": {ratio.ratio:.2f}× the speed of the best peer, {ratio.best_peer} ({interval})"
    if ratio.of_limit is not None:
        line += f"; {100 * ratio.of_limit:.0f} % of what this machine's limits allow ({ratio.floor_ms:.3g} ms)"
    return line


def _nodes(found: Measured) -> Iterator[str]:
    """By line of the text, then the longest steps."""
    yield ""
    yield f"Step by step on {found.engine}, {1e3 * found.total:.3g} ms in all; a call takes {1e3 * found.call:.3g} ms."
    yield ""
    lines = [
        (str(line or "-"), _code(found.text(line)), _number(1e3 * seconds), _share(seconds, found))
        for line, seconds in found.by_line().items()
    ]
    yield from _table([("line", "text", "ms", "share"), *lines])
    yield ""
    ranked = sorted(found.steps, key=lambda step: -step.seconds)[:_SHOWN_STEPS]
    cells = [(str(s.line or "-"), s.node, s.op, _number(1e3 * s.seconds), _share(s.seconds, found)) for s in ranked]
    yield from _table([("line", "longest steps", "op", "ms", "share"), *cells])


def _share(seconds: float, found: Measured) -> str:
    return f"{100 * seconds / found.total:.0f} %"


def _code(text: str) -> str:
    """A line of a spec in a cell, where a bar would end it."""
    return f"`{text[:_LONGEST_TEXT]}{'…' * (len(text) > _LONGEST_TEXT)}`".replace("|", "\\|") if text else ""


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for number, row in enumerate(rows):
        yield "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        if number == 0:
            yield "|" + "|".join("-" * (width + 2) for width in widths) + "|"
