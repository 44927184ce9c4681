"""Cars whose proportions, openings, lamps and fittings are those of photographs.

Metres; front at -y, the object's left at +x, the ground at z = 0.
"""

import numpy as np

from catpose.synthetic.objects import car_proportions, car_shells, colors, solids
from catpose.synthetic.objects.car_proportions import Car
from catpose.synthetic.objects.car_shells import FLANK, LAMPS, SILL


def car(generator: np.random.Generator, style: str = "") -> solids.Parts:
    """A car of the requested style, or of any."""
    one = car_proportions.draw(generator, style)
    side = solids.Parts()
    body = car_shells.body(generator, side, one)
    for y, column in zip(one.axles, car_shells.OPENINGS, strict=True):
        car_shells.opening(side, one, y, body[FLANK, column, 3], body[FLANK, column, 2])
    _wheels(generator, side, one)
    if one.style == "convertible" and generator.random() < 0.7:
        car_shells.open_cabin(generator, side, one)
    else:
        car_shells.greenhouse(generator, side, one)
    _front(generator, side, one, body)
    _rear(generator, side, one, body)
    _doors(generator, side, one, body)
    parts = solids.Parts()
    parts.join_both_sides(side)
    if one.square or one.style == "classic":
        color = one.trim if one.square else one.chrome
        for y in one.ends:
            size = (one.flank * 1.88, 0.14, 0.11)
            parts.box((0, y, body[SILL, 0, 3, 2]), size, color)
    (front, rear), low, reach = one.axles, one.clearance, one.opening
    # What is between the wheels hides the other side's openings.
    parts.box(
        (0, (front + rear) / 2, (low + one.radius + reach) / 2),
        (2 * (one.flank - 0.24), rear - front + 1.9 * reach, one.radius + reach - low),
        one.dark * 0.5,
    )
    return parts


def _wheels(generator: np.random.Generator, side: solids.Parts, one: Car) -> None:
    """Tyres, rims and spokes."""
    radius, w, sides = one.radius, 0.1, 10
    rim = radius * generator.uniform(0.6, 0.74)
    hub = colors.gray(generator, 0.5, 0.9) if generator.random() < 0.85 else one.dark * 1.5
    wall = hub if one.style == "classic" and generator.random() < 0.4 else one.dark
    gap = hub * generator.choice([0.15, 0.5, 0.9])
    depth = w - generator.uniform(0.02, 0.05)
    profile = [(radius, -w), (radius, w * 0.8), (rim, w), (rim * 0.9, depth)]
    angle = (np.arange(sides + 1) + 0.5) * (2 * np.pi / sides)
    for y in one.axles:
        center = np.array([one.half - 0.02 - w, y, radius])
        side.lathe(profile, center, hub, axis=0, sides=sides, bands=[one.dark, wall, hub])
        around = np.stack([0 * angle, np.cos(angle), np.sin(angle)], axis=-1) * rim * 0.9
        around += center + [depth, 0, 0]
        nave = np.broadcast_to(center + [depth + 0.01, 0, 0], (sides, 3))
        spokes = np.stack([nave, around[:-1], around[1:], around[1:]], axis=1)
        side.add(spokes, np.where(np.arange(sides)[:, None] % 2, hub, gap))
        # Of the inner face, what is below the body.
        y5, z5 = radius * np.cos(angle[5:10]), radius * np.sin(angle[5:10])
        below = center + np.stack([np.full(5, -w), y5, z5], axis=1)[::-1]
        side.add([below[[0, 1, 2, 3]], below[[0, 3, 4, 4]]], one.dark)


