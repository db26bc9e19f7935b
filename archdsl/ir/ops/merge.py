"""Ops that bring several maps together, and their parts apart."""

from __future__ import annotations

from archdsl.ir.access import POINTWISE, Access, Context
from archdsl.ir.dims import Size
from archdsl.ir.graph import MapType
from archdsl.ir.op import Op, OpCall, OpError, SettingSpec, register
from archdsl.ir.ops.convolution import divisors_near

MAX_PARTS = 4096
_MOST_LISTED = 8


def _concat(call: OpCall) -> tuple[MapType, ...]:
    first = call.inputs[0]
    for other in call.inputs[1:]:
        call.require_equal(first.height, other.height)
        call.require_equal(first.width, other.width)
    return (MapType(sum(x.channels for x in call.inputs), first.height, first.width),)


register(Op("concat", "Maps one after the other along channels.", inputs=("maps*",), shape=_concat, channels="concat"))


def _common(call: OpCall, a: Size, b: Size) -> Size:
    """The size of an axis after broadcasting: extent 1 fits any other."""
    if a == 1 or b == 1:
        return b if a == 1 else a
    call.require_equal(a, b)
    return a


def _channels(a: MapType, b: MapType) -> int:
    if a.channels == b.channels or 1 in (a.channels, b.channels):
        return max(a.channels, b.channels)
    message = f"a map with {a.channels} channels meets one with {b.channels}"
    raise OpError("E0301", message, f"bring both to the same width, for example with conv({a.channels})")


def broadcast(call: OpCall) -> tuple[MapType, ...]:
    """Result of an elementwise op: equal axes, or extent 1. Raises OpError E0301 for channels that differ."""
    result = call.inputs[0]
    for other in call.inputs[1:]:
        channels = _channels(result, other)
        result = MapType(channels, _common(call, result.height, other.height), _common(call, result.width, other.width))
    return (result,)


def _elementwise_access(call: OpCall, axis: int) -> tuple[Access, ...]:
    sizes = [x.shape[1 + axis] for x in call.inputs]
    stretched = any(size != 1 for size in sizes)
    return tuple(Context() if size == 1 and stretched else POINTWISE for size in sizes)


for _name, _doc in {
    "add": "Sum of two maps.",
    "sub": "Difference of two maps.",
    "mul": "Product of two maps.",
    "div": "Quotient of two maps.",
}.items():
    register(Op(_name, _doc, inputs=("a", "b"), shape=broadcast, access=_elementwise_access))

register(Op("sum", "Sum of any number of maps.", inputs=("maps*",), shape=broadcast, access=_elementwise_access))


_OPERATOR = SettingSpec("operator", "str", doc="which", choices=("+", "-", "*", "/", "r-", "r/"))

register(
    Op(
        "scalar",
        "A map and a number: `operator` is + - * / or, with the number on the left, r- and r/.",
        (_OPERATOR, SettingSpec("value", "float", doc="the number")),
    )
)


def _sized(call: OpCall) -> tuple[MapType, ...]:
    if call["operator"] == "/":
        call.require_positive(call["value"])
    return (call.inputs[0],)


register(
    Op(
        "size_scalar",
        "A map and a size, known with the input: `operator` as of scalar.",
        (_OPERATOR, SettingSpec("value", "dim", doc="the size")),
        shape=_sized,
    )
)


def _normalize_split(call: OpCall) -> None:
    channels, parts = call.inputs[0].channels, call["parts"]
    if isinstance(parts, int):
        if parts < 1:
            raise OpError("E0402", f"a map cannot be split into {parts} parts")
        if parts > MAX_PARTS:
            raise OpError("E0905", f"{parts:,} parts are over the limit of {MAX_PARTS:,}")
        if channels % parts:
            raise OpError(
                "E0302",
                f"{channels} channels cannot be split into {parts} equal parts",
                f"give their sizes, or a number that divides {channels}, such as {divisors_near(channels, parts)}",
            )
        call.settings["parts"] = (channels // parts,) * parts
    elif len(parts) > MAX_PARTS:
        raise OpError("E0905", f"{len(parts):,} parts are over the limit of {MAX_PARTS:,}")
    elif sum(parts) != channels:
        listed = " + ".join(map(str, parts)) if len(parts) <= _MOST_LISTED else f"{len(parts)} sizes"
        raise OpError("E0302", f"{listed} channels make {sum(parts)}, and the map has {channels}")


register(
    Op(
        "split",
        "Contiguous parts of the channels: a number of equal parts, or their sizes.",
        (SettingSpec("parts", "sizes", doc="how many, or a list of sizes", low=1),),
        normalize=_normalize_split,
        shape=lambda call: tuple(MapType(part, call.inputs[0].height, call.inputs[0].width) for part in call["parts"]),
        channels="split",
    )
)

_OVER = SettingSpec("axis", "str", "channel", "over what", choices=("channel",))

for _name, _doc in {"mean": "Mean over channels: [1, H, W].", "max": "Maximum over channels: [1, H, W]."}.items():
    register(
        Op(
            _name,
            _doc,
            (_OVER,),
            shape=lambda call: (MapType(1, call.inputs[0].height, call.inputs[0].width),),
            channels="mix",
        )
    )

register(
    Op(
        "argmax",
        "The number of the largest channel, the lowest where several are equal: [1, H, W].",
        shape=lambda call: (MapType(1, call.inputs[0].height, call.inputs[0].width),),
        channels="mix",
    )
)
