"""Convolutions: dense, grouped, depthwise, transposed, deformable."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from archdsl.ir.access import POINTWISE, Access, Context, TransposedWindow, Window
from archdsl.ir.dims import Size
from archdsl.ir.graph import MapType
from archdsl.ir.op import Op, OpCall, OpError, SettingSpec, WeightSpec, register

MAX_KERNEL = 1024
_MOST_SUGGESTED = 4096

OUT = SettingSpec("out", "int", doc="output channels", low=1)
KERNEL = SettingSpec("kernel", "size", 1, "kernel size", low=1)
STRIDE = SettingSpec("stride", "size", 1, "step between output positions, in input pixels", low=1)
PADDING = SettingSpec("padding", "padding", "same", '"same" (odd kernels), "valid", or zeros added on each side', low=0)
DILATION = SettingSpec("dilation", "size", 1, "distance between taps, in input pixels (the rate)", low=1)
GROUPS = SettingSpec("groups", "int", 1, "channels are cut into this many groups", low=1)
GROUP_WIDTH = SettingSpec("group_width", "int_or_none", None, "channels per group, instead of `groups`", low=1)
BIAS = SettingSpec("bias", "bool", False, "adds a learned number per output channel")
INIT = SettingSpec(
    "init", "str", "kaiming", "how the weight starts", choices=("kaiming", "bilinear", "identity", "zeros")
)
FROZEN = SettingSpec("frozen", "bool", False, "keeps the weight out of training")

OFFSET_GROUPS = SettingSpec(
    "offset_groups", "int_or_none", None, "groups of channels with offsets of their own; as the offsets have it", low=1
)


def check_kernel(call: OpCall) -> None:
    """Refuses kernels over the limit. Raises OpError E0904."""
    if max(call["kernel"]) > MAX_KERNEL:
        raise OpError("E0904", f"a kernel of {max(call['kernel'])} is over the limit of {MAX_KERNEL}")


def same_padding(call: OpCall) -> tuple[int, int]:
    """Padding that keeps the size at stride 1: dilation · (kernel - 1) // 2. Raises OpError E0305 for even kernels."""
    padding = call["padding"]
    if padding == "valid":
        return 0, 0
    if padding != "same":
        return padding[0], padding[1]
    if any(k % 2 == 0 for k in call["kernel"]):
        even = "x".join(map(str, call["kernel"]))
        message = f'padding "same" has no meaning for the even kernel {even}'
        raise OpError("E0305", message, "give the padding as a number, or use an odd kernel")
    return tuple(d * (k - 1) // 2 for k, d in zip(call["kernel"], call["dilation"], strict=True))


def divisors_near(channels: int, groups: int) -> str:
    """The two group counts closest to the one asked for that do divide the channels."""
    divisors = [d for d in range(1, min(channels, _MOST_SUGGESTED) + 1) if channels % d == 0]
    near = sorted(sorted(divisors, key=lambda d: abs(d - groups))[:2])
    return " or ".join(map(str, near))


def _groups(call: OpCall, channels: int, out: int) -> int:
    width = call["group_width"]
    if width is None:
        groups: int = call["groups"]
    else:
        if call["groups"] != 1:
            raise OpError("E0403", "`groups` and `group_width` say the same thing", "give one of them")
        groups = out // width
        if out % width:
            raise OpError(
                "E0303",
                f"{out} output channels are not a whole number of groups of width {width}",
                f"use a number of channels that is a multiple of {width}, or a group width of "
                f"{divisors_near(out, width)}",
            )
    hint = f"{out} channels in groups of {width} make {groups} groups; " if width else ""
    _check_groups(channels, out, groups, hint)
    return groups


def _check_groups(channels: int, out: int, groups: int, hint: str) -> None:
    for what, count in (("input", channels), ("output", out)):
        if count % groups:
            message = f"{count} {what} channels cannot be cut into {groups} equal groups"
            help = f"{hint}use a number of groups that divides {count}, such as {divisors_near(count, groups)}"
            raise OpError("E0303", message, help)


def _normalize_conv(call: OpCall) -> None:
    check_kernel(call)
    call.settings["padding"] = same_padding(call)
    call.settings["groups"] = _groups(call, call.inputs[0].channels, call["out"])
    call.settings["group_width"] = None


def _normalize_depthwise(call: OpCall) -> None:
    check_kernel(call)
    call.settings["padding"] = same_padding(call)


def window_size(size: Size, kernel: int, stride: int, dilation: int, padding: int) -> Size:
    """Output positions of a window that slides over `size` input positions padded on both sides."""
    return (size + (2 * padding - dilation * (kernel - 1) - 1)) // stride + 1


def _window_shape(call: OpCall, channels: int) -> tuple[MapType, ...]:
    x = call.inputs[0]
    sizes = [
        window_size(size, call["kernel"][a], call["stride"][a], call["dilation"][a], call["padding"][a])
        for a, size in enumerate((x.height, x.width))
    ]
    return (MapType(channels, sizes[0], sizes[1]),)


def window(call: OpCall, axis: int) -> Window:
    return Window(call["kernel"][axis], call["stride"][axis], call["dilation"][axis], call["padding"][axis])


def _window_access(call: OpCall, axis: int) -> tuple[Access, ...]:
    return (window(call, axis),)


def _bias(call: OpCall, out: int) -> tuple[WeightSpec, ...]:
    return (WeightSpec("bias", (out,), "zeros", not call["frozen"]),) if call["bias"] else ()


def _conv_weights(call: OpCall) -> tuple[WeightSpec, ...]:
    shape = (call["out"], call.inputs[0].channels // call["groups"], *call["kernel"])
    return (WeightSpec("weight", shape, call["init"], not call["frozen"]), *_bias(call, call["out"]))


def _depthwise_weights(call: OpCall) -> tuple[WeightSpec, ...]:
    out = call.inputs[0].channels * call["multiplier"]
    weight = WeightSpec("weight", (out, 1, *call["kernel"]), call["init"], not call["frozen"])
    return (weight, *_bias(call, out))


def _macs(call: OpCall, results: Sequence[MapType]) -> int:
    """Multiply-adds: every weight once per output position."""
    result = results[0]
    per_output = call.inputs[0].channels // call["groups"] * prod(call["kernel"])
    return int(per_output * result.channels * _area(result))


def _depthwise_macs(call: OpCall, results: Sequence[MapType]) -> int:
    return int(prod(call["kernel"]) * results[0].channels * _area(results[0]))


def _area(of: MapType) -> int:
    assert isinstance(of.height, int) and isinstance(of.width, int)
    return of.height * of.width


register(
    Op(
        "conv",
        "Convolution over channels and a window of positions, grouped on request.",
        (OUT, KERNEL, STRIDE, PADDING, DILATION, GROUPS, GROUP_WIDTH, BIAS, INIT, FROZEN),
        normalize=_normalize_conv,
        shape=lambda call: _window_shape(call, call["out"]),
        weights=_conv_weights,
        access=_window_access,
        channels="grouped",
        macs=_macs,
    )
)

register(
    Op(
        "depthwise",
        "Convolution of every channel with a kernel (or `multiplier` kernels) of its own.",
        (
            SettingSpec("kernel", "size", 3, "kernel size", low=1),
            STRIDE,
            PADDING,
            DILATION,
            SettingSpec("multiplier", "int", 1, "output channels per input channel", low=1),
            BIAS,
            INIT,
            FROZEN,
        ),
        normalize=_normalize_depthwise,
        shape=lambda call: _window_shape(call, call.inputs[0].channels * call["multiplier"]),
        weights=_depthwise_weights,
        access=_window_access,
        channels="grouped",
        macs=_depthwise_macs,
    )
)


def _normalize_transposed(call: OpCall) -> None:
    check_kernel(call)
    if call["padding"] in ("same", "valid"):
        message = f'a transposed convolution has no padding "{call["padding"]}"'
        raise OpError("E0403", message, "give the padding as a number")
    for axis in (0, 1):
        if call["output_padding"][axis] >= max(call["stride"][axis], call["dilation"][axis]):
            raise OpError("E0402", "`output_padding` of conv_transpose must be below its stride or its dilation")
    _check_groups(call.inputs[0].channels, call["out"], call["groups"], "")


def _transposed_shape(call: OpCall) -> tuple[MapType, ...]:
    x = call.inputs[0]
    sizes = [
        (size - 1) * call["stride"][a]
        - 2 * call["padding"][a]
        + call["dilation"][a] * (call["kernel"][a] - 1)
        + call["output_padding"][a]
        + 1
        for a, size in enumerate((x.height, x.width))
    ]
    return (MapType(call["out"], sizes[0], sizes[1]),)


def _transposed_access(call: OpCall, axis: int) -> tuple[Access, ...]:
    return (
        TransposedWindow(call["kernel"][axis], call["stride"][axis], call["dilation"][axis], call["padding"][axis]),
    )


def _transposed_weights(call: OpCall) -> tuple[WeightSpec, ...]:
    shape = (call.inputs[0].channels, call["out"] // call["groups"], *call["kernel"])
    return (WeightSpec("weight", shape, call["init"], not call["frozen"]), *_bias(call, call["out"]))


def _transposed_macs(call: OpCall, results: Sequence[MapType]) -> int:
    x = call.inputs[0]
    return int(x.channels * call["out"] // call["groups"] * prod(call["kernel"]) * _area(x))


register(
    Op(
        "conv_transpose",
        "Transposed convolution: every input position writes a window of the output.",
        (
            OUT,
            SettingSpec("kernel", "size", doc="kernel size", low=1),
            SettingSpec("stride", "size", 1, "output pixels per input pixel", low=1),
            SettingSpec("padding", "padding", 0, "cut off each side of the output", low=0),
            SettingSpec("output_padding", "size", 0, "added at the bottom and right", low=0),
            DILATION,
            GROUPS,
            BIAS,
            INIT,
            FROZEN,
        ),
        normalize=_normalize_transposed,
        shape=_transposed_shape,
        weights=_transposed_weights,
        access=_transposed_access,
        channels="grouped",
        macs=_transposed_macs,
    )
)


def _normalize_deform(call: OpCall) -> None:
    _normalize_conv(call)
    taps = prod(call["kernel"])
    groups = call["offset_groups"] or max(call.inputs[1].channels // (2 * taps), 1)
    for what, per_tap, given in zip(("offsets", "mask"), (2, 1), call.inputs[1:], strict=False):
        wanted = per_tap * taps * groups
        if given.channels != wanted:
            verb = "needs" if what == "mask" else "need"
            has = "has" if what == "mask" else "have"
            message = f"{what} {verb} {wanted} channels, and {has} {given.channels}"
            sum_ = f"{per_tap} per tap, {taps} taps, {groups} offset group{'' if groups == 1 else 's'}"
            raise OpError("E0307", message, f"{sum_}: end with conv({wanted}, …)")
    channels = call.inputs[0].channels
    if channels % groups:
        message = f"{channels} channels cannot be cut into {groups} offset groups"
        help = f"use a number of offset groups that divides {channels}, such as {divisors_near(channels, groups)}"
        raise OpError("E0303", message, help)
    call.settings["offset_groups"] = groups


def _deform_shape(call: OpCall) -> tuple[MapType, ...]:
    (result,) = _window_shape(call, call["out"])
    for given in call.inputs[1:]:
        call.require_equal(given.height, result.height)
        call.require_equal(given.width, result.width)
    return (result,)


def _deform_access(call: OpCall, axis: int) -> tuple[Access, ...]:
    # the offsets count as zero; that they move the taps is what their context says
    return (window(call, axis), *(Context(), POINTWISE)[: len(call.inputs) - 1])


register(
    Op(
        "deform_conv",
        "Deformable convolution: each tap moves by a learned (dy, dx) in input pixels; `mask` scales taps (version 2).",
        (OUT, KERNEL, STRIDE, PADDING, DILATION, GROUPS, GROUP_WIDTH, BIAS, INIT, FROZEN, OFFSET_GROUPS),
        inputs=("x", "offsets", "[mask]"),
        normalize=_normalize_deform,
        shape=_deform_shape,
        weights=_conv_weights,
        access=_deform_access,
        channels="mix",
        macs=_macs,
    )
)
