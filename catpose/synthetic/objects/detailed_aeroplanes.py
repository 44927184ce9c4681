"""Aeroplanes in some detail, as photographs show them: `aeroplane` makes one of any kind.

The small ones are made here: light planes, biplanes, warbirds and fighters. Metres; front at -y,
the object's left at +x, z up.
"""

import numpy as np

from catpose.synthetic.objects import airframes, airliners, colors, solids

_TOP = airframes.from_top(12)


def aeroplane(generator: np.random.Generator) -> solids.Parts:
    """An airliner, business jet, light plane, biplane, warbird or fighter."""
    return _KINDS[generator.choice(len(_KINDS), p=_SHARES)](generator)


def light_plane(generator: np.random.Generator) -> solids.Parts:
    """One propeller, a cabin, and the wing above it on struts, or below."""
    high = generator.random() < 0.5
    paint = airframes.random_paint(generator, 0.6)
    p, side = solids.Parts(), solids.Parts()
    nose, cabin, tail = generator.uniform((0.9, 1.7, 3.2), (1.5, 2.3, 4.4))
    width, roof = generator.uniform(0.5, 0.6), generator.uniform(0.72, 0.95)
    start = -(nose + cabin + tail) / 2
    front, rear = start + nose, start + nose + cabin
    stations = [
        (start, 0.3, -0.3, 0.22), (start + 0.15, 0.8 * width, -0.42, 0.32),
        (front, width, -0.5, 0.42), (front + 0.5, width, -0.55, roof), (rear, width, -0.5, roof),
        (rear + generator.uniform(0.5, 1.2), 0.75 * width, -0.35, 0.42),
        (rear + tail, 0.06, 0.02, 0.26),
    ]  # fmt: skip
    skin = np.empty((6, 12, 3))
    skin[:] = paint.body
    skin[:, _TOP > 100] = paint.belly
    if generator.random() < 0.6:
        skin[1:, _TOP == 90] = paint.second
    skin[2, _TOP < 80] = paint.window
    skin[3, (_TOP > 50) & (_TOP < 80)] = paint.window
    if generator.random() < 0.6:
        skin[4, _TOP < 80] = paint.window
    faces = airframes.body(p, stations, skin, square=0.75)
    side.patch(faces[3, 1], paint.body, (0.45, 0.55), lift=0.01)
    p.patch(faces[0, [0, 6]].mean(axis=0), paint.dark)

    half_span, chord = generator.uniform(4.3, 5.6), generator.uniform(1.35, 1.7)
    lead, z = (front + 0.35, roof) if high else (front + 0.3, -0.42)
    rise = half_span * (0.02 if high else generator.uniform(0.08, 0.13))
    middle, tip = generator.uniform(0.4, 0.5), chord * generator.uniform(0.6, 1.0)
    wing = [(0, lead, z, chord, 0.14), (middle * half_span, lead, z + middle * rise, chord, 0.14),
            (half_span, lead + 0.4 * (chord - tip), z + rise, tip, 0.11)]  # fmt: skip
    wing.append((half_span + 0.12, lead + 0.5 * (chord - tip) + 0.15, z + rise, 0.6 * tip, 0.05))
    color = paint.body if generator.random() < 0.6 else paint.wing
    airframes.surface(side, wing, color, edge=paint.second if generator.random() < 0.3 else color)
    if high and generator.random() < 0.8:
        foot, top = (0.9 * width, lead + 0.5, -0.45), (0.48 * half_span, lead + 0.5, z)
        side.beams([foot], [top], 0.09, color)
    _light_gear(p, side, generator, (start, lead + chord), not high, paint)
    p.join_both_sides(side)
    _nose_propeller(p, generator, (0, start, -0.03), 0.95, paint)
    _small_tail(
        p, generator, (rear + tail, 0.15), paint, 1.0 if generator.random() < 0.12 else 0.05
    )
    return p


def _light_gear(p, side, generator, ends, low, paint) -> None:
    """Landing gear of a light plane, mostly down: y of the nose, and of the wing's rear edge."""
    if generator.random() < 0.15:
        return
    (start, rear), size = ends, generator.uniform(0.19, 0.26)
    ground = -generator.uniform(1.0, 1.25)
    tailwheel, spats = generator.random() < 0.25, generator.random() < 0.5
    y = start + 1.3 if tailwheel else rear - 0.55
    top = (1.3, y, -0.35) if low else (0.35, y, -0.45)
    foot = (1.3 if low else 1.1, y, ground + size)
    airframes.leg(side, top, foot, size, paint)
    nose = (0, start + 0.55, ground + 0.9 * size)
    if not tailwheel:
        airframes.leg(p, (0, nose[1], -0.3), nose, 0.9 * size, paint)
    if spats:
        airframes.spat(side, foot, size, paint.body)
        if not tailwheel:
            airframes.spat(p, nose, 0.9 * size, paint.body)


