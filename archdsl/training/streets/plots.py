"""What stands behind the pavements: terraces, villas behind fences, parks, and the backdrop of the street."""

from __future__ import annotations

from archdsl.training.streets.canvas import Canvas, Openings
from archdsl.training.streets.classes import Class
from archdsl.training.streets.dice import Dice
from archdsl.training.streets.furniture import draw_tree
from archdsl.training.streets.houses import House, Look, any_look, any_roof, draw_house, draw_wall, upright
from archdsl.training.streets.light import Colour
from archdsl.training.streets.street import END, Plot, Street

_FENCES: tuple[Colour, ...] = ((206, 202, 194), (112, 84, 60), (70, 84, 74), (60, 62, 66), (140, 112, 84))
_HEDGE: Colour = (62, 88, 44)
_HILLS: Colour = (96, 112, 84)


def draw_plot(canvas: Canvas, dice: Dice, street: Street, plot: Plot) -> None:
    """A plot and everything on it, up to the edge of the pavement."""
    front = street.fronts[plot.side > 0]
    {"terrace": _terrace, "villa": _villa, "park": _park}[plot.kind](canvas, dice, plot, front)


def draw_backdrop(canvas: Canvas, dice: Dice) -> None:
    """What closes the view at the end of the street: hills, a skyline and woods, from side to side."""
    hills = canvas.surface(_HILLS, Class.TREE, END * 1.5, canvas.light.on(0, 0.7, -0.7), 0.05, 0.2)
    top = dice.uniform(3, 12)
    canvas.polygon(((-900, 0, END), (-900, 5, END), (0, top, END), (900, 5, END), (900, 0, END)), hills)
    x = -260.0
    while x < 260:
        width, height = dice.uniform(9, 22), dice.uniform(5, 20)
        if dice.chance(0.55):
            look, points = any_look(dice, shops=0.0), upright((x, END), (x + width, END), height)
            if canvas.sees(x, END, width):
                draw_wall(canvas, look, Class.BUILDING, points, (0, -1), shop=False)
        else:
            draw_tree(canvas, dice, x + width / 2, END, width / 2)
        x += width * 0.9


def _terrace(canvas: Canvas, dice: Dice, plot: Plot, front: float) -> None:
    house = House(
        side=plot.side,
        x=front,
        depth=40.0 if plot.corner else 12.0,
        near=plot.near,
        far=plot.far,
        height=dice.uniform(6.5, 17),
        rise=dice.pick((0.0, 2.0, 3.0)),
        look=any_look(dice, shops=0.4),
        roof=any_roof(dice),
    )
    draw_house(canvas, house)


def _villa(canvas: Canvas, dice: Dice, plot: Plot, front: float) -> None:
    side = plot.side
    house = House(
        side=side,
        x=front + side * dice.uniform(3, 6),
        depth=dice.uniform(8, 11),
        near=min(plot.near + dice.uniform(0.5, 2), plot.far - 3),
        far=plot.far - 0.5,
        height=dice.uniform(4.5, 7.5),
        rise=dice.uniform(2, 3.5),
        look=any_look(dice, shops=0.0),
        roof=any_roof(dice),
    )
    draw_tree(canvas, dice, house.x + side * 14, plot.far, dice.uniform(2.5, 4))
    draw_house(canvas, house)
    if dice.chance(0.5):
        draw_tree(canvas, dice, front + side * 1.8, dice.uniform(plot.near + 2, plot.far), dice.uniform(1, 1.8))
    _border(canvas, dice, plot, front)


def _park(canvas: Canvas, dice: Dice, plot: Plot, front: float) -> None:
    side, length = plot.side, plot.far - plot.near
    wood = canvas.surface(_HEDGE, Class.TREE, plot.near, canvas.light.on(-side, 0.3, 0) * 0.75, 0.12, 0.4)
    rear = front + side * 9
    canvas.polygon(upright((rear, plot.near), (rear, plot.far), dice.uniform(3, 6)), wood)
    if plot.corner:
        canvas.polygon(upright((front, plot.near + 1), (front + side * 40, plot.near + 1), 3), wood)
    for part in (0.9, 0.55, 0.2):
        x = front + side * dice.uniform(2.5, 8)
        draw_tree(canvas, dice, x, plot.near + part * length, dice.uniform(2.0, 3.8))
    _border(canvas, dice, plot, front)


def _border(canvas: Canvas, dice: Dice, plot: Plot, x: float) -> None:
    """A fence, or now and then a hedge, between a plot and the pavement."""
    height, colour, pitch = dice.uniform(0.9, 1.9), dice.pick(_FENCES), dice.pick((0.2, 0.3, 2.2))
    start, end = (x, plot.near), (x, plot.far)
    canvas.shade_wall(start, end, height)
    if dice.chance(0.25):
        lit = canvas.light.on(-plot.side, 0, 0)
        hedge = canvas.surface(_HEDGE, Class.TREE, plot.near, lit, 0.14, 0.3)
        canvas.polygon(upright(start, end, height), hedge)
        return
    # Close bars with gaps between them, or wide boards with thin seams.
    bars = Openings(pitch, height, 0.45 if pitch < 1 else 0.06, 0.12, 0.86)
    dark = (colour[0] * 0.45, colour[1] * 0.45, colour[2] * 0.45)
    look = Look(colour, dark, colour, bars, blank=0.0)
    draw_wall(canvas, look, Class.FENCE, upright(start, end, height), (-plot.side, 0), shop=False)
