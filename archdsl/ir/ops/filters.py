"""Gaussian filters over position and colour: what dense conditional random fields pass messages with."""

from __future__ import annotations

from archdsl.ir.access import Access, Context
from archdsl.ir.graph import MapType
from archdsl.ir.op import Op, OpCall, SettingSpec, register

_LEAST = 0.01

_POSITION = SettingSpec("position", "float", doc="standard deviation in pixels", low=_LEAST)
_COLOR = SettingSpec("color", "float", doc="standard deviation in the values of the image", low=_LEAST)


def _everywhere(call: OpCall, axis: int) -> tuple[Access, ...]:
    return tuple(Context() for _ in call.inputs)


register(
    Op(
        "spatial_filter",
        "Mean of the whole map, positions weighted by a Gaussian of their distance (on a lattice, as CRF-RNN has it).",
        (_POSITION,),
        access=_everywhere,
    )
)


def _bilateral_shape(call: OpCall) -> tuple[MapType, ...]:
    x, image = call.inputs
    call.require_equal(x.height, image.height)
    call.require_equal(x.width, image.width)
    return (x,)


register(
    Op(
        "bilateral_filter",
        "The same with a Gaussian of distance and difference in colour of an image of the map's size.",
        (_POSITION, _COLOR),
        inputs=("x", "image"),
        shape=_bilateral_shape,
        access=_everywhere,
    )
)