def _nose_propeller(p, generator, hub, reach, paint) -> None:
    """A propeller at the nose of a small plane."""
    shades = (paint.second, paint.metal)[generator.integers(2)], paint.dark * 1.5
    blades = int(generator.integers(2, 4) + (reach > 1.2))
    airframes.propeller(p, hub, reach, 0.22 * reach, blades, generator.uniform(0, 6.3), shades)


def _small_tail(p, generator, end, paint, place) -> None:
    """The tail of a small plane whose body ends at y and z."""
    fin = generator.uniform((1.1, 1.2), (1.5, 1.6))
    span, sweep = generator.uniform(1.4, 1.9), generator.uniform(12, 42)
    airframes.tail(p, generator, end, fin, span, place, paint, sweep=sweep)


def _long_nose(generator, length, radius, color, paint) -> tuple[np.ndarray, np.ndarray]:
    """Stations and skin of a body behind a round or a narrow engine."""
    blunt = generator.random() < 0.4
    tip, cowl = (0.86, 1.08) if blunt else (0.45, 0.8)
    shape = [(0, tip, -tip, tip), (0.06, cowl, -cowl, cowl), (0.2, 0.96, -1.06, 0.95),
             (0.45, 1, -1.05, 1), (0.7, 0.66, -0.6, 0.8), (1, 0.07, 0.1, 0.5)]  # fmt: skip
    skin = np.empty((5, 12, 3))
    skin[:] = color
    skin[:, _TOP > 100] = paint.belly
    if generator.random() < 0.5:
        skin[:2] = paint.second
    stations = np.array(shape) * [length, radius, radius, radius] - [length / 2, 0, 0, 0]
    return stations, skin


def _canopy(p, y, length, size, paint) -> None:
    """A bubble of glass: its front's y, its half width, and z of its foot and its top."""
    width, foot, top = size
    shape = [(0, 0.1, 0.02), (0.3, 0.9, 0.85), (0.5, 1, 1), (0.75, 0.85, 0.85), (1, 0.15, 0.05)]
    stations = [(y + length * a, width * w, foot - 0.5 * (top - foot), foot + (top - foot) * h)
                for a, w, h in shape]  # fmt: skip
    skin = np.empty((4, 8, 3))
    skin[:] = paint.window
    skin[[1, 3]] = paint.window * 1.5
    airframes.body(p, stations, skin)


def warbird(generator: np.random.Generator) -> solids.Parts:
    """A piston fighter or trainer: a long nose, a bubble, a low wing, a wheel at the tail."""
    paint = airframes.random_paint(generator, 0.2)
    drab = colors.hue(generator, (0.1, 0.45), (0.25, 0.6))
    color = drab if generator.random() < 0.6 else paint.body
    length, radius = generator.uniform(8.5, 10.5), generator.uniform(0.55, 0.68)
    p, side = solids.Parts(), solids.Parts()
    stations, skin = _long_nose(generator, length, radius, color, paint)
    faces = airframes.body(p, stations, skin)
    side.patch(faces[3, 0], paint.second, (0.3, 0.65), (0.0, 1.0))
    side.patch(faces[3, 0], paint.metal, (0.42, 0.53), (0.3, 0.7), lift=0.02)
    seat = length * generator.uniform(-0.15, -0.05)
    _canopy(p, seat, generator.uniform(1.9, 3.0), (0.4, radius * 0.8, radius + 0.5), paint)

    half_span, chord = length * generator.uniform(0.55, 0.63), generator.uniform(2.1, 2.6)
    lead, z = length * generator.uniform(-0.24, -0.18), -0.7 * radius
    rise, tip = half_span * generator.uniform(0.07, 0.12), generator.uniform(0.4, 0.6)
    bulge = generator.uniform(0.75, 0.95)
    wing = [(0, lead, z, chord, 0.15),
            (0.55 * half_span, lead + 0.15, z + 0.55 * rise, chord * bulge, 0.13),
            (0.93 * half_span, lead + 0.45, z + 0.93 * rise, chord * tip, 0.1),
            (half_span, lead + 0.7, z + rise, chord * 0.5 * tip, 0.08)]  # fmt: skip
    airframes.surface(side, wing, color * 0.92)
    if generator.random() < 0.6:
        foot = (generator.uniform(1.1, 1.7), lead + 0.25, -1.9)
        airframes.leg(side, (foot[0], lead + 0.5, z + 0.1), foot, 0.36, paint)
        side.box((foot[0] + 0.16, foot[1] + 0.1, -1.2), (0.05, 0.4, 0.9), color)
        airframes.leg(p, (0, length * 0.38, 0), (0, length * 0.41, -0.4), 0.16, paint)
    p.join_both_sides(side)
    _nose_propeller(p, generator, (0, -length / 2, 0), generator.uniform(1.4, 1.75), paint)
    paint = paint._replace(tail=color, wing=color * 0.92)
    _small_tail(p, generator, (length / 2 - 0.1, 0.4 * radius), paint, 0.08)
    return p


