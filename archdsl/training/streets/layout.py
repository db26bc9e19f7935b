"""A street laid out by chance, without regard to any picture of it.

The cue that only a wide view gives: road and pavement are laid with materials from one list, chosen apart, and so a
patch of either may look like the other, or like itself in another scene. What tells them apart is where they lie
between kerbs, markings, fronts and parked cars.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.training.streets.dice import Dice
from archdsl.training.streets.street import END, Junction, Line, Material, Plot, Profile, Street
from archdsl.training.streets.things import things

_MATERIALS = (
    Material((98, 98, 102), 50.0, 50.0, 0.0, 0.16, 0.14),
    Material((112, 110, 108), 50.0, 50.0, 0.0, 0.2, 0.2),
    Material((84, 85, 90), 50.0, 50.0, 0.0, 0.14, 0.1),
    Material((142, 138, 132), 0.6, 0.9, 0.22, 0.08, 0.1),
    Material((126, 122, 118), 0.4, 0.4, 0.2, 0.1, 0.16),
    Material((134, 112, 100), 0.22, 0.44, 0.25, 0.14, 0.12),
)
_OFTEN_ROAD = (0, 0, 0, 1, 1, 2, 2, 4, 5)
_OFTEN_PAVEMENT = (0, 1, 1, 2, 3, 3, 4, 4, 5)
_WHITE = (226.0, 226.0, 222.0)
_YELLOW = (222.0, 184.0, 60.0)


def lay_out(dice: Dice) -> Street:
    """A street with everything that stands in it."""
    profile = _profile(dice)
    junctions = tuple(_junctions(dice))
    near = dice.uniform(9, 30)
    crossing = (near, near + 3.2) if dice.chance(0.3) else None
    return Street(
        kerbs=profile.kerbs,
        fronts=profile.fronts,
        road=_MATERIALS[dice.pick(_OFTEN_ROAD)],
        pavement=_MATERIALS[dice.pick(_OFTEN_PAVEMENT)],
        lines=tuple(_lines(dice, profile)),
        crossing=crossing,
        junctions=junctions,
        plots=tuple(_plots(dice, junctions)),
        things=tuple(things(dice, profile, junctions, crossing)),
    )


def _profile(dice: Dice) -> Profile:
    hand = 1 if dice.chance(0.5) else -1
    lane = dice.uniform(2.8, 3.7)
    parking = (dice.chance(0.5), dice.chance(0.5))
    one_way = dice.chance(0.2)
    reach = {hand: lane / 2, -hand: lane / 2 if one_way else 1.5 * lane}
    left, right = (reach[side] + 2.2 * parking[side > 0] for side in (-1, 1))
    return Profile(
        hand=hand,
        lane=lane,
        parking=parking,
        kerbs=(-left, right),
        fronts=(-left - dice.uniform(2.2, 5.5), right + dice.uniform(2.2, 5.5)),
        one_way=one_way,
    )


def _junctions(dice: Dice) -> Iterator[Junction]:
    for side in (-1, 1):
        if dice.chance(0.45):
            near = dice.uniform(12, 60)
            yield Junction(side, near, near + dice.uniform(6, 10))


def _lines(dice: Dice, profile: Profile) -> Iterator[Line]:
    colour = _YELLOW if dice.chance(0.15) else _WHITE
    if not profile.one_way and dice.chance(0.85):
        dash, gap = dice.pick(((3.0, 4.5), (2.0, 4.0), (6.0, 3.0), (1.0, 0.0)))
        yield Line(-profile.hand * profile.lane / 2, 0.14, dash, gap, colour)
    for side in (-1, 1):
        kerb = profile.kerb(side)
        if profile.parking[side > 0]:
            yield Line(kerb - side * 2.2, 0.11, *dice.pick(((1.0, 0.0), (0.6, 5.0), (1.0, 1.0))), _WHITE)
        elif dice.chance(0.4):
            yield Line(kerb - side * 0.35, 0.1, 1.0, 0.0, _YELLOW if dice.chance(0.5) else _WHITE)


def _plots(dice: Dice, junctions: tuple[Junction, ...]) -> Iterator[Plot]:
    for side in (-1, 1):
        gaps = [j for j in junctions if j.side == side]
        usual = dice.pick(("terrace", "terrace", "terrace", "villa", "villa", "park"))
        near, corner = dice.uniform(1.0, 3.0), False
        while near < END - 6:
            gap = next((j for j in gaps if j.far > near), None)
            if gap is not None and gap.near - near < 4:
                near, corner = gap.far, True
                continue
            kind = usual if dice.chance(0.8) else dice.pick(("terrace", "villa", "park"))
            far = min(near + dice.uniform(7, 17), gap.near if gap is not None else END)
            yield Plot(side, near, far, kind, corner)
            near, corner = far, False
