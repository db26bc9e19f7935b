"""A map taken apart into its phases modulo a factor, and put together again: what only rewrites make.

Between the two, maps stand for factor² as many images as came in, each of the size that its type says.
"""

from __future__ import annotations

from archdsl.ir.access import TransposedWindow, Window
from archdsl.ir.graph import MapType
from archdsl.ir.op import Op, OpCall, SettingSpec, register

_FACTOR = SettingSpec("factor", "int", doc="how many phases an axis has", low=1)


def _apart(call: OpCall) -> tuple[MapType, ...]:
    x, factor = call.inputs[0], call["factor"]
    result = MapType(x.channels, x.height // factor, x.width // factor)
    call.require_equal(result.height * factor, x.height)
    call.require_equal(result.width * factor, x.width)
    return (result,)


def _together(call: OpCall) -> tuple[MapType, ...]:
    x, factor, (height, width) = call.inputs[0], call["factor"], call["size"]
    call.require_equal(x.height * factor, height)
    call.require_equal(x.width * factor, width)
    return (MapType(x.channels, height, width),)


register(
    Op(
        "space_to_batch",
        "The phases of each map, as images of their own: pixel (i, j) of phase (p, q) is (i·factor + p, j·factor + q).",
        (_FACTOR,),
        shape=_apart,
        access=lambda call, axis: (Window(call["factor"], call["factor"]),),
        rewritten=True,
    )
)

register(
    Op(
        "batch_to_space",
        "Phases put together again, as `space_to_batch` with the same factor took them apart.",
        (_FACTOR, SettingSpec("size", "dims", doc="height and width of what was taken apart", low=1)),
        shape=_together,
        access=lambda call, axis: (TransposedWindow(call["factor"], call["factor"], 1, 0),),
        rewritten=True,
    )
)