def biplane(generator: np.random.Generator) -> solids.Parts:
    """Two wings with struts between, and an open seat."""
    paint = airframes.random_paint(generator, 0.15)
    length, radius = generator.uniform(6.0, 7.6), generator.uniform(0.42, 0.5)
    p, side = solids.Parts(), solids.Parts()
    airframes.body(p, *_long_nose(generator, length, radius, paint.body, paint))
    for y in (0.02, 0.14)[: generator.integers(1, 3)]:
        y *= length
        p.box((0, y, radius * 0.9), (0.5 * radius, 0.6, 0.3), paint.dark)
        p.box((0, y - 0.35, radius * 1.1), (0.6 * radius, 0.05, 0.3), paint.window * 1.5)
    half_span, chord = length * generator.uniform(0.53, 0.62), generator.uniform(1.1, 1.4)
    gap, stagger = generator.uniform(1.3, 1.6), generator.uniform(0, 0.5)
    low, lead = -radius * 0.85, -0.27 * length
    color = (paint.second, paint.body, paint.metal)[generator.integers(3)]
    for share, ahead, z in ((1.0, stagger, low + gap), (generator.uniform(0.85, 1), 0.0, low)):
        span, y = share * half_span, lead + 0.4 - ahead
        wing = [(0, y, z, chord, 0.1), (0.92 * span, y, z + 0.15, chord, 0.09)]
        wing.append((span, y + 0.25, z + 0.16, 0.6 * chord, 0.08))
        airframes.surface(side, wing, color)
    feet = np.array(
        [(x * half_span, lead + 0.4 + c * chord, low) for x in (0.1, 0.72) for c in (0.2, 0.7)]
    )
    side.beams(feet, feet + [0, -stagger, gap], 0.07, paint.metal)
    wheel = (0.75, lead + 0.2, low - 0.95)
    airframes.leg(side, (0.3, lead + 0.4, low), wheel, 0.32, paint)
    airframes.leg(p, (0, length * 0.42, 0), (0, length * 0.46, -0.35), 0.12, paint)
    p.join_both_sides(side)
    _nose_propeller(p, generator, (0, -length / 2, 0), generator.uniform(1.1, 1.3), paint)
    _small_tail(p, generator, (length / 2, 0.3 * radius), paint, 0.05)
    return p


