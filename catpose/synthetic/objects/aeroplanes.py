"""Aeroplanes. Metres; front at -y, the object's left at +x."""

import numpy as np

from catpose.synthetic.objects import colors, solids


def _tube_ring(y, radius, z=0.0, sides=10) -> np.ndarray:
    angle = (np.arange(sides) + 0.5) * (2 * np.pi / sides)
    return np.stack([radius * np.cos(angle), 0 * angle + y, radius * np.sin(angle) + z], axis=1)


def _wing(root_y, root_chord, tip_x, tip_y, tip_chord, root_z, tip_z, root_x=0.0, thick=0.12):
    """Corners of a left wing (bottom, top)."""
    bottom = np.array(
        [
            (root_x, root_y, root_z),
            (tip_x, tip_y, tip_z),
            (tip_x, tip_y + tip_chord, tip_z),
            (root_x, root_y + root_chord, root_z),
        ]
    )
    top = bottom.copy()
    top[[0, 3], 2] += thick
    top[[1, 2], 2] += thick * 0.6
    return bottom, top


def _fin(y, chord, height, sweep, tip_chord, z, thick, x=0.0):
    """Corners of an upright fin (bottom, top)."""
    t = thick / 2
    bottom = [(x - t, y, z), (x + t, y, z), (x + t, y + chord, z), (x - t, y + chord, z)]
    a, b = y + sweep, y + sweep + tip_chord
    top = [
        (x - t, a, z + height),
        (x + t, a, z + height),
        (x + t, b, z + height),
        (x - t, b, z + height),
    ]
    return bottom, top


def aeroplane(generator: np.random.Generator) -> solids.Parts:
    """An airliner, a propeller plane or a fighter."""
    makers = (_airliner, _airliner, _propeller, _fighter)
    return makers[generator.integers(len(makers))](generator)


def _airliner(generator: np.random.Generator) -> solids.Parts:
    length, radius = generator.uniform(26, 34), generator.uniform(1.9, 2.4)
    color = (
        colors.gray(generator, 0.75, 0.95)
        if generator.random() < 0.6
        else colors.lacquer(generator)
    )
    livery, window = colors.hue(generator, (0.5, 0.95), (0.35, 0.9)), colors.glass(generator)
    y0, y1 = -length / 2, length / 2
    nose, tail = generator.uniform(0.1, 0.15), generator.uniform(0.68, 0.74)
    belly = color * 0.85
    rings = [
        _tube_ring(y0, radius * 0.25, -radius * 0.25),
        _tube_ring(y0 + length * nose * 0.35, radius * 0.66, -radius * 0.16),
        _tube_ring(y0 + length * nose, radius),
        _tube_ring(y0 + length * tail, radius),
        _tube_ring(y0 + length * 0.87, radius * 0.66, radius * 0.25),
        _tube_ring(y1, radius * 0.16, radius * 0.62),
    ]
    bands = np.empty((5, 10, 3))
    bands[:] = color
    bands[:, 5:9] = belly
    bands[4] = livery
    bands[1, [1, 2]] = window
    bands[1, 0] = bands[1, 3] = window * 0.8 + color * 0.2
    p = solids.Parts()
    p.loft(rings, livery, bands=bands)
    wall_a, wall_b = y0 + length * nose, y0 + length * tail
    x = radius
    left = [(x, wall_a, 0.0), (x, wall_b, 0.0), (x, wall_b, 0.5), (x, wall_a, 0.5)]
    stripe = livery if generator.random() < 0.5 else window
    side = solids.Parts()
    side.patch(left, stripe, (0.02, 0.98), (0.1, 0.8), lift=0.02)

    span, sweep = generator.uniform(13, 17), generator.uniform(4.5, 8)
    root, chord = y0 + length * generator.uniform(0.36, 0.42), generator.uniform(5.5, 7)
    low = generator.random() < 0.8
    z = -radius * 0.55 if low else radius * 0.75
    rise = generator.uniform(0.6, 2.0) if low else -0.4
    wing = color * generator.uniform(0.7, 0.95)
    tip = generator.uniform(1.4, 2.2)
    side.hexahedron(
        *_wing(root, chord, span, root + sweep, tip, z, z + rise, radius * 0.4, 0.6), wing
    )
    if generator.random() < 0.6:
        side.hexahedron(
            *_fin(root + sweep + 0.2, tip, 1.6, 0.6, tip * 0.6, z + rise, 0.25, span), livery
        )
    for share in (0.34,) if generator.random() < 0.65 else (0.28, 0.55):
        ex, ey = span * share, root + sweep * share
        ez, er = z + rise * share - 0.95, generator.uniform(0.95, 1.2)
        bands = [np.full(3, 0.12), livery, livery, np.full(3, 0.3)]
        profile = [(0, -1.9), (er, -1.9), (er * 1.05, -0.5), (er * 0.6, 2.0), (0, 2.0)]
        side.lathe(profile, (ex, ey + 0.3, ez), livery, axis=1, sides=10, bands=bands)
    tail_y, high = y1 - generator.uniform(4.5, 5.5), generator.random() < 0.25
    height = generator.uniform(4.5, 6)
    zt, yt = (radius * 0.9 + height, tail_y + 3.6) if high else (radius * 0.55, tail_y + 1.2)
    side.hexahedron(*_wing(yt, 2.8, span * 0.36, yt + 2.4, 1.2, zt, zt + 0.3, 0.0, 0.3), wing)
    p.join_both_sides(side)
    p.hexahedron(*_fin(tail_y - 1.0, 5.6, height, 3.9, 2.4, radius * 0.7, 0.4), livery)
    return p


