"""Ops that only rewrites make: what is one step of a fast program, and several ops of a text."""

from __future__ import annotations

from archdsl.ir.access import POINTWISE, Access, Context, Unread
from archdsl.ir.graph import MapType
from archdsl.ir.op import OPS, Op, OpCall, OpError, SettingSpec, WeightSpec, register
from archdsl.ir.ops import activation, convolution, merge, resampling  # noqa: F401 - they register what is fused here

ACTIVATIONS = ("relu", "relu6", "sigmoid", "hsigmoid", "hswish", "silu", "gelu", "tanh")
"""Functions without settings or weights that can be the end of another op."""

_CONV, _CONCAT = OPS["conv"], OPS["concat"]


def _fused_shape(call: OpCall) -> tuple[MapType, ...]:
    (result,) = _CONV.shape(call)
    wanted = 1 + call["gate"] + call["residual"]
    if len(call.inputs) != wanted:
        raise OpError("E0412", f"fused_conv reads {wanted} values here, and is given {len(call.inputs)}")
    if call["gate"] and call.inputs[1].shape != (call.inputs[0].channels, 1, 1):
        raise OpError("E0301", f"a gate for {call.inputs[0]} cannot be {call.inputs[1]}")
    if call["residual"]:
        _check_residual(call, result)
    return (result,)


def _check_residual(call: OpCall, result: MapType) -> None:
    residual = call.inputs[-1]
    if residual.channels != result.channels:
        raise OpError("E0301", f"{residual} cannot be added to {result}")
    if (residual.height, residual.width) != (1, 1):
        call.require_equal(residual.height, result.height)
        call.require_equal(residual.width, result.width)


def _fused_access(call: OpCall, axis: int) -> tuple[Access, ...]:
    gate: tuple[Access, ...] = (Context(),) if call["gate"] else ()
    spread = call["residual"] and call.inputs[-1].shape[1 + axis] == 1
    residual: tuple[Access, ...] = (Context() if spread else POINTWISE,) if call["residual"] else ()
    return (*_CONV.access(call, axis), *gate, *residual)


register(
    Op(
        "fused_conv",
        "then(act(conv(x · gate)) + residual), with what is asked for of these: one pass over the result.",
        (
            *_CONV.settings,
            SettingSpec("gate", "bool", False, "the second operand, [C, 1, 1], scales the channels that are read"),
            SettingSpec("act", "str", None, "applied to the convolution's result", choices=ACTIVATIONS),
            SettingSpec("residual", "bool", False, "the last operand, of the result's size or [C, 1, 1], is added"),
            SettingSpec("then", "str", None, "applied to the sum", choices=ACTIVATIONS),
        ),
        inputs=("x", "more*"),
        normalize=_CONV.normalize,
        shape=_fused_shape,
        weights=_CONV.weights,
        access=_fused_access,
        channels="grouped",
        macs=_CONV.macs,
        rewritten=True,
    )
)


def _classes_after(upsample: Op, name: str, doc: str) -> Op:
    """The op that gives the number of the largest channel after an upsampling op."""

    def shape(call: OpCall) -> tuple[MapType, ...]:
        (resized,) = upsample.shape(call)
        return (MapType(1, resized.height, resized.width),)

    return Op(
        name,
        f"The number of the largest channel after {doc}, which is never written: [1, H, W], the lowest where equal.",
        upsample.settings,
        inputs=upsample.inputs,
        shape=shape,
        access=upsample.access,
        channels="mix",
        rewritten=True,
    )


register(_classes_after(OPS["resize"], "resize_argmax", "a resize"))
register(_classes_after(OPS["guided_upsample"], "guided_argmax", "a guided upsampling"))

register(
    Op(
        "placed_concat",
        "A concatenation whose operands are written where they end up, as far as `placed` says so: 1 for each that is.",
        (SettingSpec("placed", "sizes", doc="per operand, 1 where its producer can write into the result", low=0),),
        inputs=_CONCAT.inputs,
        shape=_CONCAT.shape,
        channels="concat",
        rewritten=True,
    )
)


def _constant_weights(call: OpCall) -> tuple[WeightSpec, ...]:
    shape = (call["channels"], call["height"], call["width"])
    return (WeightSpec("value", shape, "zeros", trainable=False, buffer=True),)


register(
    Op(
        "constant",
        "The same map whatever the input is, once for each image of `like`.",
        tuple(SettingSpec(name, "int", doc=f"its {name}", low=1) for name in ("channels", "height", "width")),
        inputs=("like",),
        shape=lambda call: (MapType(call["channels"], call["height"], call["width"]),),
        weights=_constant_weights,
        access=lambda call, axis: (Unread(),),
        rewritten=True,
    )
)
