"""Boats. Metres; front at -y, the object's left at +x."""

import numpy as np

from catpose.synthetic.objects import colors, solids


def boat(generator: np.random.Generator) -> solids.Parts:
    """A sailing boat, a motor cruiser, a speedboat or a fishing boat."""
    kind = ("sail", "sail", "cruiser", "speed", "fishing")[generator.integers(5)]
    length = generator.uniform(7, 9)
    half = length * generator.uniform(0.15, 0.19)
    depth = generator.uniform(1.1, 1.5) * (
        0.8 if kind == "speed" else 1.3 if kind == "fishing" else 1
    )
    sheer = depth * generator.uniform(0.25, 0.5) * (1.4 if kind == "fishing" else 1)
    hull = colors.lacquer(generator)
    bottom = colors.hue(generator, (0.5, 0.9), (0.25, 0.6))
    deck = colors.wood(generator) * 0.5 + np.array([0.42, 0.36, 0.26])
    dark, white = colors.gray(generator, 0.06, 0.2), colors.gray(generator, 0.82, 0.96)
    p = solids.Parts()
    y0, y1 = -length / 2, length / 2

    def ring(y, width, keel, top):
        w, k = half * width, keel
        mid = k + (top - k) * 0.45
        return [
            (-w, y, top),
            (-w * 0.86, y, mid),
            (-w * 0.3, y, k),
            (w * 0.3, y, k),
            (w * 0.86, y, mid),
            (w, y, top),
        ]

    shares = [
        (0.0, 0.03, 0.62, 1.0),
        (0.12, 0.42, 0.3, 0.78),
        (0.32, 0.84, 0.08, 0.4),
        (0.6, 1.0, 0.0, 0.1),
        (1.0, 0.86, 0.05, 0.0),
    ]
    rings = [ring(y0 + length * s, w, depth * k, depth + sheer * t) for s, w, k, t in shares]
    bands = np.empty((4, 6, 3))
    bands[:, [0, 4]] = hull
    bands[:, 1:4] = bottom
    bands[:, 5] = deck
    p.loft(rings, hull * 0.7, bands=bands)
    # A gunwale stripe along both sides.
    for a, b in zip(rings[:-1], rings[1:], strict=True):
        sides = [[b[1], a[1], a[0], b[0]], [a[4], b[4], b[5], a[5]]]
        p.patch(sides, bottom, (0, 1), (0.72, 1.0), lift=0.02)
    stern = solids.span((-half * 0.7, y1, depth * 0.3), (-half * 0.8, y1, depth))
    {"sail": _rig, "cruiser": _cabin, "speed": _cockpit, "fishing": _wheelhouse}[kind](
        p, generator, length, half, depth, white, dark
    )
    if kind in ("cruiser", "speed") or generator.random() < 0.5:
        p.box((0, y1 + 0.3, depth * 0.95), (half * 0.5, 0.55, depth * 0.7), dark, taper=(0.9, 0.8))
        p.box((0, y1 + 0.35, depth * 0.35), (half * 0.14, 0.3, depth * 0.7), dark * 2)
    else:
        p.patch(stern, dark, (0.25, 0.75), (0.4, 0.9), lift=0.02)
    return p


def _glazed(parts, house, window, rear=False) -> None:
    parts.patch(house[solids.FRONT], window * 1.2, (0.08, 0.92), (0.4, 0.88), lift=0.02)
    sides, panes = house[[solids.LEFT, solids.RIGHT]], ((0.1, 0.48), (0.54, 0.9))
    parts.patch(sides, window, panes, (0.4, 0.86), lift=0.02)
    parts.patch(house[solids.BACK], window * 0.4, (0.35, 0.7), (0.05, 0.85), lift=0.02)


def _rig(p, generator, length, half, depth, white, dark) -> None:
    cloth = white if generator.random() < 0.7 else colors.hue(generator, (0.3, 0.8), (0.6, 0.95))
    height, y = length * generator.uniform(0.95, 1.25), -length * generator.uniform(0.08, 0.16)
    house = p.box((0, y + 1.3, depth + 0.35), (half * 1.05, 2.6, 0.7), white, taper=(0.85, 0.8))
    _glazed(p, house, colors.glass(generator))
    mast = colors.gray(generator, 0.4, 0.75)
    p.beams([(0, y, depth)], [(0, y, depth + height)], 0.16, mast)
    z, end = depth + 1.15, length * generator.uniform(0.34, 0.46)
    p.beams([(0, y, z)], [(0, end, z)], 0.16, mast)
    belly = half * generator.uniform(0.15, 0.5) * generator.choice([-1, 1])
    middle = (belly, (y + end) / 2 + 0.1, z + height * 0.28)
    top = (0, y + 0.05, depth + height * 0.97)
    p.sheet([(0, y + 0.1, z + 0.1), (0, end, z + 0.1), middle, middle], cloth)
    p.sheet([(0, end, z + 0.1), top, middle, middle], cloth * 0.97)
    p.sheet([(0, y + 0.1, z + 0.1), middle, top, top], cloth * 0.94)
    if generator.random() < 0.85:
        jib = cloth if generator.random() < 0.6 else colors.hue(generator, (0.4, 0.9), (0.5, 0.95))
        tack, clew = (0, -length / 2 + 0.3, depth + 0.8), (belly * 1.2, y + 0.35, depth + 1.0)
        p.sheet([tack, clew, (0, y - 0.1, depth + height * 0.82), tack], jib * 0.92)