def _propeller(generator: np.random.Generator) -> solids.Parts:
    length, radius = generator.uniform(7, 8.5), generator.uniform(0.55, 0.7)
    color, second = colors.lacquer(generator), colors.lacquer(generator)
    window, dark = colors.glass(generator), colors.gray(generator, 0.06, 0.2)
    y0, y1 = -length / 2, length / 2
    p = solids.Parts()
    rings = [
        _tube_ring(y0, radius * 0.62, 0, 8),
        _tube_ring(y0 + 0.5, radius * 0.95, 0, 8),
        _tube_ring(y0 + length * 0.45, radius, 0.05, 8),
        _tube_ring(y1, radius * 0.25, 0.25, 8),
    ]
    p.loft(rings, dark, bands=[second, color, color])
    p.cylinder((0, y0 - 0.15, 0), 0.3, 0.4, second, axis=1, sides=8)
    turn, blades, reach = generator.uniform(0, np.pi), int(generator.integers(2, 4)), radius * 2.1
    for i in range(blades):
        a = turn + 2 * np.pi * i / blades
        d = np.array([np.cos(a), 0, np.sin(a)])
        p.beams([(0, y0 - 0.25, 0)], [np.array([0, y0 - 0.25, 0]) + reach * d], 0.2, dark)
    high = generator.random() < 0.5
    span, chord, root = (
        generator.uniform(4.3, 5.3),
        generator.uniform(1.3, 1.6),
        y0 + length * 0.27,
    )
    cab = p.box(
        (0, root + 0.75, radius * 1.1),
        (radius * 1.5, 2.3, radius * 0.95),
        window,
        taper=(0.8, 0.55),
        shift=(0, 0.1),
    )
    p.patch(
        cab[[solids.FRONT, solids.LEFT, solids.RIGHT, solids.BACK]],
        window * 1.4,
        (0.08, 0.92),
        (0.12, 0.88),
    )
    side = solids.Parts()
    z = radius * 1.55 if high else -radius * 0.6
    wing = second if generator.random() < 0.5 else color
    tip_z = z + (0.1 if high else 0.55)
    side.hexahedron(*_wing(root, chord, span, root + 0.2, chord * 0.75, z, tip_z, 0, 0.16), wing)
    if high:
        side.beams(
            [(radius * 0.8, root + 0.6, -0.2)],
            [(span * 0.5, root + 0.6, z)],
            0.1,
            color * 0.8,
        )
    side.hexahedron(*_wing(y1 - 1.0, 0.95, 1.65, y1 - 0.75, 0.65, 0.25, 0.3, 0, 0.1), wing)
    gear = root + 0.5 if generator.random() < 0.7 else root - 0.2
    side.beams([(radius * 0.6, gear, -0.3)], [(1.0, gear, -radius - 0.6)], 0.12, color * 0.8)
    side.cylinder((1.05, gear, -radius - 0.65), 0.3, 0.2, dark, axis=0, sides=8)
    p.join_both_sides(side)
    p.hexahedron(*_fin(y1 - 1.2, 1.3, 1.35, 0.55, 0.75, 0.25, 0.12), second)
    return p


