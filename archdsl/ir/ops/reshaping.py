"""Ops that move values without computing: padding, cropping, shuffles."""

from __future__ import annotations

from archdsl.ir.access import Access, TransposedWindow, Unread, Window
from archdsl.ir.dims import Size
from archdsl.ir.graph import MapType
from archdsl.ir.op import Op, OpCall, OpError, SettingSpec, register
from archdsl.ir.ops.convolution import divisors_near

register(
    Op(
        "input",
        "The image, or another map given from outside.",
        (SettingSpec("channels", "int", doc="channels", low=1),),
        inputs=(),
        shape=lambda call: (MapType(call["channels"], 0, 0),),
        access=lambda call, axis: (),
    )
)


def _pad_shape(call: OpCall) -> tuple[MapType, ...]:
    x = call.inputs[0]
    left, right, top, bottom = call["amounts"]
    if call["mode"] == "reflect":
        # a reflection shows what lies inside the edge, and cannot show more than there is
        for size, sides in ((x.height, (top, bottom)), (x.width, (left, right))):
            for side in dict.fromkeys(sides):
                call.require_positive(size - side)
    return (MapType(x.channels, x.height + top + bottom, x.width + left + right),)


def _pad_access(call: OpCall, axis: int) -> tuple[Access, ...]:
    return (_moved(call["amounts"][2 if axis == 0 else 0]),)


def _moved(padding: Size) -> Window:
    """One position read, `padding` before it; its value at size 0 where the input's size decides it."""
    if isinstance(padding, int):
        return Window(padding=padding)
    return Window(padding=padding.at(dict.fromkeys(padding.symbols, 0)), nominal=True)


register(
    Op(
        "pad",
        "Adds positions around the map.",
        (
            SettingSpec("amounts", "amounts", doc="one for all sides, or (left, right, top, bottom)", low=0),
            SettingSpec("mode", "str", "zero", "what is added", choices=("zero", "reflect", "replicate")),
        ),
        shape=_pad_shape,
        access=_pad_access,
    )
)


def _crop_target(call: OpCall) -> tuple[Size, Size]:
    if len(call.inputs) > 1:
        if call["size"] is not None:
            raise OpError("E0208", "crop needs one of `like` or `size`, and is given both", "leave one out")
        return call.inputs[1].height, call.inputs[1].width
    if call["size"] is None:
        raise OpError("E0208", "crop needs one of `like` or `size`", "for example crop(like=image)")
    return call["size"][0], call["size"][1]


def crop_start(size: Size, result: Size, offset: str | tuple[Size, Size], axis: int) -> Size:
    """The first position that is kept; the centre is rounded down, towards the top left."""
    return (size - result) // 2 if isinstance(offset, str) else offset[axis]


def _crop_shape(call: OpCall) -> tuple[MapType, ...]:
    target = _crop_target(call)
    for axis, result in enumerate(target):
        start = 0 if call["offset"] == "center" else call["offset"][axis]
        call.require_positive(call.inputs[0].shape[1 + axis] - start - result + 1)
    return (MapType(call.inputs[0].channels, *target),)


def _crop_access(call: OpCall, axis: int) -> tuple[Access, ...]:
    size, result = call.inputs[0].shape[1 + axis], _crop_target(call)[axis]
    return (_moved(-crop_start(size, result, call["offset"], axis)), *(Unread() for _ in call.inputs[1:]))


register(
    Op(
        "crop",
        "Cuts a part out, of the size of another map (`like`) or of a `size`.",
        (
            SettingSpec("like", "map", None, "a map whose height and width the result takes"),
            SettingSpec("size", "dims", None, "result height and width", low=1),
            SettingSpec("offset", "offset", "center", '"center", or (top, left)', choices=("center",), low=0),
        ),
        inputs=("x", "[like]"),
        shape=_crop_shape,
        access=_crop_access,
    )
)


def _check_shuffle(call: OpCall) -> None:
    if call.inputs[0].channels % call["groups"]:
        channels, groups = call.inputs[0].channels, call["groups"]
        message = f"{channels} channels cannot be cut into {groups} equal groups"
        help = f"use a number of groups that divides {channels}, such as {divisors_near(channels, groups)}"
        raise OpError("E0303", message, help)


register(
    Op(
        "channel_shuffle",
        "Interleaves the channels of the groups.",
        (SettingSpec("groups", "int", doc="how many groups", low=1),),
        normalize=_check_shuffle,
        channels="mix",
    )
)

_FACTOR = SettingSpec("factor", "int", doc="how many pixels per pixel and axis", low=1)


def _pixel_shuffle_shape(call: OpCall) -> tuple[MapType, ...]:
    x, f = call.inputs[0], call["factor"]
    if x.channels % (f * f):
        message = f"{x.channels} channels cannot become {f} x {f} pixels each"
        raise OpError("E0303", message, f"use a multiple of {f * f} channels")
    return (MapType(x.channels // (f * f), x.height * f, x.width * f),)


register(
    Op(
        "pixel_shuffle",
        "Channels become pixels: [C·f·f, H, W] to [C, H·f, W·f].",
        (_FACTOR,),
        shape=_pixel_shuffle_shape,
        access=lambda call, axis: (TransposedWindow(call["factor"], call["factor"], 1, 0),),
        channels="mix",
    )
)


def _pixel_unshuffle_shape(call: OpCall) -> tuple[MapType, ...]:
    x, f = call.inputs[0], call["factor"]
    result = MapType(x.channels * f * f, x.height // f, x.width // f)
    call.require_equal(result.height * f, x.height)
    call.require_equal(result.width * f, x.width)
    return (result,)


register(
    Op(
        "pixel_unshuffle",
        "Pixels become channels: [C, H·f, W·f] to [C·f·f, H, W].",
        (_FACTOR,),
        shape=_pixel_unshuffle_shape,
        access=lambda call, axis: (Window(call["factor"], call["factor"]),),
        channels="mix",
    )
)