def fighter(generator: np.random.Generator) -> solids.Parts:
    """A jet with a delta or a swept wing, one fin or two, and intakes at its sides."""
    paint = airframes.random_paint(generator, 0.15)
    color = colors.gray(generator, 0.35, 0.7)
    if generator.random() < 0.3:
        color = colors.hue(generator, (0.15, 0.6), (0.3, 0.8))
    delta, twin = generator.random() < 0.4, generator.random() < 0.45
    paint = paint._replace(wing=color * 0.93, metal=color * 0.8)
    if generator.random() < 0.7:
        paint = paint._replace(tail=color, belly=color * 0.9)
    length, radius = generator.uniform(13, 18), generator.uniform(0.75, 0.95)
    start = -length / 2
    p, side = solids.Parts(), solids.Parts()
    shape = [(0, 0.03, -0.25, -0.19), (0.07, 0.45, -0.6, 0.3), (0.15, 0.7, -0.8, 0.65),
             (0.35, 1, -1, 0.95), (0.75, 0.95, -0.9, 0.85), (0.93, 0.7, -0.75, 0.7)]  # fmt: skip
    skin = np.empty((5, 12, 3))
    skin[:] = color
    skin[:, _TOP > 100] = paint.belly
    skin[0] = color * generator.uniform(0.4, 1)
    stations = np.array(shape) * [length, radius, radius, radius] + [start, 0, 0, 0]
    airframes.body(p, stations, skin)
    _canopy(p, start + 0.13 * length, 0.22 * length,
            (0.5 * radius, 0.45 * radius, generator.uniform(1.2, 1.5) * radius), paint)  # fmt: skip
    _intakes(side, generator, length, radius, color, paint)
    _nozzles(p, side, length, radius, twin, color, paint)

    half_span = length * generator.uniform(0.27, 0.36)
    root, sweep = (0.5, generator.uniform(48, 60)) if delta else (0.33, generator.uniform(28, 46))
    root, tip = root * length, generator.uniform(0.05, 0.1) * length
    lead, z = start + length * generator.uniform(0.34, 0.4), generator.uniform(-0.5, 0.4) * radius
    back = min(half_span * np.tan(np.deg2rad(sweep)), 1.02 * root - tip)
    wing = [(0, lead, z, root, 0.05), (half_span, lead + back, z - 0.1, tip, 0.05)]
    airframes.surface(side, wing, paint.wing)
    x, y = half_span, lead + back + 0.3 * tip
    if generator.random() < 0.6:
        side.cylinder((x, y, z - 0.1), 0.12, 2.6, [0.9, 0.9, 0.88], axis=1, sides=6)
    if generator.random() < 0.4:
        tank = [(0, -1), (0.12, -0.6), (0.15, 0), (0.12, 0.6), (0, 1)]
        spot = airframes.between(wing, 0.5 * half_span)
        side.lathe(2.4 * np.array(tank), (spot[0], spot[1] + 1.5, z - 0.6), color, axis=1, sides=8)
    if generator.random() < 0.4:
        foot = (1.2, 0.08 * length, -radius - 1.1)
        airframes.leg(side, (1.0, foot[1], -0.5), foot, 0.36, paint)
        y = start + 0.27 * length
        airframes.leg(p, (0, y, -0.5 * radius), (0, y, foot[2]), 0.3, paint)
    p.join_both_sides(side)
    fins = generator.uniform((2.0, 2.6), (2.9, 3.6)) * (0.85 if twin else 1)
    span = 0.0 if delta else 0.55 * half_span + 0.5
    airframes.tail(p, generator, (length * 0.44, 0.6 * radius), fins, span, -0.1, paint,
                   sweep=generator.uniform(35, 50), x=1.1 * radius if twin else 0.0)  # fmt: skip
    if delta and generator.random() < 0.5:  # small wings in front
        canard = solids.Parts()
        sections = airframes.swept(start + 0.24 * length, 0.4 * half_span, (1.6, 0.5), 0.2, 0.2, 45)
        airframes.surface(canard, sections, paint.wing)
        p.join_both_sides(canard)
    return p


def _intakes(side, generator, length, radius, color, paint) -> None:
    """An intake beside the body and the bulge behind it."""
    y, width = length * generator.uniform(-0.2, -0.12), radius * generator.uniform(0.4, 0.65)
    shape = [(y, width, -0.9, 0.4), (0.12 * length, width * 1.2, -0.9, 0.6),
             (0.42 * length, 0.5 * width, -0.5, 0.5)]  # fmt: skip
    skin = np.empty((2, 8, 3))
    skin[:] = color
    stations = np.array(shape) * [1, 1, radius, radius]
    airframes.body(side, stations, skin, x=1.05 * radius, square=0.7)
    mouth = np.array([(-1, -0.75), (1, -0.75), (1, 0.25), (-1, 0.25)]) * [0.8 * width, radius]
    quad = [(1.05 * radius + a, y, b) for a, b in mouth]
    side.patch(quad, paint.dark, lift=0.02)


def _nozzles(p, side, length, radius, twin, color, paint) -> None:
    """One exhaust, or two of them side by side."""
    r, x = (0.62 * radius, 0.65 * radius) if twin else (0.78 * radius, 0.0)
    profile = [(0, -1.5), (r, -1.5), (1.02 * r, 0), (0.75 * r, 0.9), (0.6 * r, 0.2), (0, 0.2)]
    bands = [color, color, color * 0.45, paint.dark, paint.dark]
    place = (x, 0.42 * length, 0)
    (side if twin else p).lathe(profile, place, color, axis=1, sides=10, bands=bands)


_WEIGHTS = {
    airliners.jet_airliner: 0.36,
    airliners.rear_jet: 0.14,
    airliners.propeller_airliner: 0.12,
    light_plane: 0.15,
    biplane: 0.04,
    warbird: 0.08,
    fighter: 0.11,
}
_KINDS, _SHARES = tuple(_WEIGHTS), np.array(list(_WEIGHTS.values()))