def _fighter(generator: np.random.Generator) -> solids.Parts:
    length, radius = generator.uniform(14, 17), generator.uniform(0.8, 1.0)
    color = (
        colors.gray(generator, 0.4, 0.65)
        if generator.random() < 0.5
        else colors.hue(generator, (0.15, 0.7), (0.4, 0.8))
    )
    second, dark = (
        colors.hue(generator, (0.6, 0.95), (0.4, 0.9)),
        colors.gray(generator, 0.05, 0.14),
    )
    window = colors.glass(generator)
    y0, y1 = -length / 2, length / 2
    p = solids.Parts()
    rings = [
        _tube_ring(y0, 0.05, 0, 8),
        _tube_ring(y0 + length * 0.13, radius * 0.5, 0.05, 8),
        _tube_ring(y0 + length * 0.35, radius, 0.1, 8),
        _tube_ring(y1 - length * 0.1, radius * 1.05, 0.1, 8),
        _tube_ring(y1, radius * 0.75, 0.1, 8),
    ]
    p.loft(rings, dark, bands=[color * 0.45, color, color, dark * 1.8])
    canopy = [
        _tube_ring(y0 + length * 0.14, 0.12, radius * 0.5, 6),
        _tube_ring(y0 + length * 0.23, radius * 0.55, radius * 0.95, 6),
        _tube_ring(y0 + length * 0.38, radius * 0.3, radius * 1.0, 6),
    ]
    p.loft(canopy, window, bands=[window * 1.3, window])
    side = solids.Parts()
    delta = generator.random() < 0.5
    span, root = generator.uniform(4.6, 5.6), y0 + length * (0.4 if delta else 0.45)
    chord = length * (0.5 if delta else 0.33)
    tip_y = root + chord * (0.8 if delta else 0.6)
    side.hexahedron(
        *_wing(root, chord, span, tip_y, chord * 0.18, -0.1, -0.1, radius * 0.5, 0.2), color * 0.85
    )
    side.box(
        (radius * 1.05, y0 + length * 0.5, -0.1),
        (radius * 0.8, length * 0.34, radius * 1.1),
        color,
    )
    side.box((radius * 1.05, y0 + length * 0.33, -0.1), (radius * 0.7, 0.1, radius * 0.9), dark)
    twin = generator.random() < 0.5
    if not delta:
        side.hexahedron(
            *_wing(y1 - 2.2, 1.9, span * 0.55, y1 - 1.0, 1.0, 0.0, 0.0, 0.4, 0.15), color * 0.85
        )
    if twin:
        side.hexahedron(
            *_fin(y1 - 3.4, 2.8, 2.3, 1.6, 1.1, radius * 0.6, 0.16, radius * 0.9), second
        )
    missile = (span * 0.98, root + chord * 0.85, -0.05)
    side.cylinder(missile, 0.16, 2.4, [0.92, 0.92, 0.9], axis=1, sides=6)
    p.join_both_sides(side)
    if not twin:
        p.hexahedron(*_fin(y1 - 4.0, 3.6, 2.7, 2.4, 1.2, radius * 0.8, 0.2), second)
    return p
