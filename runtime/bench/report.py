"""A bench from its first case to its last."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import torch
from archdsl.runtime.bench.case import Case
from archdsl.runtime.bench.limits import floor_ms, limits_json, measured
from archdsl.runtime.bench.markdown import case_of
from archdsl.runtime.bench.pernode import measured as steps_of
from archdsl.runtime.bench.result import Report
from archdsl.runtime.bench.rounds import Tell, measure, ratio_of
from archdsl.runtime.machine import describe, versions

from archdsl.analyses.hardware import Hardware

_LIMITS: dict[str, Hardware] = {}


def new_report(command: str, devices: list[str]) -> Report:
    """An empty report of this machine, today."""
    usable = [torch.device(device) for device in devices if device == "cpu" or torch.cuda.is_available()]
    return Report(describe(usable[-1] if usable else None), versions(), {}, date.today().isoformat(), command)


def add_case(
    report: Report, case: Case, peers: list[str], engine: str, seconds: float, per_node: bool, tell: Tell
) -> None:
    """Measures a case and adds its rows, its ratio and, with `per_node`, the time of each node."""
    limits = _limits(report, case, tell)
    found = measure(case, peers, engine, seconds, tell)
    report.rows += found.rows.values()
    report.interrupted = found.interrupted
    ratio = ratio_of(found, floor_ms(case, limits))
    if ratio is not None:
        report.ratios.append(ratio)
    if per_node and found.model is not None and found.graph is not None and not found.interrupted:
        tell(f"{case.graph.name}: step by step")
        report.nodes[case_of(found.rows["archdsl"])] = steps_of(found.model, found.graph, case.inputs, case.source)


def _limits(report: Report, case: Case, tell: Tell) -> Hardware:
    """The rates of the case's device, measured once for a device and dtype."""
    known = _LIMITS.get(case.device)
    if known is None or case.dtype not in known.flops:
        tell(f"measuring the limits of this machine's {case.device}")
        fresh = measured(case)
        known = replace(fresh, flops={**(known.flops if known else {}), **fresh.flops})
        _LIMITS[case.device] = known
    report.limits = limits_json(_LIMITS)
    return known
