"""A street in metres: its paving, markings, plots and everything that stands in it."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.training.streets.light import Colour

END = 130.0
"""Metres after which a backdrop closes the street."""


@dataclass(frozen=True, slots=True)
class Material:
    """A paving; tile sides in metres."""

    colour: Colour
    tile_x: float
    tile_z: float
    joint: float
    """How much darker the joints are, as a share."""
    grain: float
    patches: float


@dataclass(frozen=True, slots=True)
class Line:
    """A road marking along the street: `dash` metres of paint, then `gap` metres without."""

    x: float
    width: float
    dash: float
    gap: float
    colour: Colour


@dataclass(frozen=True, slots=True)
class Junction:
    """A side street that leaves to the left (-1) or the right (+1) between two distances."""

    side: int
    near: float
    far: float


@dataclass(frozen=True, slots=True)
class Plot:
    """A stretch of one side of the street behind the pavement; `side` is -1 on the left, +1 on the right."""

    side: int
    near: float
    far: float
    kind: str
    """`terrace`, `villa` or `park`."""
    corner: bool
    """Whether its near end stands at a side street and is seen far back."""


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that stands on the ground at (x, z); what it looks like is drawn by chance when it is drawn."""

    kind: str
    x: float
    z: float
    facing: int
    """-1 looks at the camera or to the left, +1 away from it or to the right."""


@dataclass(frozen=True, slots=True)
class Street:
    """Lengths in metres; x = 0 is the middle of the lane that the camera is in."""

    kerbs: tuple[float, float]
    fronts: tuple[float, float]
    """Where the pavements end and the plots begin."""
    road: Material
    pavement: Material
    lines: tuple[Line, ...]
    crossing: tuple[float, float] | None
    """Near and far end of a zebra crossing."""
    junctions: tuple[Junction, ...]
    plots: tuple[Plot, ...]
    things: tuple[Thing, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """The street across: everything that does not change along it."""

    hand: int
    """+1 where one drives on the right, -1 where on the left."""
    lane: float
    """Width of a lane."""
    parking: tuple[bool, bool]
    kerbs: tuple[float, float]
    fronts: tuple[float, float]
    one_way: bool

    def kerb(self, side: int) -> float:
        return self.kerbs[side > 0]

    def gutter(self, side: int) -> float:
        """Middle of the strip beside a kerb, where cars park and bicycles ride."""
        return self.kerb(side) - side * 1.1

    def oncoming(self) -> float:
        """Middle of the other lane."""
        return -self.hand * self.lane
