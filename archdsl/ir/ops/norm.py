"""Normalisation over batch statistics or channel groups."""

from __future__ import annotations

from archdsl.ir.access import POINTWISE, Access, Context
from archdsl.ir.op import Op, OpCall, OpError, SettingSpec, WeightSpec, register
from archdsl.ir.ops.convolution import divisors_near


def _affine(channels: int) -> tuple[WeightSpec, ...]:
    return (WeightSpec("weight", (channels,), "ones"), WeightSpec("bias", (channels,), "zeros"))


def _bn_weights(call: OpCall) -> tuple[WeightSpec, ...]:
    channels = call.inputs[0].channels
    statistics = (
        WeightSpec("running_mean", (channels,), "zeros", trainable=False, buffer=True),
        WeightSpec("running_var", (channels,), "ones", trainable=False, buffer=True),
    )
    return (*(_affine(channels) if call["affine"] else ()), *statistics)


register(
    Op(
        "bn",
        "Batch normalisation; at inference a scale and a shift per channel.",
        (
            SettingSpec("eps", "float", 1e-5, "added to the variance", low=0),
            SettingSpec(
                "momentum", "float", 0.1, "weight of the newest batch in the running statistics", low=0, high=1
            ),
            SettingSpec("affine", "bool", True, "learns a scale and a shift per channel"),
        ),
        weights=_bn_weights,
    )
)


def _check_groups(call: OpCall) -> None:
    channels, groups = call.inputs[0].channels, call["groups"]
    if channels % groups:
        message = f"{channels} channels cannot be cut into {groups} equal groups"
        raise OpError(
            "E0303",
            message,
            f"use a number of groups that divides {channels}, such as {divisors_near(channels, groups)}",
        )


def _context(call: OpCall, axis: int) -> tuple[Access, ...]:
    return (Context(besides=POINTWISE),)


register(
    Op(
        "group_norm",
        "Normalises each group of channels over all positions of a sample.",
        (
            SettingSpec("groups", "int", doc="how many groups of channels", low=1),
            SettingSpec("eps", "float", 1e-5, "added to the variance", low=0),
        ),
        normalize=_check_groups,
        weights=lambda call: _affine(call.inputs[0].channels),
        access=_context,
        channels="mix",
    )
)
