"""What this machine can do at most, measured, and the least time that leaves a case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archdsl.runtime.bench.case import Case
from archdsl.runtime.measure import measure_this

from archdsl.analyses.floor import floor
from archdsl.analyses.hardware import Hardware
from archdsl.lower.interpret import plain_symbol


def limits_json(hardware: Mapping[str, Hardware]) -> dict[str, Any]:
    """Copy bandwidth in GB/s and matmul rates in TFLOP/s; of further devices under their names."""
    described = {
        device: {
            "copy_gb_s": round(found.bandwidth / 1e9, 2),
            "matmul_tflops": {dtype: round(rate / 1e12, 4) for dtype, rate in found.flops.items()},
        }
        for device, found in hardware.items()
    }
    first = next(iter(described.values()), {})
    return {**first, "devices": described}


def measured(case: Case) -> Hardware:
    """The rates of the case's device in the case's dtype."""
    return measure_this(case.torch_device, dict.fromkeys(["float32", case.dtype]))


def floor_ms(case: Case, hardware: Hardware) -> float | None:
    """Milliseconds that arithmetic, or bytes that must move, make unavoidable for one batch.

    Every map between nodes stays on the chip, for what fusion can do at best; weights count once per image.
    """
    node = case.graph.inputs[0].types[0]
    symbols = (plain_symbol(node.height), plain_symbol(node.width))
    values = {name: n for name, n in zip(symbols, case.size, strict=True) if name is not None}
    graph = case.plain.graph
    return 1e3 * case.batch * floor(graph, values, hardware, case.dtype).fused
