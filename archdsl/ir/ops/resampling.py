"""Resizing, by a fixed rule or by learned offsets. Coordinates follow PyTorch's `interpolate` with the same flags."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from archdsl.ir.access import Access, Context, Resample, Unread
from archdsl.ir.dims import Size, floor_div, growth, same
from archdsl.ir.graph import MapType
from archdsl.ir.op import Op, OpCall, OpError, SettingSpec, register

_LIKE = SettingSpec("like", "map", None, "a map whose height and width the result takes")
_SCALE = SettingSpec("scale", "scale", None, "result pixels per input pixel")
_ALIGN = SettingSpec(
    "align_corners", "bool", False, "the centres of the corner pixels coincide, instead of their edges"
)
_TAPS = {"nearest": 1, "bilinear": 2, "bicubic": 4}


def _one_of(call: OpCall, op: str, *names: str) -> None:
    given = [n for n in names if call.settings.get(n) is not None]
    if len(call.inputs) > 1 + (call.settings.get("units") is not None):
        given.append("like")
    if len(given) != 1:
        wanted = " or ".join(f"`{name}`" for name in ("like", *names))
        found = " and ".join(f"`{name}`" for name in given) or "none"
        message = f"{op} needs one of {wanted}, and is given {found}"
        raise OpError("E0208", message, f"for example {op}(like=image)")


def _scaled(size: Size, scale: Fraction) -> Size:
    return floor_div(size * scale.numerator, scale.denominator)


def _target(call: OpCall, like: MapType | None) -> tuple[Size, Size]:
    x = call.inputs[0]
    if like is not None:
        return like.height, like.width
    if call.settings.get("size") is not None:
        return call["size"][0], call["size"][1]
    return _scaled(x.height, call["scale"][0]), _scaled(x.width, call["scale"][1])


def _resize_shape(call: OpCall) -> tuple[MapType, ...]:
    _one_of(call, "resize", "size", "scale")
    if call["align_corners"] and call["mode"] == "nearest":
        raise OpError("E0403", "nearest has no align_corners", "leave align_corners out")
    height, width = _target(call, call.inputs[1] if len(call.inputs) > 1 else None)
    return (MapType(call.inputs[0].channels, height, width),)


def resample(size: Size, result: Size, align_corners: bool, taps: int) -> Access:
    """How a resize from `size` to `result` positions reads; nominal where that depends on the input's size."""
    if size == 1 and result != 1:
        return Context()
    if isinstance(size, int) and isinstance(result, int):
        if align_corners:
            return Resample(Fraction(size - 1, max(result - 1, 1)), Fraction(0), taps)
        return _centred(Fraction(size, result), taps)
    ratio = growth(size) / growth(result) if growth(result) else Fraction(1)
    if ratio == 0:
        return Context()
    if align_corners:
        return Resample(ratio, Fraction(0), taps, nominal=True)
    # the ratio of the sizes is that of the strides for every input only where one is a plain multiple of the other
    exact = same(size * ratio.denominator, result * ratio.numerator)
    return _centred(ratio, taps, nominal=not exact)


def _centred(scale: Fraction, taps: int, *, nominal: bool = False) -> Resample:
    return Resample(scale, Fraction(0) if taps == 1 else scale / 2 - Fraction(1, 2), taps, nominal)


def _resize_access(call: OpCall, axis: int) -> tuple[Access, ...]:
    read = _nominal_taps(call, _resize_shape(call)[0], axis)
    if call["antialias"] and isinstance(read, Resample):
        # PyTorch's wide filter keeps the rule for centres even with align_corners, which gives the scale alone
        one = call["align_corners"] and _resize_shape(call)[0].shape[1 + axis] == 1
        scale = Fraction(0) if one else read.scale
        read = replace(read, offset=_centred(scale, read.taps).offset, spread=max(scale, Fraction(1)))
    return (read, *(Unread() for _ in call.inputs[1:]))


def _nominal_taps(call: OpCall, result: MapType, axis: int) -> Access:
    taps = _TAPS[call["mode"]]
    if call["scale"] is not None and not call["align_corners"] and call.inputs[0].shape[1 + axis] != 1:
        return _centred(1 / call["scale"][axis], taps)
    return resample(call.inputs[0].shape[1 + axis], result.shape[1 + axis], call["align_corners"], taps)


register(
    Op(
        "resize",
        "Resizes to the size of another map (`like`), to a `size`, or by a `scale`.",
        (
            _LIKE,
            SettingSpec("size", "dims", None, "result height and width", low=1),
            _SCALE,
            SettingSpec("mode", "str", "bilinear", "which taps", choices=("bilinear", "nearest", "bicubic")),
            _ALIGN,
            SettingSpec("antialias", "bool", False, "widens the taps when shrinking"),
        ),
        inputs=("x", "[like]"),
        shape=_resize_shape,
        access=_resize_access,
    )
)


def _guided_shape(call: OpCall) -> tuple[MapType, ...]:
    x, offsets = call.inputs[:2]
    like = call.inputs[2] if len(call.inputs) > 2 else None
    _one_of(call, "guided_upsample", "scale")
    if offsets.channels != 2:
        raise OpError("E0307", f"offsets need 2 channels (dx, dy), and have {offsets.channels}", "end with conv(2, …)")
    height, width = _target(call, like)
    call.require_equal(offsets.height, height)
    call.require_equal(offsets.width, width)
    return (MapType(x.channels, height, width),)


def _guided_access(call: OpCall, axis: int) -> tuple[Access, ...]:
    # offsets count as zero for the reach; that they move the taps is what `context` says
    return (_nominal_taps(call, _guided_shape(call)[0], axis), Context(), *(Unread() for _ in call.inputs[2:]))


register(
    Op(
        "guided_upsample",
        "Samples a coarse map at a regular grid moved by learned offsets [2, h, w], (dx, dy) (GUN's GUM; BMVC 2018).",
        (
            _LIKE,
            _SCALE,
            SettingSpec(
                "units",
                "str",
                "output",
                "offsets in pixels of the result, of the input, or in [-1, 1] across the map",
                choices=("output", "input", "normalized"),
            ),
            SettingSpec("mode", "str", "bilinear", "which taps", choices=("bilinear", "nearest")),
            SettingSpec("padding", "str", "border", "what lies outside", choices=("border", "zeros")),
            _ALIGN,
        ),
        inputs=("coarse", "offsets", "[like]"),
        shape=_guided_shape,
        access=_guided_access,
    )
)
