"""Passenger planes, in detail. The unit is their body's radius; front at -y, left at +x, z up."""

import numpy as np

from catpose.synthetic.objects import airframes, solids

# Sections of a body's ends: y behind the nose or the tail, half width, lowest z, highest z.
_NOSE = np.array([
    (0.0, 0.05, -0.34, -0.24), (0.2, 0.34, -0.6, 0.06), (0.6, 0.64, -0.84, 0.36),
    (1.0, 0.79, -0.94, 0.58), (1.55, 0.92, -1, 0.9), (2.5, 1, -1, 1),
])  # fmt: skip
_TAIL = np.array([
    (-6.2, 1, -1, 1), (-4.2, 0.86, -0.66, 0.98), (-2.4, 0.6, -0.2, 0.9), (-0.8, 0.3, 0.2, 0.72),
    (0, 0.1, 0.42, 0.58),
])  # fmt: skip
_WINDSCREEN = 3  # its segment
_TOP = airframes.from_top(16)
_EDGE = np.pi / 16  # half the angle of a facet


def _stations(generator, length, hump) -> tuple[np.ndarray, tuple[float, float]]:
    """Sections of a body, and where its cabin begins and ends along y."""
    nose = _NOSE * [generator.uniform(0.85, 1.15), 1, 1, 1] - [length / 2, 0, 0, 0]
    tail = _TAIL * [generator.uniform(0.85, 1.15), 1, 1, 1] + [length / 2, 0, 0, 0]
    cabin = nose[-1, 0], tail[0, 0]
    if not hump:
        return np.concatenate([nose, tail]), cabin
    nose[2:, 3] += hump * np.array([0.3, 0.8, 1, 1])
    end = length * generator.uniform(-0.24, 0)
    return np.array([*nose, (end, 1, -1, 1 + hump), (end + 2, 1, -1, 1), *tail]), cabin


def _body(p, generator, length, paint, windows, hump=0.0) -> None:
    """A body with so many windows a side; `hump` is how much higher the front's roof is."""
    stations, (front, rear) = _stations(generator, length, hump)
    skin = np.empty((len(stations) - 1, 16, 3))
    skin[:] = paint.body
    skin[:, _TOP > generator.choice([100, 120, 140])] = paint.belly
    if generator.random() < 0.4:
        skin[generator.integers(3) :, _TOP == 90] = paint.second
    if generator.random() < 0.5:
        skin[-generator.integers(2, 4) :, _TOP < generator.choice([80, 181])] = paint.tail
    skin[_WINDSCREEN, _TOP < 75] = paint.window * 0.7
    if generator.random() < 0.15:
        skin[0] = paint.dark
    airframes.body(p, stations, skin)
    side = solids.Parts()

    def strip(facet, color, number, low, high, filled):
        """A row of patches on a facet above the left side, between two shares of the cabin."""
        (x0, z0), (x1, z1) = ((np.cos(a), np.sin(a)) for a in _EDGE * np.array([-1, 1]) + facet)
        quad = [(x0, front, z0), (x0, rear, z0), (x1, rear, z1), (x1, front, z1)]
        begin = low + (high - low) * np.arange(number) / number
        ends = begin + filled * (high - low) / number
        side.patch(quad, color, np.stack([begin, ends], 1), (0.25, 0.85), lift=0.015)

    strip(0, paint.window, windows, 0.0, 1.02, generator.uniform(0.45, 0.95))
    if generator.random() < 0.5 and not hump:  # the airline's name
        low = generator.uniform(0.02, 0.3)
        strip(2 * _EDGE, paint.second, 4, low, low + generator.uniform(0.15, 0.4), 0.7)
    p.join_both_sides(side)


def jet_airliner(generator: np.random.Generator) -> solids.Parts:
    """Two or four engines under a low wing, or under a high one."""
    high = generator.random() < 0.14
    four = high or generator.random() < 0.25
    length = generator.uniform(15, 17) if high else generator.uniform(16.5, 25)
    paint = airframes.random_paint(generator, 0.75)
    p, side = solids.Parts(), solids.Parts()
    hump = generator.uniform(0.3, 0.5) if four and not high and generator.random() < 0.6 else 0.0
    _body(p, generator, length, paint, int(generator.integers(14, 24)), hump)

    half_span = length * generator.uniform(0.42, 0.5)
    lead = length * generator.uniform(-0.2, -0.15)
    chords = length * generator.uniform(0.17, 0.2), length * generator.uniform(0.04, 0.055)
    sweep = generator.uniform(15, 22) if high else generator.uniform(27, 39)
    z, rise = (0.95, -0.05) if high else (-0.62, generator.uniform(0.07, 0.14))
    wing = airframes.swept(lead, half_span, chords, z, rise * half_span, sweep, 0.36)
    airframes.surface(side, wing, paint.wing, edge=paint.metal)
    if generator.random() < 0.45:
        _winglet(side, wing[-1], generator, paint)
    engine = generator.uniform(0.34, 0.46) if four else generator.uniform(0.5, 0.66)
    stretch = engine * generator.uniform(3.6, 4.8)
    shades = paint.metal, _cowl(generator, paint), paint.metal * 0.7
    for share in (0.3, 0.56) if four else (0.34,):
        section = airframes.between(wing, share * half_span)
        center = section[0], section[1] - 0.1 * stretch, section[2] - 1.05 * engine
        airframes.jet(side, center, engine, stretch, shades, sides=8 if four else 10)
        _pylon(side, center, engine, section, paint)
    _underside(p, side, generator, length, (lead, chords[0]), paint, sponsons=high)
    p.join_both_sides(side)
    if not four and generator.random() < 0.12:  # a third engine
        pod = 0, length / 2 - 3.0, 1.35
        airframes.jet(p, pod, 0.52, 4.6, (paint.metal, paint.tail, paint.metal))
    _tail(p, generator, length, paint, 1.0 if high else 0.02)
    return p


