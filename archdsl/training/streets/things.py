"""Where cars, people, trees and street furniture stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from archdsl.training.streets.dice import Dice
from archdsl.training.streets.street import Junction, Profile, Thing

_STOREFRONT_GAP = 0.5
_Crossing = tuple[float, float] | None


def things(dice: Dice, profile: Profile, junctions: tuple[Junction, ...], crossing: _Crossing) -> Iterator[Thing]:
    """Everything that stands in the street, in no order."""
    for side in (-1, 1):
        clear = _clear(side, junctions, crossing)
        yield from (t for t in _parked(dice, profile, side) if clear(t.z))
        yield from (t for t in _furniture(dice, profile, side) if clear(t.z))
        yield from _walkers(dice, profile, side)
    yield from _traffic(dice, profile)
    yield from _cyclists(dice, profile)
    if crossing is not None:
        yield from _crossers(dice, profile, crossing)


def _clear(side: int, junctions: tuple[Junction, ...], crossing: _Crossing) -> Callable[[float], bool]:
    """Whether something two metres long may stand at the kerb at a distance."""
    taken = [(j.near, j.far) for j in junctions if j.side == side]
    if crossing is not None:
        taken.append(crossing)
    return lambda z: not any(near - 3 < z < far + 3 for near, far in taken)


def _along(dice: Dice, first: float, step: tuple[float, float], last: float) -> Iterator[float]:
    z = first + dice.uniform(0, step[1])
    while z < last:
        yield z
        z += dice.uniform(*step)


def _parked(dice: Dice, profile: Profile, side: int) -> Iterator[Thing]:
    if not profile.parking[side > 0]:
        return
    full = dice.uniform(0.25, 0.95)
    for z in _along(dice, 3.5, (5.8, 7.0), 65):
        if dice.chance(full):
            facing = side * profile.hand if dice.chance(0.85) else -side * profile.hand
            yield Thing("car", profile.gutter(side) + dice.uniform(-0.15, 0.15), z, facing)


def _furniture(dice: Dice, profile: Profile, side: int) -> Iterator[Thing]:
    """Lamps, trees, signs, lights, bollards and bins, along the kerb."""
    x = profile.kerb(side) + side * 0.5
    for z in _along(dice, 6, (22, 32), 90):
        yield Thing("lamp", x, z, -side)
    if dice.chance(0.45):
        for z in _along(dice, 8, (8, 18), 90):
            yield Thing("tree", x + side * 0.4, z, -side)
    for z in _along(dice, 5, (9, 40), 70):
        yield Thing(dice.pick(("sign", "sign", "board", "signal")), x, z, -side)
    if dice.chance(0.25):
        first = dice.uniform(5, 20)
        for z in _along(dice, first, (1.9, 1.9), first + 14):
            yield Thing("bollard", x - side * 0.1, z, -side)
    if dice.chance(0.06):
        yield Thing("bin", x + side * 0.4, dice.uniform(6, 22), -side)


def _walkers(dice: Dice, profile: Profile, side: int) -> Iterator[Thing]:
    low, high = profile.kerb(side) + side * 0.7, profile.fronts[side > 0] - side * _STOREFRONT_GAP
    for _ in range(dice.count(0, 5)):
        x, z = dice.uniform(low, high), dice.uniform(4.5, 22) if dice.chance(0.6) else dice.uniform(15, 60)
        facing = dice.pick((-1, 1))
        yield Thing("walker", x, z, facing)
        if dice.chance(0.3):
            yield Thing("walker", x + dice.uniform(0.5, 0.8), z + dice.uniform(-0.3, 0.3), facing)


def _traffic(dice: Dice, profile: Profile) -> Iterator[Thing]:
    for z in _along(dice, 9, (16, 70), 100):
        yield Thing(dice.pick(("car", "car", "car", "van", "bus")), dice.uniform(-0.25, 0.25), z, 1)
    if not profile.one_way:
        for z in _along(dice, 4, (15, 60), 100):
            kind = dice.pick(("car", "car", "car", "car", "van", "bus"))
            yield Thing(kind, profile.oncoming() + dice.uniform(-0.25, 0.25), z, -1)


def _cyclists(dice: Dice, profile: Profile) -> Iterator[Thing]:
    for side in (-1, 1):
        # Beside parked cars one rides further out than along a bare kerb.
        out = 2.6 if profile.parking[side > 0] else 0.7
        for _ in range(dice.count(0, 2)):
            facing = side * profile.hand if not profile.one_way else 1
            yield Thing("cyclist", profile.kerb(side) - side * out, dice.uniform(5, 30), facing)


def _crossers(dice: Dice, profile: Profile, crossing: tuple[float, float]) -> Iterator[Thing]:
    left, right = profile.kerbs
    for _ in range(dice.count(0, 4)):
        kind = "rider" if dice.chance(0.2) else "crosser"
        yield Thing(kind, dice.uniform(left, right), dice.uniform(*crossing), dice.pick((-1, 1)))