def _front(generator: np.random.Generator, side: solids.Parts, one: Car, body) -> None:
    """Grille, air intake, number plate, fog lamps; bumpers and round lamps of old cars."""
    grille, low = body[LAMPS, 0], generator.uniform(0.0, 0.3)
    side.patch(grille, one.dark, (0.0, generator.uniform(0.75, 0.97)), (low, 0.9))
    for v in np.linspace(low, 0.8, int(generator.integers(0, 4)), endpoint=False):
        side.patch(grille, one.chrome, (0.0, 0.75), (v, v + 0.1), lift=0.02)
    if generator.random() < 0.5:
        side.patch(body[FLANK, 0], one.dark, (0.0, 0.8), (0.45, 1.0))
    side.patch(body[SILL, 0], one.dark * 0.7, (0.0, 0.95), (0.2, 0.75))
    if one.style != "classic" and generator.random() < 0.5:
        fog = colors.LAMP * 0.95 if generator.random() < 0.5 else one.dark
        side.patch(body[SILL, 1], fog, (0.2, 0.6), (0.35, 0.75))
    _plate(generator, side, body[FLANK, 0], (0.0, 0.5))
    if one.style == "classic":
        x, reach = (one.flank + one.half) / 2 - 0.05, one.opening * 1.15
        center = (x, one.axles[0] - reach * 0.85, one.radius + reach * 0.75)
        lamp = [(0, -0.15), (0.1, -0.15), (0.1, 0.15)]
        side.lathe(lamp, center, colors.LAMP, axis=1, sides=6)
        begin, end = one.axles[0] + reach, one.axles[1] - reach
        inner, outer, z = one.flank - 0.05, one.half - 0.02, one.clearance + 0.05
        step = [(inner, begin, z), (outer, begin, z), (outer, end, z), (inner, end, z)]
        side.sheet(step, one.dark)


def _plate(generator: np.random.Generator, side: solids.Parts, quad, u) -> None:
    """A number plate in some countries' colors, or none."""
    if generator.random() < 0.8:
        plate = np.array([0.92, 0.92, generator.choice([0.3, 0.8, 0.85, 0.9, 0.9])])
        side.patch(quad, plate, u, (0.15, 0.85), lift=0.03)


def _rear(generator: np.random.Generator, side: solids.Parts, one: Car, body) -> None:
    """Number plate, lamps between and below those at the corners, exhaust."""
    high = generator.random() < 0.6
    _plate(generator, side, body[LAMPS if high else FLANK, 11], (0.45, 1.0))
    if one.style == "classic":
        side.patch(body[FLANK, 9], colors.TAIL_LIGHT, (0.2, 1.0), (0.5, 1.0), lift=0.02)
    elif one.tall:
        side.patch(body[FLANK, 10], colors.TAIL_LIGHT, (0.1, 0.6), (0.6, 1.0))
    elif generator.random() < 0.4:  # from lamp to lamp
        side.patch(body[LAMPS, 11], colors.TAIL_LIGHT, (0.0, 0.5), (0.2, 0.9))
    side.patch(body[SILL, 11], one.dark * 0.8, (0.0, 1.0), (0.0, generator.uniform(0.2, 0.6)))
    side.patch(body[SILL, 10], one.chrome, (0.3, 0.7), (0.0, 0.2), lift=0.03)  # exhaust


def _doors(generator: np.random.Generator, side: solids.Parts, one: Car, body) -> None:
    """Seams, handles, mirrors, a strip along the side."""
    seam, four = one.dark * 0.5 + one.paint * 0.2, one.panes > 1 and one.style != "coupe"
    ends = [(5, 0.04), (5, 0.98), (6, 0.8)] if four else [(5, 0.04), (6, 0.3)]
    for column, u in ends:
        for band in (FLANK, LAMPS):
            side.patch(body[band, column], seam, (u, u + 0.02), (0.0, 1.0), lift=0.008)
    handle = (one.paint * 0.6, one.chrome, one.dark)[generator.integers(3)]
    for column, u in ((5, 0.78), (6, 0.6)) if four else ((6, 0.1),):
        side.patch(body[LAMPS, column], handle, (u, u + 0.16), (0.15, 0.4), lift=0.02)
    if one.square or generator.random() < 0.2:
        strip = one.dark if one.square else one.paint * 0.7
        flank = [*body[FLANK, 5, :1], *body[FLANK, 6, 1:3], *body[FLANK, 5, 3:]]
        side.patch(flank, strip, (0.0, 1.0), (0.3, 0.5))
    center = (one.flank * 1.04, one.windscreen[0] + 0.32, one.belt + 0.12)
    color = one.paint if generator.random() < 0.6 else one.dark
    side.box(center, (0.18, 0.1, 0.14), color, taper=(0.9, 0.8))