def rear_jet(generator: np.random.Generator) -> solids.Parts:
    """A business jet, or an airliner, with engines at its tail."""
    business = generator.random() < 0.4
    length = generator.uniform(13.5, 17) if business else generator.uniform(19, 27)
    paint = airframes.random_paint(generator, 0.75)
    p, side = solids.Parts(), solids.Parts()
    windows = generator.integers(5, 8) if business else generator.integers(14, 24)
    _body(p, generator, length, paint, int(windows))

    half_span = length * (
        generator.uniform(0.42, 0.5) if business else generator.uniform(0.34, 0.4)
    )
    lead = length * generator.uniform(-0.1, -0.04)
    chords = length * generator.uniform(0.15, 0.19), length * generator.uniform(0.04, 0.055)
    rise, sweep = half_span * generator.uniform(0.03, 0.1), generator.uniform(18, 32)
    wing = airframes.swept(lead, half_span, chords, -0.7, rise, sweep, 0.34)
    airframes.surface(side, wing, paint.wing, edge=paint.metal)
    if generator.random() < 0.5:
        _winglet(side, wing[-1], generator, paint)
    engine = generator.uniform(0.4, 0.52)
    stretch, z = engine * generator.uniform(4.5, 6.5), generator.uniform(0.25, 0.5)
    center = (1.0 + 0.95 * engine, length / 2 - generator.uniform(5.2, 6.0), z)
    shades = paint.metal, _cowl(generator, paint), paint.metal * 0.7
    airframes.jet(side, center, engine, stretch, shades)
    stub = [(x, center[1] - 0.3 * stretch, z, 0.6 * stretch, 0.12) for x in (0.5, center[0])]
    airframes.surface(side, stub, paint.body)
    _underside(p, side, generator, length, (lead, chords[0]), paint)
    p.join_both_sides(side)
    if not business and generator.random() < 0.25:  # a third engine
        pod = 0, length / 2 - 4.4, 1.2
        airframes.jet(p, pod, 0.5, 4, (paint.metal, paint.body, paint.metal), sides=8)
    _tail(p, generator, length, paint, generator.choice([1.0, 1.0, 1.0, 0.5]))
    return p


def propeller_airliner(generator: np.random.Generator) -> solids.Parts:
    """Two or four propellers, at a high wing or a low one."""
    high, four = generator.random() < 0.55, generator.random() < 0.25
    length = generator.uniform(14.5, 20)
    paint = airframes.random_paint(generator, 0.65)
    p, side = solids.Parts(), solids.Parts()
    _body(p, generator, length, paint, int(generator.integers(8, 18)))

    half_span = length * generator.uniform(0.46, 0.56)
    lead = length * generator.uniform(-0.14, -0.07)
    chord = length * generator.uniform(0.095, 0.13)
    inner, tip = (0.56 if four else 0.32) * half_span, generator.uniform(0.4, 0.6) * chord
    z, rise = (0.98, 0.0) if high else (-0.65, half_span * generator.uniform(0.06, 0.12))
    back = generator.uniform(0.1, 0.4) * chord
    wing = [
        (0, lead, z, chord, 0.17),
        (inner, lead + 0.03 * chord, z + rise * inner / half_span, 0.95 * chord, 0.16),
        (half_span, lead + back, z + rise, tip, 0.13),
    ]
    airframes.surface(side, wing, paint.wing, edge=paint.metal)
    reach, blades = generator.uniform(1.15, 1.5), int(generator.integers(3, 7))
    for share in (0.28, 0.54) if four else (generator.uniform(0.26, 0.34),):
        x, y, wing_z, *_ = airframes.between(wing, share * half_span)
        _propeller_engine(side, generator, (x, y, wing_z), chord, reach, blades, paint)
    _underside(p, side, generator, length, (lead, chord), paint, sponsons=high)
    p.join_both_sides(side)
    _tail(p, generator, length, paint, generator.choice([1.0, 0.05]), sweep=(15, 36))
    return p