def _cabin(p, generator, length, half, depth, white, dark) -> None:
    height, long = generator.uniform(1.1, 1.5), length * generator.uniform(0.34, 0.42)
    house = p.box(
        (0, -length * 0.02, depth + height / 2),
        (half * 1.45, long, height),
        white,
        taper=(0.85, 0.68),
        shift=(0, 0.25),
    )
    window = colors.glass(generator)
    _glazed(p, house, window)
    z = depth + height
    if generator.random() < 0.6:
        p.box(
            (0, 0.15, z + 0.3),
            (half * 1.1, long * 0.55, 0.6),
            white * 0.95,
            taper=(0.9, 0.8),
            shift=(0, 0.15),
        )
        screen = p.box(
            (0, -long * 0.2, z + 0.75),
            (half * 1.0, 0.25, 0.5),
            window,
            taper=(0.9, 0.5),
            shift=(0, 0.2),
        )
        p.patch(screen[solids.FRONT], window * 1.5, (0.05, 0.95), (0.1, 0.9))
    arch = z + generator.uniform(0.5, 1.0)
    p.path(
        [
            (-half * 0.6, 0.9, z - 0.3),
            (-half * 0.5, 1.2, arch),
            (half * 0.5, 1.2, arch),
            (half * 0.6, 0.9, z - 0.3),
        ],
        0.14,
        white * 0.8,
    )
    z = depth + 0.95
    bow = [
        (-half * 0.8, -length * 0.16, z),
        (-half * 0.35, -length * 0.4, z + 0.15),
        (0, -length * 0.48, z + 0.25),
        (half * 0.35, -length * 0.4, z + 0.15),
        (half * 0.8, -length * 0.16, z),
    ]
    p.path(bow, 0.09, [0.8, 0.8, 0.82])


def _cockpit(p, generator, length, half, depth, white, dark) -> None:
    y, window = -length * 0.1, colors.glass(generator) * 1.3
    screen = p.hexahedron(
        solids.span((half * 0.85, y, depth), (half * 0.85, y + 0.35, depth)),
        solids.span((half * 0.7, y + 0.7, depth + 0.85), (half * 0.7, y + 0.85, depth + 0.85)),
        window,
    )
    p.patch(screen[solids.FRONT], window * 1.4, (0.06, 0.94), (0.15, 0.9), lift=0.02)
    floor = solids.span(
        (half * 0.75, y + 0.5, depth + 0.15), (half * 0.7, length * 0.46, depth + 0.05)
    )
    p.patch(floor, dark, lift=0.02)
    seat = colors.hue(generator, (0.4, 0.9), (0.5, 0.95))
    for share, width in ((0.12, 0.45), (0.36, 1.3)):
        for x in (-half * 0.4, half * 0.4) if width < 1 else (0.0,):
            p.box((x, length * share, depth + 0.3), (half * width, 0.7, 0.35), seat)
            p.box((x, length * share + 0.4, depth + 0.6), (half * width, 0.2, 0.6), seat * 0.9)


def _wheelhouse(p, generator, length, half, depth, white, dark) -> None:
    color = white if generator.random() < 0.6 else colors.hue(generator, (0.3, 0.8), (0.5, 0.9))
    front = generator.random() < 0.6
    y, height = length * (-0.12 if front else 0.22), generator.uniform(1.6, 2.1)
    house = p.box(
        (0, y, depth + height / 2 + 0.1),
        (half * 1.2, length * 0.2, height),
        color,
        taper=(0.92, 0.9),
    )
    p.box((0, y, depth + height + 0.16), (half * 1.35, length * 0.24, 0.14), dark * 2)
    _glazed(p, house, colors.glass(generator))
    m, top = length * (0.2 if front else -0.16), depth + height + generator.uniform(0.8, 1.8)
    p.beams([(0, m, depth)], [(0, m, top)], 0.2, dark * 3)
    p.beams([(0, m, top - 0.2)], [(0, m + (1.6 if front else -1.6), top - 1.4)], 0.14, dark * 3)
    p.box(
        (0, m + (0.9 if front else -0.6), depth + 0.35),
        (half * 0.9, 0.9, 0.6),
        colors.hue(generator),
    )
