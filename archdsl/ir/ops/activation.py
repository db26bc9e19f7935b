"""Functions of one value at a time, and over channels at one position."""

from __future__ import annotations

from archdsl.ir.op import Op, OpCall, SettingSpec, WeightSpec, register

_DOCS = {
    "relu": "max(x, 0).",
    "relu6": "min(max(x, 0), 6).",
    "sigmoid": "1 / (1 + exp(-x)).",
    "hsigmoid": "relu6(x + 3) / 6.",
    "hswish": "x · hsigmoid(x).",
    "silu": "x · sigmoid(x).",
    "gelu": "x · Φ(x), exact.",
    "tanh": "Hyperbolic tangent.",
    "identity": "The value itself.",
}

for _name, _doc in _DOCS.items():
    register(Op(_name, _doc))

register(
    Op(
        "elu",
        "x above 0, alpha · (exp(x) - 1) below.",
        (SettingSpec("alpha", "float", 1.0, "the limit for very negative x, negated"),),
    )
)


def _slopes(call: OpCall) -> tuple[WeightSpec, ...]:
    return (WeightSpec("weight", (1 if call["shared"] else call.inputs[0].channels,), f"constant {call['init']}"),)


register(
    Op(
        "prelu",
        "x above 0, a learned slope times x below.",
        (
            SettingSpec("shared", "bool", False, "one slope for all channels, instead of one per channel"),
            SettingSpec("init", "float", 0.25, "the slope at the start"),
        ),
        weights=_slopes,
    )
)

_AXIS = SettingSpec("axis", "str", "channel", "what the result sums to one over", choices=("channel",))

for _name, _doc in {"softmax": "exp(x) over its sum.", "log_softmax": "x minus the log of the sum of exp(x)."}.items():
    register(Op(_name, _doc, (_AXIS,), channels="mix"))

_PROBABILITY = SettingSpec("p", "float", doc="the share set to zero in training", low=0, high=1)

register(Op("dropout", "Sets single values to zero in training.", (_PROBABILITY,), training_only=True))
register(Op("dropout2d", "Sets whole channels to zero in training.", (_PROBABILITY,), training_only=True))
