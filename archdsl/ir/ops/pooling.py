"""Pooling by windows, over the whole map, and back."""

from __future__ import annotations

from archdsl.ir.access import Access, Context, TransposedWindow, Unread, Window
from archdsl.ir.dims import Size, ceil_div
from archdsl.ir.graph import MapType
from archdsl.ir.op import Op, OpCall, OpError, SettingSpec, register
from archdsl.ir.ops.convolution import DILATION, check_kernel

_KERNEL = SettingSpec("kernel", "size", doc="window size", low=1)
_STRIDE = SettingSpec("stride", "size", None, "step between windows; the kernel when not given", low=1)
_PADDING = SettingSpec("padding", "padding", 0, "positions added on each side, which never win or count as zero", low=0)
_CEIL = SettingSpec("ceil", "bool", False, "keeps a last window that is only partly inside")
_KIND = SettingSpec("kind", "str", "avg", "mean or maximum", choices=("avg", "max"))


def _normalize(call: OpCall) -> None:
    check_kernel(call)
    if call["stride"] is None:
        call.settings["stride"] = call["kernel"]
    if call["padding"] in ("same", "valid"):
        call.settings["padding"] = _word_padding(call)
    for axis in (0, 1):
        if 2 * call["padding"][axis] > call["kernel"][axis]:
            message = f"padding {call['padding'][axis]} is more than half of the pool's kernel {call['kernel'][axis]}"
            raise OpError("E0402", message, "a window could then lie outside the map")


def _word_padding(call: OpCall) -> tuple[int, int]:
    if call["padding"] == "same":
        raise OpError("E0403", 'a pool has no padding "same"', "give the padding as a number")
    return 0, 0


def _rate(call: OpCall, axis: int) -> int:
    return int(call.settings.get("dilation", (1, 1))[axis])


def _pooled(call: OpCall, size: Size, axis: int) -> Size:
    kernel, stride, padding = call["kernel"][axis], call["stride"][axis], call["padding"][axis]
    room = 2 * padding - _rate(call, axis) * (kernel - 1) - 1
    if not call["ceil"]:
        return (size + room) // stride + 1
    # a last window may hang over the end, but not start beyond the input and its padding on the left (PyTorch's rule)
    return ceil_div(size + min(room + stride, padding), stride)


def _shape(call: OpCall) -> tuple[MapType, ...]:
    x = call.inputs[0]
    pooled = MapType(x.channels, _pooled(call, x.height, 0), _pooled(call, x.width, 1))
    if call.settings.get("indices"):
        return pooled, MapType(x.channels, pooled.height, pooled.width, "indices")
    return (pooled,)


def _access(call: OpCall, axis: int) -> tuple[Access, ...]:
    return (Window(call["kernel"][axis], call["stride"][axis], _rate(call, axis), call["padding"][axis]),)


register(
    Op(
        "max_pool",
        "The maximum of each window; with `indices`, where it stood too (the first of equals), for `unpool`.",
        (
            _KERNEL,
            _STRIDE,
            _PADDING,
            DILATION,
            _CEIL,
            SettingSpec("indices", "bool", False, "gives (map, indices) instead of the map alone"),
        ),
        normalize=_normalize,
        shape=_shape,
        access=_access,
    )
)

register(
    Op(
        "avg_pool",
        "The mean of each window.",
        (
            _KERNEL,
            _STRIDE,
            _PADDING,
            _CEIL,
            SettingSpec("count_pad", "bool", True, "padding counts in the mean as zeros"),
        ),
        normalize=_normalize,
        shape=_shape,
        access=_access,
    )
)


def _context(call: OpCall, axis: int) -> tuple[Access, ...]:
    return (Context(),)


register(
    Op(
        "global_pool",
        "The mean (or maximum) over all positions: [C, 1, 1].",
        (_KIND,),
        shape=lambda call: (MapType(call.inputs[0].channels, 1, 1),),
        access=_context,
    )
)

register(
    Op(
        "adaptive_pool",
        "Cuts the map into size x size cells of nearly equal extent and pools each.",
        (SettingSpec("size", "dims", doc="result height and width", low=1), _KIND),
        shape=lambda call: (MapType(call.inputs[0].channels, *call["size"]),),
        access=_context,
    )
)


def _unpool_shape(call: OpCall) -> tuple[MapType, ...]:
    x, indices = call.inputs[:2]
    if indices.kind != "indices":
        raise OpError(
            "E0407", "`unpool` needs the indices of a max pool", "max_pool(…, indices=true) gives (map, indices)"
        )
    if indices.channels != x.channels:
        message = f"the map has {x.channels} channels and the indices {indices.channels}"
        raise OpError("E0301", message, "both come from the same pool, or the map has as many channels again")
    call.require_equal(x.height, indices.height)
    call.require_equal(x.width, indices.width)
    if len(call.inputs) == 3:
        return (MapType(x.channels, call.inputs[2].height, call.inputs[2].width),)
    stride, kernel = call["stride"], call["kernel"]
    return (
        MapType(
            x.channels,
            (x.height - 1) * stride[0] + kernel[0],
            (x.width - 1) * stride[1] + kernel[1],
        ),
    )


def _unpool_normalize(call: OpCall) -> None:
    check_kernel(call)
    if call["stride"] is None:
        call.settings["stride"] = call["kernel"]


def _unpool_access(call: OpCall, axis: int) -> tuple[Access, ...]:
    spread = TransposedWindow(call["kernel"][axis], call["stride"][axis], 1, 0)
    return (spread, spread, *(Unread() for _ in call.inputs[2:]))


register(
    Op(
        "unpool",
        "Puts each value back where its max pool found it, zeros elsewhere; a cell written twice keeps the later one.",
        (_KERNEL, _STRIDE, SettingSpec("like", "map", None, "a map whose size the result takes")),
        inputs=("x", "indices", "[like]"),
        normalize=_unpool_normalize,
        shape=_unpool_shape,
        access=_unpool_access,
    )
)