def _cowl(generator, paint) -> np.ndarray:
    """The color of nacelles."""
    return (paint.body, paint.second, paint.metal)[generator.integers(3)]


def _propeller_engine(side, generator, place, chord, reach, blades, paint) -> None:
    """A nacelle at a wing whose leading edge is at a place, and its propeller."""
    x, y, z = place
    z -= 0.12
    front = y - generator.uniform(1.3, 1.9)
    shape = [(front, 0.2, -0.22, 0.2), (front + 0.25, 0.34, -0.45, 0.3), (y, 0.4, -0.5, 0.36)]
    shape += [(y + 0.6 * chord, 0.36, -0.42, 0.3), (y + 1.25 * chord, 0.06, -0.02, 0.1)]
    skin = np.empty((4, 8, 3))
    skin[:] = _cowl(generator, paint)
    skin[0] = paint.metal
    airframes.body(side, np.array(shape) + [0, 0, z, z], skin, x=x)
    turn, shades = generator.uniform(0, 2 * np.pi), (paint.metal, paint.dark * 2)
    airframes.propeller(side, (x, front, z), reach, 0.22, blades, turn, shades)


def _tail(p, generator, length, paint, place, *, sweep=(34, 44)) -> None:
    """A conventional tail (place near 0), a cross (0.5) or a T (1)."""
    height = generator.uniform(2.3, 2.7) if place > 0.4 else generator.uniform(2.9, 3.7)
    airframes.tail(
        p,
        generator,
        (length / 2 - generator.uniform(0.2, 0.7), 0.75),
        (height, generator.uniform(2.5, 3.2)),
        generator.uniform(0.15, 0.19) * length,
        place,
        paint,
        sweep=generator.uniform(*sweep),
    )


def _winglet(side, tip, generator, paint) -> None:
    """A small fin at the tip (a section) of a wing."""
    x, y, z, chord, _ = tip
    height = chord * generator.uniform(0.7, 1.6)
    upper = x + 0.3 * height, y + 0.6 * height + 0.2 * chord, z + height, 0.4 * chord, 0.1
    color = paint.second if generator.random() < 0.5 else paint.body
    airframes.surface(side, [(x, y, z, chord, 0.1), upper], color, upright=True)


def _pylon(side, center, engine, section, paint) -> None:
    """What holds a nacelle under a wing, whose section there is given."""
    x, y, z = center
    _, lead, top, chord, _ = section
    half, low, rear = 0.1 * engine, z + 0.7 * engine, lead + 0.45 * chord
    foot = [(y - 0.9 * engine, low), (rear, low + 0.1)]
    head = [(lead - 0.1 * engine, top), (rear, top)]
    bottom, upper = (
        [(x - half, a, c), (x + half, a, c), (x + half, b, d), (x - half, b, d)]
        for (a, c), (b, d) in (foot, head)
    )
    side.hexahedron(bottom, upper, paint.metal)


def _underside(p, side, generator, length, root, paint, *, sponsons=False) -> None:
    """The bulge under a low wing, or sponsons under a high one, and perhaps landing gear.

    Args:
        p: the aeroplane.
        side: its left side.
        generator: the only source of chance.
        length: of the body.
        root: y of the wing's leading edge and its chord, at the root.
        paint: colors.
        sponsons: where the wing is high.
    """
    lead, chord = root
    skin = np.broadcast_to(paint.belly * 0.92, (3, 8, 3))
    if sponsons:
        shape = [(-0.6, 0.1, -0.8, -0.7), (0.3, 0.4, -1.08, -0.4), (0.9, 0.4, -1.08, -0.4),
                 (2.0, 0.1, -0.8, -0.7)]  # fmt: skip
    else:
        shape = [(-0.35, 0.5, -0.95, -0.8), (0.1, 1.02, -1.14, -0.3), (0.9, 1.02, -1.14, -0.3),
                 (1.5, 0.4, -0.95, -0.8)]  # fmt: skip
    stations = np.array(shape) * [chord, 1, 1, 1] + [lead, 0, 0, 0]
    if sponsons:
        airframes.body(side, stations, skin, x=0.8)
    else:
        airframes.body(p, stations, skin, square=0.8)
    if generator.random() < 0.35:
        return
    ground, size = -generator.uniform(1.75, 2.1), generator.uniform(0.25, 0.33)
    x, y, z = (1.0 if sponsons else 1.3), lead + 0.62 * chord, (-0.9 if sponsons else -0.5)
    wheels = 2 if length > 20 else 1
    airframes.leg(side, (x, y, z), (1.02 * x, y, ground + size), size, paint, wheels=wheels)
    y, size = -length / 2 + generator.uniform(2, 3.2), 0.75 * size
    airframes.leg(p, (0, y + 0.2, -0.9), (0, y, ground + size), size, paint)
    side.box((0.22, y + 0.3, -1.2), (0.05, 0.9, 0.45), paint.belly)
