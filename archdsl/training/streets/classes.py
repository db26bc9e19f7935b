"""The eleven classes of the street scenes, and a colour for each."""

from __future__ import annotations

from enum import IntEnum


class Class(IntEnum):
    """Class indices; `VOID` is what neither training nor scoring looks at."""

    SKY = 0
    BUILDING = 1
    POLE = 2
    ROAD = 3
    PAVEMENT = 4
    TREE = 5
    SIGN = 6
    FENCE = 7
    CAR = 8
    PERSON = 9
    CYCLIST = 10
    VOID = 255


CLASSES: tuple[str, ...] = tuple(c.name.lower() for c in Class if c is not Class.VOID)
"""Class names, by class index."""

PALETTE: tuple[tuple[int, int, int], ...] = (
    (70, 130, 180),
    (70, 70, 70),
    (153, 153, 153),
    (128, 64, 128),
    (244, 35, 232),
    (107, 142, 35),
    (220, 220, 0),
    (190, 153, 153),
    (0, 0, 142),
    (220, 20, 60),
    (119, 11, 32),
)
"""RGB colours, by class index: those of Cityscapes for the classes that both have."""
