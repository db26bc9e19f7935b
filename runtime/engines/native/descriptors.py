"""The records that the kernels read: `kernels/ops.h` has the same fields in the same order."""

from __future__ import annotations

import ctypes
from enum import IntEnum

Pair = ctypes.c_int64 * 2


class Kind(IntEnum):
    CONV = 0
    WINOGRAD = 1
    DEPTHWISE = 2
    BINARY = 3
    AFFINE = 4
    POOL = 5
    SUMS = 6
    MEAN = 7
    SCALE_WEIGHTS = 8
    RESIZE = 9
    NEAREST = 10
    PLANAR_RESIZE = 11
    GUIDED = 12
    STRIPS = 13


class Activation(IntEnum):
    NONE = 0
    RELU = 1
    RELU6 = 2
    HSIGMOID = 3
    HSWISH = 4
    SIGMOID = 5
    SILU = 6
    TANH = 7
    ELU = 8
    PRELU = 9


ACTIVATIONS = {
    "relu": Activation.RELU,
    "relu6": Activation.RELU6,
    "hsigmoid": Activation.HSIGMOID,
    "hswish": Activation.HSWISH,
    "sigmoid": Activation.SIGMOID,
    "silu": Activation.SILU,
    "tanh": Activation.TANH,
    "elu": Activation.ELU,
    "prelu": Activation.PRELU,
}
BINARIES = {"add": 0, "sub": 1, "mul": 2, "div": 3}


class Address(ctypes.Structure):
    """Bytes from the start of a slot."""

    _fields_ = (("slot", ctypes.c_int64), ("offset", ctypes.c_int64))


class Map(ctypes.Structure):
    """A feature map; strides in elements, 16 channels next to each other. `n` is 0 where there is none.

    `ring` rows are kept of a map that one thread makes and reads; 0 for whole maps. From 16 channels to the next 16 it
    is `block`, and `margin` pixels of zeros stand beside each row.
    """

    _fields_ = (
        ("at", Address),
        *((name, ctypes.c_int64) for name in ("n", "h", "w", "c", "pixel", "row", "image", "ring", "block", "margin")),
    )


class Op(ctypes.Structure):
    """One step."""

    _fields_ = (
        ("kind", ctypes.c_int64),
        *((name, Map) for name in ("input", "second", "output")),
        *((name, Pair) for name in ("kernel", "stride", "padding", "dilation")),
        *(
            (name, ctypes.c_int64)
            for name in (
                *("groups", "activation", "last_activation", "vectors", "panels", "run", "merged", "rows", "columns"),
                *("panel_span", "panels_outside", "weights_image", "option", "pieces", "sums_channels"),
            )
        ),
        ("unit", ctypes.c_float * 2),
        ("step", ctypes.c_double * 2),
        *((name, Address) for name in ("weights", "bias", "sums", "slopes")),
    )
